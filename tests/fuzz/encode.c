/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * libFuzzer on the encoder of DWARF.
 *
 * An input is an ELF file; its last byte decides about profile, strictness, features and threads.  Whatever
 * it holds, encoding fails with a message or gives split BTF that can be indexed, the same for any number of
 * threads.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../native/elf_input.h"
#include "encode.h"

#define REQUIRE(what)                                                                              \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "not held: %s\n", #what);                                  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* A base with the one type `int`. */
static const uint32_t base_words[] = {
	0x0001eb9f, 24, 0, 16, 16, 8, 1, 1u << 24, 4, 1u << 24 | 32, 0x746e6900, 0,
};

/* Whether encoding succeeds. */
static bool encode_with(const struct elf *elf, const struct base_index *index, uint8_t choice,
			uint32_t jobs, struct encode_result *result)
{
	struct encode_options options = {
		.features = choice & 4 ? UINT32_MAX : UINT32_MAX & ~(uint32_t)FEATURE_GLOBAL_VAR,
		.profile = choice & 1 ? 131 : 132,
		.strict = choice & 2,
		.jobs = jobs,
	};
	struct btf_error err;

	if (!dwarf_encode(elf, index, &options, result, &err))
		return true;
	REQUIRE(memchr(err.text, 0, sizeof(err.text)) && err.text[0]);
	return false;
}

static void check_result(const struct encode_result *result, const struct btf *base)
{
	struct btf_error err;
	struct btf split;

	if (btf_index(&split, result->blob.bytes, result->blob.length, base, &err)) {
		fprintf(stderr, "result: %s\n", err.text);
		abort();
	}
	btf_release(&split);
}

static void encode_on(const struct elf *elf, const struct btf *base, uint8_t choice)
{
	struct encode_result one, several = {0};
	struct base_index index;
	struct blob image;
	struct btf_error err;
	bool done;

	REQUIRE(!base_image_build(&image, base, 1, &err));
	REQUIRE(!base_index_open(&index, image.bytes, image.length, base));
	done = encode_with(elf, &index, choice, 1, &one);
	if (done)
		check_result(&one, base);
	/* Threads may need more work, because each looks up its names. */
	if (choice & 8 && encode_with(elf, &index, choice, 3, &several))
		REQUIRE(done && one.nr_units == several.nr_units && one.notes.nr == several.notes.nr &&
			one.blob.length == several.blob.length &&
			!memcmp(one.blob.bytes, several.blob.bytes, one.blob.length));
	encode_release(&one);
	encode_release(&several);
	base_image_release(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct file file;
	struct btf_error err;
	struct btf base;

	if (!open_file(&file, data, size))
		return 0;
	REQUIRE(!btf_index(&base, (const uint8_t *)base_words, sizeof(base_words), NULL, &err));
	encode_on(&file.elf, &base, data[size - 1]);
	btf_release(&base);
	return 0;
}
