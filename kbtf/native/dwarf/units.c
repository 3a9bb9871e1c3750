/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The debug sections of a file, and the units of .debug_info. */
#include "reader.h"

/*
 * Limits on work, in units of some nanoseconds, and on memory, in bytes.  Real modules need between 4
 * and 5 for each byte of these sections, which compress to a third to a sixth with the whole file.
 */
#define WORK_AT_LEAST (32u << 20)
#define WORK_PER_BYTE 16u
#define WORK_PER_PACKED_BYTE 64u

static uint64_t work_limit(const struct dwarf *dwarf)
{
	uint64_t size = (uint64_t)dwarf->info.size + dwarf->abbrev.size + dwarf->str.size;
	uint64_t packed = WORK_PER_PACKED_BYTE * dwarf->elf->packed_size;
	uint64_t unpacked = WORK_PER_BYTE * size;

	return WORK_AT_LEAST + (packed < unpacked ? packed : unpacked);
}

static int open_section(struct debug_section *to, const struct elf *elf, const char *name,
			bool relocations, struct btf_error *err)
{
	static const struct relocations none;
	const struct elf_section *section = elf_find(elf, name);

	to->cursor.relocations = &none;
	to->data = (const uint8_t *)"";
	if (!section || !section->data)
		return 0;
	if (section->size > INT32_MAX)
		return btf_fail(err, 0, "%s (%llu bytes) is too long", name,
				(unsigned long long)section->size);
	to->section = section;
	to->data = section->data;
	to->size = (uint32_t)section->size;
	if (!relocations)
		return 0;
	if (relocations_init(&to->relocations, elf, section, err))
		return -1;
	to->cursor.relocations = &to->relocations;
	return 0;
}

int dwarf_open(struct dwarf *dwarf, const struct elf *elf, struct btf_error *err)
{
	*dwarf = (struct dwarf){.elf = elf};
	if (open_section(&dwarf->info, elf, ".debug_info", true, err) ||
	    open_section(&dwarf->abbrev, elf, ".debug_abbrev", false, err) ||
	    open_section(&dwarf->str, elf, ".debug_str", false, err) ||
	    open_section(&dwarf->line_str, elf, ".debug_line_str", false, err) ||
	    open_section(&dwarf->str_offsets, elf, ".debug_str_offsets", true, err) ||
	    open_section(&dwarf->addr, elf, ".debug_addr", true, err) ||
	    open_section(&dwarf->loc, elf, ".debug_loc", true, err) ||
	    open_section(&dwarf->loclists, elf, ".debug_loclists", true, err))
		return -1;
	dwarf->jumps = dwarf->info.cursor;
	dwarf->work = work_limit(dwarf);
	return 0;
}

void dwarf_close(struct dwarf *dwarf)
{
	relocations_release(&dwarf->info.relocations);
	relocations_release(&dwarf->str_offsets.relocations);
	relocations_release(&dwarf->addr.relocations);
	relocations_release(&dwarf->loc.relocations);
	relocations_release(&dwarf->loclists.relocations);
}

static void section_give_back(const struct debug_section *section)
{
	if (section->section)
		elf_give_back(section->section->mapped, section->data,
			      section->data + section->size);
}

void dwarf_give_back(const struct dwarf *dwarf)
{
	section_give_back(&dwarf->info);
	section_give_back(&dwarf->abbrev);
	section_give_back(&dwarf->str);
	section_give_back(&dwarf->loc);
	section_give_back(&dwarf->loclists);
}

int dwarf_spend(struct dwarf *dwarf, uint64_t amount, struct btf_error *err)
{
	if (!dwarf_take(dwarf, amount))
		return btf_fail(err, 0, "the debug information needs too much work for its size");
	return 0;
}

static int bad_header(const struct unit *unit, struct btf_error *err, const char *what)
{
	return btf_fail(err, 0, "the unit at 0x%x of .debug_info %s", unit->start, what);
}

static int read_fields(struct dwarf *dwarf, struct reader *reader, struct unit *unit,
		       struct btf_error *err)
{
	uint32_t at;

	unit->version = (uint8_t)reader_number(reader, 2);
	if (reader->failed)
		return bad_header(unit, err, "ends within its header");
	if (unit->version < 2 || unit->version > 5)
		return btf_fail(err, 0, "DWARF version %u (unit at 0x%x) is not known", unit->version,
				unit->start);
	unit->type = DW_UT_compile;
	if (unit->version == 5) {
		unit->type = (uint8_t)reader_number(reader, 1);
		unit->address_size = (uint8_t)reader_number(reader, 1);
	}
	at = reader_offset(reader);
	unit->abbreviations_offset =
		relocated(&dwarf->info.cursor, at, reader_number(reader, unit->offset_size));
	if (unit->version < 5)
		unit->address_size = (uint8_t)reader_number(reader, 1);
	if (unit->type == DW_UT_skeleton || unit->type == DW_UT_split_compile)
		reader_skip(reader, 8);
	if (unit->type == DW_UT_type || unit->type == DW_UT_split_type)
		reader_skip(reader, 8 + (uint64_t)unit->offset_size);
	if (reader->failed)
		return bad_header(unit, err, "ends within its header");
	if (unit->address_size != 4 && unit->address_size != 8)
		return bad_header(unit, err, "has addresses of neither 4 nor 8 bytes");
	unit->first_die = reader_offset(reader);
	return 0;
}

int unit_read_header(struct dwarf *dwarf, uint32_t offset, struct unit *unit, struct btf_error *err)
{
	const struct debug_section *info = &dwarf->info;
	struct reader reader = {
		.start = info->data,
		.at = info->data + offset,
		.end = info->data + info->size,
		.foreign = dwarf->elf->foreign,
	};
	uint64_t length;

	*unit = (struct unit){.start = offset, .offset_size = 4};
	length = reader_number(&reader, 4);
	if (length == UINT32_MAX) {
		unit->offset_size = 8;
		length = reader_number(&reader, 8);
	}
	if (reader.failed || length > (uint64_t)(reader.end - reader.at))
		return bad_header(unit, err, "reaches past the end of the section");
	reader.end = reader.at + length;
	unit->end = (uint32_t)(reader.end - reader.start);
	/* clang's default if a unit does not specify it. */
	unit->str_offsets_base = unit->offset_size == 4 ? 8 : 16;
	unit->addr_base = 8;
	return read_fields(dwarf, &reader, unit, err);
}

static void set_base(const struct die *root, enum slot slot, uint64_t *base)
{
	if (die_has(root, slot))
		*base = root->values[slot].number;
}

int unit_read_root(struct dwarf *dwarf, struct unit *unit, struct die *root, struct btf_error *err)
{
	if (!read_die_at(dwarf, unit, unit->first_die, root))
		return bad_header(unit, err, "has no DIE of its own");
	set_base(root, SLOT_STR_OFFSETS_BASE, &unit->str_offsets_base);
	set_base(root, SLOT_ADDR_BASE, &unit->addr_base);
	set_base(root, SLOT_LOCLISTS_BASE, &unit->loclists_base);
	/* Names by index can only be read once their base is known. */
	read_die_at(dwarf, unit, unit->first_die, root);
	return 0;
}
