/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Whether split BTF was made for a given base. */
#include "btf.h"

/* String tails are never shared: an offset into the middle of one means the base is wrong. */
static bool starts_string(const struct btf *btf, uint32_t offset)
{
	while (offset < btf->start_str)
		btf = btf->base;
	return offset == btf->start_str || !btf->strs[offset - btf->start_str - 1];
}

static bool names_fit(const struct btf *split, const uint8_t *type)
{
	struct word_iter names = iter_names(type);
	uint32_t offset;

	while (next_word(&names)) {
		offset = load32(type + names.at);
		if (offset < split->start_str && !starts_string(split, offset))
			return false;
	}
	return true;
}

/* A FUNC has a prototype; only tags and inline sites refer to something other than a value type. */
static bool ref_fits(uint32_t from, uint32_t to)
{
	if (from == KIND_LOCSEC)
		return to == KIND_FUNC || to == KIND_LOC_PROTO;
	if (from == KIND_LOC_PROTO)
		return to == KIND_FUNC_PROTO || to == KIND_LOC_PARAM;
	if (to == KIND_FUNC || to == KIND_VAR)
		return from == KIND_DECL_TAG;
	if (from == KIND_FUNC)
		return to == KIND_FUNC_PROTO;
	return kinds[to].sets & KIND_IS_TYPE;
}

int btf_fits(const struct btf *split, struct btf_error *err)
{
	const uint8_t *type;
	struct word_iter ids;
	uint32_t id, kind, to;

	for (id = split->start_id; id < split->end_id; id++) {
		type = btf_type(split, id);
		kind = type_kind(type);
		if (!names_fit(split, type))
			return btf_misfit(err, id, "%s has a name offset into the middle of a string",
					  kinds[kind].name);
		ids = iter_ids(type);
		while (next_word(&ids)) {
			to = load32(type + ids.at);
			if (!to || to >= split->start_id)
				continue;
			to = type_kind(btf_type(split, to));
			if (!ref_fits(kind, to))
				return btf_misfit(err, id, "%s refers to a %s of the base",
						  kinds[kind].name, kinds[to].name);
		}
	}
	return 0;
}
