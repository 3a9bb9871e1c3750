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
#define MOST_MEMOS (1u << 19)  /* if there is one for each place */
#define MANY_MEMOS (1u << 18)  /* else: what the processor keeps near */

struct names {
	const struct base_index *base;
	struct dwarf *dwarf;
	VECTOR(char) bytes; /* of the new strings */
	struct name_slot *slots;
	uint32_t mask;
	uint32_t used;
	struct name_memo *memo; /* by offset in .debug_str / MEMO_GRAIN, modulo their number */
	uint32_t nr_memos;
	VECTOR(uint32_t) own;	/* numbers of memos of new strings */
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

/* base_names.c: fill in the memos of all strings that the base has; there is one for each place. */
void find_base_strings(struct names *names);

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

/* Drop all strings that were added since. */
void names_forget(struct names *names, struct names_mark mark);

#endif
