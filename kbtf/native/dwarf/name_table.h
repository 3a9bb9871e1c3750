/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The strings of new split BTF: those of the base are reused, others appended in the order of their
 * first use.
 */
#ifndef KBTF_DWARF_NAME_TABLE_H
#define KBTF_DWARF_NAME_TABLE_H

#include "base_index.h"
#include "reader.h"

/* A slot of the table, free if `end` is 0. */
struct name_slot {
	uint32_t hash;
	uint32_t end; /* in `bytes`, after the NUL */
};

/* The BTF offset of the name at an offset of .debug_str; `offset` 0: not known. */
struct name_memo {
	uint32_t source;
	uint32_t offset;
};

#define MEMO_GRAIN 4 /* few names are shorter */
#define MOST_MEMOS (1u << 16) /* names of one unit are close together, if they were not merged */
#define NAME_PIECE_SHIFT 14   /* .debug_str is looked up in pieces of that many bytes */

struct names {
	const struct base_index *base;
	struct dwarf *dwarf;
	VECTOR(char) bytes; /* of the new strings */
	struct name_slot *slots;
	uint32_t mask;
	uint32_t used;
	struct name_memo *memo; /* by offset in .debug_str / MEMO_GRAIN, modulo their number */
	uint32_t memo_mask;
	bool *looked_up;	/* by piece of .debug_str: its strings were looked up ahead */
	VECTOR(uint32_t) own;	/* numbers of memos of new strings, since names_keep() */
};

int names_init(struct names *names, struct dwarf *dwarf, const struct base_index *base,
	       struct btf_error *err);
void names_release(struct names *names);

/*
 * The bytes of a name.  Empty if it does not end within its section or is too long for BTF, and always
 * once the work limit is used up.
 */
const char *name_text(struct dwarf *dwarf, name_ref name, size_t *length);
/* Whether a name is exactly this. */
bool name_is(struct dwarf *dwarf, name_ref name, const char *text);

/* The offset of a string in BTF, which is added if missing. */
int names_add(struct names *names, const char *text, size_t length, uint32_t *offset,
	      struct btf_error *err);
int names_add_ref(struct names *names, name_ref name, uint32_t *offset, struct btf_error *err);

/* Find a string that the base has, or that was added; `hash` is kbtf_base_hash() of it. */
bool names_find(const struct names *names, const char *text, size_t length, uint32_t hash,
		uint32_t *offset);

/* Record the BTF offset of a name of .debug_str. */
bool names_remember(struct names *names, uint32_t source, uint32_t offset);
/* names_ahead.c: remember those that start in a piece of .debug_str, if they can be found. */
void names_look_ahead(struct names *names, uint32_t piece);

/* The string at an offset, of the base or new. */
const char *names_string(const struct names *names, uint32_t offset);

struct names_mark {
	uint32_t nr_bytes;
	uint32_t nr_own;
};

static inline struct names_mark names_mark(const struct names *names)
{
	return (struct names_mark){names->bytes.nr, names->own.nr};
}

/* Keep all strings that were added so far: names_forget() will not go back before this. */
static inline void names_keep(struct names *names)
{
	names->own.nr = 0;
}

/* Drop all strings that were added since. */
void names_forget(struct names *names, struct names_mark mark);

#endif
