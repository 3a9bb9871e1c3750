/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Leaves out of each unit of a kernel the types that an earlier unit has: nearly all of them, which then
 * need not be joined and deduplicated.
 *
 * Types are of one class if they are equal word by word, and refer to types of one class.  A reference to a
 * named struct, union or enum is a reference to its name, whether it is declared or defined.  Deduplication
 * makes one type of each class, the first, so that a later one may be left out, if
 *
 * - all units that are reduced mean the same by a name: a unit that defines one differently than a unit
 *   before is kept as it is;
 * - no name with a forward declaration has several definitions in the result, which dedup_certain.c checks;
 * - no comparison depends on a unit's own duplicates: a unit has one type of each name, and no deep
 *   duplicates of others.
 *
 * If the last is not so, the encoder is uncertain, and encodes the whole file again without reducing it.
 */
#include "reduce_table.h"

#define UNSEEN UINT32_MAX
#define IN_PROGRESS (UINT32_MAX - 1)
#define MAX_DEPTH 12u /* of duplicates; below the depth to which deduplication compares them */

/* A type has a key if references to it are references to its name; 0 if not. */
static uint64_t key_of(const uint32_t *type)
{
	uint32_t kind = info_kind(type[1]);
	bool is_union = kind == KIND_UNION || (kind == KIND_FWD && info_flag(type[1]));

	if (!type[0])
		return 0;
	if (is_composite(kind) || kind == KIND_FWD)
		return (uint64_t)type[0] << 2 | (is_union ? 2 : 1);
	return is_enum(kind) ? (uint64_t)type[0] << 2 | 3 : 0;
}

static bool is_declaration(const uint32_t *type)
{
	return info_kind(type[1]) == KIND_FWD ||
	       (is_enum(info_kind(type[1])) && !info_vlen(type[1]));
}

static uint32_t *raw_type(const struct encoder *encoder, uint32_t at)
{
	return encoder->words.at + encoder->offsets.at[encoder->reducer->first_id + at - 1];
}

/* Find what stands for a type whose references have classes. */
static int place_type(struct encoder *encoder, uint32_t at)
{
	struct reducer *reducer = encoder->reducer;
	const uint32_t *type = raw_type(encoder, at);
	bool has_key = key_of(type);
	struct known *known = know(reducer, type, has_key ? reducer->class_of.at[at] : 0);
	struct class *class;

	if (!known)
		return no_memory(encoder);
	reducer->known.at[reducer->last].next = (uint32_t)(known - reducer->known.at);
	reducer->last = reducer->known.at[reducer->last].next;
	class = &reducer->classes.at[known->class];
	if (has_key) {
		if (!is_declaration(type) && !class->definition)
			class->definition = (uint32_t)(known - reducer->known.at) + 1;
		reducer->differs |= !is_declaration(type) &&
				    known != &reducer->known.at[class->definition - 1];
	} else {
		reducer->class_of.at[at] = known->class;
		reducer->uncertain |= class->seen == reducer->unit &&
				      reducer->depths.at[at] > MAX_DEPTH;
		class->seen = reducer->unit;
	}
	if (known->id && known->id < reducer->first_id) {
		reducer->targets.at[at] = known->id;
	} else if (!known->id) {
		known->id = reducer->first_id + at;
		if (!vector_push(&reducer->fresh, (uint32_t)(known - reducer->known.at)))
			return no_memory(encoder);
	}
	return 0;
}

static int start_visit(struct encoder *encoder, uint32_t at)
{
	struct reducer *reducer = encoder->reducer;
	struct visit visit = {at, iter_ids((const uint8_t *)raw_type(encoder, at))};

	reducer->class_of.at[at] = IN_PROGRESS;
	return vector_push(&reducer->visits, visit) ? 0 : no_memory(encoder);
}

/* Go on with the type on top: to a reference without a class, or, if all have one, finish it. */
static int continue_visit(struct encoder *encoder)
{
	struct reducer *reducer = encoder->reducer;
	struct visit *visit = &reducer->visits.at[reducer->visits.nr - 1];
	const uint32_t *type = raw_type(encoder, visit->at);
	struct word_iter ids = visit->left;
	uint8_t *depth = &reducer->depths.at[visit->at], below;
	uint32_t id, to;

	while (next_word(&ids)) {
		id = type[ids.at / 4];
		if (!id)
			continue;
		to = id - reducer->first_id;
		if (reducer->class_of.at[to] == UNSEEN)
			return start_visit(encoder, to);
		reducer->uncertain |= reducer->class_of.at[to] == IN_PROGRESS;
		if (reducer->uncertain)
			return 0;
		below = reducer->depths.at[to];
		if (*depth <= below)
			*depth = (uint8_t)(below < UINT8_MAX ? below + 1 : below);
		visit->left = ids;
	}
	reducer->visits.nr--;
	return place_type(encoder, visit->at);
}

static int visit_type(struct encoder *encoder, uint32_t at)
{
	struct reducer *reducer = encoder->reducer;

	if (start_visit(encoder, at))
		return -1;
	while (reducer->visits.nr && !reducer->uncertain)
		if (continue_visit(encoder))
			return -1;
	reducer->visits.nr = 0;
	return 0;
}

/* Declarations and variables are not part of other types, and stay. */
static bool is_reduced(const uint32_t *type)
{
	return kinds[info_kind(type[1])].sets & KIND_IS_TYPE;
}

/* A unit with several types of one name, as in different blocks, is kept as it is. */
static void see_key(struct reducer *reducer, struct class *class, bool is_declaration)
{
	if (class->seen == reducer->unit) {
		reducer->differs = true;
		reducer->uncertain |= is_declaration || class->declared == reducer->unit;
	}
	class->seen = reducer->unit;
	if (is_declaration)
		class->declared = reducer->unit;
}

static int class_keys(struct encoder *encoder)
{
	struct reducer *reducer = encoder->reducer;
	const uint32_t *type;
	uint32_t at, class;
	uint64_t key;

	for (at = 0; at < reducer->nr_types; at++) {
		type = raw_type(encoder, at);
		key = key_of(type);
		reducer->uncertain |= !key && is_declaration(type);
		if (!key)
			continue;
		class = class_of_key(reducer, key, 0);
		if (!class)
			return no_memory(encoder);
		see_key(reducer, &reducer->classes.at[class], is_declaration(type));
		reducer->class_of.at[at] = class;
	}
	return 0;
}

static int class_types(struct encoder *encoder)
{
	struct reducer *reducer = encoder->reducer;
	uint32_t at;

	if (class_keys(encoder))
		return -1;
	for (at = 0; at < reducer->nr_types && !reducer->uncertain && !reducer->differs; at++)
		if (reducer->class_of.at[at] == UNSEEN && is_reduced(raw_type(encoder, at)) &&
		    visit_type(encoder, at))
			return -1;
	for (at = 0; at < reducer->nr_types && !reducer->uncertain && !reducer->differs; at++)
		if (key_of(raw_type(encoder, at)) && place_type(encoder, at))
			return -1;
	return 0;
}

static uint32_t moved_id(const struct reducer *reducer, uint32_t id)
{
	return id ? reducer->targets.at[id - reducer->first_id] : 0;
}

/* Move the types that stay together. */
static void compact(struct encoder *encoder)
{
	struct reducer *reducer = encoder->reducer;
	uint32_t first = reducer->first_id - 1, kept = 0, to = encoder->offsets.at[first], at, nr;
	struct word_iter ids;
	uint32_t *type;
	bool stays;

	for (at = 0; at < reducer->nr_types; at++)
		if (!reducer->targets.at[at])
			reducer->targets.at[at] = reducer->first_id + kept++;
	kept = 0;
	for (at = 0; at < reducer->nr_types; at++) {
		stays = reducer->targets.at[at] == reducer->first_id + kept;
		if (!stays)
			continue;
		type = encoder->words.at + encoder->offsets.at[first + at];
		for (ids = iter_ids((const uint8_t *)type); next_word(&ids);)
			type[ids.at / 4] = moved_id(reducer, type[ids.at / 4]);
		nr = type_bytes(&kinds[info_kind(type[1])], type[1]) / 4;
		memmove(encoder->words.at + to, type, nr * sizeof(*type));
		encoder->offsets.at[first + kept++] = to;
		to += nr;
	}
	encoder->offsets.nr = first + kept;
	encoder->words.nr = to;
}

static void move_references(struct encoder *encoder)
{
	const struct reducer *reducer = encoder->reducer;
	const struct state *state;
	struct known *known;
	uint32_t *words;
	uint32_t i, k;

	for (i = reducer->nr_states; i < encoder->states.nr; i++) {
		state = &encoder->states.at[i];
		words = encoder->state_words.at + state->first_word;
		for (k = 0; k <= 2 * state->nr_params; k += 2)
			words[k] = moved_id(reducer, words[k]);
	}
	for (i = reducer->nr_percpu; i < encoder->percpu.nr; i++)
		encoder->percpu.at[i].id = moved_id(reducer, encoder->percpu.at[i].id);
	for (i = 0; i < reducer->fresh.nr; i++) {
		known = &reducer->known.at[reducer->fresh.at[i]];
		known->id = moved_id(reducer, known->id);
	}
}

/* A unit is kept as it is, or failed: no later type may be left out for one of it. */
static void keep_unit(struct reducer *reducer)
{
	uint32_t i;

	for (i = 0; i < reducer->fresh.nr; i++)
		reducer->known.at[reducer->fresh.at[i]].id = 0;
	reducer->fresh.nr = 0;
}

static int start_unit(struct encoder *encoder)
{
	struct reducer *reducer = encoder->reducer;
	uint32_t nr = next_id(encoder) - encoder->first_id;

	keep_unit(reducer);
	reducer->unit++;
	reducer->first_id = encoder->first_id;
	reducer->nr_types = nr;
	reducer->differs = reducer->uncertain = false;
	reducer->nr_states = encoder->states.nr;
	reducer->nr_percpu = encoder->percpu.nr;
	reducer->class_of.nr = reducer->targets.nr = reducer->depths.nr = 0;
	if (!vector_reserve(&reducer->class_of, nr) || !vector_reserve(&reducer->targets, nr) ||
	    !vector_reserve(&reducer->depths, nr))
		return no_memory(encoder);
	if (nr) {
		memset(reducer->class_of.at, 0xff, nr * sizeof(*reducer->class_of.at));
		memset(reducer->targets.at, 0, nr * sizeof(*reducer->targets.at));
		memset(reducer->depths.at, 0, nr);
	}
	reducer->targets.nr = nr;
	return 0;
}

#define FINISHED_KEY ((uint64_t)1 << 63) /* of a name that is an offset in BTF */

/* In the file, a name may be in two places, and would then have two classes. */
static int check_key(struct encoder *encoder, uint32_t at)
{
	struct reducer *reducer = encoder->reducer;
	uint64_t key = key_of(raw_type(encoder, at));
	uint32_t class;

	if (!key)
		return 0;
	class = class_of_key(reducer, key | FINISHED_KEY, reducer->class_of.at[at]);
	if (!class)
		return no_memory(encoder);
	reducer->uncertain |= class != reducer->class_of.at[at];
	return 0;
}

/* Of the types that stay. */
static int finish_names(struct encoder *encoder)
{
	struct reducer *reducer = encoder->reducer;
	uint32_t at;

	for (at = 0; at < reducer->nr_types; at++)
		if ((reducer->differs || !reducer->targets.at[at]) &&
		    (finish_type_names(encoder, raw_type(encoder, at)) ||
		     check_key(encoder, at)))
			return -1;
	return 0;
}

int find_equal_types(struct encoder *encoder)
{
	struct reducer *reducer = encoder->reducer;

	if (start_unit(encoder) || class_types(encoder))
		return -1;
	if (!reducer->uncertain && finish_names(encoder))
		return -1;
	if (!reducer->uncertain && !encoder->uncertain)
		return 0;
	encoder->uncertain = true;
	encoder->unit_error = false;
	return btf_fail(encoder->err, 0, "it is not certain which types are equal");
}

int leave_out_types(struct encoder *encoder)
{
	struct reducer *reducer = encoder->reducer;

	if (reducer->differs)
		return 0;
	/* Tags and variables have been added. */
	reducer->nr_types = next_id(encoder) - encoder->first_id;
	while (reducer->targets.nr < reducer->nr_types)
		if (!vector_push(&reducer->targets, 0))
			return no_memory(encoder);
	if (!reducer->nr_types)
		return 0;
	compact(encoder);
	move_references(encoder);
	reducer->fresh.nr = 0;
	return 0;
}
