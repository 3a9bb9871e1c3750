/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Shared by the passes of deduplication; only for the files dedup*.c. */
#ifndef KBTF_DEDUP_STATE_H
#define KBTF_DEDUP_STATE_H

#include "dedup.h"
#include "signature.h"

/* A canonical split type in a list of the table. */
struct dedup_entry {
	uint32_t hash;
	uint32_t id;
	uint32_t next; /* the next entry of the list, plus one; 0 at the end */
};

/*
 * Candidates by signature.  A list has three parts: the split types in `front`, those of the base, and
 * the split types in `back`; when libbpf's table would double, the whole list is reversed.
 */
struct dedup_table {
	struct dedup_entry *entries;
	uint32_t nr_entries;
	uint32_t *front; /* by bucket: the first entry, plus one */
	uint32_t *back;
	uint32_t mask;
	bool base_reversed;
};

struct dedup {
	const struct base_index *base;
	uint32_t *words;
	uint32_t *offsets; /* by split type, in words */
	uint8_t *kinds;	   /* by split type */
	uint32_t start_id;
	uint32_t end_id;

	/* By id, including the base: the type that it maps to; itself if canonical, 0 while unknown. */
	uint32_t *map;
	struct dedup_table table;

	/* Assumed while two graphs are compared, by canonical id: the candidate equal to it. */
	uint32_t *hypothesis;
	uint32_t *assumed; /* the ids that have one, in the order of being assumed */
	uint32_t nr_assumed;
	bool adjusts_base; /* a forward declaration of the base would become a struct of the split */

	uint32_t *looks; /* by id, or NULL; see dedup_looks.c */
	bool tried_looks;

	bool reduced;	       /* see dedup_certain.c */
	bool skipped_elements; /* of arrays that were taken for the same */

	uint32_t *stack;
	size_t stack_size; /* in words */

	uint64_t steps; /* of comparing types */
	uint64_t max_steps; /* limits the time that a hostile file can cost */
	struct btf_error *err;
};

static inline uint8_t *dedup_type(const struct dedup *dedup, uint32_t id)
{
	return (uint8_t *)(dedup->words + dedup->offsets[id - dedup->start_id]);
}

/* A type of the base or of the split; id is not 0. */
static inline const uint8_t *any_type(const struct dedup *dedup, uint32_t id)
{
	if (id < dedup->start_id)
		return kbtf_base_type(dedup->base, id);
	return dedup_type(dedup, id);
}

static inline uint32_t split_kind(const struct dedup *dedup, uint32_t id)
{
	return dedup->kinds[id - dedup->start_id];
}

static inline uint32_t any_kind(const struct dedup *dedup, uint32_t id)
{
	return id < dedup->start_id ? dedup->base->kinds[id] : split_kind(dedup, id);
}

/* Void and all types of the base are canonical from the start. */
static inline bool is_mapped(const struct dedup *dedup, uint32_t id)
{
	return id < dedup->start_id || dedup->map[id];
}

static inline bool is_canonical(const struct dedup *dedup, uint32_t id)
{
	return dedup->map[id] == id;
}

/* The end of the chain that starts at an id; chains have no cycles. */
static inline uint32_t resolve(const struct dedup *dedup, uint32_t id)
{
	while (dedup->map[id] && dedup->map[id] != id)
		id = dedup->map[id];
	return id;
}

/* -1 once a file has used up its steps. */
static inline int dedup_spend(struct dedup *dedup, uint32_t steps)
{
	if (dedup->max_steps - dedup->steps < steps)
		return btf_fail(dedup->err, 0, "deduplication takes too many steps");
	dedup->steps += steps;
	return 0;
}

/* Room for `words` of the stack. */
int dedup_reserve(struct dedup *dedup, size_t words);

/* Make a type canonical, so that later ones may map to it. */
void dedup_add(struct dedup *dedup, uint32_t id, uint32_t signature);

/* Iterates over the types with one signature, in libbpf's order. */
struct candidates {
	uint32_t signature;
	uint32_t front;
	uint32_t base;
	uint32_t base_left;
	uint32_t back;
	uint32_t id; /* of the current candidate */
};

struct candidates dedup_candidates(const struct dedup *dedup, uint32_t signature);
bool next_candidate(const struct dedup *dedup, struct candidates *candidates);

int dedup_table_init(struct dedup_table *table, uint32_t nr_types);
void dedup_table_release(struct dedup_table *table);

/*
 * 1 if two types and all that they refer to may be equal, 0 if not, -1 with dedup->err.  The assumptions
 * are in dedup->hypothesis, which dedup_merge() makes final and dedup_forget() clears.
 */
int dedup_equivalent(struct dedup *dedup, uint32_t candidate, uint32_t canonical);
void dedup_merge(struct dedup *dedup);
void dedup_forget(struct dedup *dedup);

/* Create dedup->looks if comparisons take long and there is memory. */
void dedup_make_looks(struct dedup *dedup);

/* If reduced: fail if an older type of the same shape may map to a new canonical type too. */
int dedup_check_twins(struct dedup *dedup, uint32_t id, uint32_t signature);
/* If reduced: fail if a forward declaration may stand for several types, or elements were skipped. */
int dedup_check_forwards(struct dedup *dedup);
/* The canonical structs and unions of the split by name; NULL if there is no memory. */
struct named_id *dedup_uniques(const struct dedup *dedup, uint32_t *nr);

/* Types with different looks are not equal. */
static inline bool looks_equal(const struct dedup *dedup, uint32_t a, uint32_t b)
{
	return !dedup->looks || dedup->looks[a] == dedup->looks[b];
}

/* The passes, in their order. */
int dedup_primitives(struct dedup *dedup);
int dedup_composites(struct dedup *dedup);
int dedup_forwards(struct dedup *dedup);
int dedup_references(struct dedup *dedup);

#endif
