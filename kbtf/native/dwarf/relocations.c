/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Relocations, found by offset while their section is read; nothing is written into the section. */
#include "elf_file.h"

#include <stdlib.h>

#define NR_TYPES 4
#define GIVEN_BACK_BY 65536u /* entries */

/* A machine's relocation types for a whole word of 4 or 8 bytes, in debug sections. */
struct absolute_types {
	uint16_t machine;
	uint16_t types[NR_TYPES]; /* the last one is 0 */
};

static const struct absolute_types machines[] = {
	{EM_386, {1}},	      {EM_ARM, {2}},	   {EM_X86_64, {1, 10, 11}},
	{EM_AARCH64, {257, 258}}, {EM_S390, {4, 22}}, {EM_RISCV, {1, 2}},
	{EM_PPC, {1}},	      {EM_PPC64, {1, 38}}, {EM_LOONGARCH, {1, 2}},
};

static const struct absolute_types *find_machine(uint16_t machine)
{
	size_t i;

	for (i = 0; i < sizeof(machines) / sizeof(*machines); i++)
		if (machines[i].machine == machine)
			return &machines[i];
	return NULL;
}

static bool is_absolute(const uint16_t *types, uint32_t type)
{
	while (*types && *types != type)
		types++;
	return *types;
}

static const struct elf_section *relocations_of(const struct elf *elf,
						const struct elf_section *section)
{
	uint32_t number = (uint32_t)(section - elf->sections);
	uint32_t i;

	for (i = 0; i < elf->nr_sections; i++)
		if ((elf->sections[i].type == SHT_RELA || elf->sections[i].type == SHT_REL) &&
		    elf->sections[i].info == number && elf->sections[i].data)
			return &elf->sections[i];
	return NULL;
}

static uint64_t entry_offset(const struct relocations *relocations, uint32_t index)
{
	return read_word(relocations->entries + (size_t)index * relocations->entry_size,
			 relocations->elf->is_64, relocations->elf->foreign);
}

static bool ascends(const struct relocations *relocations)
{
	uint64_t last = 0, offset;
	uint32_t i;

	for (i = 0; i < relocations->nr; i++) {
		offset = entry_offset(relocations, i);
		if (offset < last)
			return false;
		last = offset;
		if (i % GIVEN_BACK_BY == GIVEN_BACK_BY - 1)
			relocations_give_back(&(struct relocation_cursor){relocations, i},
					      i + 1 - GIVEN_BACK_BY);
	}
	return true;
}

/* A place in the file's order and the offset there. */
struct place {
	uint64_t offset;
	uint32_t index;
};

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* Not in place: the file is read-only. */
static bool sort(struct relocations *relocations)
{
	size_t size = relocations->entry_size;
	struct place *places = calloc(relocations->nr, sizeof(*places));
	uint32_t i;

	relocations->sorted = malloc(relocations->nr * size);
	if (!places || !relocations->sorted) {
		free(places);
		return false;
	}
	for (i = 0; i < relocations->nr; i++)
		places[i] = (struct place){entry_offset(relocations, i), i};
	qsort(places, relocations->nr, sizeof(*places), compare_places);
	for (i = 0; i < relocations->nr; i++)
		memcpy(relocations->sorted + i * size,
		       relocations->entries + places[i].index * size, size);
	free(places);
	relocations->entries = relocations->sorted;
	relocations->mapped = false;
	return true;
}

int relocations_init(struct relocations *relocations, const struct elf *elf,
		     const struct elf_section *section, struct btf_error *err)
{
	const struct elf_section *table = relocations_of(elf, section);
	const struct absolute_types *machine = find_machine(elf->machine);
	uint64_t nr;

	*relocations = (struct relocations){.elf = elf};
	if (!table || elf->linked)
		return 0;
	if (!machine)
		return btf_fail(err, 0, "relocations of machine %u are not known", elf->machine);
	if (table->link >= elf->nr_sections || elf->sections[table->link].type != SHT_SYMTAB)
		return btf_fail(err, 0, "%s has no symbol table", table->name);
	relocations->addends = table->type == SHT_RELA;
	relocations->entry_size = (elf->is_64 ? 8u : 4u) * (relocations->addends ? 3 : 2);
	nr = table->size / relocations->entry_size;
	if (nr > UINT32_MAX)
		return btf_fail(err, 0, "%s is too long", table->name);
	relocations->symbols = &elf->sections[table->link];
	relocations->nr_symbols = elf_nr_symbols(elf, relocations->symbols);
	relocations->types = machine->types;
	relocations->mapped = table->mapped;
	relocations->entries = table->data;
	relocations->nr = (uint32_t)nr;
	if (!ascends(relocations) && !sort(relocations))
		return btf_no_memory(err);
	return 0;
}

void relocations_release(struct relocations *relocations)
{
	free(relocations->sorted);
	relocations->sorted = NULL;
	relocations->nr = 0;
}

void relocations_give_back(const struct relocation_cursor *cursor, uint32_t first)
{
	const struct relocations *relocations = cursor->relocations;

	if (first < cursor->next && cursor->next <= relocations->nr)
		elf_give_back(relocations->mapped,
			      relocations->entries + (size_t)first * relocations->entry_size,
			      relocations->entries + (size_t)cursor->next * relocations->entry_size);
}

/*
 * Narrows the range of the first relocation at or after an offset, in increasing steps from the cursor:
 * most are near, and the pages of distant ones stay untouched.
 */
static void surround(const struct relocation_cursor *cursor, uint64_t offset, uint32_t *low,
		     uint32_t *high)
{
	const struct relocations *relocations = cursor->relocations;
	uint32_t step = 1;

	*low = 0;
	*high = cursor->next < relocations->nr ? cursor->next : relocations->nr;
	if (!*high || entry_offset(relocations, *high - 1) < offset) {
		*low = *high;
		while (step < relocations->nr - *low &&
		       entry_offset(relocations, *low + step) < offset) {
			*low += step;
			step *= 2;
		}
		*high = step < relocations->nr - *low ? *low + step : relocations->nr;
		return;
	}
	while (step < *high && entry_offset(relocations, *high - step) >= offset) {
		*high -= step;
		step *= 2;
	}
	if (step < *high)
		*low = *high - step;
}

/* Moves the cursor to the first relocation at or after an offset. */
static void seek(struct relocation_cursor *cursor, uint64_t offset)
{
	const struct relocations *relocations = cursor->relocations;
	uint32_t low, high, middle;

	surround(cursor, offset, &low, &high);
	while (low < high) {
		middle = low + (high - low) / 2;
		if (entry_offset(relocations, middle) < offset)
			low = middle + 1;
		else
			high = middle;
	}
	cursor->next = low;
}

/* Whether the first relocation at an offset is the one after the cursor, as most are. */
static bool is_next(const struct relocation_cursor *cursor, uint64_t offset)
{
	const struct relocations *relocations = cursor->relocations;

	return cursor->next + (uint64_t)1 < relocations->nr &&
	       entry_offset(relocations, cursor->next + 1) == offset &&
	       entry_offset(relocations, cursor->next) < offset;
}

/* Fills `found` from entry `index`; false if its type or symbol is not supported. */
static bool read_entry(const struct relocations *relocations, uint32_t index, uint64_t stored,
		       struct relocation *found)
{
	const struct elf *elf = relocations->elf;
	const uint8_t *at = relocations->entries + (size_t)index * relocations->entry_size;
	uint32_t word = elf->is_64 ? 8 : 4;
	uint64_t info = read_word(at + word, elf->is_64, elf->foreign);
	uint32_t symbol = (uint32_t)(info >> (elf->is_64 ? 32 : 8));
	uint32_t type = (uint32_t)(elf->is_64 ? info & UINT32_MAX : info & 0xff);
	struct elf_symbol target;

	if (!is_absolute(relocations->types, type) || symbol >= relocations->nr_symbols)
		return false;
	target = elf_symbol(elf, relocations->symbols, symbol);
	found->symbol_value = target.value;
	found->section = target.section;
	if (!relocations->addends)
		found->addend = (int64_t)stored;
	else if (elf->is_64)
		found->addend = (int64_t)read64(at + 16, elf->foreign);
	else
		found->addend = (int32_t)read32(at + 8, elf->foreign);
	return true;
}

bool relocation_find(struct relocation_cursor *cursor, uint64_t offset, uint64_t stored,
		     struct relocation *found)
{
	const struct relocations *relocations = cursor->relocations;

	if (is_next(cursor, offset))
		cursor->next++;
	else
		seek(cursor, offset);
	return cursor->next < relocations->nr && entry_offset(relocations, cursor->next) == offset &&
	       read_entry(relocations, cursor->next, stored, found);
}
