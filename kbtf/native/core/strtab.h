/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A table of strings in the making. */
#ifndef KBTF_STRTAB_H
#define KBTF_STRTAB_H

#include <stdint.h>

struct strtab_slot {
	uint32_t hash;
	uint32_t offset; /* within the table's bytes, plus one; 0 if the slot is free */
};

struct strtab {
	const struct strtab *base; /* whose strings come first and are not repeated, or NULL */
	uint64_t seed; /* of the hash; the same in a base */
	uint32_t start; /* without a base: the offset of the first string */
	char *bytes;
	uint32_t length;
	uint32_t capacity;
	struct strtab_slot *slots;
	uint32_t nr_slots;
	uint32_t used;
};

int strtab_init(struct strtab *table, const struct strtab *base, uint64_t seed);
/* A table that continues others: its strings start at an offset. */
int strtab_init_after(struct strtab *table, uint32_t start, uint64_t seed);
void strtab_release(struct strtab *table);
/* The offset of a string, which is added if missing; the empty string is always 0. */
int strtab_add(struct strtab *table, const char *string, uint32_t *offset);

#endif
