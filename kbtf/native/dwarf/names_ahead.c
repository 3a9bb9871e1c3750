/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The strings of .debug_str that the base or earlier units have, found ahead of need.
 *
 * One by one, each lookup would wait for memory several times: a quarter of the time of encoding a module.
 */
#include "name_table.h"

#define PIECE (1u << NAME_PIECE_SHIFT)

/* A string of .debug_str on its way through the tables. */
struct lookup {
	uint32_t source;
	uint32_t length;
	uint32_t hash;
};

/* Lookups that wait for a slot, then for its string. */
#define WAITING 8u
#define IN_FLIGHT (2 * WAITING) /* a power of two */

static void fetch_slots(const struct names *names, uint32_t hash)
{
	__builtin_prefetch(&names->base->strings[hash & names->base->string_mask]);
	__builtin_prefetch(&names->slots[hash & names->mask]);
}

static void fetch_string(const struct names *names, uint32_t hash)
{
	const struct base_string *slot = &names->base->strings[hash & names->base->string_mask];

	if (slot->hash == hash)
		__builtin_prefetch(names->base->strs + slot->offset);
}

static void finish_lookup(struct names *names, const struct lookup *lookup)
{
	const char *text = (const char *)names->dwarf->str.data + lookup->source;
	uint32_t offset;

	if (names_find(names, text, lookup->length, lookup->hash, &offset) && offset)
		names_remember(names, lookup->source, offset);
}

/* The start of the first string that starts between two offsets of .debug_str, or `end`. */
static uint32_t first_string(const uint8_t *data, uint32_t start, uint32_t end)
{
	const uint8_t *nul;

	if (!start)
		return 0;
	nul = memchr(data + start - 1, 0, end - start);
	return nul ? (uint32_t)(nul - data) + 1 : end;
}

void names_look_ahead(struct names *names, uint32_t piece)
{
	const struct debug_section *section = &names->dwarf->str;
	uint32_t start = piece << NAME_PIECE_SHIFT, left = section->size - start, end, nr = 0, i;
	struct lookup lookups[IN_FLIGHT], *lookup;
	const uint8_t *nul;

	names->looked_up[piece] = true;
	end = left < PIECE ? section->size : start + PIECE;
	for (start = first_string(section->data, start, end); start < end; start += lookup->length + 1) {
		left = section->size - start;
		nul = memchr(section->data + start, 0, left < MAX_STRING + 1 ? left : MAX_STRING + 1);
		if (!nul)
			break;
		lookup = &lookups[nr % IN_FLIGHT];
		if (nr >= IN_FLIGHT)
			finish_lookup(names, lookup);
		lookup->source = start;
		lookup->length = (uint32_t)(nul - section->data) - start;
		lookup->hash = kbtf_base_hash(names->base, (const char *)section->data + start,
					      lookup->length);
		fetch_slots(names, lookup->hash);
		if (nr >= WAITING)
			fetch_string(names, lookups[(nr - WAITING) % IN_FLIGHT].hash);
		nr++;
	}
	for (i = nr < IN_FLIGHT ? 0 : nr - IN_FLIGHT; i < nr; i++)
		finish_lookup(names, &lookups[i % IN_FLIGHT]);
}
