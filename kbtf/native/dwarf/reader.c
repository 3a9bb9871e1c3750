/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Numbers, and the attributes of DIEs. */
#include "reader.h"

uint64_t reader_number(struct reader *reader, uint32_t length)
{
	const uint8_t *at = reader->at;

	if (!reader_has(reader, length))
		return 0;
	reader->at += length;
	switch (length) {
	case 1:
		return at[0];
	case 2:
		return read16(at, reader->foreign);
	case 3:
		if (reader->foreign != machine_is_big_endian())
			return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
		return (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
	case 4:
		return read32(at, reader->foreign);
	default:
		return read64(at, reader->foreign);
	}
}

/* The bits of a LEB128 number, their count, and its last byte; 0 past the end. */
static uint64_t read_leb(struct reader *reader, uint32_t *nr_bits, uint8_t *last)
{
	uint64_t value = 0;
	uint32_t shift = 0;
	uint8_t byte = 0;

	do {
		if (!reader_has(reader, 1)) {
			*nr_bits = 64;
			return 0;
		}
		byte = *reader->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	*nr_bits = shift;
	*last = byte;
	return value;
}

uint64_t reader_uleb_slow(struct reader *reader)
{
	uint32_t nr_bits;
	uint8_t last;

	return read_leb(reader, &nr_bits, &last);
}

int64_t reader_sleb(struct reader *reader)
{
	uint32_t nr_bits;
	uint8_t last = 0;
	uint64_t value = read_leb(reader, &nr_bits, &last);

	if (nr_bits < 64 && last & 0x40)
		value |= ~(uint64_t)0 << nr_bits;
	return (int64_t)value;
}

/* The bytes of a string, its NUL included. */
static void skip_string(struct reader *reader)
{
	const uint8_t *nul = memchr(reader->at, 0, (size_t)(reader->end - reader->at));

	if (nul)
		reader->at = nul + 1;
	else
		reader_skip(reader, UINT64_MAX);
}

static void read_block(struct reader *reader, uint64_t length, struct value *value)
{
	*value = (struct value){.class = VALUE_NONE};
	if (!reader_has(reader, length))
		return;
	*value = (struct value){reader_offset(reader), (uint32_t)length, VALUE_BLOCK};
	reader->at += length;
}

static void read_unit_ref(const struct unit *unit, uint64_t offset, struct value *value)
{
	*value = (struct value){offset < UINT32_MAX ? unit->start + offset : UINT64_MAX, 0, VALUE_REF};
	if (value->number >= unit->end)
		value->number = 0;
}

static void read_string_index(struct dwarf *dwarf, const struct unit *unit, uint64_t index,
			      struct value *value)
{
	struct debug_section *offsets = &dwarf->str_offsets;
	uint64_t at = unit->str_offsets_base + index * unit->offset_size;
	uint64_t stored;

	*value = (struct value){.class = VALUE_NAME};
	if (index > UINT32_MAX || at > offsets->size || offsets->size - at < unit->offset_size)
		return;
	stored = read_word(offsets->data + at, unit->offset_size == 8, dwarf->elf->foreign);
	value->number = make_name(NAME_STR, relocated(&offsets->cursor, at, stored));
}

/* An offset in another section, relocated. */
static uint64_t read_offset(struct reader *reader, struct relocation_cursor *cursor, uint32_t size)
{
	uint32_t at = reader_offset(reader);

	return relocated(cursor, at, reader_number(reader, size));
}

static void read_string_offset(struct reader *reader, struct relocation_cursor *cursor,
			       const struct unit *unit, enum name_section section,
			       struct value *value)
{
	uint64_t offset = read_offset(reader, cursor, unit->offset_size);

	*value = (struct value){offset > UINT32_MAX ? 0 : make_name(section, offset), 0, VALUE_NAME};
}

#define SET(value_class, read) (*value = (struct value){(read), 0, (value_class)})

/* Forms whose size does not define how to read them are in one switch, in numeric order. */
static inline void read_form(struct dwarf *dwarf, const struct unit *unit, struct reader *reader,
			     struct relocation_cursor *cursor, uint32_t form, int64_t implicit,
			     struct value *value)
{
	if (form == DW_FORM_indirect) {
		form = (uint32_t)reader_uleb(reader);
		if (form == DW_FORM_indirect || form == DW_FORM_implicit_const)
			form = 0;
	}
	switch (form) {
	case DW_FORM_addr:
		SET(VALUE_ADDRESS, reader_offset(reader));
		reader_skip(reader, unit->address_size);
		return;
	case DW_FORM_block1:
		read_block(reader, reader_number(reader, 1), value);
		return;
	case DW_FORM_block2:
		read_block(reader, reader_number(reader, 2), value);
		return;
	case DW_FORM_block4:
		read_block(reader, reader_number(reader, 4), value);
		return;
	case DW_FORM_block:
	case DW_FORM_exprloc:
		read_block(reader, reader_uleb(reader), value);
		return;
	case DW_FORM_data1:
		SET(VALUE_UNSIGNED, reader_number(reader, 1));
		return;
	case DW_FORM_data2:
		SET(VALUE_UNSIGNED, reader_number(reader, 2));
		return;
	case DW_FORM_data4:
		SET(VALUE_UNSIGNED, reader_number(reader, 4));
		return;
	case DW_FORM_data8:
		SET(VALUE_UNSIGNED, reader_number(reader, 8));
		return;
	case DW_FORM_sdata:
		SET(VALUE_SIGNED, (uint64_t)reader_sleb(reader));
		return;
	case DW_FORM_udata:
		SET(VALUE_UNSIGNED, reader_uleb(reader));
		return;
	case DW_FORM_implicit_const:
		SET(VALUE_SIGNED, (uint64_t)implicit);
		return;
	case DW_FORM_string:
		SET(VALUE_NAME, make_name(NAME_INFO, reader_offset(reader)));
		skip_string(reader);
		return;
	case DW_FORM_strp:
		read_string_offset(reader, cursor, unit, NAME_STR, value);
		return;
	case DW_FORM_line_strp:
		read_string_offset(reader, cursor, unit, NAME_LINE_STR, value);
		return;
	case DW_FORM_strx:
	case DW_FORM_GNU_str_index:
		read_string_index(dwarf, unit, reader_uleb(reader), value);
		return;
	case DW_FORM_strx1:
	case DW_FORM_strx2:
	case DW_FORM_strx3:
	case DW_FORM_strx4:
		read_string_index(dwarf, unit, reader_number(reader, form - DW_FORM_strx1 + 1),
				  value);
		return;
	case DW_FORM_flag:
		SET(VALUE_FLAG, reader_number(reader, 1));
		return;
	case DW_FORM_flag_present:
		SET(VALUE_FLAG, 1);
		return;
	case DW_FORM_ref1:
		read_unit_ref(unit, reader_number(reader, 1), value);
		return;
	case DW_FORM_ref2:
		read_unit_ref(unit, reader_number(reader, 2), value);
		return;
	case DW_FORM_ref4:
		read_unit_ref(unit, reader_number(reader, 4), value);
		return;
	case DW_FORM_ref8:
		read_unit_ref(unit, reader_number(reader, 8), value);
		return;
	case DW_FORM_ref_udata:
		read_unit_ref(unit, reader_uleb(reader), value);
		return;
	case DW_FORM_ref_addr:
		SET(VALUE_REF,
		    read_offset(reader, cursor,
				unit->version == 2 ? unit->address_size : unit->offset_size));
		if (value->number >= dwarf->info.size)
			value->number = 0;
		return;
	case DW_FORM_sec_offset:
		SET(VALUE_LIST, read_offset(reader, cursor, unit->offset_size));
		return;
	case DW_FORM_loclistx:
		SET(VALUE_LIST_INDEX, reader_uleb(reader));
		return;
	case DW_FORM_addrx:
	case DW_FORM_GNU_addr_index:
		SET(VALUE_ADDRESS_INDEX, reader_uleb(reader));
		return;
	case DW_FORM_addrx1:
	case DW_FORM_addrx2:
	case DW_FORM_addrx3:
	case DW_FORM_addrx4:
		SET(VALUE_ADDRESS_INDEX, reader_number(reader, form - DW_FORM_addrx1 + 1));
		return;
	case DW_FORM_rnglistx:
		SET(VALUE_OTHER, reader_uleb(reader));
		return;
	case DW_FORM_ref_sig8:
	case DW_FORM_ref_sup8:
		SET(VALUE_OTHER, reader_number(reader, 8));
		return;
	case DW_FORM_ref_sup4:
		SET(VALUE_OTHER, reader_number(reader, 4));
		return;
	case DW_FORM_strp_sup:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		SET(VALUE_OTHER, reader_number(reader, unit->offset_size));
		return;
	case DW_FORM_data16:
		SET(VALUE_OTHER, 0);
		reader_skip(reader, 16);
		return;
	default:
		SET(VALUE_NONE, 0);
		reader_skip(reader, UINT64_MAX);
	}
}

static void read_steps(struct dwarf *dwarf, const struct unit *unit, struct reader *reader,
		       struct relocation_cursor *cursor, const struct step *step, uint32_t nr,
		       struct die *die)
{
	const struct step *end = step + nr;

	die->present = 0;
	for (; step < end; step++) {
		if (step->slot == SLOT_SKIP) {
			reader_skip(reader, step->length);
			continue;
		}
		read_form(dwarf, unit, reader, cursor, step->form, step->implicit,
			  &die->values[step->slot]);
		die->present |= (uint32_t)1 << step->slot;
	}
}

void read_attributes(struct dwarf *dwarf, const struct unit *unit, struct reader *reader,
		     struct relocation_cursor *cursor, const struct abbreviation *abbreviation,
		     struct die *die)
{
	die->tag = abbreviation->tag;
	die->has_children = abbreviation->has_children;
	read_steps(dwarf, unit, reader, cursor,
		   unit->abbreviations->steps.at + abbreviation->first_read, abbreviation->nr_read,
		   die);
}

uint32_t skip_attributes(struct dwarf *dwarf, const struct unit *unit, struct reader *reader,
			 struct relocation_cursor *cursor, const struct abbreviation *abbreviation)
{
	struct die skipped;

	read_steps(dwarf, unit, reader, cursor,
		   unit->abbreviations->steps.at + abbreviation->first_skip, abbreviation->nr_skip,
		   &skipped);
	return die_ref(&skipped, SLOT_SIBLING);
}

struct reader unit_reader(const struct dwarf *dwarf, const struct unit *unit, uint32_t offset)
{
	return (struct reader){
		.start = dwarf->info.data,
		.at = dwarf->info.data + offset,
		.end = dwarf->info.data + unit->end,
		.foreign = dwarf->elf->foreign,
	};
}

bool read_die_at(struct dwarf *dwarf, const struct unit *unit, uint32_t offset, struct die *die)
{
	const struct abbreviation *abbreviation;
	struct reader reader;

	if (!dwarf->work || offset < unit->first_die || offset >= unit->end)
		return false;
	reader = unit_reader(dwarf, unit, offset);
	abbreviation = find_abbreviation(unit->abbreviations, reader_uleb(&reader));
	if (!abbreviation)
		return false;
	die->offset = offset;
	read_attributes(dwarf, unit, &reader, &dwarf->jumps, abbreviation, die);
	/* Many references may lead to one DIE, and a string in it may be long. */
	return dwarf_take(dwarf, reader_offset(&reader) - offset) && !reader.failed;
}

/* The address stored in a word: from its relocation, or as stored in a linked file. */
static bool place_address(struct dwarf *dwarf, struct relocation_cursor *cursor, uint64_t at,
			  uint64_t stored, struct address *address)
{
	const struct elf *elf = dwarf->elf;
	struct relocation found;

	if (elf->linked) {
		if (!dwarf_take(dwarf, elf->nr_sections))
			return false;
		address->section = elf_section_at(elf, stored);
		address->offset = stored - elf->sections[address->section].addr;
		return true;
	}
	if (!relocation_find(cursor, at, stored, &found))
		return false;
	address->section = found.section;
	address->offset = found.symbol_value + (uint64_t)found.addend;
	return true;
}

bool address_in_info(struct dwarf *dwarf, const struct unit *unit, uint64_t at,
		     struct address *address)
{
	uint64_t stored;

	if (at > dwarf->info.size || dwarf->info.size - at < unit->address_size)
		return false;
	stored = read_word(dwarf->info.data + at, unit->address_size == 8, dwarf->elf->foreign);
	return place_address(dwarf, &dwarf->jumps, at, stored, address);
}

bool address_by_index(struct dwarf *dwarf, const struct unit *unit, uint64_t index,
		      struct address *address)
{
	struct debug_section *addr = &dwarf->addr;
	uint64_t at = unit->addr_base + index * unit->address_size;
	uint64_t stored;

	if (index > UINT32_MAX || at > addr->size || addr->size - at < unit->address_size)
		return false;
	stored = read_word(addr->data + at, unit->address_size == 8, dwarf->elf->foreign);
	return place_address(dwarf, &addr->cursor, at, stored, address);
}

bool read_address(struct dwarf *dwarf, const struct unit *unit, const struct value *value,
		  struct address *address)
{
	if (value->class == VALUE_ADDRESS)
		return address_in_info(dwarf, unit, value->number, address);
	if (value->class == VALUE_ADDRESS_INDEX)
		return address_by_index(dwarf, unit, value->number, address);
	return false;
}
