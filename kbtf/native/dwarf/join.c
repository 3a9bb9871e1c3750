/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Append what one encoder has to another, as if the second had encoded it: a string is added at its first
 * use, and each id is shifted by the number of types before.
 */
#include "encoder.h"

/* Maps the names and ids of a part to those of the whole. */
struct moving {
	struct encoder *encoder;
	const struct encoder *from;
	uint32_t *names; /* by position in the part's strings */
	uint32_t ids;	 /* to be added */
};

static int join_names(struct moving *moving)
{
	const struct names *names = &moving->from->names;
	uint32_t at, length;

	moving->names = malloc(((size_t)names->bytes.nr + 1) * sizeof(*moving->names));
	if (!moving->names)
		return no_memory(moving->encoder);
	for (at = 0; at < names->bytes.nr; at += length + 1) {
		length = (uint32_t)strlen(names->bytes.at + at);
		if (names_add(&moving->encoder->names, names->bytes.at + at, length,
			      &moving->names[at], moving->encoder->err))
			return -1;
	}
	return 0;
}

static uint32_t moved_name(const struct moving *moving, uint32_t name)
{
	uint32_t first = moving->from->base->str_len;

	return name && name >= first ? moving->names[name - first] : name;
}

static uint32_t moved_id(const struct moving *moving, uint32_t id)
{
	return id ? id + moving->ids : 0;
}

static int join_types(struct moving *moving)
{
	struct encoder *encoder = moving->encoder;
	const struct encoder *from = moving->from;
	uint32_t first = encoder->words.nr, i;
	struct word_iter words;
	uint32_t *type;

	if (!vector_reserve(&encoder->words, from->words.nr) ||
	    !vector_reserve(&encoder->offsets, from->offsets.nr))
		return no_memory(encoder);
	if (from->words.nr)
		memcpy(encoder->words.at + first, from->words.at, 4 * (size_t)from->words.nr);
	encoder->words.nr += from->words.nr;
	for (i = 0; i < from->offsets.nr; i++) {
		encoder->offsets.at[encoder->offsets.nr++] = first + from->offsets.at[i];
		type = encoder->words.at + first + from->offsets.at[i];
		for (words = iter_names((const uint8_t *)type); next_word(&words);)
			type[words.at / 4] = moved_name(moving, type[words.at / 4]);
		for (words = iter_ids((const uint8_t *)type); next_word(&words);)
			type[words.at / 4] = moved_id(moving, type[words.at / 4]);
		if (info_kind(type[1]) == KIND_ARRAY)
			type[4] = encoder->index_type;
	}
	return 0;
}

static int join_states(struct moving *moving)
{
	struct encoder *encoder = moving->encoder;
	const struct encoder *from = moving->from;
	uint32_t first_word = encoder->state_words.nr, first_tag = encoder->state_tags.nr, i, k;
	const uint32_t *words;
	struct state state;

	for (i = 0; i < from->states.nr; i++) {
		state = from->states.at[i];
		words = from->state_words.at + state.first_word;
		state.first_word += first_word;
		state.first_tag += first_tag;
		for (k = 0; k <= 2 * state.nr_params; k++)
			if (!vector_push(&encoder->state_words, k % 2 ? moved_name(moving, words[k])
								      : moved_id(moving, words[k])))
				return no_memory(encoder);
		if (!vector_push(&encoder->states, state))
			return no_memory(encoder);
	}
	for (i = 0; i < from->state_tags.nr; i++)
		if (!vector_push(&encoder->state_tags, i % 2 ? moved_name(moving, from->state_tags.at[i])
							     : from->state_tags.at[i]))
			return no_memory(encoder);
	return 0;
}

static int join_variables(struct moving *moving)
{
	struct percpu_entry entry;
	uint32_t i;

	for (i = 0; i < moving->from->percpu.nr; i++) {
		entry = moving->from->percpu.at[i];
		entry.id = moved_id(moving, entry.id);
		entry.order = moving->encoder->percpu.nr;
		if (!vector_push(&moving->encoder->percpu, entry))
			return no_memory(moving->encoder);
	}
	return 0;
}

static int join_notes(struct encoder *encoder, struct encode_result *from)
{
	uint32_t i;

	encoder->result->nr_units += from->nr_units;
	if (!vector_reserve(&encoder->result->notes, from->notes.nr))
		return no_memory(encoder);
	for (i = 0; i < from->notes.nr; i++)
		encoder->result->notes.at[encoder->result->notes.nr++] = from->notes.at[i];
	from->notes.nr = 0;
	return 0;
}

int encode_join(struct encoder *encoder, const struct encoder *from, struct encode_result *result)
{
	struct moving moving = {
		.encoder = encoder,
		.from = from,
		.ids = encoder->offsets.nr,
	};
	int failed;

	encoder->unresolved += from->unresolved;
	failed = join_names(&moving) || join_types(&moving) || join_states(&moving) ||
		 join_variables(&moving) || join_notes(encoder, result);
	free(moving.names);
	return failed;
}
