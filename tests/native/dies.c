/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Prints each DIE that the reader sees in an ELF file: dies FILE.
 *
 * A line is `offset tag`, then for each attribute that is read a tab and `slot class value`, in hex;
 * strings and blocks are hex bytes.
 */
#include <stdio.h>

#include "elf_input.h"
#include "name_table.h"
#include "reader.h"

static void print_bytes(const void *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		printf("%02x", ((const uint8_t *)bytes)[i]);
}

/* An expression of one address is printed as relocated. */
static void print_block(struct dwarf *dwarf, const struct unit *unit, const struct value *value)
{
	const uint8_t *block = dwarf->info.data + value->number;
	struct address address;
	uint32_t i, shift;

	if (value->length != 1 + (uint32_t)unit->address_size || *block != DW_OP_addr ||
	    !address_in_info(dwarf, unit, value->number + 1, &address)) {
		print_bytes(block, value->length);
		return;
	}
	print_bytes(block, 1);
	for (i = 0; i < unit->address_size; i++) {
		shift = dwarf->elf->foreign != machine_is_big_endian() ? unit->address_size - 1u - i
									: i;
		printf("%02x", (unsigned)(address.offset >> 8 * shift & 0xff));
	}
}

static void print_value(struct dwarf *dwarf, const struct unit *unit, const struct value *value)
{
	struct address address;
	const char *text;
	size_t length;

	switch (value->class) {
	case VALUE_NAME:
		text = name_text(dwarf, value->number, &length);
		print_bytes(text, length);
		break;
	case VALUE_BLOCK:
		print_block(dwarf, unit, value);
		break;
	case VALUE_ADDRESS:
		if (read_address(dwarf, unit, value, &address))
			printf("%llx", (unsigned long long)address.offset);
		break;
	default:
		printf("%llx", (unsigned long long)value->number);
	}
}

static void print_die(struct dwarf *dwarf, const struct unit *unit, const struct die *die)
{
	uint32_t slot;

	printf("%x %x", die->offset, die->tag);
	for (slot = 0; slot < NR_SLOTS; slot++) {
		if (!die_has(die, slot))
			continue;
		printf("\t%u %u ", slot, die->values[slot].class);
		print_value(dwarf, unit, &die->values[slot]);
	}
	putchar('\n');
}

static int print_unit(struct dwarf *dwarf, struct unit *unit, struct btf_error *err)
{
	struct abbreviations abbreviations = {0};
	const struct abbreviation *abbreviation;
	struct reader reader;
	struct die die;
	uint64_t code;

	unit->abbreviations = &abbreviations;
	if (abbreviations_read(dwarf, unit, &abbreviations, err) ||
	    unit_read_root(dwarf, unit, &die, err))
		return -1;
	reader = unit_reader(dwarf, unit, unit->first_die);
	while (reader.at < reader.end && !reader.failed) {
		die.offset = reader_offset(&reader);
		code = reader_uleb(&reader);
		if (!code)
			continue;
		abbreviation = find_abbreviation(&abbreviations, code);
		if (!abbreviation)
			return btf_fail(err, 0, "no abbreviation at %x", die.offset);
		read_attributes(dwarf, unit, &reader, &dwarf->info.cursor, abbreviation, &die);
		print_die(dwarf, unit, &die);
	}
	abbreviations_release(&abbreviations);
	return reader.failed ? btf_fail(err, 0, "the unit ends early") : 0;
}

static int print_units(const struct elf *elf, struct btf_error *err)
{
	struct dwarf dwarf;
	struct unit unit;
	uint32_t offset;
	int failed;

	failed = dwarf_open(&dwarf, elf, err);
	for (offset = 0; !failed && offset < dwarf.info.size; offset = unit.end)
		failed = unit_read_header(&dwarf, offset, &unit, err) ||
			 print_unit(&dwarf, &unit, err);
	dwarf_close(&dwarf);
	return failed;
}

int main(int argc, char **argv)
{
	static uint8_t data[16 << 20];
	static struct file file;
	struct btf_error err;
	FILE *opened = argc == 2 ? fopen(argv[1], "rb") : NULL;
	size_t size = opened ? fread(data, 1, sizeof(data), opened) : 0;

	if (!opened || !open_file(&file, data, size))
		return 2;
	fclose(opened);
	if (!print_units(&file.elf, &err))
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return 3;
}
