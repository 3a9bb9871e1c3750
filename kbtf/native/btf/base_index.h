/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The index of a base BTF for encoding and deduplication, as one image of native words.
 *
 * An image is the same for every split BTF on one base, never changes, and has no pointers: it may
 * be built in memory or mapped from a file that another process wrote.
 */
#ifndef KBTF_BASE_INDEX_H
#define KBTF_BASE_INDEX_H

#include "btf.h"

#include "hash.h"

/* A slot of the table of strings, free if `offset` is 0. */
struct base_string {
	uint32_t hash;
	uint32_t offset;
};

/* A type of the table of signatures. */
struct base_candidate {
	uint32_t hash;
	uint32_t id;
};

/* A type with a name. */
struct named_id {
	uint32_t name;
	uint32_t id;
};

/* Read-only, so that threads may share it; it borrows the bytes of the base and of the image. */
struct base_index {
	uint64_t seed;           /* of all hashes in it */
	const uint8_t *types;    /* native words of the base */
	const char *strs;
	uint32_t str_len;        /* the offset of the first string of split BTF */
	uint32_t nr_types;       /* including void: the id of the first type of split BTF */
	const uint32_t *offsets; /* by id: where the type starts in `types`; [0] is unused */
	const uint8_t *kinds;    /* by id; [0] is KIND_UNKN, for void */
	bool nested_arrays;      /* an ARRAY is the direct element type of an ARRAY */

	const struct base_string *strings;
	uint32_t string_mask;

	/* Candidates of bucket b: from starts[b] up to starts[b + 1], in the order of a search. */
	const uint32_t *starts;
	const struct base_candidate *candidates;
	uint32_t bucket_mask;
	uint32_t nr_candidates;

	/* The only STRUCT or UNION of each name, with id 0 if there are several; ascending by name. */
	const struct named_id *uniques;
	uint32_t nr_uniques;

	/* Ascending by name, then id; none if the names of types are not strings that occur once. */
	const struct named_id *named;
	uint32_t nr_named;
};

/*
 * How often libbpf's table of signatures, which starts with room for four, has doubled once it holds
 * `entries`.  Each time, all its lists are reversed, which matters if several candidates fit.
 */
static inline uint32_t table_doublings(uint32_t entries)
{
	uint32_t filled = (uint32_t)((uint64_t)entries * 4 / 3);
	uint32_t excess = filled ? (filled - 1) / 4 : 0;

	return excess ? 32 - (uint32_t)__builtin_clz(excess) : 0;
}

/* Sort structs and unions by name, and keep one entry per name; returns their number. */
uint32_t unique_names(struct named_id *names, uint32_t nr);
/* NULL if there is none of that name. */
const struct named_id *find_unique(const struct named_id *names, uint32_t nr, uint32_t name);

/* Build the image of a base, which must not have a base itself.  0, or -1 with *err. */
int base_image_build(struct blob *image, const struct btf *base, uint64_t seed,
		     struct btf_error *err);
void base_image_release(struct blob *image);

/* Use an image that was made for this base. */
void base_index_use(struct base_index *index, const uint8_t *image, const struct btf *base);

/*
 * Use an image from a file.  -1 if it is damaged, not aligned to 8, of another version or of another
 * base; both are checked completely against the checksums in the image.
 */
int base_index_open(struct base_index *index, const uint8_t *image, size_t length,
		    const struct btf *base);

/* The types with a name, from the result up to `*end`, if there are any in `named`. */
const struct named_id *base_index_named(const struct base_index *index, const char *name,
					size_t length, const struct named_id **end);
/* The next higher type with the name of this one, or 0. */
uint32_t base_index_next_named(const struct base_index *index, uint32_t id);

static inline const uint8_t *kbtf_base_type(const struct base_index *index, uint32_t id)
{
	return index->types + index->offsets[id];
}

static inline uint32_t kbtf_base_hash(const struct base_index *index, const char *string,
				      size_t length)
{
	return (uint32_t)hash_bytes(string, length, index->seed);
}

/*
 * Find a whole string of the base, at its first position.  `length` is without NUL, and `hash` is
 * kbtf_base_hash() of it.  The empty string is at 0.
 */
static inline bool kbtf_base_string(const struct base_index *index, const char *string,
				    size_t length, uint32_t hash, uint32_t *offset)
{
	const struct base_string *slot;
	uint32_t at;

	*offset = 0;
	for (at = hash & index->string_mask; length; at = (at + 1) & index->string_mask) {
		slot = &index->strings[at];
		if (!slot->offset)
			return false;
		if (slot->hash == hash && length < index->str_len - slot->offset &&
		    !memcmp(index->strs + slot->offset, string, length) &&
		    !index->strs[slot->offset + length]) {
			*offset = slot->offset;
			return true;
		}
	}
	return true;
}

#endif
