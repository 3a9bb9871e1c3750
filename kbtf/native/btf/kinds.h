/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The kinds of BTF types: where each keeps its ids and names, and which sets it belongs to.
 * The one list of kinds in C; kbtf/btf/kinds.py reads the table and has the numbers only.
 */
#ifndef KBTF_KINDS_H
#define KBTF_KINDS_H

#include <stdbool.h>
#include <stdint.h>

enum btf_kind {
	KIND_UNKN,
	KIND_INT,
	KIND_PTR,
	KIND_ARRAY,
	KIND_STRUCT,
	KIND_UNION,
	KIND_ENUM,
	KIND_FWD,
	KIND_TYPEDEF,
	KIND_VOLATILE,
	KIND_CONST,
	KIND_RESTRICT,
	KIND_FUNC,
	KIND_FUNC_PROTO,
	KIND_VAR,
	KIND_DATASEC,
	KIND_FLOAT,
	KIND_DECL_TAG,
	KIND_TYPE_TAG,
	KIND_ENUM64,
	KIND_LOC_PARAM,
	KIND_LOC_PROTO,
	KIND_LOCSEC,
	NR_KINDS
};

#define MAX_KINDS 128 /* a type has 7 bits for its kind */

/* The sets that a kind belongs to, as a mask. */
enum kind_set {
	KIND_IS_REF = 1,        /* the third word of the type is a type id */
	KIND_IS_SIZED = 2,      /* the third word of the type is a size in bytes */
	KIND_IS_COMPOSITE = 4,  /* has members */
	KIND_IS_ENUM = 8,       /* has enumerators */
	KIND_IS_QUALIFIER = 16, /* const, volatile, restrict, and type tags */
	KIND_IS_MODIFIER = 32,  /* a qualifier or a typedef */
	KIND_IS_NAMED = 64,     /* relocation looks for it by name */
	KIND_IS_TYPE = 128,     /* a type in the sense of C, which other types may refer to */
};

#define NO_WORD 0xff

/*
 * The three words of every type are followed by `items` items (vlen of them, if negative) of
 * `item_words` words each, and then `tail_words` more.  Within an item, `nr_ids` words from `id_word`
 * on are type ids, and `name_word` is a string offset.  The table has a row for each possible kind;
 * from NR_KINDS on, the rows are those of unknown kinds.
 */
struct kind_info {
	const char *name;
	int8_t items;
	uint8_t item_words;
	uint8_t id_word;
	uint8_t nr_ids;
	uint8_t name_word;
	uint8_t tail_words;
	uint8_t sets; /* of enum kind_set */
};

extern const struct kind_info kinds[MAX_KINDS];

static inline bool is_composite(uint32_t kind)
{
	return kinds[kind].sets & KIND_IS_COMPOSITE;
}

static inline bool is_enum(uint32_t kind)
{
	return kinds[kind].sets & KIND_IS_ENUM;
}

static inline bool is_modifier(uint32_t kind)
{
	return kinds[kind].sets & KIND_IS_MODIFIER;
}

static inline bool is_named(uint32_t kind)
{
	return kinds[kind].sets & KIND_IS_NAMED;
}

#endif
