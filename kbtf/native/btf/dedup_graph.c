/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Whether two types are equal, including everything they refer to, which may refer back. */
#include "dedup_state.h"

#define IDENTICAL_DEPTH 16

static bool is_link(uint32_t kind)
{
	switch (kind) {
	case KIND_CONST:
	case KIND_VOLATILE:
	case KIND_RESTRICT:
	case KIND_PTR:
	case KIND_TYPEDEF:
	case KIND_FUNC:
	case KIND_TYPE_TAG:
		return true;
	default:
		return false;
	}
}

static int identical(struct dedup *dedup, uint32_t a, uint32_t b, uint32_t depth);

/* The members or the parameters of two types of one shape. */
static int identical_items(struct dedup *dedup, const uint8_t *a, const uint8_t *b, uint32_t depth)
{
	const struct kind_info *kind = &kinds[type_kind(a)];
	uint32_t left = nr_items(kind, type_info(a));
	uint32_t at = TYPE_LEN + 4u * kind->id_word;
	int result = 1;

	for (; left && result == 1; left--, at += 4u * kind->item_words)
		if (load32(a + at) != load32(b + at))
			result = identical(dedup, load32(a + at), load32(b + at), depth - 1);
	return result;
}

static int identical_protos(struct dedup *dedup, const uint8_t *a, const uint8_t *b, uint32_t depth)
{
	int result = 1;

	if (type_size(a) != type_size(b))
		result = identical(dedup, type_size(a), type_size(b), depth - 1);
	return result == 1 ? identical_items(dedup, a, b, depth) : result;
}

/*
 * 1 if two types look the same as they are, without any assumption; 0 or -1 as dedup_equivalent().
 * Arrays are the same whatever their elements are: libbpf does not look at these.
 */
static int identical(struct dedup *dedup, uint32_t a, uint32_t b, uint32_t depth)
{
	const uint8_t *type_a, *type_b;
	uint32_t kind;

	for (;;) {
		if (!depth)
			return 0;
		if (!a || !b)
			return a == b;
		type_a = any_type(dedup, a);
		if (dedup_spend(dedup, 1 + info_vlen(type_info(type_a))))
			return -1;
		type_b = any_type(dedup, b);
		kind = type_kind(type_a);
		if (kind != type_kind(type_b))
			return 0;
		if (!is_link(kind))
			break;
		if (type_info(type_a) != type_info(type_b) || type_name(type_a) != type_name(type_b))
			return 0;
		a = type_size(type_a);
		b = type_size(type_b);
	}
	switch (kind) {
	case KIND_INT:
	case KIND_FLOAT:
	case KIND_FWD:
		return btf_same_words(type_a, type_b);
	case KIND_ENUM:
	case KIND_ENUM64:
		return btf_compatible_enums(type_a, type_b);
	case KIND_ARRAY:
		dedup->skipped_elements |= type_word(type_a, 3) != type_word(type_b, 3);
		return type_info(type_a) == type_info(type_b) &&
		       type_word(type_a, 5) == type_word(type_b, 5);
	case KIND_STRUCT:
	case KIND_UNION:
		return btf_same_shape(type_a, type_b) ?
			       identical_items(dedup, type_a, type_b, depth) : 0;
	case KIND_FUNC_PROTO:
		return btf_same_shape(type_a, type_b) ?
			       identical_protos(dedup, type_a, type_b, depth) : 0;
	default:
		return 0;
	}
}

static int push_pair(struct dedup *dedup, size_t *depth, uint32_t candidate, uint32_t canonical)
{
	if (dedup_reserve(dedup, *depth + 2))
		return -1;
	dedup->stack[(*depth)++] = candidate;
	dedup->stack[(*depth)++] = canonical;
	return 0;
}

/* The last first, so that the first is compared next. */
static int push_items(struct dedup *dedup, size_t *depth, const uint8_t *candidate,
		      const uint8_t *canonical)
{
	const struct kind_info *kind = &kinds[type_kind(candidate)];
	uint32_t left = nr_items(kind, type_info(candidate));
	uint32_t at = TYPE_LEN + 4 * (left * kind->item_words) + 4u * kind->id_word;

	for (; left; left--) {
		at -= 4u * kind->item_words;
		if (push_pair(dedup, depth, load32(candidate + at), load32(canonical + at)))
			return -1;
	}
	return 0;
}

/* A forward declaration in one graph and something else in the other. */
static int fits_forward(struct dedup *dedup, uint32_t candidate, uint32_t canonical)
{
	uint32_t kind = any_kind(dedup, canonical);
	bool declared = kind == KIND_FWD; /* the forward is the canonical type */
	uint32_t forward = declared ? canonical : candidate;
	uint32_t wanted = info_flag(type_info(any_type(dedup, forward))) ? KIND_UNION : KIND_STRUCT;
	uint32_t other = declared ? any_kind(dedup, candidate) : kind;

	if (other != wanted)
		return 0;
	if (declared && canonical < dedup->start_id)
		dedup->adjusts_base = true;
	return 1;
}

/* Compare two types of one name that differ so far, and leave on the stack what they refer to. */
static int equivalent_step(struct dedup *dedup, size_t *depth, uint32_t candidate,
			   uint32_t canonical)
{
	const uint8_t *a = any_type(dedup, candidate), *b = any_type(dedup, canonical);
	uint32_t kind = type_kind(a);
	int failed;

	if (dedup_spend(dedup, 1 + info_vlen(type_info(a))))
		return -1;
	if (type_name(a) != type_name(b))
		return 0;
	if ((kind == KIND_FWD) != (type_kind(b) == KIND_FWD))
		return fits_forward(dedup, candidate, canonical);
	if (kind != type_kind(b))
		return 0;
	if (is_link(kind)) {
		if (type_info(a) != type_info(b))
			return 0;
		return push_pair(dedup, depth, type_size(a), type_size(b)) ? -1 : 1;
	}
	switch (kind) {
	case KIND_INT:
	case KIND_FLOAT:
	case KIND_FWD:
		return btf_same_words(a, b);
	case KIND_ENUM:
	case KIND_ENUM64:
		return btf_compatible_enums(a, b);
	case KIND_ARRAY:
		if (type_info(a) != type_info(b) || type_word(a, 5) != type_word(b, 5))
			return 0;
		/* The index type is compared first. */
		failed = push_pair(dedup, depth, type_word(a, 3), type_word(b, 3)) ||
			 push_pair(dedup, depth, type_word(a, 4), type_word(b, 4));
		return failed ? -1 : 1;
	case KIND_STRUCT:
	case KIND_UNION:
		if (!btf_same_shape(a, b))
			return 0;
		return push_items(dedup, depth, a, b) ? -1 : 1;
	case KIND_FUNC_PROTO:
		if (!btf_same_shape(a, b))
			return 0;
		failed = push_items(dedup, depth, a, b) ||
			 push_pair(dedup, depth, type_size(a), type_size(b));
		return failed ? -1 : 1;
	default:
		return btf_fail(dedup->err, candidate, "%s cannot be part of another type",
				kinds[kind].name);
	}
}

static void assume(struct dedup *dedup, uint32_t candidate, uint32_t canonical)
{
	dedup->hypothesis[canonical] = candidate;
	dedup->assumed[dedup->nr_assumed++] = canonical;
}

static int equivalent_pair(struct dedup *dedup, size_t *depth, uint32_t candidate,
			   uint32_t canonical)
{
	uint32_t known, target;

	if (dedup_spend(dedup, 1))
		return -1;
	target = resolve(dedup, canonical);
	if (resolve(dedup, candidate) == target)
		return 1;
	if (!candidate || !canonical)
		return 0;
	if (any_kind(dedup, canonical) == KIND_FWD && any_kind(dedup, target) != KIND_FWD)
		canonical = target;
	if (!looks_equal(dedup, candidate, canonical))
		return 0;
	/* A declaration and a definition may be of different units, where one unit had one type. */
	if (dedup->reduced && (any_kind(dedup, candidate) == KIND_FWD ||
			       any_kind(dedup, canonical) == KIND_FWD))
		return equivalent_step(dedup, depth, candidate, canonical);
	known = dedup->hypothesis[canonical];
	if (known)
		return known == candidate ? 1 : identical(dedup, known, candidate, IDENTICAL_DEPTH);
	assume(dedup, candidate, canonical);
	return equivalent_step(dedup, depth, candidate, canonical);
}

int dedup_equivalent(struct dedup *dedup, uint32_t candidate, uint32_t canonical)
{
	size_t depth = 0;
	int result;

	dedup_make_looks(dedup);
	if (push_pair(dedup, &depth, candidate, canonical))
		return -1;
	do {
		depth -= 2;
		result = equivalent_pair(dedup, &depth, dedup->stack[depth], dedup->stack[depth + 1]);
	} while (result == 1 && depth);
	return result;
}

/* Make one assumption final. */
static void merge_pair(struct dedup *dedup, uint32_t candidate, uint32_t canonical)
{
	uint32_t candidate_kind, canonical_kind;

	candidate = resolve(dedup, candidate);
	canonical = resolve(dedup, canonical);
	candidate_kind = any_kind(dedup, candidate);
	canonical_kind = any_kind(dedup, canonical);
	if (candidate_kind != KIND_FWD && canonical_kind == KIND_FWD)
		dedup->map[canonical] = candidate;
	if (dedup->adjusts_base)
		return;
	if (candidate_kind == KIND_FWD && canonical_kind != KIND_FWD)
		dedup->map[candidate] = canonical;
	else if (is_composite(candidate_kind) && canonical_kind != KIND_FWD &&
		 is_mapped(dedup, canonical) && !is_mapped(dedup, candidate))
		dedup->map[candidate] = canonical;
}

void dedup_merge(struct dedup *dedup)
{
	uint32_t i;

	for (i = 0; i < dedup->nr_assumed; i++)
		merge_pair(dedup, dedup->hypothesis[dedup->assumed[i]], dedup->assumed[i]);
}

void dedup_forget(struct dedup *dedup)
{
	while (dedup->nr_assumed)
		dedup->hypothesis[dedup->assumed[--dedup->nr_assumed]] = 0;
	dedup->adjusts_base = false;
}
