/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What reducing units keeps: the contents of types, classes, and the names that have one. */
#ifndef KBTF_DWARF_REDUCE_TABLE_H
#define KBTF_DWARF_REDUCE_TABLE_H

#include "reduce.h"

/* Different content that was met. */
struct known {
	uint32_t hash;
	uint32_t class;
	uint32_t id;	     /* of the first type that has it, or 0 if that is in a unit kept as it is */
	uint32_t first_word; /* of reducer.words: the content, with classes in place of ids */
	uint32_t nr_words;
	uint32_t next;	     /* number of the content that was met after it the last time */
};

struct class {
	uint32_t seen;	     /* the number of the last unit that has it */
	uint32_t declared;   /* of a name: the same for its declarations */
	uint32_t definition; /* of a name: number of the known content, plus one */
};

/* A slot of the table of names, free if `class` is 0. */
struct key_slot {
	uint64_t key;
	uint32_t class;
};

/* A type whose references are being followed. */
struct visit {
	uint32_t at;
	struct word_iter left;
};

struct reducer {
	uint64_t seed;
	uint32_t unit; /* the number of the current one, from 1 */
	VECTOR(struct known) known;
	uint32_t last; /* number of the content that was met last */
	VECTOR(uint32_t) words;
	uint32_t *slots; /* by hash: number in `known`, plus one */
	uint32_t mask;
	VECTOR(struct class) classes; /* [0] is void's */
	struct key_slot *keys;
	uint32_t nr_keys;
	uint32_t key_mask;

	/* of the current unit, by type */
	uint32_t first_id;
	uint32_t nr_types;
	VECTOR(uint32_t) class_of;
	VECTOR(uint32_t) targets; /* the id of an earlier type that stands for it, or 0; then the new id */
	VECTOR(uint8_t) depths;
	VECTOR(uint32_t) fresh; /* numbers of the known contents that the unit brought */
	VECTOR(struct visit) visits;
	bool differs;	/* it defines a name differently than an earlier unit */
	bool uncertain;

	uint32_t nr_states; /* of the encoder, before the unit */
	uint32_t nr_percpu;
};

/* The class of references to a name, `wanted` or a new one if it is new; 0 if there is no memory. */
uint32_t class_of_key(struct reducer *reducer, uint64_t key, uint32_t wanted);

/*
 * The known content of a type, new if nothing has it yet; NULL if there is no memory.  `key_class` is 0 for a
 * class of its own.
 */
struct known *know(struct reducer *reducer, const uint32_t *type, uint32_t key_class);

#endif
