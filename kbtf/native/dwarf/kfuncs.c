/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Find kfuncs and their flags: both are in the sets of .BTF_ids. */
#include "encode.h"
#include "symbols.h"

#define SET_PREFIX "__BTF_ID__set8__"
#define FUNC_PREFIX "__BTF_ID__func__"
#define SET_IS_KFUNCS 1u

struct id_set {
	uint64_t start;
	uint64_t end;
};

struct ids {
	struct dwarf *dwarf;
	const struct elf *elf;
	const struct elf_section *section; /* .BTF_ids */
	const struct elf_section *table;
	VECTOR(struct id_set) sets; /* ascending and apart, once all are known */
};

static bool starts_with(const char *string, const char *prefix)
{
	return !strncmp(string, prefix, strlen(prefix));
}

/* The second word of the pair at an offset: its flags.  False if it is not in the section. */
static bool read_flags(const struct ids *ids, uint64_t offset, uint32_t *flags)
{
	if (offset > ids->section->size || ids->section->size - offset < 8)
		return false;
	*flags = read32(ids->section->data + offset + 4, ids->elf->foreign);
	return true;
}

static const struct elf_section *last_symbol_table(const struct elf *elf)
{
	uint32_t i;

	for (i = elf->nr_sections; i--;)
		if (elf->sections[i].type == SHT_SYMTAB)
			return &elf->sections[i];
	return NULL;
}

static int compare_sets(const void *left, const void *right)
{
	const struct id_set *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Sort the sets, and join those that overlap. */
static void sort_sets(struct ids *ids)
{
	struct id_set *sets = ids->sets.at;
	uint32_t i, kept = 0;

	if (ids->sets.nr)
		qsort(sets, ids->sets.nr, sizeof(*sets), compare_sets);
	for (i = 0; i < ids->sets.nr; i++) {
		if (!kept || sets[i].start > sets[kept - 1].end)
			sets[kept++] = sets[i];
		else if (sets[i].end > sets[kept - 1].end)
			sets[kept - 1].end = sets[i].end;
	}
	ids->sets.nr = kept;
}

static bool is_in_set(const struct ids *ids, uint64_t offset)
{
	uint32_t low = 0, high = ids->sets.nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (ids->sets.at[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ids->sets.nr && ids->sets.at[low].start <= offset;
}

/* NAME of __BTF_ID__func__NAME__NUMBER; its length, or 0. */
static size_t name_length(const char *name)
{
	const char *last = strrchr(name, '_');

	return last > name && last[-1] == '_' ? (size_t)(last - 1 - name) : 0;
}

static int add_set(struct ids *ids, const struct elf_symbol *symbol, struct btf_error *err)
{
	uint64_t start = symbol->value - ids->section->addr;
	struct id_set set = {start, start + symbol->size};
	uint32_t flags;

	if (!read_flags(ids, start, &flags) || !(flags & SET_IS_KFUNCS) || set.end <= start)
		return 0;
	if (!vector_push(&ids->sets, set))
		return btf_no_memory(err);
	return 0;
}

static int mark_kfunc(const struct ids *ids, struct symbols *symbols, const struct elf_symbol *symbol,
		      const char *name, struct encode_result *result, struct btf_error *err)
{
	uint64_t offset = symbol->value - ids->section->addr;
	size_t length = name_length(name);
	struct symbol_group *group;
	uint32_t number, flags;

	if (!length || !is_in_set(ids, offset) || !read_flags(ids, offset, &flags))
		return 0;
	number = symbols_find(symbols, name, length);
	if (number == NO_GROUP)
		return encode_note(ids->dwarf, result, NOTE_KFUNC, 0, name, length, err);
	group = &symbols->groups.at[number];
	group->kfunc = true;
	group->kfunc_flags = flags;
	return 0;
}

/* Sets are found in one pass over the symbols, their members in another. */
static int pass(struct ids *ids, struct symbols *symbols, bool sets, struct encode_result *result,
		struct btf_error *err)
{
	uint32_t number = (uint32_t)(ids->section - ids->elf->sections);
	uint32_t nr = elf_nr_symbols(ids->elf, ids->table), i;
	struct elf_symbol symbol;
	const char *name;

	for (i = 0; i < nr; i++) {
		symbol = elf_symbol(ids->elf, ids->table, i);
		if (symbol.section != number)
			continue;
		name = elf_symbol_name(ids->elf, ids->table, &symbol);
		if (!name)
			continue;
		if (sets && starts_with(name, SET_PREFIX) && add_set(ids, &symbol, err))
			return -1;
		if (!sets && starts_with(name, FUNC_PREFIX) &&
		    mark_kfunc(ids, symbols, &symbol, name + strlen(FUNC_PREFIX), result, err))
			return -1;
	}
	return 0;
}

int symbols_mark_kfuncs(struct symbols *symbols, struct dwarf *dwarf, struct encode_result *result,
			struct btf_error *err)
{
	struct ids ids = {.dwarf = dwarf, .elf = dwarf->elf};
	int failed;

	ids.section = elf_find(ids.elf, ".BTF_ids");
	ids.table = last_symbol_table(ids.elf);
	if (!ids.section || !ids.table)
		return 0;
	if (!ids.section->data)
		return btf_fail(err, 0, ".BTF_ids has no contents: the code is in another file");
	failed = pass(&ids, symbols, true, result, err);
	sort_sets(&ids);
	failed = failed || pass(&ids, symbols, false, result, err);
	vector_release(&ids.sets);
	return failed ? -1 : 0;
}
