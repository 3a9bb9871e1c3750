/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Sections and symbols of an ELF file. */
#define _DEFAULT_SOURCE /* madvise() */
#include "elf_file.h"

#include <sys/mman.h>
#include <unistd.h>

void elf_give_back(bool mapped, const uint8_t *from, const uint8_t *to)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = ((uintptr_t)from + page - 1) & ~(page - 1);
	uintptr_t end = (uintptr_t)to & ~(page - 1);

	if (mapped && start < end)
		madvise((void *)start, end - start, MADV_DONTNEED);
}

const struct elf_section *elf_find(const struct elf *elf, const char *name)
{
	uint32_t i;

	for (i = 0; i < elf->nr_sections; i++)
		if (!strcmp(elf->sections[i].name, name))
			return &elf->sections[i];
	return NULL;
}

uint16_t elf_section_at(const struct elf *elf, uint64_t address)
{
	const struct elf_section *section;
	uint32_t i;

	for (i = 0; i < elf->nr_sections && i < SHN_LORESERVE; i++) {
		section = &elf->sections[i];
		if (section->flags & SHF_ALLOC && address >= section->addr &&
		    address - section->addr < section->size)
			return (uint16_t)i;
	}
	return 0;
}

uint32_t elf_nr_symbols(const struct elf *elf, const struct elf_section *table)
{
	uint64_t nr = table->data ? table->size / (elf->is_64 ? 24 : 16) : 0;

	return nr < UINT32_MAX ? (uint32_t)nr : UINT32_MAX;
}

struct elf_symbol elf_symbol(const struct elf *elf, const struct elf_section *table, uint32_t index)
{
	const uint8_t *at = table->data + (size_t)index * (elf->is_64 ? 24 : 16);

	if (elf->is_64)
		return (struct elf_symbol){
			.name = read32(at, elf->foreign),
			.type = at[4] & 0xf,
			.section = read16(at + 6, elf->foreign),
			.value = read64(at + 8, elf->foreign),
			.size = read64(at + 16, elf->foreign),
		};
	return (struct elf_symbol){
		.name = read32(at, elf->foreign),
		.value = read32(at + 4, elf->foreign),
		.size = read32(at + 8, elf->foreign),
		.type = at[12] & 0xf,
		.section = read16(at + 14, elf->foreign),
	};
}

#define MAX_SYMBOL 4096u /* the most bytes of a name with its NUL: many may share one long string */

const char *elf_symbol_name(const struct elf *elf, const struct elf_section *table,
			    const struct elf_symbol *symbol)
{
	const struct elf_section *strings;
	uint64_t most;

	if (table->link >= elf->nr_sections)
		return NULL;
	strings = &elf->sections[table->link];
	if (!strings->data || symbol->name >= strings->size)
		return NULL;
	most = strings->size - symbol->name;
	if (!memchr(strings->data + symbol->name, 0, most < MAX_SYMBOL ? most : MAX_SYMBOL))
		return NULL;
	return (const char *)strings->data + symbol->name;
}
