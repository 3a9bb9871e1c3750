/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* An ELF file in memory as the encoder takes it, for what uses the C core without Python. */
#ifndef KBTF_TESTS_ELF_INPUT_H
#define KBTF_TESTS_ELF_INPUT_H

#include "elf_file.h"

#define MAX_SECTIONS 256
#define SHF_COMPRESSED 0x800u

struct file {
	const uint8_t *data;
	size_t size;
	struct elf elf;
	struct elf_section sections[MAX_SECTIONS];
	uint32_t names[MAX_SECTIONS];
};

static void read_section(struct file *file, uint32_t number, const uint8_t *at)
{
	struct elf_section *section = &file->sections[number];
	bool is_64 = file->elf.is_64, foreign = file->elf.foreign;
	uint32_t word = is_64 ? 8 : 4;
	uint64_t offset;

	file->names[number] = read32(at, foreign);
	section->type = read32(at + 4, foreign);
	section->flags = read_word(at + 8, is_64, foreign);
	section->addr = read_word(at + 8 + word, is_64, foreign);
	offset = read_word(at + 8 + 2 * word, is_64, foreign);
	section->size = read_word(at + 8 + 3 * word, is_64, foreign);
	section->link = read32(at + 8 + 4 * word, foreign);
	section->info = read32(at + 12 + 4 * word, foreign);
	section->align = read_word(at + 16 + 4 * word, is_64, foreign);
	section->name = "";
	section->data = NULL;
	if (section->type != SHT_NOBITS && !(section->flags & SHF_COMPRESSED) &&
	    offset <= file->size && section->size <= file->size - offset)
		section->data = file->data + offset;
	else if (section->type != SHT_NOBITS)
		section->size = 0;
}

static void name_sections(struct file *file, uint32_t strings)
{
	const struct elf_section *table;
	uint32_t i;

	if (strings >= file->elf.nr_sections)
		return;
	table = &file->sections[strings];
	if (!table->data)
		return;
	for (i = 0; i < file->elf.nr_sections; i++)
		if (file->names[i] < table->size &&
		    memchr(table->data + file->names[i], 0, table->size - file->names[i]))
			file->sections[i].name = (const char *)table->data + file->names[i];
}

static bool open_file(struct file *file, const uint8_t *data, size_t size)
{
	uint32_t header, entry, nr, i;
	uint64_t table;
	bool foreign;

	if (size < 64 || memcmp(data, "\177ELF", 4))
		return false;
	file->data = data;
	file->size = size;
	file->elf.packed_size = size;
	file->elf.is_64 = data[4] == 2;
	file->elf.foreign = foreign = (data[5] == 2) != machine_is_big_endian();
	file->elf.machine = read16(data + 18, foreign);
	file->elf.sections = file->sections;
	table = read_word(data + (file->elf.is_64 ? 40 : 32), file->elf.is_64, foreign);
	header = file->elf.is_64 ? 60 : 48;
	entry = file->elf.is_64 ? 64 : 40;
	nr = read16(data + header, foreign);
	if (nr > MAX_SECTIONS || table > size || (uint64_t)nr * entry > size - table)
		return false;
	file->elf.nr_sections = nr;
	for (i = 0; i < nr; i++)
		read_section(file, i, data + table + i * entry);
	name_sections(file, read16(data + header + 2, foreign));
	return true;
}

#endif
