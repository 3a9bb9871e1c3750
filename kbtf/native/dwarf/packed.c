/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Whether a struct looks packed: then the kernel cannot determine its place on the stack. */
#include "encoder.h"

#define MAX_NESTING 12

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint32_t member_bits(const uint32_t *type, const uint32_t *member)
{
	return info_flag(type[1]) ? member[2] >> 24 : 0;
}

static uint64_t member_offset(const uint32_t *type, const uint32_t *member)
{
	return info_flag(type[1]) ? member[2] & 0xffffff : member[2];
}

/* The natural alignment of a type in bytes; 0 if it has none. */
static uint64_t alignment_of(struct encoder *encoder, uint32_t id, uint32_t address_size, int depth)
{
	const uint32_t *type;
	uint64_t largest = 0;
	uint32_t i;

	id = skip_modifiers_of(encoder, id);
	if (!is_own(encoder, id) || depth == MAX_NESTING ||
	    !dwarf_take(&encoder->dwarf, 1))
		return 0;
	type = own_type(encoder, id);
	switch (info_kind(type[1])) {
	case KIND_INT:
	case KIND_FLOAT:
	case KIND_ENUM:
	case KIND_ENUM64:
		return type[2];
	case KIND_PTR:
		return address_size;
	case KIND_ARRAY:
		return alignment_of(encoder, type[3], address_size, depth + 1);
	case KIND_STRUCT:
	case KIND_UNION:
		for (i = 0; i < info_vlen(type[1]) && encoder->dwarf.work; i++)
			largest = larger(largest, alignment_of(encoder, type[4 + 3 * i],
							       address_size, depth + 1));
		return largest;
	default:
		return 0;
	}
}

static bool has_gaps(struct encoder *encoder, const uint32_t *type, uint32_t address_size)
{
	const uint32_t *member;
	uint64_t end = 0, bits;
	uint32_t i;

	for (i = 0; i < info_vlen(type[1]) && dwarf_take(&encoder->dwarf, 1); i++) {
		member = type + 3 + 3 * i;
		if (member_offset(type, member) > end)
			return true;
		bits = member_bits(type, member);
		if (!bits)
			bits = 8 * type_size_of(encoder, member[1], address_size);
		end = larger(end, member_offset(type, member) + bits);
	}
	return 8 * (uint64_t)type[2] > end;
}

static bool is_unnatural(struct encoder *encoder, const uint32_t *type, const uint32_t *member,
			 uint32_t address_size)
{
	uint64_t alignment;

	if (member_bits(type, member))
		return false;
	alignment = alignment_of(encoder, member[1], address_size, 0);
	return alignment && member_offset(type, member) / 8 % alignment;
}

static bool is_marked(const struct encoder *encoder, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < encoder->packed.nr; i++)
		if (encoder->packed.at[i] == id)
			return true;
	return false;
}

#define MAX_MARKED 256

/* pahole records where a struct was found last. */
static void mark(struct encoder *encoder, uint32_t id)
{
	id = skip_modifiers_of(encoder, id);
	if (is_own(encoder, id) && info_kind(own_type(encoder, id)[1]) == KIND_STRUCT &&
	    encoder->packed.nr < MAX_MARKED && !is_marked(encoder, id) &&
	    !vector_push(&encoder->packed, id))
		encoder->lacked_memory = true;
}

bool looks_packed(struct encoder *encoder, uint32_t id, uint32_t address_size)
{
	const uint32_t *type = own_type(encoder, id);
	bool gaps = has_gaps(encoder, type, address_size);
	bool packed = is_marked(encoder, id);
	const uint32_t *member;
	uint64_t alignment;
	uint32_t i;

	for (i = 0; i < info_vlen(type[1]) && encoder->dwarf.work; i++) {
		member = type + 3 + 3 * i;
		if (!is_unnatural(encoder, type, member, address_size))
			continue;
		if (!gaps)
			return true;
		mark(encoder, member[1]);
	}
	alignment = alignment_of(encoder, id, address_size, 0);
	return packed || (!gaps && alignment && type[2] % alignment);
}
