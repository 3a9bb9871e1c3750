/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Maps offsets of DIEs to type ids.  One bit per offset marks the start of a type's DIE; the number of
 * bits set before it is its index in the list of ids.
 */
#include "encoder.h"

#include "bits.h"

int start_area(struct encoder *encoder, uint32_t start, uint32_t end)
{
	uint32_t words = (end - start) / 64 + 1;

	encoder->area_start = start;
	encoder->area_end = end;
	if (words > encoder->area_room) {
		free(encoder->starts);
		free(encoder->ranks);
		encoder->starts = malloc(words * sizeof(*encoder->starts));
		encoder->ranks = malloc(words * sizeof(*encoder->ranks));
		encoder->area_room = words;
	}
	if (!encoder->starts || !encoder->ranks) {
		encoder->area_room = 0;
		return no_memory(encoder);
	}
	memset(encoder->starts, 0, words * sizeof(*encoder->starts));
	encoder->ids.nr = 0;
	encoder->first_id = next_id(encoder);
	return 0;
}

int note_type(struct encoder *encoder, uint32_t die, uint32_t *place)
{
	uint32_t at = die - encoder->area_start;

	encoder->starts[at / 64] |= (uint64_t)1 << at % 64;
	*place = encoder->ids.nr;
	return vector_push(&encoder->ids, 0) ? 0 : no_memory(encoder);
}

void forget_types(struct encoder *encoder, uint32_t start, uint32_t end)
{
	uint32_t at;

	for (at = start - encoder->area_start; at < end - encoder->area_start; at++)
		encoder->starts[at / 64] &= ~((uint64_t)1 << at % 64);
}

static void rank(struct encoder *encoder)
{
	uint32_t words = (encoder->area_end - encoder->area_start) / 64 + 1;
	uint32_t sum = 0, i;

	for (i = 0; i < words; i++) {
		encoder->ranks[i] = sum;
		sum += count_bits(encoder->starts[i]);
	}
}

uint32_t resolve(struct encoder *encoder, uint32_t ref)
{
	uint64_t word, bit;
	uint32_t at;

	if (!ref)
		return 0;
	if (ref & IS_ID)
		return ref & ~IS_ID;
	at = ref - encoder->area_start;
	if (ref >= encoder->area_start && ref < encoder->area_end) {
		word = encoder->starts[at / 64];
		bit = (uint64_t)1 << at % 64;
		if (word & bit)
			return encoder->ids.at[encoder->ranks[at / 64] + count_bits(word & (bit - 1))];
	}
	encoder->unresolved++;
	return 0;
}

/* Determines the index type of arrays, adding one to the unit if it has no suitable type. */
static int find_index_type(struct encoder *encoder)
{
	uint32_t name;

	if (encoder->index_fixed || !encoder->any_array)
		return 0;
	encoder->index_type = next_id(encoder);
	encoder->index_fixed = true;
	if (names_add(&encoder->names, "int", 3, &name, encoder->err) ||
	    begin_type(encoder, name, make_info(KIND_INT, 0, false), 4))
		return -1;
	return add_word(encoder, 1 << 24 | 32);
}

int resolve_types(struct encoder *encoder)
{
	uint32_t end = next_id(encoder);
	struct word_iter refs;
	uint32_t *type;
	uint32_t id;

	if (find_index_type(encoder))
		return -1;
	rank(encoder);
	for (id = encoder->first_id; id < end; id++) {
		type = encoder->words.at + encoder->offsets.at[id - encoder->base->nr_types];
		if (info_kind(type[1]) == KIND_ARRAY) {
			type[3] = resolve(encoder, type[3]);
			type[4] = encoder->index_type;
			continue;
		}
		for (refs = iter_ids((const uint8_t *)type); next_word(&refs);)
			type[refs.at / 4] = resolve(encoder, type[refs.at / 4]);
	}
	return 0;
}
