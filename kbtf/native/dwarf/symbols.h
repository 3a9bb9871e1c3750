/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The functions of a symbol table, grouped by their names in the source. */
#ifndef KBTF_DWARF_SYMBOLS_H
#define KBTF_DWARF_SYMBOLS_H

#include "name_table.h"

/* A function's symbol. */
struct symbol_value {
	uint64_t address;
	bool changed; /* its suffix means that parameters were removed or are constants */
};

struct symbol_group {
	const char *name; /* not NUL-terminated */
	uint32_t length;
	uint32_t first; /* of symbols.values */
	uint32_t nr;
	uint32_t kfunc_flags;
	bool ambiguous;
	bool kfunc;
	bool encoded; /* has a FUNC */
};

struct symbols {
	VECTOR(struct symbol_group) groups; /* ascending by name */
	VECTOR(struct symbol_value) values;
	uint32_t *slots; /* number of a group plus one, or 0 */
	uint32_t mask;
	uint64_t seed;
	uint8_t *absent; /* bit by offset in .debug_str: no group has that name */
};

#define NO_GROUP UINT32_MAX

int symbols_init(struct symbols *symbols, const struct dwarf *dwarf, uint64_t seed,
		 struct btf_error *err);
void symbols_release(struct symbols *symbols);

uint32_t symbols_find(const struct symbols *symbols, const char *name, size_t length);
uint32_t symbols_find_ref(struct symbols *symbols, struct dwarf *dwarf, name_ref name);

/* Mark the groups that .BTF_ids names as kfuncs (kfuncs.c); kfuncs without a symbol are noted. */
struct encode_result;
int symbols_mark_kfuncs(struct symbols *symbols, struct dwarf *dwarf, struct encode_result *result,
			struct btf_error *err);

#endif
