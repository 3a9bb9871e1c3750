/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The passes of deduplication over the types of the split, each in the order of their ids. */
#include "dedup_state.h"

#include <stdlib.h>

#define IN_PROGRESS UINT32_MAX

/* 1 if an equal candidate was found, which the type then maps to; 0 if not; -1 on failure. */
static int map_to_equal(struct dedup *dedup, uint32_t id, uint32_t signature)
{
	struct candidates candidates = dedup_candidates(dedup, signature);
	const uint8_t *type = dedup_type(dedup, id);

	while (next_candidate(dedup, &candidates)) {
		if (dedup_spend(dedup, 1))
			return -1;
		if (btf_same_words(type, any_type(dedup, candidates.id))) {
			dedup->map[id] = candidates.id;
			return 1;
		}
	}
	return 0;
}

static int find_equal(struct dedup *dedup, uint32_t id)
{
	uint32_t signature = btf_signature(dedup_type(dedup, id), dedup->base->seed);
	int found = map_to_equal(dedup, id, signature);

	if (!found)
		dedup_add(dedup, id, signature);
	return found < 0 ? -1 : 0;
}

/* Also maps forward declarations of an ENUM, even in the base, to the full one. */
static int find_enum(struct dedup *dedup, uint32_t id)
{
	const uint8_t *type = dedup_type(dedup, id), *other;
	uint32_t signature = btf_signature(type, dedup->base->seed);
	struct candidates candidates = dedup_candidates(dedup, signature);

	while (next_candidate(dedup, &candidates)) {
		if (dedup_spend(dedup, 1))
			return -1;
		other = any_type(dedup, candidates.id);
		if (!is_enum(type_kind(other)) || type_name(other) != type_name(type))
			continue;
		if (is_forward_enum(type) || btf_same_words(type, other)) {
			dedup->map[id] = candidates.id;
			return 0;
		}
		if (is_forward_enum(other))
			dedup->map[candidates.id] = id;
	}
	dedup_add(dedup, id, signature);
	return 0;
}

int dedup_primitives(struct dedup *dedup)
{
	uint32_t id;
	int failed = 0;

	for (id = dedup->start_id; id < dedup->end_id && !failed; id++) {
		switch (split_kind(dedup, id)) {
		case KIND_INT:
		case KIND_FLOAT:
		case KIND_FWD:
			failed = find_equal(dedup, id);
			break;
		case KIND_ENUM:
		case KIND_ENUM64:
			failed = find_enum(dedup, id);
			break;
		case KIND_VAR:
		case KIND_DATASEC:
		case KIND_LOC_PARAM:
		case KIND_LOC_PROTO:
		case KIND_LOCSEC:
			dedup->map[id] = id;
			break;
		}
	}
	return failed;
}

static int find_composite(struct dedup *dedup, uint32_t id)
{
	const uint8_t *type = dedup_type(dedup, id);
	uint32_t signature = btf_signature(type, dedup->base->seed);
	struct candidates candidates = dedup_candidates(dedup, signature);
	int result;

	while (next_candidate(dedup, &candidates)) {
		if (dedup_spend(dedup, 1))
			return -1;
		if (!btf_same_shape(type, any_type(dedup, candidates.id)))
			continue;
		dedup_forget(dedup);
		result = dedup_equivalent(dedup, id, candidates.id);
		if (result < 0)
			return -1;
		if (!result)
			continue;
		dedup_merge(dedup);
		if (dedup->adjusts_base)
			continue;
		dedup->map[id] = candidates.id;
		return 0;
	}
	dedup_add(dedup, id, signature);
	return dedup->reduced ? dedup_check_twins(dedup, id, signature) : 0;
}

int dedup_composites(struct dedup *dedup)
{
	uint32_t id, kind;

	for (id = dedup->start_id; id < dedup->end_id; id++) {
		kind = split_kind(dedup, id);
		if (!is_composite(kind) && kind != KIND_TYPEDEF)
			continue;
		if (!is_mapped(dedup, id) && find_composite(dedup, id))
			return -1;
	}
	return 0;
}

struct named_id *dedup_uniques(const struct dedup *dedup, uint32_t *nr)
{
	struct named_id *uniques =
		malloc(((size_t)dedup->end_id - dedup->start_id + 1) * sizeof(*uniques));
	uint32_t id;

	*nr = 0;
	if (!uniques)
		return NULL;
	for (id = dedup->start_id; id < dedup->end_id; id++)
		if (is_composite(split_kind(dedup, id)) && is_canonical(dedup, id))
			uniques[(*nr)++] =
				(struct named_id){type_name(dedup_type(dedup, id)), id};
	*nr = unique_names(uniques, *nr);
	return uniques;
}

static bool has_forwards(const struct dedup *dedup)
{
	uint32_t id;

	for (id = dedup->start_id; id < dedup->end_id; id++)
		if (split_kind(dedup, id) == KIND_FWD && is_canonical(dedup, id))
			return true;
	return false;
}

/* What a forward declaration declares, if only one struct or union has its name; else 0. */
static uint32_t declared(const struct dedup *dedup, const uint8_t *forward,
			 const struct named_id *split, uint32_t nr_split)
{
	const struct base_index *base = dedup->base;
	uint32_t kind = info_flag(type_info(forward)) ? KIND_UNION : KIND_STRUCT;
	const struct named_id *in_base, *in_split, *only;

	in_base = find_unique(base->uniques, base->nr_uniques, type_name(forward));
	in_split = find_unique(split, nr_split, type_name(forward));
	if (!in_base == !in_split)
		return 0;
	only = in_base ? in_base : in_split;
	return only->id && any_kind(dedup, only->id) == kind ? only->id : 0;
}

int dedup_forwards(struct dedup *dedup)
{
	struct named_id *split;
	uint32_t nr_split, id, found;

	if (!has_forwards(dedup))
		return 0;
	split = dedup_uniques(dedup, &nr_split);
	if (!split)
		return btf_no_memory(dedup->err);
	for (id = dedup->start_id; id < dedup->end_id; id++) {
		if (split_kind(dedup, id) != KIND_FWD || !is_canonical(dedup, id))
			continue;
		found = declared(dedup, dedup_type(dedup, id), split, nr_split);
		if (found)
			dedup->map[id] = found;
	}
	free(split);
	return 0;
}

/* A type whose references are being deduplicated, on the stack. */
struct frame {
	uint32_t id;
	struct word_iter left; /* the unresolved references */
};

#define FRAME_WORDS (sizeof(struct frame) / sizeof(uint32_t))

static int push_frame(struct dedup *dedup, size_t *depth, uint32_t id)
{
	struct frame frame = {.id = id, .left = iter_ids(dedup_type(dedup, id))};

	if (dedup_reserve(dedup, (*depth + 1) * FRAME_WORDS))
		return -1;
	((struct frame *)dedup->stack)[(*depth)++] = frame;
	dedup->map[id] = IN_PROGRESS;
	return 0;
}

/* Replace the references of the type on top by their canonical ids, or push the first unresolved one. */
static int resolve_references(struct dedup *dedup, size_t *depth)
{
	struct frame *frame = (struct frame *)dedup->stack + *depth - 1;
	uint8_t *type = dedup_type(dedup, frame->id);
	struct word_iter ids = frame->left;
	uint32_t target;

	while (next_word(&ids)) {
		target = load32(type + ids.at);
		if (!is_mapped(dedup, target))
			return push_frame(dedup, depth, target);
		if (dedup->map[target] == IN_PROGRESS)
			return btf_fail(dedup->err, frame->id, "%s refers to itself",
					kinds[type_kind(type)].name);
		store32(type + ids.at, resolve(dedup, target));
		frame->left = ids;
	}
	(*depth)--;
	dedup->map[frame->id] = 0;
	return find_equal(dedup, frame->id);
}

int dedup_references(struct dedup *dedup)
{
	uint32_t id;
	size_t depth = 0;

	for (id = dedup->start_id; id < dedup->end_id; id++) {
		if (is_mapped(dedup, id))
			continue;
		if (push_frame(dedup, &depth, id))
			return -1;
		while (depth)
			if (resolve_references(dedup, &depth))
				return -1;
	}
	return 0;
}
