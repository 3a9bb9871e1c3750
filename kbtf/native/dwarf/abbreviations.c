/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The abbreviations of a unit, compiled into steps: one for each wanted attribute, and one for each
 * run of others with a known length, because most DIEs of a function are only skipped.
 */
#include "reader.h"

static uint8_t slot_of(uint64_t attribute)
{
	switch (attribute) {
	case DW_AT_sibling:
		return SLOT_SIBLING;
	case DW_AT_location:
		return SLOT_LOCATION;
	case DW_AT_name:
		return SLOT_NAME;
	case DW_AT_byte_size:
		return SLOT_BYTE_SIZE;
	case DW_AT_bit_offset:
		return SLOT_BIT_OFFSET;
	case DW_AT_bit_size:
		return SLOT_BIT_SIZE;
	case DW_AT_low_pc:
		return SLOT_LOW_PC;
	case DW_AT_language:
		return SLOT_LANGUAGE;
	case DW_AT_const_value:
		return SLOT_CONST_VALUE;
	case DW_AT_inline:
		return SLOT_INLINE;
	case DW_AT_producer:
		return SLOT_PRODUCER;
	case DW_AT_upper_bound:
		return SLOT_UPPER_BOUND;
	case DW_AT_abstract_origin:
		return SLOT_ORIGIN;
	case DW_AT_artificial:
		return SLOT_ARTIFICIAL;
	case DW_AT_calling_convention:
		return SLOT_CALLING_CONVENTION;
	case DW_AT_count:
		return SLOT_COUNT;
	case DW_AT_data_member_location:
		return SLOT_MEMBER_LOCATION;
	case DW_AT_declaration:
		return SLOT_DECLARATION;
	case DW_AT_encoding:
		return SLOT_ENCODING;
	case DW_AT_external:
		return SLOT_EXTERNAL;
	case DW_AT_specification:
		return SLOT_SPECIFICATION;
	case DW_AT_type:
		return SLOT_TYPE;
	case DW_AT_data_bit_offset:
		return SLOT_DATA_BIT_OFFSET;
	case DW_AT_str_offsets_base:
		return SLOT_STR_OFFSETS_BASE;
	case DW_AT_addr_base:
		return SLOT_ADDR_BASE;
	case DW_AT_loclists_base:
		return SLOT_LOCLISTS_BASE;
	case DW_AT_dwo_name:
	case DW_AT_GNU_dwo_name:
		return SLOT_DWO_NAME;
	case DW_AT_GNU_annotation:
		return SLOT_GNU_ANNOTATION;
	default:
		return SLOT_NONE;
	}
}

#define VARIABLE UINT32_MAX
#define UNKNOWN (UINT32_MAX - 1)

static uint32_t size_of_form(const struct unit *unit, uint64_t form)
{
	switch (form) {
	case DW_FORM_flag_present:
	case DW_FORM_implicit_const:
		return 0;
	case DW_FORM_data1:
	case DW_FORM_flag:
	case DW_FORM_ref1:
	case DW_FORM_strx1:
	case DW_FORM_addrx1:
		return 1;
	case DW_FORM_data2:
	case DW_FORM_ref2:
	case DW_FORM_strx2:
	case DW_FORM_addrx2:
		return 2;
	case DW_FORM_strx3:
	case DW_FORM_addrx3:
		return 3;
	case DW_FORM_data4:
	case DW_FORM_ref4:
	case DW_FORM_ref_sup4:
	case DW_FORM_strx4:
	case DW_FORM_addrx4:
		return 4;
	case DW_FORM_data8:
	case DW_FORM_ref8:
	case DW_FORM_ref_sig8:
	case DW_FORM_ref_sup8:
		return 8;
	case DW_FORM_data16:
		return 16;
	case DW_FORM_addr:
		return unit->address_size;
	case DW_FORM_ref_addr:
		return unit->version == 2 ? unit->address_size : unit->offset_size;
	case DW_FORM_strp:
	case DW_FORM_line_strp:
	case DW_FORM_strp_sup:
	case DW_FORM_sec_offset:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		return unit->offset_size;
	case DW_FORM_block:
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
	case DW_FORM_exprloc:
	case DW_FORM_string:
	case DW_FORM_sdata:
	case DW_FORM_udata:
	case DW_FORM_ref_udata:
	case DW_FORM_indirect:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		return VARIABLE;
	default:
		return UNKNOWN;
	}
}

struct attribute {
	uint8_t slot;
	uint16_t form;
	uint32_t size; /* or VARIABLE */
	int64_t implicit;
};

#define MAX_ATTRIBUTES 128

/* Appends the steps of some attributes, of which those of `wanted` slots are read. */
static bool add_steps(struct abbreviations *to, const struct attribute *attributes, uint32_t nr,
		      uint32_t wanted, uint16_t *nr_steps)
{
	uint32_t first = to->steps.nr;
	const struct attribute *attribute;
	struct step *last;

	/* one more, so that the array is never NULL */
	if (!vector_reserve(&to->steps, nr + 1))
		return false;
	for (attribute = attributes; attribute < attributes + nr; attribute++) {
		if (attribute->slot != SLOT_NONE && wanted >> attribute->slot & 1) {
			to->steps.at[to->steps.nr++] =
				(struct step){attribute->slot, attribute->form, 0, attribute->implicit};
			continue;
		}
		if (attribute->size == VARIABLE) {
			to->steps.at[to->steps.nr++] = (struct step){SLOT_NONE, attribute->form, 0, 0};
			continue;
		}
		last = to->steps.nr > first ? &to->steps.at[to->steps.nr - 1] : NULL;
		if (last && last->slot == SLOT_SKIP)
			last->length += attribute->size;
		else
			to->steps.at[to->steps.nr++] = (struct step){SLOT_SKIP, 0, attribute->size, 0};
	}
	*nr_steps = (uint16_t)(to->steps.nr - first);
	return true;
}

/* The attributes of an abbreviation, up to the pair of zeros; their number, or -1. */
static int read_list(const struct unit *unit, struct reader *reader, struct attribute *attributes,
		     bool *across_units, struct btf_error *err)
{
	uint32_t nr = 0, seen = 0, size;
	uint8_t slot;
	uint64_t name, form;
	int64_t implicit;

	for (;;) {
		name = reader_uleb(reader);
		form = reader_uleb(reader);
		implicit = form == DW_FORM_implicit_const ? reader_sleb(reader) : 0;
		if (reader->failed)
			return btf_fail(err, 0, ".debug_abbrev ends within an abbreviation");
		if (!name && !form)
			return (int)nr;
		size = size_of_form(unit, form);
		if (size == UNKNOWN)
			return btf_fail(err, 0, "form 0x%llx of an attribute is not known",
					(unsigned long long)form);
		if (nr == MAX_ATTRIBUTES)
			return btf_fail(err, 0, "an abbreviation has more than %d attributes",
					MAX_ATTRIBUTES);
		slot = slot_of(name);
		/* gcc 14 names some base types twice; the first counts. */
		if (slot != SLOT_NONE && seen >> slot & 1)
			slot = SLOT_NONE;
		seen |= slot == SLOT_NONE ? 0 : (uint32_t)1 << slot;
		*across_units |= form == DW_FORM_ref_addr;
		attributes[nr++] = (struct attribute){slot, (uint16_t)form, size, implicit};
	}
}

/* `attributes` is room for MAX_ATTRIBUTES: to clear it for each abbreviation would take most of the time. */
static int read_one(const struct unit *unit, struct reader *reader, uint64_t code,
		    struct attribute *attributes, struct abbreviations *to, struct btf_error *err)
{
	struct abbreviation abbreviation = {.code = code};
	uint64_t tag = reader_uleb(reader);
	int nr;

	abbreviation.tag = tag > UINT16_MAX ? 0 : (uint16_t)tag;
	abbreviation.has_children = reader_number(reader, 1);
	nr = read_list(unit, reader, attributes, &to->across_units, err);
	if (nr < 0)
		return -1;
	abbreviation.first_read = to->steps.nr;
	if (!add_steps(to, attributes, (uint32_t)nr, UINT32_MAX, &abbreviation.nr_read))
		return btf_no_memory(err);
	abbreviation.first_skip = to->steps.nr;
	if (!add_steps(to, attributes, (uint32_t)nr, (uint32_t)1 << SLOT_SIBLING,
		       &abbreviation.nr_skip) ||
	    !vector_push(&to->table, abbreviation))
		return btf_no_memory(err);
	return 0;
}

static int compare_codes(const void *left, const void *right)
{
	const struct abbreviation *a = left, *b = right;

	return a->code < b->code ? -1 : a->code > b->code;
}

static void sort_by_code(struct abbreviations *abbreviations)
{
	uint32_t i;

	for (i = 1; i < abbreviations->table.nr; i++)
		if (abbreviations->table.at[i - 1].code >= abbreviations->table.at[i].code)
			break;
	if (i < abbreviations->table.nr)
		qsort(abbreviations->table.at, abbreviations->table.nr,
		      sizeof(*abbreviations->table.at), compare_codes);
}

int abbreviations_read(struct dwarf *dwarf, const struct unit *unit, struct abbreviations *to,
		       struct btf_error *err)
{
	const struct debug_section *section = &dwarf->abbrev;
	struct attribute attributes[MAX_ATTRIBUTES] = {0};
	struct reader reader = {
		.start = section->data,
		.end = section->data + section->size,
		.foreign = dwarf->elf->foreign,
	};
	const uint8_t *from;
	uint64_t code;

	to->table.nr = to->steps.nr = 0;
	to->across_units = false;
	to->offset = unit->abbreviations_offset;
	to->version = unit->version;
	to->address_size = unit->address_size;
	to->offset_size = unit->offset_size;
	if (unit->abbreviations_offset >= section->size)
		return btf_fail(err, 0, "the abbreviations of the unit at 0x%x are not in .debug_abbrev",
				unit->start);
	reader.at = from = section->data + unit->abbreviations_offset;
	while ((code = reader_uleb(&reader)) != 0) {
		if (read_one(unit, &reader, code, attributes, to, err) ||
		    dwarf_spend(dwarf, (uint64_t)(reader.at - from), err)) {
			to->table.nr = 0;
			return -1;
		}
		from = reader.at;
	}
	sort_by_code(to);
	return 0;
}

void abbreviations_release(struct abbreviations *abbreviations)
{
	vector_release(&abbreviations->table);
	vector_release(&abbreviations->steps);
}
