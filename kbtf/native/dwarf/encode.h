/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Encode the DWARF of a module as split BTF, and that of a linked kernel as BTF. */
#ifndef KBTF_DWARF_ENCODE_H
#define KBTF_DWARF_ENCODE_H

#include "base_index.h"
#include "reader.h"
#include "vector.h"

enum encode_feature {
	FEATURE_ATTRIBUTES = 1 << 0,
	FEATURE_CONSISTENT_FUNC = 1 << 1,
	FEATURE_DECL_TAG = 1 << 2,
	FEATURE_DECL_TAG_KFUNCS = 1 << 3,
	FEATURE_ENCODE_FORCE = 1 << 4,
	FEATURE_ENUM64 = 1 << 5,
	FEATURE_FLOAT = 1 << 6,
	FEATURE_GLOBAL_VAR = 1 << 7,
	FEATURE_TYPE_TAG = 1 << 8,
	FEATURE_VAR = 1 << 9,
};

struct encode_options {
	uint32_t features;
	uint32_t profile; /* 131 or 132 */
	uint32_t jobs;	  /* the most threads for a linked file */
	bool strict;	  /* a unit that cannot be encoded is an error */
	bool whole;	  /* do not leave out types of a linked file before deduplication */
};

enum encode_note_kind {
	NOTE_LANGUAGE,	  /* a unit was skipped: `number` is its language */
	NOTE_UNIT,	  /* a unit cannot be encoded: why */
	NOTE_DROPPED,	  /* a function was: `number` is a set of enum dropped */
	NOTE_KFUNC,	  /* a kfunc has no prototype */
	NOTE_SKELETON,	  /* a unit's types are in another file */
	NOTE_UNRESOLVED,  /* `number` references to DIEs that are not types became void */
};

struct encode_note {
	enum encode_note_kind kind;
	uint32_t number;
	char *text; /* a name, or an explanation */
};

struct encode_result {
	struct blob blob;  /* split BTF, or a kernel's, in the byte order of the file */
	uint32_t nr_units; /* that were encoded */
	VECTOR(struct encode_note) notes;
};

/* Encode and deduplicate; the base of a linked kernel has no types and no strings.  0, or -1 with *err.  *result needs encode_release() in any case. */
int dwarf_encode(const struct elf *elf, const struct base_index *base,
		 const struct encode_options *options, struct encode_result *result,
		 struct btf_error *err);

/* notes.c */
void encode_release(struct encode_result *result);
/* Record a note, within the work limit; `length` bytes of `text` are copied. */
int encode_note(struct dwarf *dwarf, struct encode_result *result, enum encode_note_kind kind,
		uint32_t number, const char *text, size_t length, struct btf_error *err);

#endif
