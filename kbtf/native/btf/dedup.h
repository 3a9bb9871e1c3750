/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Deduplication of split BTF against its base, with the result of libbpf's btf__dedup(). */
#ifndef KBTF_DEDUP_H
#define KBTF_DEDUP_H

#include "base_index.h"

/* Split types in native words; their ids start at base->nr_types. */
struct dedup_types {
	uint32_t *words;
	uint32_t nr_words;
	uint32_t nr_types;
	uint32_t *new_ids; /* NULL, or room for the new id of each type, in the old order */
	bool reduced;	   /* in: some equal types were left out, see dwarf/reduce.c */
	bool uncertain;	   /* out, with an error: all types might give another result */
};

/*
 * Keep one of each group of equal types, in place: fewer words remain, in the same order, with the new
 * ids.  Every type must be complete, of a known kind, and refer only to ids below
 * base->nr_types + nr_types.  Strings are not compared: equal names have equal offsets.
 * 0, or -1 with *err, which leaves the words undefined.
 */
int dedup_split(const struct base_index *base, struct dedup_types *types, struct btf_error *err);

struct deduplicated {
	struct blob split;
	uint32_t *new_ids; /* of the old types of the split, in order */
};

/*
 * Deduplicate indexed split BTF on the base of this index: first its strings, of which the used ones
 * stay, in the order of their first use, then the types.
 */
int btf_deduplicate(const struct btf *split, const struct base_index *base,
		    struct deduplicated *out, struct btf_error *err);
void deduplicated_release(struct deduplicated *out);

#endif
