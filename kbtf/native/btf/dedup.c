/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "dedup_state.h"

#include <stdlib.h>

/*
 * Real modules take some 10 steps per type; if the kernel's own BTF has differing twins, a few
 * million in all.  A step takes 8 to 50 ns, so this limits a file of 1 MB to 5 s.
 */
#define FREE_STEPS 100000000u
#define STEPS_PER_TYPE 100u

int dedup_reserve(struct dedup *dedup, size_t words)
{
	size_t size = dedup->stack_size ? dedup->stack_size : 1024;
	uint32_t *stack;

	if (words <= dedup->stack_size)
		return 0;
	while (size < words)
		size *= 2;
	stack = realloc(dedup->stack, size * sizeof(*stack));
	if (!stack)
		return btf_no_memory(dedup->err);
	dedup->stack = stack;
	dedup->stack_size = size;
	return 0;
}

static void release(struct dedup *dedup)
{
	free(dedup->offsets);
	free(dedup->kinds);
	free(dedup->map);
	free(dedup->hypothesis);
	free(dedup->assumed);
	free(dedup->looks);
	free(dedup->stack);
	dedup_table_release(&dedup->table);
}

static uint32_t words_of(const struct dedup *dedup, uint32_t id)
{
	const uint8_t *type = dedup_type(dedup, id);

	return type_bytes(&kinds[type_kind(type)], type_info(type)) / 4;
}

static int init(struct dedup *dedup, const struct dedup_types *types)
{
	size_t nr_all = (size_t)dedup->end_id;
	uint32_t id, at = 0;

	dedup->offsets = malloc(((size_t)types->nr_types + 1) * sizeof(*dedup->offsets));
	dedup->kinds = malloc((size_t)types->nr_types + 1);
	dedup->map = calloc(nr_all, sizeof(*dedup->map));
	dedup->hypothesis = calloc(nr_all, sizeof(*dedup->hypothesis));
	dedup->assumed = malloc(nr_all * sizeof(*dedup->assumed));
	if (dedup_table_init(&dedup->table, types->nr_types) || !dedup->offsets || !dedup->kinds ||
	    !dedup->map || !dedup->hypothesis || !dedup->assumed)
		return btf_no_memory(dedup->err);
	for (id = dedup->start_id; id < dedup->end_id; id++) {
		dedup->offsets[id - dedup->start_id] = at;
		dedup->kinds[id - dedup->start_id] = (uint8_t)type_kind(dedup_type(dedup, id));
		at += words_of(dedup, id);
	}
	return 0;
}

/* Number the canonical types; their new ids are stored in place of the hypothesis. */
static const uint32_t *number(struct dedup *dedup, uint32_t *nr_kept)
{
	uint32_t *new_ids = dedup->hypothesis;
	uint32_t id;

	*nr_kept = 0;
	for (id = dedup->start_id; id < dedup->end_id; id++)
		if (is_canonical(dedup, id))
			new_ids[id] = dedup->start_id + (*nr_kept)++;
	return new_ids;
}

static uint32_t new_id(const struct dedup *dedup, uint32_t id, const uint32_t *new_ids)
{
	uint32_t target = resolve(dedup, id);

	return target < dedup->start_id ? target : new_ids[target];
}

static void renumber_references(const struct dedup *dedup, uint8_t *type, const uint32_t *new_ids)
{
	struct word_iter ids = iter_ids(type);

	while (next_word(&ids))
		store32(type + ids.at, new_id(dedup, load32(type + ids.at), new_ids));
}

static void compact(struct dedup *dedup, struct dedup_types *types)
{
	uint32_t nr_kept, id, words, to = 0;
	const uint32_t *new_ids;

	dedup_forget(dedup);
	new_ids = number(dedup, &nr_kept);
	for (id = dedup->start_id; id < dedup->end_id; id++) {
		if (types->new_ids)
			types->new_ids[id - dedup->start_id] = new_id(dedup, id, new_ids);
		if (!is_canonical(dedup, id))
			continue;
		words = words_of(dedup, id);
		renumber_references(dedup, dedup_type(dedup, id), new_ids);
		memmove(types->words + to, dedup_type(dedup, id), words * sizeof(uint32_t));
		to += words;
	}
	types->nr_words = to;
	types->nr_types = nr_kept;
}

int dedup_split(const struct base_index *base, struct dedup_types *types, struct btf_error *err)
{
	struct dedup dedup = {
		.base = base,
		.words = types->words,
		.start_id = base->nr_types,
		.end_id = base->nr_types + types->nr_types,
		.max_steps = FREE_STEPS + (uint64_t)STEPS_PER_TYPE * types->nr_types,
		.reduced = types->reduced,
		.err = err,
	};
	int failed;

	failed = init(&dedup, types) || dedup_primitives(&dedup) || dedup_composites(&dedup) ||
		 dedup_check_forwards(&dedup) || dedup_forwards(&dedup) ||
		 dedup_references(&dedup);
	types->uncertain = failed && types->reduced && !err->no_memory;
	if (!failed)
		compact(&dedup, types);
	release(&dedup);
	return failed ? -1 : 0;
}
