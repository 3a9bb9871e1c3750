/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "reduce_table.h"

#include "hash.h"

#include <stdlib.h>

#define FIRST_SLOTS 4096u

struct reducer *reducer_new(uint64_t seed)
{
	struct reducer *reducer = calloc(1, sizeof(*reducer));

	if (!reducer)
		return NULL;
	reducer->seed = seed;
	reducer->mask = reducer->key_mask = FIRST_SLOTS - 1;
	reducer->slots = calloc(FIRST_SLOTS, sizeof(*reducer->slots));
	reducer->keys = calloc(FIRST_SLOTS, sizeof(*reducer->keys));
	if (reducer->slots && reducer->keys && vector_push(&reducer->classes, (struct class){0}))
		return reducer;
	reducer_free(reducer);
	return NULL;
}

void reducer_free(struct reducer *reducer)
{
	if (!reducer)
		return;
	vector_release(&reducer->known);
	vector_release(&reducer->words);
	vector_release(&reducer->classes);
	vector_release(&reducer->class_of);
	vector_release(&reducer->targets);
	vector_release(&reducer->depths);
	vector_release(&reducer->fresh);
	vector_release(&reducer->visits);
	free(reducer->slots);
	free(reducer->keys);
	free(reducer);
}

static uint32_t add_class(struct reducer *reducer)
{
	if (!vector_push(&reducer->classes, (struct class){0}))
		return 0;
	return reducer->classes.nr - 1;
}

static struct key_slot *key_slot(const struct reducer *reducer, struct key_slot *keys, uint32_t mask,
				 uint64_t key)
{
	uint32_t at = (uint32_t)hash_mix(key ^ reducer->seed, 0xd6e8feb86659fd93u) & mask;

	while (keys[at].class && keys[at].key != key)
		at = (at + 1) & mask;
	return &keys[at];
}

static bool grow_keys(struct reducer *reducer)
{
	uint32_t mask = 2 * reducer->key_mask + 1, i;
	struct key_slot *keys = calloc((size_t)mask + 1, sizeof(*keys));

	if (!keys)
		return false;
	for (i = 0; i <= reducer->key_mask; i++)
		if (reducer->keys[i].class)
			*key_slot(reducer, keys, mask, reducer->keys[i].key) = reducer->keys[i];
	free(reducer->keys);
	reducer->keys = keys;
	reducer->key_mask = mask;
	return true;
}

uint32_t class_of_key(struct reducer *reducer, uint64_t key, uint32_t wanted)
{
	struct key_slot *slot = key_slot(reducer, reducer->keys, reducer->key_mask, key);

	if (slot->class)
		return slot->class;
	if (reducer->nr_keys >= reducer->key_mask / 2) {
		if (!grow_keys(reducer))
			return 0;
		slot = key_slot(reducer, reducer->keys, reducer->key_mask, key);
	}
	if (!wanted)
		wanted = add_class(reducer);
	if (wanted)
		*slot = (struct key_slot){key, wanted};
	reducer->nr_keys += wanted != 0;
	return wanted;
}

static bool grow_slots(struct reducer *reducer)
{
	uint32_t mask = 2 * reducer->mask + 1, i, at;
	uint32_t *slots = calloc((size_t)mask + 1, sizeof(*slots));

	if (!slots)
		return false;
	for (i = 0; i < reducer->known.nr; i++) {
		for (at = reducer->known.at[i].hash & mask; slots[at]; at = (at + 1) & mask)
			;
		slots[at] = i + 1;
	}
	free(reducer->slots);
	reducer->slots = slots;
	reducer->mask = mask;
	return true;
}

/* Append the content of a type to the words, with classes in place of ids. */
static bool append_content(struct reducer *reducer, const uint32_t *type, uint32_t nr)
{
	struct word_iter ids = iter_ids((const uint8_t *)type);
	uint32_t *to, id;

	if (!vector_reserve(&reducer->words, nr))
		return false;
	to = reducer->words.at + reducer->words.nr;
	memcpy(to, type, nr * sizeof(*to));
	while (next_word(&ids)) {
		id = to[ids.at / 4];
		to[ids.at / 4] = id ? reducer->class_of.at[id - reducer->first_id] : 0;
	}
	return true;
}

/* Whether a known content is that at the end of the words. */
static bool is_content(const struct reducer *reducer, const struct known *known, uint32_t nr)
{
	return known->nr_words == nr && !memcmp(reducer->words.at + known->first_word,
						reducer->words.at + reducer->words.nr,
						nr * sizeof(uint32_t));
}

static uint32_t class_of(const struct reducer *reducer, uint32_t id)
{
	return id ? reducer->class_of.at[id - reducer->first_id] : 0;
}

/* Whether a known content is that of a type. */
static bool is_content_of(const struct reducer *reducer, const struct known *known,
			  const uint32_t *type, uint32_t nr)
{
	const uint32_t *words = reducer->words.at + known->first_word;
	const struct kind_info *kind = &kinds[info_kind(type[1])];
	bool refers = kind->sets & KIND_IS_REF;
	uint32_t id_word = kind->id_word == NO_WORD ? nr : 3u + kind->id_word;
	uint32_t end = nr - kind->tail_words, i;

	if (known->nr_words != nr || words[0] != type[0] || words[1] != type[1] ||
	    words[2] != (refers ? class_of(reducer, type[2]) : type[2]))
		return false;
	for (i = 3; i < nr; i++) {
		if (i != id_word || i >= end) {
			if (words[i] != type[i])
				return false;
			continue;
		}
		if (words[i] != class_of(reducer, type[i]))
			return false;
		id_word += kind->item_words;
	}
	return true;
}

/* Units include the same headers in the same order. */
static struct known *guess(const struct reducer *reducer, const uint32_t *type, uint32_t nr)
{
	struct known *known;

	if (reducer->last >= reducer->known.nr)
		return NULL;
	known = &reducer->known.at[reducer->known.at[reducer->last].next];
	return is_content_of(reducer, known, type, nr) ? known : NULL;
}

struct known *know(struct reducer *reducer, const uint32_t *type, uint32_t key_class)
{
	uint32_t nr = type_bytes(&kinds[info_kind(type[1])], type[1]) / 4, hash, at;
	struct known *known, made = {.first_word = reducer->words.nr, .nr_words = nr};

	known = guess(reducer, type, nr);
	if (known)
		return known;
	if (!append_content(reducer, type, nr))
		return NULL;
	hash = (uint32_t)hash_bytes(reducer->words.at + made.first_word, nr * sizeof(uint32_t),
				    reducer->seed);
	for (at = hash & reducer->mask; reducer->slots[at]; at = (at + 1) & reducer->mask) {
		known = &reducer->known.at[reducer->slots[at] - 1];
		if (known->hash == hash && is_content(reducer, known, nr))
			return known;
	}
	made.hash = hash;
	made.class = key_class ? key_class : add_class(reducer);
	if (!made.class || !vector_push(&reducer->known, made))
		return NULL;
	reducer->words.nr += nr;
	reducer->slots[at] = reducer->known.nr;
	if (reducer->known.nr > reducer->mask / 2 && !grow_slots(reducer))
		return NULL;
	return &reducer->known.at[reducer->known.nr - 1];
}
