/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which strings of .debug_str the base has, found ahead of need.
 *
 * One by one, each lookup would wait for memory: a quarter of the time of encoding a small module.
 */
#include "name_table.h"

/* A string of .debug_str on its way through the table of the base. */
struct lookup {
	uint32_t source;
	uint32_t length;
	uint32_t hash;
};

#define AHEAD 16u /* lookups whose memory is being fetched */

static void finish_lookup(struct names *names, const struct lookup *lookup)
{
	const char *text = (const char *)names->dwarf->str.data + lookup->source;
	uint32_t offset;

	if (kbtf_base_string(names->base, text, lookup->length, lookup->hash, &offset) && offset)
		names->memo[lookup->source / MEMO_GRAIN % names->nr_memos] =
			(struct name_memo){lookup->source, offset};
}

void find_base_strings(struct names *names)
{
	const struct debug_section *section = &names->dwarf->str;
	const struct base_index *base = names->base;
	struct lookup lookups[AHEAD], *lookup;
	uint32_t start, nr = 0, i;
	const uint8_t *nul;

	for (start = 0; start < section->size; start = (uint32_t)(nul - section->data) + 1) {
		nul = memchr(section->data + start, 0, section->size - start);
		if (!nul)
			break;
		lookup = &lookups[nr % AHEAD];
		if (nr >= AHEAD)
			finish_lookup(names, lookup);
		lookup->source = start;
		lookup->length = (uint32_t)(nul - section->data) - start;
		lookup->hash = kbtf_base_hash(base, (const char *)section->data + start, lookup->length);
		__builtin_prefetch(&base->strings[lookup->hash & base->string_mask]);
		nr++;
	}
	for (i = nr < AHEAD ? 0 : nr - AHEAD; i < nr; i++)
		finish_lookup(names, &lookups[i % AHEAD]);
}
