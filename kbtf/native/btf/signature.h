/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Signatures: types that deduplication may have to compare have the same one. */
#ifndef KBTF_SIGNATURE_H
#define KBTF_SIGNATURE_H

#include "btf.h"

/* The properties of a type that do not require following its references. */
uint32_t btf_signature(const uint8_t *type, uint64_t seed);

/* Equal in every word: the same type if the ids in them refer to the same types. */
bool btf_same_words(const uint8_t *a, const uint8_t *b);
/* STRUCT, UNION, FUNC_PROTO or TYPEDEF: equal except for the ids they refer to. */
bool btf_same_shape(const uint8_t *a, const uint8_t *b);
/* ENUM or ENUM64: the same, or one is a forward declaration of the other. */
bool btf_compatible_enums(const uint8_t *a, const uint8_t *b);

static inline bool is_forward_enum(const uint8_t *type)
{
	return is_enum(type_kind(type)) && !info_vlen(type_info(type));
}

#endif
