/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Distill BTF, with the result of libbpf's btf__distill_base(), byte for byte.
 *
 * The base types that the split needs are marked in two bitmaps, `kept` for those that go into the
 * new base and `moved` for those that go after the split's own; a new id is then the rank of a bit.
 */
#include "btf.h"

#include "bits.h"

#include <stdlib.h>

struct bitmap {
	uint64_t *words;
	uint32_t *ranks; /* bits set in all words before */
	uint32_t nr_words;
	uint32_t nr_set;
};

struct distiller {
	const struct btf *split;
	struct bitmap kept;
	struct bitmap moved;
	uint32_t *stack; /* moved types whose references are not marked yet */
	uint32_t depth;
	uint32_t capacity;
	uint32_t moved_len; /* bytes of the moved types */
	struct strtab base_strs;
	struct strtab split_strs;
};

static int bitmap_init(struct bitmap *map, uint32_t nr_bits)
{
	map->nr_words = nr_bits / 64 + 1;
	map->words = calloc(map->nr_words, sizeof(*map->words));
	map->ranks = malloc(map->nr_words * sizeof(*map->ranks));
	return map->words && map->ranks ? 0 : -1;
}

static void bitmap_release(struct bitmap *map)
{
	free(map->words);
	free(map->ranks);
}

static bool test_bit(const struct bitmap *map, uint32_t bit)
{
	return map->words[bit / 64] >> bit % 64 & 1;
}

static void set_bit(struct bitmap *map, uint32_t bit)
{
	map->words[bit / 64] |= 1ull << bit % 64;
}

static void bitmap_rank(struct bitmap *map)
{
	uint32_t i;

	for (i = 0; i < map->nr_words; i++) {
		map->ranks[i] = map->nr_set;
		map->nr_set += count_bits(map->words[i]);
	}
}

static uint32_t rank(const struct bitmap *map, uint32_t bit)
{
	uint64_t below = map->words[bit / 64] & ((1ull << bit % 64) - 1);

	return map->ranks[bit / 64] + count_bits(below);
}

/* The bits set, ascending. */
static uint32_t *bitmap_list(const struct bitmap *map)
{
	uint32_t *list = malloc((map->nr_set + 1) * sizeof(*list));
	uint32_t i, n = 0;
	uint64_t word;

	if (!list)
		return NULL;
	for (i = 0; i < map->nr_words; i++)
		for (word = map->words[i]; word; word &= word - 1)
			list[n++] = i * 64 + (uint32_t)__builtin_ctzll(word);
	return list;
}

static int push(struct distiller *d, uint32_t id, struct btf_error *err)
{
	uint32_t capacity = d->capacity ? d->capacity * 2 : 256;
	uint32_t *stack;

	if (d->depth == d->capacity) {
		stack = realloc(d->stack, capacity * sizeof(*stack));
		if (!stack)
			return btf_no_memory(err);
		d->stack = stack;
		d->capacity = capacity;
	}
	d->stack[d->depth++] = id;
	return 0;
}

static int mark_type(struct distiller *d, uint32_t id, struct btf_error *err)
{
	const uint8_t *type = btf_type(d->split->base, id);
	uint32_t kind = type_kind(type);

	switch (kind) {
	case KIND_INT:
	case KIND_FLOAT:
	case KIND_FWD:
		set_bit(&d->kept, id);
		return 0;
	case KIND_STRUCT:
	case KIND_UNION:
	case KIND_ENUM:
	case KIND_ENUM64:
		/* A named one is in the base without its content. */
		if (type_name(type)) {
			set_bit(&d->kept, id);
			return 0;
		}
		break;
	case KIND_PTR:
	case KIND_ARRAY:
	case KIND_TYPEDEF:
	case KIND_VOLATILE:
	case KIND_CONST:
	case KIND_RESTRICT:
	case KIND_FUNC_PROTO:
	case KIND_TYPE_TAG:
		break;
	default:
		return btf_fail(err, id, "refers to %s of the base, which cannot be distilled",
				kinds[kind].name);
	}
	set_bit(&d->moved, id);
	d->moved_len += type_bytes(&kinds[kind], type_info(type));
	return push(d, id, err);
}

static int mark_ids_of(struct distiller *d, const uint8_t *type, struct btf_error *err)
{
	struct word_iter ids = iter_ids(type);
	uint32_t id;

	while (next_word(&ids)) {
		id = load32(type + ids.at);
		if (id && id < d->split->start_id && !test_bit(&d->kept, id) &&
		    !test_bit(&d->moved, id) && mark_type(d, id, err))
			return -1;
	}
	return 0;
}

static int mark_all(struct distiller *d, struct btf_error *err)
{
	uint32_t id;

	for (id = d->split->start_id; id < d->split->end_id; id++) {
		if (mark_ids_of(d, btf_type(d->split, id), err))
			return -1;
		while (d->depth)
			if (mark_ids_of(d, btf_type(d->split->base, d->stack[--d->depth]), err))
				return -1;
	}
	bitmap_rank(&d->kept);
	bitmap_rank(&d->moved);
	return 0;
}

static bool is_enum_size(uint32_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/* The stand-in of one kept type; returns its length, 0 on failure. */
static uint32_t write_kept(struct distiller *d, uint32_t id, uint8_t *out, struct btf_error *err)
{
	const uint8_t *type = btf_type(d->split->base, id);
	uint32_t kind = type_kind(type);
	uint32_t length = TYPE_LEN;
	uint32_t name;

	if (strtab_add(&d->base_strs, btf_string(d->split, type_name(type)), &name)) {
		btf_no_memory(err);
		return 0;
	}
	switch (kind) {
	case KIND_STRUCT:
	case KIND_UNION:
		store32(out + 4, kind << 24);
		store32(out + 8, type_size(type));
		break;
	case KIND_ENUM:
	case KIND_ENUM64:
		if (!is_enum_size(type_size(type))) {
			btf_fail(err, id, "%s of %u bytes", kinds[kind].name, type_size(type));
			return 0;
		}
		store32(out + 4, KIND_ENUM << 24);
		store32(out + 8, type_size(type));
		break;
	case KIND_INT:
	case KIND_FLOAT:
	case KIND_FWD:
		length = type_bytes(&kinds[kind], type_info(type));
		memcpy(out, type, length);
		break;
	default:
		btf_fail(err, id, "%s cannot be part of a distilled base", kinds[kind].name);
		return 0;
	}
	store32(out, name);
	return length;
}

static int write_base(struct distiller *d, struct distilled *out, struct btf_error *err)
{
	/* No kept type is longer than an INT. */
	uint8_t *types = malloc(out->nr_kept * 16u + 1);
	uint32_t used = 0, length, i;
	int failed = -1;

	if (!types)
		return btf_no_memory(err);
	for (i = 0; i < out->nr_kept; i++) {
		length = write_kept(d, out->kept[i], types + used, err);
		if (!length)
			goto out;
		used += length;
	}
	failed = blob_finish(&out->base, types, used, &d->base_strs, d->split->foreign);
	if (failed)
		btf_no_memory(err);
out:
	free(types);
	return failed;
}

static uint32_t new_id(const struct distiller *d, uint32_t id)
{
	uint32_t nr_own = d->split->end_id - d->split->start_id;
	uint32_t new_start = d->kept.nr_set + 1;

	if (!id)
		return 0;
	if (id >= d->split->start_id)
		return id - d->split->start_id + new_start;
	if (test_bit(&d->kept, id))
		return 1 + rank(&d->kept, id);
	return new_start + nr_own + rank(&d->moved, id);
}

/* Give a copied type its new names and ids. */
static int rewrite_type(struct distiller *d, uint8_t *type)
{
	struct word_iter names = iter_names(type);
	struct word_iter ids = iter_ids(type);
	uint32_t offset;

	while (next_word(&names)) {
		offset = load32(type + names.at);
		if (!offset)
			continue;
		if (strtab_add(&d->split_strs, btf_string(d->split, offset), &offset))
			return -1;
		store32(type + names.at, offset);
	}
	while (next_word(&ids))
		store32(type + ids.at, new_id(d, load32(type + ids.at)));
	return 0;
}

static int write_split(struct distiller *d, struct distilled *out, struct btf_error *err)
{
	uint32_t own_len = d->split->type_len;
	uint32_t length = own_len + d->moved_len;
	uint8_t *types = malloc((size_t)length + 1);
	uint32_t pos, bytes, i;
	const uint8_t *type;
	int failed = -1;

	if (!types)
		return btf_no_memory(err);
	memcpy(types, d->split->types, own_len);
	for (pos = own_len, i = 0; i < out->nr_moved; i++, pos += bytes) {
		type = btf_type(d->split->base, out->moved[i]);
		bytes = type_bytes(&kinds[type_kind(type)], type_info(type));
		memcpy(types + pos, type, bytes);
	}
	for (pos = 0; pos < length; pos += bytes) {
		bytes = type_bytes(&kinds[type_kind(types + pos)], type_info(types + pos));
		if (rewrite_type(d, types + pos))
			goto out;
	}
	failed = blob_finish(&out->split, types, length, &d->split_strs, d->split->foreign);
out:
	free(types);
	return failed ? btf_no_memory(err) : 0;
}

static int list_marked(struct distiller *d, struct distilled *out, struct btf_error *err)
{
	out->nr_kept = d->kept.nr_set;
	out->nr_moved = d->moved.nr_set;
	out->kept = bitmap_list(&d->kept);
	out->moved = bitmap_list(&d->moved);
	return out->kept && out->moved ? 0 : btf_no_memory(err);
}

static int distiller_init(struct distiller *d, struct btf_error *err)
{
	if (bitmap_init(&d->kept, d->split->start_id) || bitmap_init(&d->moved, d->split->start_id) ||
	    strtab_init(&d->base_strs, NULL, d->split->seed) ||
	    strtab_init(&d->split_strs, &d->base_strs, d->split->seed))
		return btf_no_memory(err);
	return 0;
}

int btf_distill(const struct btf *split, struct distilled *out, struct btf_error *err)
{
	struct distiller d = {.split = split};
	int failed;

	memset(out, 0, sizeof(*out));
	if (!split->base)
		return btf_fail(err, 0, "only split BTF can be distilled");
	if (btf_all_known(split, err))
		return -1;
	failed = distiller_init(&d, err) || mark_all(&d, err) || list_marked(&d, out, err) ||
		 write_base(&d, out, err) || write_split(&d, out, err);
	bitmap_release(&d.kept);
	bitmap_release(&d.moved);
	free(d.stack);
	strtab_release(&d.base_strs);
	strtab_release(&d.split_strs);
	if (failed)
		distilled_release(out);
	return failed ? -1 : 0;
}

void distilled_release(struct distilled *out)
{
	free(out->base.bytes);
	free(out->split.bytes);
	free(out->kept);
	free(out->moved);
	memset(out, 0, sizeof(*out));
}
