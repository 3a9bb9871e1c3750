/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Checks a blob once, so that later reads of its types and strings cannot leave its bounds. */
#define _GNU_SOURCE /* memrchr() */
#include "btf.h"

#include <stdlib.h>

static uint32_t swap_if(bool foreign, uint32_t value)
{
	return foreign ? __builtin_bswap32(value) : value;
}

/* Word `word` of a header that is known to reach that far. */
static uint32_t header_word(const struct btf *btf, const uint8_t *data, uint32_t word)
{
	return swap_if(btf->foreign, load32(data + 4 * word));
}

static int read_magic(struct btf *btf, const uint8_t *data, size_t length, struct btf_error *err)
{
	uint16_t magic;

	if (length < BTF_HEADER_LEN)
		return btf_fail(err, 0, "%zu bytes are too few for a BTF header", length);
	if (length > INT32_MAX)
		return btf_fail(err, 0, "%zu bytes are too many for BTF", length);
	memcpy(&magic, data, sizeof(magic));
	btf->foreign = magic == __builtin_bswap16(BTF_MAGIC);
	if (magic != BTF_MAGIC && !btf->foreign)
		return btf_fail(err, 0, "no BTF magic (0x%04x)", magic);
	if (data[2] != 1)
		return btf_fail(err, 0, "BTF version %u is not known", data[2]);
	if (data[3] != 0)
		return btf_fail(err, 0, "BTF flags 0x%x are not known", data[3]);
	return 0;
}

static int check_part(const char *name, uint32_t offset, uint32_t part_len, size_t body_len,
		      struct btf_error *err)
{
	if ((uint64_t)offset + part_len > body_len)
		return btf_fail(err, 0, "%s (offset %u, %u bytes) reach past the end (%zu bytes)",
				name, offset, part_len, body_len);
	return 0;
}

static int check_apart(uint32_t offset, uint32_t length, uint32_t other, uint32_t other_len,
		       const char *names, struct btf_error *err)
{
	if (offset < (uint64_t)other + other_len && other < (uint64_t)offset + length)
		return btf_fail(err, 0, "%s overlap (offsets %u and %u, %u and %u bytes)", names,
				offset, other, length, other_len);
	return 0;
}

static int check_layout(struct btf *btf, const uint8_t *data, uint32_t type_off, uint32_t str_off,
			size_t body_len, struct btf_error *err)
{
	uint32_t offset, layout_len;

	if (btf->header_len < BTF_LAYOUT_HEADER_LEN)
		return 0;
	offset = header_word(btf, data, 6);
	layout_len = header_word(btf, data, 7);
	if (!layout_len)
		return 0;
	if (check_part("layout", offset, layout_len, body_len, err) ||
	    check_apart(type_off, btf->type_len, offset, layout_len, "types and layout", err) ||
	    check_apart(str_off, btf->str_len, offset, layout_len, "strings and layout", err))
		return -1;
	btf->layout = data + btf->header_len + offset;
	btf->layout_off = btf->header_len + offset;
	btf->layout_len = layout_len;
	return 0;
}

/* The parts may be in any order, as in kernels since 7.1; verification checks it for older ones. */
static int read_header(struct btf *btf, const uint8_t *data, size_t length, struct btf_error *err)
{
	uint32_t type_off, str_off;
	size_t body_len;

	if (read_magic(btf, data, length, err))
		return -1;
	btf->header_len = header_word(btf, data, 1);
	if (btf->header_len < BTF_HEADER_LEN || btf->header_len > length)
		return btf_fail(err, 0, "header length %u does not fit %zu bytes", btf->header_len,
				length);
	body_len = length - btf->header_len;
	type_off = header_word(btf, data, 2);
	btf->type_len = header_word(btf, data, 3);
	str_off = header_word(btf, data, 4);
	btf->str_len = header_word(btf, data, 5);
	if (check_part("types", type_off, btf->type_len, body_len, err) ||
	    check_part("strings", str_off, btf->str_len, body_len, err) ||
	    check_apart(type_off, btf->type_len, str_off, btf->str_len, "types and strings", err))
		return -1;
	if (type_off % 4 || btf->type_len % 4)
		return btf_fail(err, 0, "types (offset %u, %u bytes) are not aligned to 4", type_off,
				btf->type_len);
	if (check_layout(btf, data, type_off, str_off, body_len, err))
		return -1;
	btf->type_off = btf->header_len + type_off;
	btf->types = data + btf->type_off;
	btf->strs = (const char *)data + btf->header_len + str_off;
	return 0;
}

/* Many names may share one long string: without a limit, time and memory would be quadratic. */
static int check_string_lengths(const struct btf *btf, struct btf_error *err)
{
	const char *at = btf->strs, *end = btf->strs + btf->str_len;
	size_t window;

	while (at < end) {
		window = (size_t)(end - at) <= MAX_STRING ? (size_t)(end - at) : MAX_STRING + 1;
		at = memrchr(at, 0, window);
		if (!at)
			return btf_fail(err, 0, "a string is longer than %u bytes", MAX_STRING);
		at++;
	}
	return 0;
}

static int check_strings(struct btf *btf, const struct btf *base, struct btf_error *err)
{
	btf->start_str = base ? btf_end_str(base) : 0;
	if ((uint64_t)btf->start_str + btf->str_len > UINT32_MAX)
		return btf_fail(err, 0, "too many bytes of strings");
	if (!btf->str_len)
		return base ? 0 : btf_misfit(err, 0, "no strings");
	if (btf->strs[btf->str_len - 1])
		return btf_fail(err, 0, "the last string has no end");
	if (!base && btf->strs[0])
		return btf_misfit(err, 0, "the first string is not empty");
	return check_string_lengths(btf, err);
}

/* Every field after the header is a 32-bit word, so swapping needs no table. */
static int swap_types(struct btf *btf, struct btf_error *err)
{
	uint32_t pos;

	btf->swapped = malloc(btf->type_len ? btf->type_len : 1);
	if (!btf->swapped)
		return btf_no_memory(err);
	for (pos = 0; pos < btf->type_len; pos += 4)
		store32(btf->swapped + pos, __builtin_bswap32(load32(btf->types + pos)));
	btf->types = btf->swapped;
	return 0;
}

struct scan {
	uint32_t pos;
	uint32_t id;
	uint32_t end_str;
	uint32_t max_id; /* the highest type id that any type refers to */
	uint32_t unknown_id; /* the first type of an unknown kind */
	uint64_t names_left; /* the remaining limit on the bytes of all names */
};

/* A row of the layout, by kind: bytes after the head, bytes of an item, two of flags. */
#define LAYOUT_ROW 4u

/*
 * Names may share a string, or be suffixes of one, so a small blob can have gigabytes of names when
 * each is copied.  Real blobs have two or three times the bytes of their strings.
 */
#define LEAST_OF_NAMES (16u << 20)
#define NAMES_BY_BYTE 16u

static int take_name(const struct btf *btf, struct scan *at, uint32_t offset, struct btf_error *err)
{
	size_t length = offset ? strlen(btf_string(btf, offset)) : 0;

	if (length > at->names_left)
		return btf_fail(err, at->id, "all names up to this one are too long for %u bytes",
				btf->type_len + btf->str_len);
	at->names_left -= length;
	return 0;
}

static int bad_name(const struct scan *at, uint32_t kind, uint32_t offset, struct btf_error *err)
{
	return btf_misfit(err, at->id,
			  "%s at offset 0x%x: name offset %u is past the end of the strings (%u)",
			  kinds[kind].name, at->pos, offset, at->end_str);
}

/* Skip a type of an unknown kind, if the layout has its length. */
static int skip_type(const struct btf *btf, struct scan *at, struct btf_error *err)
{
	const uint8_t *type = btf->types + at->pos;
	uint32_t left = btf->type_len - at->pos, kind = type_kind(type);
	const uint8_t *row;
	uint64_t bytes;

	if (kind >= btf->layout_len / LAYOUT_ROW)
		return btf_fail(err, at->id, "at offset 0x%x: kind %u is not known", at->pos, kind);
	row = btf->layout + (size_t)LAYOUT_ROW * kind;
	bytes = TYPE_LEN + row[0] + (uint64_t)info_vlen(type_info(type)) * row[1];
	if (bytes % 4 || bytes > left)
		return btf_fail(err, at->id, "at offset 0x%x: kind %u has %llu bytes, %u are left",
				at->pos, kind, (unsigned long long)bytes, left);
	if (type_name(type) >= at->end_str)
		return bad_name(at, kind, type_name(type), err);
	if (take_name(btf, at, type_name(type), err))
		return -1;
	if (!at->unknown_id)
		at->unknown_id = at->id;
	at->pos += (uint32_t)bytes;
	return 0;
}

/* Skip one type, checking its length, names and kind and recording its ids. */
static int scan_type(const struct btf *btf, struct scan *at, struct btf_error *err)
{
	const uint8_t *type = btf->types + at->pos;
	uint32_t left = btf->type_len - at->pos;
	const struct kind_info *info;
	uint32_t kind, items, bytes;
	const uint8_t *item;
	uint8_t i;

	if (left < TYPE_LEN)
		return btf_fail(err, at->id, "at offset 0x%x: %u bytes are too few for a type",
				at->pos, left);
	kind = type_kind(type);
	if (kind == KIND_UNKN)
		return btf_fail(err, at->id, "at offset 0x%x: kind %u is not known", at->pos, kind);
	if (kind >= NR_KINDS)
		return skip_type(btf, at, err);
	info = &kinds[kind];
	bytes = type_bytes(info, type_info(type));
	if (bytes > left)
		return btf_fail(err, at->id, "%s at offset 0x%x: vlen %u needs %u bytes, %u are left",
				info->name, at->pos, info_vlen(type_info(type)), bytes, left);
	if (type_name(type) >= at->end_str)
		return bad_name(at, kind, type_name(type), err);
	if (take_name(btf, at, type_name(type), err))
		return -1;
	if (info->sets & KIND_IS_REF && type_size(type) > at->max_id)
		at->max_id = type_size(type);
	items = nr_items(info, type_info(type));
	for (item = type + TYPE_LEN; items; items--, item += 4 * info->item_words) {
		if (info->name_word != NO_WORD) {
			if (type_word(item, info->name_word) >= at->end_str)
				return bad_name(at, kind, type_word(item, info->name_word), err);
			if (take_name(btf, at, type_word(item, info->name_word), err))
				return -1;
		}
		for (i = 0; i < info->nr_ids; i++)
			if (type_word(item, info->id_word + i) > at->max_id)
				at->max_id = type_word(item, info->id_word + i);
	}
	at->pos += bytes;
	return 0;
}

/* The first type that refers to an id past the end; there is one. */
static int fail_for_bad_id(const struct btf *btf, struct btf_error *err)
{
	struct scan at = {
		.id = btf->start_id,
		.end_str = btf_end_str(btf),
		.names_left = UINT64_MAX, /* there was enough before */
	};
	uint32_t pos;

	for (;;) {
		pos = at.pos;
		if (scan_type(btf, &at, err)) /* LCOV_EXCL_BR_LINE: it succeeded before */
			return -1;
		if (at.max_id >= btf->end_id)
			break;
		at.id++;
	}
	return btf_misfit(err, at.id,
			  "%s at offset 0x%x: type id %u does not exist (the last is %u)",
			  kinds[type_kind(btf->types + pos)].name, pos, at.max_id, btf->end_id - 1);
}

static int scan_types(struct btf *btf, const struct btf *base, struct btf_error *err)
{
	size_t most = btf->type_len / TYPE_LEN;
	struct scan at = {
		.end_str = btf_end_str(btf),
		.names_left = LEAST_OF_NAMES + NAMES_BY_BYTE * ((uint64_t)btf->type_len + btf->str_len),
	};
	uint32_t *fitted;
	uint32_t nr = 0;

	btf->start_id = base ? base->end_id : 1;
	if (btf->start_id + (uint64_t)most >= UINT32_MAX)
		return btf_fail(err, 0, "too many types");
	btf->offsets = malloc((most + 1) * sizeof(*btf->offsets));
	if (!btf->offsets)
		return btf_no_memory(err);
	for (at.id = btf->start_id; at.pos < btf->type_len; at.id++) {
		btf->offsets[nr++] = at.pos;
		if (scan_type(btf, &at, err))
			return -1;
	}
	btf->offsets[nr] = btf->type_len;
	btf->unknown_id = at.unknown_id;
	btf->end_id = at.id;
	fitted = realloc(btf->offsets, (nr + 1) * sizeof(*btf->offsets));
	if (fitted)
		btf->offsets = fitted;
	return at.max_id < btf->end_id ? 0 : fail_for_bad_id(btf, err);
}

int btf_index(struct btf *btf, const uint8_t *data, size_t length, const struct btf *base,
	      struct btf_error *err)
{
	memset(btf, 0, sizeof(*btf));
	btf->base = base;
	if (!read_header(btf, data, length, err) && !check_strings(btf, base, err) &&
	    !(btf->foreign && swap_types(btf, err)) && !scan_types(btf, base, err))
		return 0;
	btf_release(btf);
	return -1;
}

int btf_all_known(const struct btf *btf, struct btf_error *err)
{
	if (!btf->unknown_id)
		return 0;
	return btf_fail(err, btf->unknown_id, "kind %u is not known",
			type_kind(btf_type(btf, btf->unknown_id)));
}

void btf_release(struct btf *btf)
{
	free(btf->offsets);
	free(btf->swapped);
	free(btf->names.heads);
	free(btf->names.next);
	free(btf->names.hashes);
	memset(btf, 0, sizeof(*btf));
}
