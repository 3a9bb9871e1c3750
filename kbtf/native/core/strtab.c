/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Builds a string table: strings in the order they are added, exact duplicates once. */
#include "strtab.h"

#include "hash.h"

#include <stdlib.h>
#include <string.h>

int strtab_init_after(struct strtab *table, uint32_t start, uint64_t seed)
{
	memset(table, 0, sizeof(*table));
	table->start = start;
	table->seed = seed;
	table->capacity = 1024;
	table->nr_slots = 256;
	table->bytes = malloc(table->capacity);
	table->slots = calloc(table->nr_slots, sizeof(*table->slots));
	if (!table->bytes || !table->slots) {
		strtab_release(table);
		return -1;
	}
	return 0;
}

int strtab_init(struct strtab *table, const struct strtab *base, uint64_t seed)
{
	if (strtab_init_after(table, 0, seed))
		return -1;
	table->base = base;
	/* Offset 0 is the empty string, which only a base contains. */
	if (!base)
		table->bytes[table->length++] = '\0';
	return 0;
}

void strtab_release(struct strtab *table)
{
	free(table->bytes);
	free(table->slots);
	memset(table, 0, sizeof(*table));
}

/* The slot of a string, free if the table does not have it. */
static struct strtab_slot *find_slot(const struct strtab *table, const char *string, size_t length,
				     uint32_t hash)
{
	uint32_t mask = table->nr_slots - 1;
	uint32_t at = hash & mask;
	struct strtab_slot *slot;

	for (;; at = (at + 1) & mask) {
		slot = &table->slots[at];
		/* The comparison includes the end of the string, and stops there. */
		if (!slot->offset || (slot->hash == hash && !strncmp(table->bytes + slot->offset - 1,
								     string, length + 1)))
			return slot;
	}
}

static int grow_slots(struct strtab *table)
{
	uint32_t mask = table->nr_slots * 2 - 1;
	struct strtab_slot *slots = calloc((size_t)mask + 1, sizeof(*slots));
	uint32_t i, at;

	if (!slots)
		return -1;
	for (i = 0; i < table->nr_slots; i++) {
		if (!table->slots[i].offset)
			continue;
		for (at = table->slots[i].hash & mask; slots[at].offset; at = (at + 1) & mask)
			;
		slots[at] = table->slots[i];
	}
	free(table->slots);
	table->slots = slots;
	table->nr_slots = mask + 1;
	return 0;
}

static int reserve(struct strtab *table, size_t more)
{
	uint64_t capacity = table->capacity;
	char *bytes;

	if (table->length + (uint64_t)more > UINT32_MAX / 2)
		return -1;
	while (capacity < table->length + more)
		capacity *= 2;
	if (capacity == table->capacity)
		return 0;
	bytes = realloc(table->bytes, capacity);
	if (!bytes)
		return -1;
	table->bytes = bytes;
	table->capacity = (uint32_t)capacity;
	return 0;
}

int strtab_add(struct strtab *table, const char *string, uint32_t *offset)
{
	size_t length = strlen(string);
	struct strtab_slot *slot;
	uint32_t hash;

	if (!length) {
		*offset = 0;
		return 0;
	}
	hash = (uint32_t)hash_bytes(string, length, table->seed);
	if (table->base) {
		slot = find_slot(table->base, string, length, hash);
		if (slot->offset) {
			*offset = slot->offset - 1;
			return 0;
		}
	}
	slot = find_slot(table, string, length, hash);
	if (!slot->offset) {
		if (reserve(table, length + 1))
			return -1;
		memcpy(table->bytes + table->length, string, length + 1);
		*slot = (struct strtab_slot){.hash = hash, .offset = table->length + 1};
		table->length += (uint32_t)length + 1;
		table->used++;
	}
	*offset = slot->offset - 1 + (table->base ? table->base->length : table->start);
	return table->used * 2 > table->nr_slots ? grow_slots(table) : 0;
}
