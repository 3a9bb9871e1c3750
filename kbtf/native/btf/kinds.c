/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "kinds.h"

#define VLEN -1

#define REF KIND_IS_REF
#define SIZED KIND_IS_SIZED
#define NAMED KIND_IS_NAMED
#define TYPE KIND_IS_TYPE
#define SCALAR (SIZED | NAMED | TYPE)
#define COMPOSITE (KIND_IS_COMPOSITE | SCALAR)
#define ENUM (KIND_IS_ENUM | SCALAR)
#define MODIFIER (KIND_IS_MODIFIER | REF | TYPE)
#define QUALIFIER (KIND_IS_QUALIFIER | MODIFIER)

/* clang-format off */
const struct kind_info kinds[MAX_KINDS] = {
	/*                   name          items  item_words  id_word  nr_ids  name_word  tail_words  sets */
	[KIND_UNKN]       = {"UNKN",       0,     0,          NO_WORD, 0,      NO_WORD,   0,          TYPE},
	[KIND_INT]        = {"INT",        0,     0,          NO_WORD, 0,      NO_WORD,   1,          SCALAR},
	[KIND_PTR]        = {"PTR",        0,     0,          NO_WORD, 0,      NO_WORD,   0,          REF | TYPE},
	/* element type and index type; the number of elements follows */
	[KIND_ARRAY]      = {"ARRAY",      2,     1,          0,       1,      NO_WORD,   1,          TYPE},
	[KIND_STRUCT]     = {"STRUCT",     VLEN,  3,          1,       1,      0,         0,          COMPOSITE},
	[KIND_UNION]      = {"UNION",      VLEN,  3,          1,       1,      0,         0,          COMPOSITE},
	[KIND_ENUM]       = {"ENUM",       VLEN,  2,          NO_WORD, 0,      0,         0,          ENUM},
	[KIND_FWD]        = {"FWD",        0,     0,          NO_WORD, 0,      NO_WORD,   0,          NAMED | TYPE},
	[KIND_TYPEDEF]    = {"TYPEDEF",    0,     0,          NO_WORD, 0,      NO_WORD,   0,          MODIFIER},
	[KIND_VOLATILE]   = {"VOLATILE",   0,     0,          NO_WORD, 0,      NO_WORD,   0,          QUALIFIER},
	[KIND_CONST]      = {"CONST",      0,     0,          NO_WORD, 0,      NO_WORD,   0,          QUALIFIER},
	[KIND_RESTRICT]   = {"RESTRICT",   0,     0,          NO_WORD, 0,      NO_WORD,   0,          QUALIFIER},
	[KIND_FUNC]       = {"FUNC",       0,     0,          NO_WORD, 0,      NO_WORD,   0,          REF},
	[KIND_FUNC_PROTO] = {"FUNC_PROTO", VLEN,  2,          1,       1,      0,         0,          REF | TYPE},
	[KIND_VAR]        = {"VAR",        0,     0,          NO_WORD, 0,      NO_WORD,   1,          REF},
	[KIND_DATASEC]    = {"DATASEC",    VLEN,  3,          0,       1,      NO_WORD,   0,          SIZED},
	[KIND_FLOAT]      = {"FLOAT",      0,     0,          NO_WORD, 0,      NO_WORD,   0,          SCALAR},
	[KIND_DECL_TAG]   = {"DECL_TAG",   0,     0,          NO_WORD, 0,      NO_WORD,   1,          REF},
	[KIND_TYPE_TAG]   = {"TYPE_TAG",   0,     0,          NO_WORD, 0,      NO_WORD,   0,          QUALIFIER},
	[KIND_ENUM64]     = {"ENUM64",     VLEN,  3,          NO_WORD, 0,      0,         0,          ENUM},
	/* a register and an offset, or a number */
	[KIND_LOC_PARAM]  = {"LOC_PARAM",  0,     0,          NO_WORD, 0,      NO_WORD,   2,          0},
	[KIND_LOC_PROTO]  = {"LOC_PROTO",  VLEN,  1,          0,       1,      NO_WORD,   0,          REF},
	/* a FUNC and a LOC_PROTO; an offset follows */
	[KIND_LOCSEC]     = {"LOCSEC",     VLEN,  3,          0,       2,      NO_WORD,   0,          0},
	[NR_KINDS ... MAX_KINDS - 1] = {"UNKNOWN", 0, 0, NO_WORD, 0, NO_WORD, 0, 0},
};
/* clang-format on */
