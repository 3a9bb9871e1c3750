/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The index of a base: built once, checked each time it is opened. */
#include "base_index.h"
#include "signature.h"

#include <stdlib.h>

#define IMAGE_MAGIC 0x6b62746669647831u /* also tells the byte order */
#define IMAGE_VERSION 3u

/* Sections follow in this order, each aligned to 8. */
enum section { OFFSETS, STRINGS, STARTS, CANDIDATES, KINDS, NAMED, UNIQUES, NR_SECTIONS };

struct header {
	uint64_t magic;
	uint64_t checksum; /* of all that follows this word */
	uint64_t base_checksum;
	uint64_t seed;
	uint32_t version;
	uint32_t nr_types; /* with void */
	uint32_t type_len;
	uint32_t str_len;
	uint32_t nr_strings; /* slots, a power of two */
	uint32_t nr_buckets; /* a power of two */
	uint32_t nr_candidates;
	uint32_t nr_uniques;
	uint32_t nr_named;
	uint32_t whole_names; /* the names of types are whole strings, each of which occurs once */
	uint32_t nested_arrays;
	uint32_t unused;
};

#define CHECKED_FROM (2 * sizeof(uint64_t))

struct layout {
	size_t starts[NR_SECTIONS];
	size_t length;
};

static struct layout layout_of(const struct header *header)
{
	const uint64_t lengths[NR_SECTIONS] = {
		[OFFSETS] = (uint64_t)header->nr_types * sizeof(uint32_t),
		[STRINGS] = (uint64_t)header->nr_strings * sizeof(struct base_string),
		[STARTS] = ((uint64_t)header->nr_buckets + 1) * sizeof(uint32_t),
		[CANDIDATES] = (uint64_t)header->nr_candidates * sizeof(struct base_candidate),
		[KINDS] = header->nr_types,
		[NAMED] = (uint64_t)header->nr_named * sizeof(struct named_id),
		[UNIQUES] = (uint64_t)header->nr_uniques * sizeof(struct named_id),
	};
	struct layout layout = {.length = sizeof(*header)};
	uint32_t i;

	for (i = 0; i < NR_SECTIONS; i++) {
		layout.starts[i] = layout.length;
		layout.length += (lengths[i] + 7) & ~(uint64_t)7;
	}
	return layout;
}

static uint64_t checksum_of_base(const struct btf *base, uint64_t seed)
{
	return hash_long(base->strs, base->str_len, hash_long(base->types, base->type_len, seed));
}

/* An image in the making, whose sections are written through these. */
struct draft {
	const struct btf *base;
	struct header *header;
	uint8_t *kinds;
	uint32_t *offsets;
	struct base_string *strings;
	uint32_t *starts;
	struct base_candidate *candidates;
	struct named_id *uniques;
	struct named_id *named;
	struct named_id *unsorted; /* as many */
	uint32_t *signatures; /* by id */
};

static uint32_t power_of_two(uint32_t at_least)
{
	uint32_t power = 16;

	while (power < at_least)
		power *= 2;
	return power;
}

static bool is_candidate(uint32_t kind)
{
	return kind && kind != KIND_VAR && kind != KIND_DATASEC;
}

static uint32_t count_strings(const struct btf *base)
{
	const char *at = base->strs, *end = at + base->str_len;
	uint32_t nr = 0;

	for (; at < end; at += strlen(at) + 1)
		nr += *at != 0;
	return nr;
}

static void count_types(struct header *header, const struct btf *base)
{
	uint32_t id, kind;

	for (id = base->start_id; id < base->end_id; id++) {
		kind = type_kind(btf_type(base, id));
		header->nr_candidates += is_candidate(kind);
		header->nr_uniques += is_composite(kind);
		header->nr_named += type_name(btf_type(base, id)) != 0;
	}
}

static void fill_types(const struct draft *draft)
{
	const struct btf *base = draft->base;
	const uint8_t *type;
	uint32_t id, element;

	for (id = 1; id < base->end_id; id++) {
		type = btf_type(base, id);
		draft->offsets[id] = (uint32_t)(type - base->types);
		draft->kinds[id] = (uint8_t)type_kind(type);
		draft->signatures[id] = btf_signature(type, draft->header->seed);
		element = type_kind(type) == KIND_ARRAY ? type_word(type, 3) : 0;
		if (element && type_kind(btf_type(base, element)) == KIND_ARRAY)
			draft->header->nested_arrays = 1;
	}
}

/* Only the first of equal strings gets a slot. */
static void add_string(const struct draft *draft, uint32_t offset, size_t length)
{
	const char *string = draft->base->strs + offset;
	uint32_t hash = (uint32_t)hash_bytes(string, length, draft->header->seed);
	uint32_t mask = draft->header->nr_strings - 1;
	struct base_string *slot;
	uint32_t at;

	for (at = hash & mask;; at = (at + 1) & mask) {
		slot = &draft->strings[at];
		if (!slot->offset)
			break;
		if (slot->hash == hash && !strcmp(draft->base->strs + slot->offset, string)) {
			draft->header->whole_names = false;
			return;
		}
	}
	*slot = (struct base_string){.hash = hash, .offset = offset};
}

static void fill_strings(const struct draft *draft)
{
	uint32_t offset = 0;
	size_t length;

	for (; offset < draft->base->str_len; offset += (uint32_t)length + 1) {
		length = strlen(draft->base->strs + offset);
		if (length)
			add_string(draft, offset, length);
	}
}

static void add_candidate(const struct draft *draft, uint32_t id)
{
	uint32_t signature = draft->signatures[id];
	uint32_t *at = &draft->starts[signature & (draft->header->nr_buckets - 1)];

	draft->candidates[(*at)++] = (struct base_candidate){.hash = signature, .id = id};
}

/*
 * Candidates in the order in which libbpf would visit them.  It puts a new type in front of a
 * list, and reverses all lists whenever its table doubles: types that were added an odd number of
 * doublings ago are at the end, the newest last.
 */
static void fill_candidates(const struct draft *draft)
{
	uint32_t nr = draft->header->nr_candidates, mask = draft->header->nr_buckets - 1;
	uint32_t doublings = table_doublings(nr);
	uint32_t *at = draft->starts;
	uint32_t id, bucket, before, i;

	for (id = 1; id < draft->base->end_id; id++)
		if (is_candidate(draft->kinds[id]))
			at[draft->signatures[id] & mask]++;
	for (bucket = 0, before = 0; bucket <= mask; bucket++) {
		before += at[bucket];
		at[bucket] = before - at[bucket];
	}
	at[bucket] = before;
	for (id = draft->base->end_id, i = nr; id-- > 1;)
		if (is_candidate(draft->kinds[id]) && (doublings - table_doublings(i--)) % 2 == 0)
			add_candidate(draft, id);
	for (id = 1, i = 0; id < draft->base->end_id; id++)
		if (is_candidate(draft->kinds[id]) && (doublings - table_doublings(++i)) % 2 == 1)
			add_candidate(draft, id);
	/* Each bucket's start has moved to its end, which is the next one's start. */
	memmove(at + 1, at, (size_t)mask * sizeof(*at));
	at[0] = 0;
}

static void fill_uniques(const struct draft *draft)
{
	uint32_t id, nr = 0;

	for (id = 1; id < draft->base->end_id; id++)
		if (is_composite(draft->kinds[id]))
			draft->uniques[nr++] = (struct named_id){
				type_name(btf_type(draft->base, id)), id};
	draft->header->nr_uniques = unique_names(draft->uniques, nr);
}

#define DIGIT_BITS 11u

/* Sort by one digit of the name, and keep the order otherwise. */
static void sort_by_digit(const struct named_id *from, struct named_id *to, uint32_t nr,
			  uint32_t shift)
{
	uint32_t starts[(1u << DIGIT_BITS) + 1] = {0}, i;
	const uint32_t mask = (1u << DIGIT_BITS) - 1;

	for (i = 0; i < nr; i++)
		starts[(from[i].name >> shift & mask) + 1]++;
	for (i = 0; i < mask; i++)
		starts[i + 1] += starts[i];
	for (i = 0; i < nr; i++)
		to[starts[from[i].name >> shift & mask]++] = from[i];
}

static void fill_named(const struct draft *draft)
{
	const struct btf *base = draft->base;
	uint32_t id, name, nr = 0;

	for (id = 1; id < base->end_id; id++) {
		name = type_name(btf_type(base, id));
		if (!name)
			continue;
		draft->unsorted[nr++] = (struct named_id){name, id};
		if (base->strs[name - 1])
			draft->header->whole_names = false;
	}
	sort_by_digit(draft->unsorted, draft->named, nr, 0);
	sort_by_digit(draft->named, draft->unsorted, nr, DIGIT_BITS);
	sort_by_digit(draft->unsorted, draft->named, nr, 2 * DIGIT_BITS);
}

static uint64_t checksum_of_image(const uint8_t *image, size_t length, uint64_t seed)
{
	return hash_long(image + CHECKED_FROM, length - CHECKED_FROM, seed);
}

static void fill(const struct draft *draft)
{
	fill_types(draft);
	fill_strings(draft);
	fill_candidates(draft);
	fill_named(draft);
	fill_uniques(draft);
}

int base_image_build(struct blob *image, const struct btf *base, uint64_t seed,
		     struct btf_error *err)
{
	struct header header = {
		.magic = IMAGE_MAGIC,
		.version = IMAGE_VERSION,
		.seed = seed,
		.nr_types = base->end_id,
		.type_len = base->type_len,
		.str_len = base->str_len,
		.whole_names = true,
	};
	struct draft draft = {.base = base};
	struct layout layout;

	memset(image, 0, sizeof(*image));
	if (base->base)
		return btf_fail(err, 0, "is split BTF where a base is needed");
	count_types(&header, base);
	header.nr_strings = power_of_two(2 * count_strings(base));
	header.nr_buckets = power_of_two(header.nr_candidates);
	layout = layout_of(&header);
	image->bytes = calloc(1, layout.length);
	draft.signatures = calloc(header.nr_types, sizeof(*draft.signatures));
	draft.unsorted = calloc((size_t)header.nr_named + 1, sizeof(*draft.unsorted));
	if (!image->bytes || !draft.signatures || !draft.unsorted) {
		free(draft.signatures);
		free(draft.unsorted);
		base_image_release(image);
		return btf_no_memory(err);
	}
	memcpy(image->bytes, &header, sizeof(header));
	draft.header = (struct header *)image->bytes;
	draft.offsets = (uint32_t *)(image->bytes + layout.starts[OFFSETS]);
	draft.strings = (struct base_string *)(image->bytes + layout.starts[STRINGS]);
	draft.starts = (uint32_t *)(image->bytes + layout.starts[STARTS]);
	draft.candidates = (struct base_candidate *)(image->bytes + layout.starts[CANDIDATES]);
	draft.kinds = image->bytes + layout.starts[KINDS];
	draft.named = (struct named_id *)(image->bytes + layout.starts[NAMED]);
	draft.uniques = (struct named_id *)(image->bytes + layout.starts[UNIQUES]);
	fill(&draft);
	free(draft.signatures);
	free(draft.unsorted);
	image->length = layout_of(draft.header).length;
	draft.header->base_checksum = checksum_of_base(base, seed);
	draft.header->checksum = checksum_of_image(image->bytes, image->length, seed);
	return 0;
}

void base_image_release(struct blob *image)
{
	free(image->bytes);
	memset(image, 0, sizeof(*image));
}

static bool fits(const struct header *header, size_t length, const struct btf *base)
{
	return header->magic == IMAGE_MAGIC && header->version == IMAGE_VERSION && !base->base &&
	       header->nr_types == base->end_id && header->type_len == base->type_len &&
	       header->str_len == base->str_len && layout_of(header).length == length &&
	       header->base_checksum == checksum_of_base(base, header->seed);
}

void base_index_use(struct base_index *index, const uint8_t *image, const struct btf *base)
{
	struct header header;
	struct layout layout;

	memcpy(&header, image, sizeof(header));
	layout = layout_of(&header);
	*index = (struct base_index){
		.seed = header.seed,
		.types = base->types,
		.strs = base->strs,
		.str_len = base->str_len,
		.nr_types = header.nr_types,
		.offsets = (const uint32_t *)(image + layout.starts[OFFSETS]),
		.kinds = image + layout.starts[KINDS],
		.nested_arrays = header.nested_arrays,
		.strings = (const struct base_string *)(image + layout.starts[STRINGS]),
		.string_mask = header.nr_strings - 1,
		.starts = (const uint32_t *)(image + layout.starts[STARTS]),
		.candidates = (const struct base_candidate *)(image + layout.starts[CANDIDATES]),
		.bucket_mask = header.nr_buckets - 1,
		.nr_candidates = header.nr_candidates,
		.uniques = (const struct named_id *)(image + layout.starts[UNIQUES]),
		.nr_uniques = header.nr_uniques,
		.named = (const struct named_id *)(image + layout.starts[NAMED]),
		.nr_named = header.whole_names ? header.nr_named : 0,
	};
}

int base_index_open(struct base_index *index, const uint8_t *image, size_t length,
		    const struct btf *base)
{
	struct header header;

	if (length < sizeof(header) || (uintptr_t)image % sizeof(uint64_t))
		return -1;
	memcpy(&header, image, sizeof(header));
	if (!fits(&header, length, base) ||
	    header.checksum != checksum_of_image(image, length, header.seed))
		return -1;
	base_index_use(index, image, base);
	return 0;
}
