/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * libFuzzer on the C core; build with -DTARGET=index, deduplicate, distill, relocate or
 * verify.
 *
 * An input is the lengths of two blobs, as 32-bit little-endian words, then a base, split BTF on
 * it, and as the rest a kernel's BTF.  Whatever it holds, an operation fails with a message or
 * gives what can be indexed again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "btf.h"
#include "dedup.h"

#define UNUSED __attribute__((unused)) /* a binary has one of the operations */
#define JOIN(a, b) a##b
#define OPERATION(target) JOIN(fuzz_, target)

struct input {
	struct btf base, split, kernel;
	const uint8_t *split_data;
	size_t split_len;
	int nr; /* how many of the three could be indexed, in their order */
};

#define REQUIRE(what)                                                                              \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "not held: %s\n", #what);                                  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void require_message(const struct btf_error *err)
{
	REQUIRE(err->no_memory || memchr(err->text, 0, sizeof(err->text)));
	REQUIRE(err->no_memory || err->text[0]);
}

static bool indexed(struct btf *btf, const uint8_t *data, size_t length, const struct btf *base)
{
	struct btf_error err;

	if (!btf_index(btf, data, length, base, &err))
		return true;
	require_message(&err);
	return false;
}

static size_t part(const uint8_t **data, size_t *left, size_t wanted)
{
	size_t length = wanted < *left ? wanted : *left;

	*data += length;
	*left -= length;
	return length;
}

static void read_input(struct input *in, const uint8_t *data, size_t size)
{
	const uint8_t *base = data + 8, *rest = data + 8;
	size_t left = size - 8;
	size_t base_len = part(&rest, &left, load32(data));

	in->nr = 0;
	in->split_data = rest;
	in->split_len = part(&rest, &left, load32(data + 4));
	if (!indexed(&in->base, base, base_len, NULL))
		return;
	in->nr = 1;
	if (!indexed(&in->split, in->split_data, in->split_len, &in->base))
		return;
	in->nr = 2;
	if (!indexed(&in->kernel, rest, left, NULL))
		return;
	in->nr = 3;
}

static void release_input(struct input *in)
{
	if (in->nr > 2)
		btf_release(&in->kernel);
	if (in->nr > 1)
		btf_release(&in->split);
	if (in->nr > 0)
		btf_release(&in->base);
}

/* Every type, with all ids and names in it, is within the blob. */
static void touch(struct btf *btf)
{
	uint32_t id, found, steps = 0;
	struct word_iter words;
	struct btf_error err;
	const uint8_t *type;
	const char *name;

	if (btf_name_index(btf, &err)) {
		require_message(&err);
		return;
	}
	for (id = btf->start_id; id < btf->end_id; id++) {
		type = btf_type(btf, id);
		for (words = iter_names(type); next_word(&words);) {
			name = btf_string(btf, load32(type + words.at));
			REQUIRE(strlen(name) < btf_end_str(btf));
		}
		for (words = iter_ids(type); next_word(&words);)
			(void)load32(type + words.at);
		name = btf_string(btf, type_name(type));
		if (!name[0] || ++steps > 4096)
			continue;
		found = btf_find(btf, name, strlen(name));
		while (found && found < id)
			found = btf_find_next(btf, found);
		REQUIRE(found == id);
	}
}

static void reindexed(const struct blob *blob, const struct btf *base, struct btf *out)
{
	struct btf_error err;

	if (btf_index(out, blob->bytes, blob->length, base, &err)) {
		fprintf(stderr, "result: %s\n", err.text);
		abort();
	}
}

UNUSED static void fuzz_index(struct input *in)
{
	struct btf_error err;

	if (in->nr > 0)
		touch(&in->base);
	if (in->nr > 1) {
		touch(&in->split);
		if (btf_fits(&in->split, &err))
			require_message(&err);
	}
}

/* The image of a base is used as it was made and as if it came from a file. */
UNUSED static void fuzz_deduplicate(struct input *in)
{
	struct blob image;
	struct base_index index;
	struct btf_error err;
	uint32_t id;
	struct deduplicated out;
	struct btf moved;

	if (in->nr < 2)
		return;
	if (base_image_build(&image, &in->base, 1, &err)) {
		require_message(&err);
		return;
	}
	REQUIRE(!base_index_open(&index, image.bytes, image.length, &in->base));
	if (btf_deduplicate(&in->split, &index, &out, &err)) {
		require_message(&err);
	} else {
		reindexed(&out.split, &in->base, &moved);
		for (id = in->split.start_id; id < in->split.end_id; id++)
			REQUIRE(out.new_ids[id - in->split.start_id] < moved.end_id);
		REQUIRE(moved.end_id <= in->split.end_id);
		btf_release(&moved);
		deduplicated_release(&out);
	}
	base_image_release(&image);
}

UNUSED static void fuzz_distill(struct input *in)
{
	struct btf new_base, new_split;
	struct distilled out;
	struct btf_error err;

	if (in->nr < 2)
		return;
	if (btf_distill(&in->split, &out, &err)) {
		require_message(&err);
		return;
	}
	reindexed(&out.base, NULL, &new_base);
	reindexed(&out.split, &new_base, &new_split);
	REQUIRE(out.nr_kept == new_base.end_id - 1);
	btf_release(&new_split);
	btf_release(&new_base);
	distilled_release(&out);
}

UNUSED static void fuzz_relocate(struct input *in)
{
	struct relocated out;
	struct btf moved;
	struct btf_error err;

	if (in->nr < 3)
		return;
	if (btf_relocate(&in->split, in->split_data, in->split_len, &in->kernel, NULL, &out, &err)) {
		if (!out.failure.reason)
			require_message(&err);
		return;
	}
	reindexed(&out.split, &in->kernel, &moved);
	btf_release(&moved);
	relocated_release(&out);
}

UNUSED static void fuzz_verify(struct input *in)
{
	static const struct verify_rules rules[] = {
		{0x9f00ffff, KIND_ENUM64, 512, false, true},
		{0xffffffff, NR_KINDS - 1, 128, true, false},
	};
	struct verify_report report;
	size_t i;

	for (i = 0; in->nr > 0 && i < sizeof(rules) / sizeof(*rules); i++) {
		btf_verify(in->nr > 1 ? &in->split : &in->base, &rules[i], &report);
		REQUIRE(report.nr <= MAX_FINDINGS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;

	if (size < 8)
		return 0;
	read_input(&in, data, size);
	OPERATION(TARGET)(&in);
	release_input(&in);
	return 0;
}
