/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "btf.h"

#define VLEN -1

/* clang-format off */
const struct kind_info kinds[NR_KINDS] = {
	/*                   name         items item_words id_word  name_word tail_words is_ref */
	[KIND_UNKN]       = {"UNKN",       0,    0,        NO_WORD, NO_WORD,  0,         false},
	[KIND_INT]        = {"INT",        0,    0,        NO_WORD, NO_WORD,  1,         false},
	[KIND_PTR]        = {"PTR",        0,    0,        NO_WORD, NO_WORD,  0,         true},
	/* element type and index type; the number of elements follows */
	[KIND_ARRAY]      = {"ARRAY",      2,    1,        0,       NO_WORD,  1,         false},
	[KIND_STRUCT]     = {"STRUCT",     VLEN, 3,        1,       0,        0,         false},
	[KIND_UNION]      = {"UNION",      VLEN, 3,        1,       0,        0,         false},
	[KIND_ENUM]       = {"ENUM",       VLEN, 2,        NO_WORD, 0,        0,         false},
	[KIND_FWD]        = {"FWD",        0,    0,        NO_WORD, NO_WORD,  0,         false},
	[KIND_TYPEDEF]    = {"TYPEDEF",    0,    0,        NO_WORD, NO_WORD,  0,         true},
	[KIND_VOLATILE]   = {"VOLATILE",   0,    0,        NO_WORD, NO_WORD,  0,         true},
	[KIND_CONST]      = {"CONST",      0,    0,        NO_WORD, NO_WORD,  0,         true},
	[KIND_RESTRICT]   = {"RESTRICT",   0,    0,        NO_WORD, NO_WORD,  0,         true},
	[KIND_FUNC]       = {"FUNC",       0,    0,        NO_WORD, NO_WORD,  0,         true},
	[KIND_FUNC_PROTO] = {"FUNC_PROTO", VLEN, 2,        1,       0,        0,         true},
	[KIND_VAR]        = {"VAR",        0,    0,        NO_WORD, NO_WORD,  1,         true},
	[KIND_DATASEC]    = {"DATASEC",    VLEN, 3,        0,       NO_WORD,  0,         false},
	[KIND_FLOAT]      = {"FLOAT",      0,    0,        NO_WORD, NO_WORD,  0,         false},
	[KIND_DECL_TAG]   = {"DECL_TAG",   0,    0,        NO_WORD, NO_WORD,  1,         true},
	[KIND_TYPE_TAG]   = {"TYPE_TAG",   0,    0,        NO_WORD, NO_WORD,  0,         true},
	[KIND_ENUM64]     = {"ENUM64",     VLEN, 3,        NO_WORD, 0,        0,         false},
};
/* clang-format on */
