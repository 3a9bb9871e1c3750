/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "signature.h"

#include "hash.h"

static uint64_t add_words(uint64_t hash, uint32_t first, uint32_t second, uint64_t secret)
{
	return hash_mix(hash ^ ((uint64_t)first << 32 | second), secret);
}

/* `words` of each item: those that are not type ids. */
static uint64_t add_items(uint64_t hash, const uint8_t *type, uint32_t first, uint32_t second,
			  uint64_t secret)
{
	const struct kind_info *kind = &kinds[type_kind(type)];
	const uint8_t *item = type + TYPE_LEN;
	uint32_t left;

	for (left = nr_items(kind, type_info(type)); left; left--, item += 4 * kind->item_words)
		hash = add_words(hash, type_word(item, first), type_word(item, second), secret);
	return hash;
}

uint32_t btf_signature(const uint8_t *type, uint64_t seed)
{
	uint64_t secret = hash_mix(seed ^ 0x8ebc6af09c88c6e3u, 0x589965cc75374cc3u) | 1;
	uint32_t kind = type_kind(type);
	uint64_t hash;

	/* A forward ENUM differs from the full one in info and size. */
	if (is_enum(kind))
		return (uint32_t)(add_words(seed, type_name(type), KIND_ENUM, secret) >> 32);
	hash = add_words(seed, type_name(type), type_info(type), secret);
	if (kind != KIND_TYPEDEF)
		hash = add_words(hash, type_size(type), 0, secret);
	switch (kind) {
	case KIND_INT:
	case KIND_DECL_TAG:
		hash = add_words(hash, type_word(type, 3), 0, secret);
		break;
	case KIND_ARRAY:
		hash = add_words(hash, type_word(type, 3), type_word(type, 4), secret);
		hash = add_words(hash, type_word(type, 5), 0, secret);
		break;
	case KIND_STRUCT:
	case KIND_UNION:
		hash = add_items(hash, type, 0, 2, secret); /* name, offset */
		break;
	case KIND_FUNC_PROTO:
		hash = add_items(hash, type, 0, 1, secret); /* name, type */
		break;
	}
	return (uint32_t)(hash >> 32);
}

bool btf_same_words(const uint8_t *a, const uint8_t *b)
{
	return type_info(a) == type_info(b) &&
	       !memcmp(a, b, type_bytes(&kinds[type_kind(a)], type_info(a)));
}

bool btf_same_shape(const uint8_t *a, const uint8_t *b)
{
	const struct kind_info *kind = &kinds[type_kind(a)];
	uint32_t at, word, end;

	if (type_name(a) != type_name(b) || type_info(a) != type_info(b))
		return false;
	if (!(kind->sets & KIND_IS_REF) && type_size(a) != type_size(b))
		return false;
	end = type_bytes(kind, type_info(a));
	for (at = TYPE_LEN; at < end; at += 4 * kind->item_words)
		for (word = 0; word < kind->item_words; word++)
			if (word != kind->id_word && load32(a + at + 4 * word) != load32(b + at + 4 * word))
				return false;
	return true;
}

bool btf_compatible_enums(const uint8_t *a, const uint8_t *b)
{
	if (is_forward_enum(a) || is_forward_enum(b))
		return type_name(a) == type_name(b);
	return btf_same_words(a, b);
}
