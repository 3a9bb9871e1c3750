/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Relocate BTF, with the result of libbpf's btf__relocate(), byte for byte; the kernel shares its code.
 *
 * libbpf walks the types of the target and looks for distilled ones that each could match.  Whether
 * two types match never depends on a third distilled type, so walking the distilled types and trying
 * the target's types of that name, in ascending order, finds the same pairs without touching the
 * rest of the target.  Only the order of failures has to be restored.
 */
#include "base_index.h"
#include "btf.h"

#include <stdlib.h>

struct relocator {
	const struct btf *split;
	const struct btf *dist; /* the split's base */
	const struct btf *target;
	const struct base_index *index; /* of the target, if that has its names, or NULL */
	uint32_t *ids; /* by distilled id: the target's, or 0 */
	uint32_t *owners; /* by distilled id: the first split type that embeds it, or 0 */
	uint32_t *names; /* by distilled string: the last target type with that name, or 0 */
	bool *walked; /* by own type of the split */
	uint64_t steps; /* remaining steps from one type to the next of its name */
	struct relocate_failure *failure;
};

/* Steps for each type of both bases: far more than a kernel has types of one name. */
#define STEPS_PER_TYPE 1000u

/* libbpf keeps sizes in 31 bits. */
static uint32_t short_size(const uint8_t *type)
{
	return type_size(type) & 0x7fffffff;
}

static uint32_t int_encoding(const uint8_t *type)
{
	return type_word(type, 3) >> 24 & 0xf;
}

static bool kinds_fit(const uint8_t *dist, const uint8_t *type)
{
	uint32_t kind = type_kind(type);

	switch (type_kind(dist)) {
	case KIND_FWD:
		/* For a composite, the flag means bitfields; libbpf still reads it as "union". */
		if (kind == KIND_FWD)
			return info_flag(type_info(dist)) == info_flag(type_info(type));
		return is_composite(kind) && (kind == KIND_UNION) == info_flag(type_info(type));
	case KIND_INT:
	case KIND_FLOAT:
		return kind == type_kind(dist);
	case KIND_ENUM:
		return is_enum(kind);
	case KIND_STRUCT:
	case KIND_UNION:
		return true;
	default:
		return false;
	}
}

/* The next type of the target with the same name; 0 at the end, or when the steps are used up. */
static uint32_t next_of_name(struct relocator *r, uint32_t id)
{
	if (!r->steps)
		return 0;
	r->steps--;
	return r->index ? base_index_next_named(r->index, id) : btf_find_next(r->target, id);
}

static int check_steps(const struct relocator *r, uint32_t dist_id, struct btf_error *err)
{
	if (r->steps)
		return 0;
	r->failure->reason = RELOCATE_FITS;
	return btf_fail(err, dist_id, "too many types have the same name");
}

/* libbpf compares offsets, not strings. */
static bool shares_name(struct relocator *r, uint32_t first, uint32_t id)
{
	uint32_t name = type_name(btf_type(r->target, id));
	const uint8_t *type;

	for (; first; first = next_of_name(r, first)) {
		type = btf_type(r->target, first);
		if (first != id && is_composite(type_kind(type)) && type_name(type) == name)
			return true;
	}
	return false;
}

/* Whether the size of a target type matters; `first` is the lowest type of that name. */
static bool needs_size(struct relocator *r, uint32_t first, uint32_t id)
{
	uint32_t kind = type_kind(btf_type(r->target, id));

	if (is_composite(kind))
		return shares_name(r, first, id);
	return kind != KIND_FWD;
}

/* RELOCATE_FITS if a target type matches a distilled one, else why not. */
static enum relocate_reason judge(struct relocator *r, uint32_t dist_id, uint32_t first,
				  uint32_t id)
{
	const uint8_t *dist = btf_type(r->dist, dist_id);
	const uint8_t *type = btf_type(r->target, id);

	if (!kinds_fit(dist, type))
		return RELOCATE_KIND;
	if (short_size(dist) != short_size(type) && needs_size(r, first, id))
		return RELOCATE_SIZE;
	if (type_kind(dist) == KIND_INT && int_encoding(dist) != int_encoding(type))
		return RELOCATE_ENCODING;
	/* Not checked for a second match: that is one too many, whatever its size. */
	if (is_composite(type_kind(dist)) && r->owners[dist_id] && !r->ids[dist_id] &&
	    type_size(dist) != type_size(type))
		return RELOCATE_EMBEDDED;
	return RELOCATE_FITS;
}

static uint32_t find_first(const struct relocator *r, uint32_t dist_id)
{
	const char *name = btf_string(r->dist, type_name(btf_type(r->dist, dist_id)));
	const struct named_id *first, *end;

	if (!r->index)
		return btf_find(r->target, name, strlen(name));
	first = base_index_named(r->index, name, strlen(name), &end);
	return first < end ? first->id : 0;
}

/*
 * Of several failures, libbpf finds that of the lowest target type first, and for it that of the
 * largest distilled type; among equals, the lower id comes first.
 */
static void note_ambiguous(struct relocator *r, uint32_t dist_id, uint32_t id)
{
	struct relocate_failure *failure = r->failure;

	if (failure->reason) {
		if (id > failure->candidates[1])
			return;
		if (id == failure->candidates[1] &&
		    short_size(btf_type(r->dist, dist_id)) <=
			    short_size(btf_type(r->dist, failure->type_id)))
			return;
	}
	failure->reason = RELOCATE_AMBIGUOUS;
	failure->type_id = dist_id;
	failure->nr_candidates = 2;
	failure->candidates[0] = r->ids[dist_id];
	failure->candidates[1] = id;
}

static void map_type(struct relocator *r, uint32_t dist_id)
{
	uint32_t name = type_name(btf_type(r->dist, dist_id));
	uint32_t first = find_first(r, dist_id);
	uint32_t id;

	for (id = first; id; id = next_of_name(r, id)) {
		if (!is_named(type_kind(btf_type(r->target, id))) ||
		    judge(r, dist_id, first, id) != RELOCATE_FITS)
			continue;
		if (r->ids[dist_id]) {
			note_ambiguous(r, dist_id, id);
			return;
		}
		r->ids[dist_id] = id;
	}
	/* Which offset is used only matters if the table repeats strings. */
	if (r->ids[dist_id] > r->names[name])
		r->names[name] = r->ids[dist_id];
}

/* The reason is that of the closest candidate. */
static void note_unmapped(struct relocator *r, uint32_t dist_id)
{
	struct relocate_failure *failure = r->failure;
	uint32_t first = find_first(r, dist_id);
	enum relocate_reason reason;
	uint32_t id;

	failure->reason = RELOCATE_MISSING;
	failure->type_id = dist_id;
	failure->owner_id = r->owners[dist_id];
	for (id = first; id; id = next_of_name(r, id)) {
		if (!is_named(type_kind(btf_type(r->target, id))))
			continue;
		if (failure->nr_candidates < RELOCATE_MAX_CANDIDATES)
			failure->candidates[failure->nr_candidates++] = id;
		reason = judge(r, dist_id, first, id);
		if (reason > failure->reason)
			failure->reason = reason;
	}
}

/* -1 if a type fits none or several of the target: `failure` says which.  If it has no reason, `err` does. */
static int map_all(struct relocator *r, struct btf_error *err)
{
	uint32_t id;

	for (id = 1; id < r->dist->end_id; id++) {
		map_type(r, id);
		if (check_steps(r, id, err))
			return -1;
	}
	if (r->failure->reason)
		return -1;
	for (id = 1; id < r->dist->end_id; id++) {
		if (r->ids[id])
			continue;
		note_unmapped(r, id);
		/* Without a reason, if there were not enough steps to find it. */
		(void)check_steps(r, id, err);
		return -1;
	}
	return 0;
}

/* The type of a member's value; 0 if there is none, or another member already led to it. */
static uint32_t value_of(struct relocator *r, uint32_t id)
{
	const uint8_t *type;

	while (id >= r->split->start_id) {
		if (r->walked[id - r->split->start_id])
			return 0;
		r->walked[id - r->split->start_id] = true;
		type = btf_type(r->split, id);
		switch (type_kind(type)) {
		case KIND_CONST:
		case KIND_VOLATILE:
		case KIND_RESTRICT:
		case KIND_TYPEDEF:
		case KIND_TYPE_TAG:
			id = type_size(type);
			break;
		case KIND_ARRAY:
			id = type_word(type, 3);
			break;
		default:
			return 0;
		}
	}
	return id;
}

/* Find the distilled types that structs and unions of the split embed by value. */
static void mark_embedded(struct relocator *r)
{
	struct word_iter ids;
	const uint8_t *type;
	uint32_t owner, id;

	for (owner = r->split->start_id; owner < r->split->end_id; owner++) {
		type = btf_type(r->split, owner);
		if (!is_composite(type_kind(type)))
			continue;
		ids = iter_ids(type);
		while (next_word(&ids)) {
			id = value_of(r, load32(type + ids.at));
			if (id && !r->owners[id])
				r->owners[id] = owner;
		}
	}
}

static int check_distilled(const struct btf *dist, struct btf_error *err)
{
	const uint8_t *type;
	uint32_t id, kind;

	for (id = 1; id < dist->end_id; id++) {
		type = btf_type(dist, id);
		kind = type_kind(type);
		if (!is_named(kind) || kind == KIND_ENUM64)
			return btf_fail(err, id, "the base is not a distilled one: it has %s",
					kinds[kind].name);
		if (!*btf_string(dist, type_name(type)))
			return btf_fail(err, id,
					"the base is not a distilled one: it has a nameless %s",
					kinds[kind].name);
	}
	return 0;
}

static int check_input(const struct btf *split, const struct btf *target, struct btf_error *err)
{
	if (!split->base)
		return btf_fail(err, 0, "only split BTF can be relocated");
	if (split->base == target)
		return btf_fail(err, 0, "the split BTF already has that base");
	if (split->base->base || target->base)
		return btf_fail(err, 0, "the old and the new base cannot be split BTF themselves");
	return btf_all_known(split, err) ? -1 : check_distilled(split->base, err);
}

static uint32_t new_id(const struct relocator *r, uint32_t id)
{
	if (id < r->dist->end_id)
		return r->ids[id];
	return id - r->dist->end_id + r->target->end_id;
}

/* The new offset of a string; 0 if it is in the distilled base but not the name of a type. */
static uint32_t new_name(const struct relocator *r, uint32_t offset)
{
	if (offset >= r->split->start_str)
		return offset - r->split->start_str + btf_end_str(r->target);
	if (!r->names[offset])
		return 0;
	return type_name(btf_type(r->target, r->names[offset]));
}

static void put(const struct relocator *r, uint8_t *at, uint32_t value)
{
	store32(at, r->split->foreign ? __builtin_bswap32(value) : value);
}

/* Rewrite the ids and names of one type; `out` is in the byte order of the blob. */
static int rewrite_type(struct relocator *r, uint32_t id, uint8_t *out, struct btf_error *err)
{
	const uint8_t *type = btf_type(r->split, id);
	struct word_iter names = iter_names(type);
	struct word_iter ids = iter_ids(type);
	uint32_t offset, name;

	while (next_word(&ids))
		put(r, out + ids.at, new_id(r, load32(type + ids.at)));
	while (next_word(&names)) {
		offset = load32(type + names.at);
		if (!offset)
			continue;
		name = new_name(r, offset);
		if (!name) {
			r->failure->reason = RELOCATE_STRING;
			r->failure->type_id = id;
			r->failure->name = offset;
			return btf_fail(err, id, "no type of the base has the name at offset %u", offset);
		}
		put(r, out + names.at, name);
	}
	return 0;
}

/* Types change in place and keep their size, so the rest of the blob is unchanged. */
static int rewrite_blob(struct relocator *r, const uint8_t *data, size_t length, struct blob *blob,
			struct btf_error *err)
{
	uint8_t *types;
	uint32_t id;

	blob->bytes = malloc(length);
	if (!blob->bytes)
		return btf_no_memory(err);
	blob->length = length;
	memcpy(blob->bytes, data, length);
	types = blob->bytes + r->split->type_off;
	for (id = r->split->start_id; id < r->split->end_id; id++)
		if (rewrite_type(r, id, types + r->split->offsets[id - r->split->start_id], err))
			return -1;
	return 0;
}

static int relocator_init(struct relocator *r, struct relocated *out, struct btf_error *err)
{
	size_t nr_own = r->split->end_id - r->split->start_id;

	r->failure = &out->failure;
	r->steps = (uint64_t)STEPS_PER_TYPE * (r->dist->end_id + r->target->end_id);
	r->ids = out->ids = calloc(r->dist->end_id, sizeof(*r->ids));
	r->owners = calloc(r->dist->end_id, sizeof(*r->owners));
	r->names = calloc(r->dist->str_len, sizeof(*r->names));
	r->walked = calloc(nr_own + 1, sizeof(*r->walked));
	out->nr_ids = r->dist->end_id;
	return r->ids && r->owners && r->names && r->walked ? 0 : btf_no_memory(err);
}

int btf_relocate(const struct btf *split, const uint8_t *data, size_t length, struct btf *target,
		 const struct base_index *index, struct relocated *out, struct btf_error *err)
{
	struct relocator r = {.split = split, .dist = split->base, .target = target, .index = index};
	int failed;

	memset(out, 0, sizeof(*out));
	if (check_input(split, target, err) || (!index && btf_name_index(target, err)))
		return -1;
	failed = relocator_init(&r, out, err);
	if (!failed) {
		mark_embedded(&r);
		failed = map_all(&r, err) || rewrite_blob(&r, data, length, &out->split, err);
	}
	free(r.owners);
	free(r.names);
	free(r.walked);
	if (failed)
		relocated_release(out);
	return failed ? -1 : 0;
}

void relocated_release(struct relocated *out)
{
	free(out->split.bytes);
	free(out->ids);
	out->split.bytes = NULL;
	out->ids = NULL;
}
