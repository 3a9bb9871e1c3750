/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Hashes that distinguish types that cannot be equal, without a comparison.
 *
 * If the kernel has twins that differ deep inside, thousands of structs turn out not to equal those of
 * the base, each after thousands of steps.  The look of a type is a hash of itself and of its references,
 * to some depth, without anything that a comparison ignores: the targets of forward declarations, and
 * the elements of arrays.  So equal types have the same look, as have all that map to one another.
 */
#include "dedup_state.h"

#include <stdlib.h>

/* Fewer steps are not worth the time for looks. */
#define QUIET_STEPS 4000000u
#define QUIET_STEPS_PER_TYPE 32u
#define ROUNDS 15u           /* less than the depth to which identical() looks */
#define LOOK_OF_NAME 0x589965ccu /* of a type that is hashed by name only */

static uint32_t mix(uint32_t look, uint32_t word)
{
	return (uint32_t)(hash_mix((uint64_t)look << 32 | word, 0xd6e8feb86659fd93u) >> 16);
}

/* Whether a kind inside another type is an error, which only a comparison finds. */
static bool is_no_part(uint32_t kind)
{
	return kind == KIND_VAR || kind == KIND_DATASEC || kind == KIND_DECL_TAG ||
	       kind >= KIND_LOC_PARAM;
}

static bool has_wrong_part(const struct dedup *dedup, const uint8_t *type)
{
	struct word_iter ids = iter_ids(type);

	if (is_no_part(type_kind(type)))
		return false;
	while (next_word(&ids))
		if (load32(type + ids.at) && is_no_part(any_kind(dedup, load32(type + ids.at))))
			return true;
	return false;
}

static bool all_comparable(const struct dedup *dedup)
{
	uint32_t id;

	for (id = 1; id < dedup->end_id; id++)
		if (has_wrong_part(dedup, any_type(dedup, id)))
			return false;
	return true;
}

/* A bit for each offset of a string: whether it is the name of a forward declaration. */
static uint8_t *declared_names(const struct dedup *dedup, uint32_t *nr)
{
	uint32_t id, name;
	uint8_t *declared;

	*nr = 0;
	for (id = 1; id < dedup->end_id; id++)
		if (any_kind(dedup, id) == KIND_FWD && type_name(any_type(dedup, id)) >= *nr)
			*nr = type_name(any_type(dedup, id)) + 1;
	declared = calloc((size_t)*nr / 8 + 1, 1);
	for (id = 1; declared && id < dedup->end_id; id++) {
		if (any_kind(dedup, id) != KIND_FWD)
			continue;
		name = type_name(any_type(dedup, id));
		declared[name / 8] |= (uint8_t)(1 << name % 8);
	}
	return declared;
}

/* The look of a type by itself. */
static uint32_t own_look(const uint8_t *type)
{
	const struct kind_info *kind = &kinds[type_kind(type)];
	uint32_t items = 4u * nr_items(kind, type_info(type)) * kind->item_words;
	uint32_t end = type_bytes(kind, type_info(type)), at;
	uint32_t look = mix(mix(type_name(type), type_info(type)), 0);

	if (kind->sets & KIND_IS_SIZED)
		look = mix(look, type_size(type));
	for (at = 0; at < end - TYPE_LEN; at += 4)
		if (at >= items || at / 4 % kind->item_words != kind->id_word)
			look = mix(look, load32(type + TYPE_LEN + at));
	return look;
}

static uint32_t deeper_look(const uint8_t *type, uint32_t look, const uint32_t *looks)
{
	struct word_iter ids = iter_ids(type);

	while (next_word(&ids))
		look = mix(look, looks[load32(type + ids.at)]);
	return look;
}

/* Whether a type passes for any other of its name; enums do so where one is a forward declaration. */
static bool passes_by_name(const uint8_t *type, const uint8_t *declared, uint32_t nr)
{
	uint32_t kind = type_kind(type), name = type_name(type);

	return is_enum(kind) || kind == KIND_FWD ||
	       (is_composite(kind) && name < nr && declared[name / 8] >> name % 8 & 1);
}

static void first_looks(const struct dedup *dedup, const uint8_t *declared, uint32_t nr,
			uint32_t *looks, uint8_t *final)
{
	const uint8_t *type;
	uint32_t id;

	looks[0] = 0;
	for (id = 1; id < dedup->end_id; id++) {
		type = any_type(dedup, id);
		final[id] = passes_by_name(type, declared, nr);
		looks[id] = final[id] ? mix(LOOK_OF_NAME, type_name(type)) : own_look(type);
		final[id] |= type_kind(type) == KIND_ARRAY;
	}
}

static uint32_t *deepen(const struct dedup *dedup, const uint8_t *final, uint32_t *looks,
			uint32_t *deeper)
{
	uint32_t round, id, *other;

	for (round = 0; round < ROUNDS; round++) {
		deeper[0] = looks[0];
		for (id = 1; id < dedup->end_id; id++)
			deeper[id] = final[id] ? looks[id]
					       : deeper_look(any_type(dedup, id), looks[id], looks);
		other = looks;
		looks = deeper;
		deeper = other;
	}
	return looks;
}

/* NULL if there is no memory. */
static uint32_t *make_looks(const struct dedup *dedup, const uint8_t *declared, uint32_t nr)
{
	uint32_t *first = malloc(dedup->end_id * sizeof(*first));
	uint32_t *second = malloc(dedup->end_id * sizeof(*second));
	uint8_t *final = malloc(dedup->end_id);
	uint32_t *looks = NULL;

	if (first && second && final) {
		first_looks(dedup, declared, nr, first, final);
		looks = deepen(dedup, final, first, second);
	}
	if (looks != first)
		free(first);
	if (looks != second)
		free(second);
	free(final);
	return looks;
}

void dedup_make_looks(struct dedup *dedup)
{
	uint8_t *declared;
	uint32_t nr;

	if (dedup->tried_looks ||
	    dedup->steps < QUIET_STEPS + (uint64_t)QUIET_STEPS_PER_TYPE * dedup->end_id)
		return;
	dedup->tried_looks = true;
	if (!all_comparable(dedup))
		return;
	declared = declared_names(dedup, &nr);
	if (declared)
		dedup->looks = make_looks(dedup, declared, nr);
	free(declared);
}
