/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The C core without Python: each of its allocations fails in turn, and what no file can reach.
 *
 *	core BASE SPLIT
 *
 * Link with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc.  The two files are a base and split BTF
 * on it that can be distilled.  An operation whose allocation fails says so, leaks nothing, and
 * goes well the next time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "btf.h"
#include "dedup.h"
#include "hash.h"

#define SEED 0x0123456789abcdefu

#define REQUIRE(what)                                                                              \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: not held: %s\n", __FILE__, __LINE__, #what);       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static long until_failure; /* allocations that still go well; negative: all do */
static bool has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails_now(void)
{
	if (until_failure < 0 || until_failure--)
		return false;
	has_failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return fails_now() ? NULL : __real_calloc(nr, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

struct file {
	uint8_t *data;
	size_t length;
};

static struct file read_file(const char *path)
{
	FILE *stream = fopen(path, "rb");
	struct file file;
	long length;

	REQUIRE(stream && !fseek(stream, 0, SEEK_END));
	length = ftell(stream);
	REQUIRE(length > 0 && !fseek(stream, 0, SEEK_SET));
	file.length = (size_t)length;
	file.data = malloc(file.length);
	REQUIRE(file.data && fread(file.data, 1, file.length, stream) == file.length);
	fclose(stream);
	return file;
}

/* What the operations work on, whole whenever one of them runs. */
struct fixture {
	struct file base_file, split_file;
	struct distilled distilled;
	struct btf base, split;         /* as built */
	struct btf dist_base, dist_split; /* as distilled */
};

static int index_base(const struct fixture *f, struct btf_error *err)
{
	struct btf btf;
	int failed = btf_index(&btf, f->base_file.data, f->base_file.length, NULL, err);

	if (!failed)
		btf_release(&btf);
	return failed;
}

static int index_split(const struct fixture *f, struct btf_error *err)
{
	struct btf btf;
	int failed = btf_index(&btf, f->split_file.data, f->split_file.length, &f->base, err);

	if (!failed)
		btf_release(&btf);
	return failed;
}

static int index_names(const struct fixture *f, struct btf_error *err)
{
	struct btf btf;
	int failed;

	if (btf_index(&btf, f->base_file.data, f->base_file.length, NULL, err))
		return -1;
	failed = btf_name_index(&btf, err);
	REQUIRE(failed || !btf_name_index(&btf, err)); /* done already */
	btf_release(&btf);
	return failed;
}

static int distill(const struct fixture *f, struct btf_error *err)
{
	struct distilled out;
	int failed = btf_distill(&f->split, &out, err);

	if (failed)
		REQUIRE(!out.base.bytes && !out.split.bytes && !out.kept && !out.moved);
	else
		distilled_release(&out);
	return failed;
}

static int relocate_back(const struct fixture *f, struct btf_error *err)
{
	struct relocated out;
	struct btf target;
	int failed;

	if (btf_index(&target, f->base_file.data, f->base_file.length, NULL, err))
		return -1;
	failed = btf_relocate(&f->dist_split, f->distilled.split.bytes, f->distilled.split.length,
			      &target, NULL, &out, err);
	REQUIRE(!failed || !out.failure.reason);
	if (!failed)
		relocated_release(&out);
	btf_release(&target);
	return failed;
}

static int deduplicate(const struct fixture *f, struct btf_error *err)
{
	struct blob image;
	struct base_index index;
	struct deduplicated out;
	int failed;

	if (base_image_build(&image, &f->base, 1, err)) {
		REQUIRE(!image.bytes);
		return -1;
	}
	base_index_use(&index, image.bytes, &f->base);
	failed = btf_deduplicate(&f->split, &index, &out, err);
	REQUIRE(!failed == !!out.split.bytes && !failed == !!out.new_ids);
	deduplicated_release(&out);
	base_image_release(&image);
	return failed;
}

static const struct {
	const char *name;
	int (*run)(const struct fixture *f, struct btf_error *err);
} operations[] = {
	{"index a base", index_base}, {"index a split", index_split}, {"index names", index_names},
	{"distill", distill},	      {"relocate", relocate_back},   {"deduplicate", deduplicate},
};

static void fail_each_allocation(const struct fixture *f)
{
	struct btf_error err;
	long nr;
	size_t i;
	int failed;

	for (i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		for (nr = 0;; nr++) {
			has_failed = false;
			until_failure = nr;
			failed = operations[i].run(f, &err);
			until_failure = -1;
			if (!has_failed)
				break;
			/* Only shrinking may fail without harm. */
			REQUIRE(!failed || err.no_memory);
			REQUIRE(!operations[i].run(f, &err));
		}
		REQUIRE(!failed && nr > 0);
		printf("%s: %ld allocations\n", operations[i].name, nr);
	}
}

static void set_up(struct fixture *f, const char *base, const char *split)
{
	struct btf_error err;

	f->base_file = read_file(base);
	f->split_file = read_file(split);
	REQUIRE(!btf_index(&f->base, f->base_file.data, f->base_file.length, NULL, &err));
	REQUIRE(!btf_index(&f->split, f->split_file.data, f->split_file.length, &f->base, &err));
	REQUIRE(!btf_distill(&f->split, &f->distilled, &err));
	REQUIRE(!btf_index(&f->dist_base, f->distilled.base.bytes, f->distilled.base.length, NULL,
			   &err));
	REQUIRE(!btf_index(&f->dist_split, f->distilled.split.bytes, f->distilled.split.length,
			   &f->dist_base, &err));
}

static void tear_down(struct fixture *f)
{
	btf_release(&f->dist_split);
	btf_release(&f->dist_base);
	btf_release(&f->split);
	btf_release(&f->base);
	distilled_release(&f->distilled);
	free(f->split_file.data);
	free(f->base_file.data);
}

/* Ids that 32 bits cannot count take bases of 50 GB. */
static void refuse_too_many_types(void)
{
	static const uint8_t one_int[] = {
		0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0,
		0,    0,    0, 0, 0,  0, 0, 1, 4, 0, 0, 0, 32, 0, 0, 0,
	};
	struct btf base = {.start_id = 1, .end_id = UINT32_MAX - 1, .str_len = 1};
	struct btf_error err;
	struct btf btf;

	REQUIRE(btf_index(&btf, one_int, sizeof(one_int), &base, &err));
	REQUIRE(!strcmp(err.text, "too many types") && !err.no_memory);
}

/* Strings that 31 bits cannot count come from a base and a split of 1 GB each. */
static void refuse_too_many_strings(void)
{
	struct strtab table;
	uint32_t offset;

	REQUIRE(!strtab_init(&table, NULL, SEED));
	table.length = UINT32_MAX / 2 - 2;
	REQUIRE(strtab_add(&table, "abc", &offset));
	strtab_release(&table);
}

/* Two names of which one begins as the other, with the same hash. */
static void keep_apart(const char *one, const char *other)
{
	uint8_t data[24 + 2 * 12 + 27] = {0x9f, 0xeb, 1, 0, 24};
	uint32_t one_len = (uint32_t)strlen(one), other_len = (uint32_t)strlen(other);
	uint32_t first, second;
	struct btf_error err;
	struct strtab table;
	struct btf btf;

	REQUIRE(hash_bytes(one, one_len, SEED) == hash_bytes(other, other_len, SEED));
	store32(data + 12, 24);
	store32(data + 16, 24);
	store32(data + 20, 27);
	store32(data + 24, 1);
	store32(data + 28, KIND_FWD << 24);
	store32(data + 36, one_len + 2);
	store32(data + 40, KIND_FWD << 24);
	memcpy(data + 49, one, one_len);
	memcpy(data + 50 + one_len, other, other_len);
	REQUIRE(!btf_index(&btf, data, sizeof(data), NULL, &err));
	btf.seed = SEED;
	REQUIRE(!btf_name_index(&btf, &err));
	REQUIRE(btf_find(&btf, one, one_len) == 1 && !btf_find_next(&btf, 1));
	REQUIRE(btf_find(&btf, other, other_len) == 2 && !btf_find_next(&btf, 2));
	btf_release(&btf);

	REQUIRE(!strtab_init(&table, NULL, SEED));
	REQUIRE(!strtab_add(&table, one, &first) && !strtab_add(&table, other, &second));
	REQUIRE(first == 1 && second == one_len + 2);
	strtab_release(&table);
}

/* hash_bytes() multiplies by zero if a name begins with the secret that it makes of the seed. */
static void keep_names_of_one_hash_apart(void)
{
	uint64_t secret = hash_mix(SEED ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u);
	char name[9] = {0}, longer[17] = {0};

	memcpy(name, &secret, 8);
	memcpy(longer, &secret, 8);
	memcpy(longer + 8, "the rest", 8);
	REQUIRE(strlen(name) == 8);
	keep_apart(name, longer);
	keep_apart(longer, name);
}

int main(int argc, char **argv)
{
	struct fixture fixture;

	until_failure = -1;
	REQUIRE(argc == 3);
	set_up(&fixture, argv[1], argv[2]);
	fail_each_allocation(&fixture);
	tear_down(&fixture);
	refuse_too_many_types();
	refuse_too_many_strings();
	keep_names_of_one_hash_apart();
	return 0;
}
