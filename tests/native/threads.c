/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A file is encoded by one thread and by several, with the same result, for ThreadSanitizer; a linked one
 * also without leaving out types before deduplication.
 *
 *	threads BASE FILE linked|module
 *
 * BASE is BTF, without types for a linked file.  Prints the size of the result.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "elf_input.h"
#include "encode.h"

#define REQUIRE(what)                                                                              \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "not held: %s\n", #what);                                  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static const uint8_t *map(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat status;
	void *data;

	REQUIRE(fd >= 0 && !fstat(fd, &status));
	*size = (size_t)status.st_size;
	data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	REQUIRE(data != MAP_FAILED);
	return data;
}

static struct encode_result encode(const struct elf *elf, const struct btf *base, uint32_t jobs,
				   bool whole)
{
	struct encode_options options = {
		.features = UINT32_MAX,
		.profile = 132,
		.jobs = jobs,
		.whole = whole,
	};
	struct encode_result result;
	struct blob image;
	struct base_index index;
	struct btf_error err;

	REQUIRE(!base_image_build(&image, base, 1, &err));
	REQUIRE(!base_index_open(&index, image.bytes, image.length, base));
	if (dwarf_encode(elf, &index, &options, &result, &err)) {
		fprintf(stderr, "%u threads: %s\n", jobs, err.text);
		exit(1);
	}
	base_image_release(&image);
	return result;
}

int main(int argc, char **argv)
{
	struct encode_result one, several;
	static struct file file;
	const uint8_t *data;
	struct btf_error err;
	uint32_t jobs, i;
	struct btf base;
	size_t size;

	REQUIRE(argc == 4);
	data = map(argv[1], &size);
	REQUIRE(!btf_index(&base, data, size, NULL, &err));
	data = map(argv[2], &size);
	REQUIRE(open_file(&file, data, size));
	file.elf.linked = !strcmp(argv[3], "linked");
	for (i = 0; i < file.elf.nr_sections; i++)
		file.sections[i].mapped = true;
	one = encode(&file.elf, &base, 1, true);
	for (jobs = 1; jobs <= 8; jobs++) {
		several = encode(&file.elf, &base, jobs, jobs % 3 == 2);
		REQUIRE(one.blob.length == several.blob.length &&
			!memcmp(one.blob.bytes, several.blob.bytes, one.blob.length) &&
			one.notes.nr == several.notes.nr && one.nr_units == several.nr_units);
		encode_release(&several);
	}
	printf("%u units, %zu bytes\n", one.nr_units, (size_t)one.blob.length);
	encode_release(&one);
	btf_release(&base);
	return 0;
}
