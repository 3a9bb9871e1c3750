/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The C core: BTF blobs, indexed once and then read without further checks.
 *
 * This header and the files next to it do not depend on Python.  All multi-byte
 * fields of an indexed blob are in native order; a foreign blob is copied and swapped at load.
 */
#ifndef KBTF_BTF_H
#define KBTF_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "kinds.h"
#include "strtab.h"

#define BTF_MAGIC 0xeb9fu
#define BTF_HEADER_LEN 24u
#define BTF_LAYOUT_HEADER_LEN 32u
#define TYPE_LEN 12u /* name_off, info, size or type */
#define MAX_STRING 65535u /* bytes, without NUL; the kernel's identifiers have at most 512 */

/* Types of one name, found by btf_find(): a hash over the own types of one blob. */
struct name_index {
	uint32_t *heads;  /* by slot: lowest id of a name, or 0 */
	uint32_t *next;  /* by own type: the next higher id with the same name, or 0 */
	uint32_t *hashes; /* by slot */
	uint32_t mask;
};

struct btf {
	const struct btf *base; /* NULL for a base */
	const uint8_t *types;
	const char *strs;
	const uint8_t *layout; /* NULL if there is none */
	uint32_t type_len;
	uint32_t str_len;
	uint32_t header_len;
	uint32_t type_off;   /* from the start of the blob, as the next */
	uint32_t layout_off; /* 0 if there is no layout */
	uint32_t layout_len;
	uint32_t start_id;  /* id of the first own type */
	uint32_t end_id;    /* one past the last */
	uint32_t start_str; /* offset of the first own string */
	uint32_t *offsets;  /* by own type, within `types`; one more for the end of the last */
	uint32_t unknown_id; /* the first own type of a kind from NR_KINDS on, or 0 */
	uint8_t *swapped;   /* native copy of a foreign blob's types, or NULL */
	bool foreign;       /* of the other byte order */
	struct name_index names; /* built when first needed */
	uint64_t seed; /* of the hash in tables of its names, a secret; 0 unless it is set */
};

static inline uint32_t type_word(const uint8_t *type, uint32_t word)
{
	return load32(type + 4 * (size_t)word);
}

/* The encoding since 2026: older blobs have zeros in the bits that were added. */
static inline uint32_t info_kind(uint32_t info)
{
	return info >> 24 & 0x7f;
}

static inline uint32_t info_vlen(uint32_t info)
{
	return info & 0xffffff;
}

static inline bool info_flag(uint32_t info)
{
	return info >> 31;
}

static inline uint32_t type_name(const uint8_t *type)
{
	return type_word(type, 0);
}

static inline uint32_t type_info(const uint8_t *type)
{
	return type_word(type, 1);
}

static inline uint32_t type_kind(const uint8_t *type)
{
	return info_kind(type_info(type));
}

static inline uint32_t type_size(const uint8_t *type)
{
	return type_word(type, 2);
}

static inline uint32_t nr_items(const struct kind_info *kind, uint32_t info)
{
	return kind->items < 0 ? info_vlen(info) : (uint32_t)kind->items;
}

/* Bytes of a whole type; cannot overflow: vlen has 24 bits and an item at most three words. */
static inline uint32_t type_bytes(const struct kind_info *kind, uint32_t info)
{
	return TYPE_LEN + 4 * (nr_items(kind, info) * kind->item_words + kind->tail_words);
}

/* A type that must exist: id is nonzero and below btf->end_id. */
static inline const uint8_t *btf_type(const struct btf *btf, uint32_t id)
{
	while (id < btf->start_id)
		btf = btf->base;
	return btf->types + btf->offsets[id - btf->start_id];
}

/* Bytes of a type that must exist; its kind may be unknown. */
static inline uint32_t btf_type_bytes(const struct btf *btf, uint32_t id)
{
	while (id < btf->start_id)
		btf = btf->base;
	return btf->offsets[id - btf->start_id + 1] - btf->offsets[id - btf->start_id];
}

/* A string that must exist: every offset found in an indexed blob does. */
static inline const char *btf_string(const struct btf *btf, uint32_t offset)
{
	while (offset < btf->start_str)
		btf = btf->base;
	return btf->strs + (offset - btf->start_str);
}

static inline uint32_t btf_end_str(const struct btf *btf)
{
	return btf->start_str + btf->str_len;
}

/* Walks the words of a type that are type ids, or those that are string offsets. */
struct word_iter {
	uint32_t at;   /* byte offset of the current word within the type */
	uint32_t next;
	uint32_t step; /* from the last word of an item to the first of the next */
	uint32_t items;
	uint8_t words; /* left in this item */
	uint8_t nr_words; /* in each */
	bool in_head;  /* one more word, in the head of the type */
};

static inline struct word_iter iter_words(uint32_t head_at, bool in_head, uint8_t item_word,
					  uint8_t nr_words, const struct kind_info *kind,
					  uint32_t info)
{
	return (struct word_iter){
		.at = head_at,
		.next = TYPE_LEN + 4u * item_word,
		.step = 4u * (kind->item_words + 1u - nr_words),
		.items = item_word == NO_WORD ? 0 : nr_items(kind, info),
		.words = nr_words,
		.nr_words = nr_words,
		.in_head = in_head,
	};
}

static inline struct word_iter iter_ids(const uint8_t *type)
{
	const struct kind_info *kind = &kinds[type_kind(type)];

	return iter_words(8, kind->sets & KIND_IS_REF, kind->id_word, kind->nr_ids, kind,
			  type_info(type));
}

static inline struct word_iter iter_names(const uint8_t *type)
{
	const struct kind_info *kind = &kinds[type_kind(type)];

	return iter_words(0, true, kind->name_word, 1, kind, type_info(type));
}

static inline bool next_word(struct word_iter *words)
{
	if (words->in_head) {
		words->in_head = false;
		return true;
	}
	if (!words->items)
		return false;
	words->at = words->next;
	words->words--;
	words->next += words->words ? 4 : words->step;
	if (!words->words) {
		words->items--;
		words->words = words->nr_words;
	}
	return true;
}

/* 0, or -1 if the own types cannot be rewritten because one is of an unknown kind. */
int btf_all_known(const struct btf *btf, struct btf_error *err);

/* Index.  0 or -1 with *err; *btf needs btf_release() after success only. */
int btf_index(struct btf *btf, const uint8_t *data, size_t length, const struct btf *base,
	      struct btf_error *err);
void btf_release(struct btf *btf);

/* Hash the names of the own types, unless done already; the two functions below need it. */
int btf_name_index(struct btf *btf, struct btf_error *err);
/* The lowest own id of a name without NUL, or 0; and the next higher one with the same name. */
uint32_t btf_find(const struct btf *btf, const char *name, size_t length);
uint32_t btf_find_next(const struct btf *btf, uint32_t id);

/* 0 if the references of split BTF into its base make sense, -1 and why if not. */
int btf_fits(const struct btf *split, struct btf_error *err);

/* A whole BTF blob, or the image of the index of a base. */
struct blob {
	uint8_t *bytes;
	size_t length;
};

/* Join types and strings under a 24-byte header, swapped if foreign. */
int blob_finish(struct blob *blob, uint8_t *types, uint32_t type_len, const struct strtab *strings,
		bool foreign);

struct distilled {
	struct blob base;
	struct blob split;
	uint32_t *kept; /* old ids of the types in the new base, ascending: new ids from 1 */
	uint32_t nr_kept;
	uint32_t *moved; /* old ids of the base types now in the split, ascending, after its own types */
	uint32_t nr_moved;
};

int btf_distill(const struct btf *split, struct distilled *out, struct btf_error *err);
void distilled_release(struct distilled *out);

#define MAX_FINDINGS 64

/* Differences between kernels, as masks and limits; kbtf/btf/rules.py has the values. */
struct verify_rules {
	uint32_t info_mask;  /* bits of a type's info that are known */
	uint32_t max_kind;   /* the highest kind that is known */
	uint32_t name_len;   /* KSYM_NAME_LEN: the most bytes of an identifier */
	bool flag_on_tags;   /* kind_flag is allowed on TYPE_TAG and DECL_TAG */
	bool tags_first;     /* a TYPE_TAG may only follow other TYPE_TAGs */
};

struct verify_finding {
	uint32_t type_id;
	bool refused; /* by the kernel; otherwise it does not check this */
	char text[160];
};

struct verify_report {
	uint32_t nr;
	struct verify_finding findings[MAX_FINDINGS];
};

/* Check the own types of an indexed blob. */
void btf_verify(const struct btf *btf, const struct verify_rules *rules,
		struct verify_report *report);

/* Why a distilled type has no counterpart; later values mean a closer candidate. */
enum relocate_reason {
	RELOCATE_FITS,
	RELOCATE_MISSING, /* no type of that name */
	RELOCATE_KIND,
	RELOCATE_ENCODING, /* of an INT */
	RELOCATE_SIZE,
	RELOCATE_EMBEDDED, /* the size, which matters because owner_id embeds the type by value */
	RELOCATE_AMBIGUOUS, /* both candidates fit */
	RELOCATE_STRING, /* split type type_id uses a string of the base that is not the name of a type */
};

#define RELOCATE_MAX_CANDIDATES 8

struct relocate_failure {
	enum relocate_reason reason;
	uint32_t type_id; /* distilled, but for RELOCATE_STRING */
	uint32_t owner_id; /* the first split type that embeds it by value, or 0 */
	uint32_t name; /* the offset of the string, for RELOCATE_STRING */
	uint32_t nr_candidates;
	uint32_t candidates[RELOCATE_MAX_CANDIDATES]; /* target types of that name, ascending */
};

struct relocated {
	struct blob split;
	uint32_t *ids; /* by distilled id: the target's */
	uint32_t nr_ids;
	struct relocate_failure failure; /* if the bases do not fit; the rest is empty then */
};

struct base_index;

/*
 * Move split BTF, whose blob is `data`, from its distilled base onto a target, whose index saves the
 * hash of its names; NULL if there is none, or if it has no names.  On error, `out->failure` has a
 * reason if the bases do not fit; if not, `err` says what is wrong.
 */
int btf_relocate(const struct btf *split, const uint8_t *data, size_t length, struct btf *target,
		 const struct base_index *index, struct relocated *out, struct btf_error *err);
void relocated_release(struct relocated *out);

#endif
