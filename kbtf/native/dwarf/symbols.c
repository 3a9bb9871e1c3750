/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "symbols.h"

/* A function of the symbol table under its name up to the first dot. */
struct cut_symbol {
	const char *name;
	uint32_t length;
	uint32_t order;
	struct symbol_value value;
};

static int compare_names(const struct cut_symbol *a, const struct cut_symbol *b)
{
	uint32_t length = a->length < b->length ? a->length : b->length;
	int order = memcmp(a->name, b->name, length);

	if (order)
		return order;
	return a->length < b->length ? -1 : a->length > b->length;
}

static int compare_symbols(const void *left, const void *right)
{
	const struct cut_symbol *a = left, *b = right;
	int order = compare_names(a, b);

	if (order)
		return order;
	return a->order < b->order ? -1 : a->order > b->order;
}

static bool is_changed(const char *suffix)
{
	return strstr(suffix, ".isra") || strstr(suffix, ".constprop");
}

/* Parts of a function that the compiler moved elsewhere are not functions. */
static bool is_part(const char *suffix)
{
	return strstr(suffix, ".cold") || strstr(suffix, ".part");
}

typedef VECTOR(struct cut_symbol) cut_symbols;

static int collect(const struct dwarf *dwarf, const struct elf_section *table, cut_symbols *found,
		   struct btf_error *err)
{
	uint32_t nr = elf_nr_symbols(dwarf->elf, table);
	struct elf_symbol symbol;
	const char *name, *dot;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		symbol = elf_symbol(dwarf->elf, table, i);
		if (symbol.type != STT_FUNC)
			continue;
		name = elf_symbol_name(dwarf->elf, table, &symbol);
		if (!name)
			return btf_fail(err, 0, "symbol %u has no valid name", i);
		dot = strchr(name, '.');
		if (dot && is_part(dot))
			continue;
		if (!vector_push(found,
				 ((struct cut_symbol){name,
						      (uint32_t)(dot ? (size_t)(dot - name)
								     : strlen(name)),
						      i,
						      {symbol.value, dot && is_changed(dot)}})))
			return btf_no_memory(err);
	}
	return 0;
}

static bool is_ambiguous(const struct symbol_value *values, uint32_t nr)
{
	uint64_t address = 0;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		if (address && values[i].address != address)
			return true;
		address = values[i].address;
	}
	return false;
}

static int group(struct symbols *symbols, const cut_symbols *sorted, struct btf_error *err)
{
	struct symbol_group *last = NULL;
	const struct cut_symbol *symbol;
	uint32_t i;

	for (i = 0; i < sorted->nr; i++) {
		symbol = &sorted->at[i];
		if (!last || compare_names(symbol, symbol - 1)) {
			if (!vector_push(&symbols->groups,
					 ((struct symbol_group){.name = symbol->name,
							    .length = symbol->length,
							    .first = i})))
				return btf_no_memory(err);
			last = &symbols->groups.at[symbols->groups.nr - 1];
		}
		last->nr++;
		if (!vector_push(&symbols->values, symbol->value))
			return btf_no_memory(err);
	}
	/* pahole does not look at the last group. */
	for (i = 0; i + 1 < symbols->groups.nr; i++) {
		last = &symbols->groups.at[i];
		last->ambiguous = is_ambiguous(&symbols->values.at[last->first], last->nr);
	}
	return 0;
}

static int index_groups(struct symbols *symbols, struct btf_error *err)
{
	const struct symbol_group *at;
	uint32_t slots = 16, i, slot;

	while (slots / 2 <= symbols->groups.nr)
		slots *= 2;
	symbols->mask = slots - 1;
	symbols->slots = calloc(slots, sizeof(*symbols->slots));
	if (!symbols->slots)
		return btf_no_memory(err);
	for (i = 0; i < symbols->groups.nr; i++) {
		at = &symbols->groups.at[i];
		slot = (uint32_t)hash_bytes(at->name, at->length, symbols->seed) & symbols->mask;
		while (symbols->slots[slot])
			slot = (slot + 1) & symbols->mask;
		symbols->slots[slot] = i + 1;
	}
	return 0;
}

int symbols_init(struct symbols *symbols, const struct dwarf *dwarf, uint64_t seed,
		 struct btf_error *err)
{
	const struct elf_section *table = elf_find(dwarf->elf, ".symtab");
	cut_symbols found = {0};
	int failed;

	symbols->seed = seed;
	symbols->absent = calloc((size_t)dwarf->str.size / 8 + 1, 1);
	if (!symbols->absent)
		return btf_no_memory(err);
	if (!table || table->type != SHT_SYMTAB)
		return btf_fail(err, 0, "has no symbol table");
	failed = collect(dwarf, table, &found, err);
	if (!failed && found.nr)
		qsort(found.at, found.nr, sizeof(*found.at), compare_symbols);
	failed = failed || group(symbols, &found, err) || index_groups(symbols, err);
	vector_release(&found);
	return failed ? -1 : 0;
}

void symbols_release(struct symbols *symbols)
{
	vector_release(&symbols->groups);
	vector_release(&symbols->values);
	free(symbols->slots);
	free(symbols->absent);
}

uint32_t symbols_find(const struct symbols *symbols, const char *name, size_t length)
{
	const struct symbol_group *at;
	uint32_t slot;

	for (slot = (uint32_t)hash_bytes(name, length, symbols->seed) & symbols->mask;
	     symbols->slots[slot]; slot = (slot + 1) & symbols->mask) {
		at = &symbols->groups.at[symbols->slots[slot] - 1];
		if (at->length == length && !memcmp(at->name, name, length))
			return symbols->slots[slot] - 1;
	}
	return NO_GROUP;
}

uint32_t symbols_find_ref(struct symbols *symbols, struct dwarf *dwarf, name_ref name)
{
	uint32_t offset = (uint32_t)name, found;
	bool memo = name >> 32 == NAME_STR && offset < dwarf->str.size;
	const char *text;
	size_t length;

	if (!name || (memo && symbols->absent[offset / 8] >> offset % 8 & 1))
		return NO_GROUP;
	text = name_text(dwarf, name, &length);
	found = length ? symbols_find(symbols, text, length) : NO_GROUP;
	if (memo && found == NO_GROUP)
		symbols->absent[offset / 8] |= (uint8_t)(1 << offset % 8);
	return found;
}
