// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * btf_oracle - what libbpf makes of BTF, for comparison and for timing.
 * Without arguments it prints its commands.
 *
 * Inputs are raw BTF or ELF files with a .BTF section; outputs are raw BTF.
 * Exit status: 0 done; 1 an input, an output or libbpf failed (libbpf's own
 * message is on stderr); 2 wrong arguments.
 *
 * The bench commands print one line of JSON: "nanoseconds" has an entry for
 * each repetition over the whole list, "failed" counts the items of one
 * repetition that libbpf refused. Files are in memory before the clock starts,
 * and BASE or NEWBASE is parsed (bench-parse: read) before it. The clock covers
 * parsing the other inputs, the operation, its serialised result, and the
 * freeing of all of them.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct blob {
	const char *path;
	void *data;
	size_t size;
};

static const char usage_text[] =
	"usage: btf_oracle distill BASE SPLIT OUT_BASE OUT_SPLIT\n"
	"       btf_oracle dedup BASE SPLIT OUT\n"
	"       btf_oracle relocate NEWBASE IN_BASE IN_SPLIT OUT\n"
	"       btf_oracle both BASE SPLIT...\n"
	"       btf_oracle bench-distill BASE SPLIT... [--repeat N]\n"
	"       btf_oracle bench-relocate NEWBASE BASE SPLIT [BASE SPLIT]... [--repeat N]\n"
	"       btf_oracle bench-parse BASE COUNT [--repeat N]\n";

/* ---- files ---- */

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "btf_oracle: %s: %s\n", what, why);
	return -1;
}

static int read_whole(struct blob *blob)
{
	FILE *file = fopen(blob->path, "rb");
	long end;
	int err = -1;

	if (!file)
		return complain(blob->path, strerror(errno));
	if (fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
		complain(blob->path, strerror(errno));
		goto out;
	}
	blob->size = end;
	blob->data = malloc(blob->size + 1);
	if (!blob->data || fread(blob->data, 1, blob->size, file) != blob->size) {
		complain(blob->path, "cannot be read");
		goto out;
	}
	err = 0;
out:
	fclose(file);
	return err;
}

static Elf_Data *find_btf_section(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	size_t names;

	if (!elf || elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name;

		if (!gelf_getshdr(scn, &shdr))
			return NULL;
		name = elf_strptr(elf, names, shdr.sh_name);
		if (name && !strcmp(name, ".BTF"))
			return elf_rawdata(scn, NULL);
	}
	return NULL;
}

/* Replaces an ELF file by its .BTF section, so that both forms cost the same. */
static int keep_btf_section(struct blob *blob)
{
	Elf *elf = elf_memory(blob->data, blob->size);
	Elf_Data *section = find_btf_section(elf);
	void *copy = section ? malloc(section->d_size + 1) : NULL;

	if (!copy) {
		elf_end(elf);
		return complain(blob->path, "an ELF file without a readable .BTF section");
	}
	memcpy(copy, section->d_buf, section->d_size);
	free(blob->data);
	blob->data = copy;
	blob->size = section->d_size;
	elf_end(elf);
	return 0;
}

static int load(struct blob *blob, const char *path)
{
	blob->path = path;
	if (read_whole(blob))
		return -1;
	if (blob->size >= SELFMAG && !memcmp(blob->data, ELFMAG, SELFMAG))
		return keep_btf_section(blob);
	return 0;
}

static int save(const struct btf *btf, const char *path)
{
	__u32 size;
	const void *data = btf__raw_data(btf, &size);
	FILE *file;
	bool written;

	if (!data)
		return complain("btf__raw_data", strerror(errno));
	file = fopen(path, "wb");
	if (!file)
		return complain(path, strerror(errno));
	written = fwrite(data, 1, size, file) == size;
	if (fclose(file) || !written)
		return complain(path, "cannot be written");
	return 0;
}

/* ---- one operation ---- */

static struct btf *parse(const struct blob *blob, struct btf *base)
{
	struct btf *btf = base ? btf__new_split(blob->data, blob->size, base)
			       : btf__new(blob->data, blob->size);

	if (!btf)
		fprintf(stderr, "btf_oracle: %s: libbpf cannot parse it: %d\n", blob->path, -errno);
	return btf;
}

static struct btf *parse_file(const char *path, struct btf *base)
{
	struct blob blob = {};
	struct btf *btf = load(&blob, path) ? NULL : parse(&blob, base);

	free(blob.data);
	return btf;
}

static int distill_on(struct btf *base, const char *path, const char *out_base,
		      const char *out_split)
{
	struct btf *split = parse_file(path, base), *new_base = NULL, *new_split = NULL;
	int err = -1;

	if (!split)
		return -1;
	err = btf__distill_base(split, &new_base, &new_split);
	if (err)
		fprintf(stderr, "btf_oracle: btf__distill_base: %d\n", err);
	else
		err = save(new_base, out_base) || save(new_split, out_split) ? -1 : 0;
	btf__free(new_split);
	btf__free(new_base);
	btf__free(split);
	return err;
}

static int distill(char **arg)
{
	struct btf *base = parse_file(arg[0], NULL);
	int err = base ? distill_on(base, arg[1], arg[2], arg[3]) : -1;

	btf__free(base);
	return err;
}

static int relocate_to(struct btf *target, const char *base_path, const char *path,
		       const char *out)
{
	struct btf *base = parse_file(base_path, NULL);
	struct btf *split = base ? parse_file(path, base) : NULL;
	int err = -1;

	if (!split)
		goto out;
	err = btf__relocate(split, target);
	if (err)
		fprintf(stderr, "btf_oracle: btf__relocate: %d\n", err);
	else
		err = save(split, out);
out:
	btf__free(split);
	btf__free(base);
	return err;
}

static int relocate(char **arg)
{
	struct btf *target = parse_file(arg[0], NULL);
	int err = target ? relocate_to(target, arg[1], arg[2], arg[3]) : -1;

	btf__free(target);
	return err;
}

/* Distills each SPLIT to SPLIT.base and SPLIT.split, which it relocates to BASE as SPLIT.back. */
static int both(const char *base_path, char **paths, int count)
{
	struct btf *base = parse_file(base_path, NULL);
	char made[3][4096];

	if (!base)
		return -1;
	for (int i = 0; i < count; i++) {
		snprintf(made[0], sizeof(made[0]), "%s.base", paths[i]);
		snprintf(made[1], sizeof(made[1]), "%s.split", paths[i]);
		snprintf(made[2], sizeof(made[2]), "%s.back", paths[i]);
		if (!distill_on(base, paths[i], made[0], made[1]))
			relocate_to(base, made[0], made[1], made[2]);
	}
	btf__free(base);
	return 0;
}

static int dedup(char **arg)
{
	struct btf *base = NULL, *split = NULL;
	int err = -1;

	base = parse_file(arg[0], NULL);
	split = base ? parse_file(arg[1], base) : NULL;
	if (!split)
		goto out;
	err = btf__dedup(split, NULL);
	if (err)
		fprintf(stderr, "btf_oracle: btf__dedup: %d\n", err);
	else
		err = save(split, arg[2]);
out:
	btf__free(split);
	btf__free(base);
	return err;
}

/* ---- the same under a clock ---- */

struct bench {
	const char *name;
	struct blob *blobs;
	int blob_count;
	int items;	/* operations in one repetition */
	struct btf *base; /* parsed outside the clock, NULL for bench-parse */
	int (*run_item)(const struct bench *bench, int item);
};

static int bench_distill_item(const struct bench *bench, int item)
{
	struct btf *split, *new_base = NULL, *new_split = NULL;
	const struct blob *blob = &bench->blobs[item];
	__u32 size;
	int err = -1;

	split = btf__new_split(blob->data, blob->size, bench->base);
	if (split && !btf__distill_base(split, &new_base, &new_split))
		err = btf__raw_data(new_base, &size) && btf__raw_data(new_split, &size) ? 0 : -1;
	btf__free(new_split);
	btf__free(new_base);
	btf__free(split);
	return err;
}

static int bench_relocate_item(const struct bench *bench, int item)
{
	const struct blob *blob = &bench->blobs[2 * item];
	struct btf *base, *split = NULL;
	__u32 size;
	int err = -1;

	base = btf__new(blob[0].data, blob[0].size);
	if (base)
		split = btf__new_split(blob[1].data, blob[1].size, base);
	if (split && !btf__relocate(split, bench->base))
		err = btf__raw_data(split, &size) ? 0 : -1;
	btf__free(split);
	btf__free(base);
	return err;
}

static int bench_parse_item(const struct bench *bench, int item)
{
	struct btf *btf = btf__new(bench->blobs[0].data, bench->blobs[0].size);

	(void)item;
	btf__free(btf);
	return btf ? 0 : -1;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

static void run_bench(const struct bench *bench, int repeat)
{
	int failed = 0;

	printf("{\"command\": \"%s\", \"items\": %d, \"nanoseconds\": [", bench->name,
	       bench->items);
	for (int round = 0; round < repeat; round++) {
		uint64_t start = now();

		failed = 0;
		for (int item = 0; item < bench->items; item++)
			failed += bench->run_item(bench, item) != 0;
		printf("%s%llu", round ? ", " : "", (unsigned long long)(now() - start));
	}
	printf("], \"failed\": %d}\n", failed);
}

static int no_message(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/* Runs `bench` over the files `paths`, after BASE if `base_path` is given. */
static int bench_files(struct bench *bench, const char *base_path, char **paths, int repeat)
{
	int err = -1;

	bench->blobs = calloc(bench->blob_count, sizeof(*bench->blobs));
	if (!bench->blobs)
		return complain("calloc", strerror(errno));
	for (int i = 0; i < bench->blob_count; i++)
		if (load(&bench->blobs[i], paths[i]))
			goto out;
	if (base_path) {
		bench->base = parse_file(base_path, NULL);
		if (!bench->base)
			goto out;
	}
	libbpf_set_print(no_message);
	run_bench(bench, repeat);
	err = 0;
out:
	btf__free(bench->base);
	for (int i = 0; i < bench->blob_count; i++)
		free(bench->blobs[i].data);
	free(bench->blobs);
	return err;
}

/* ---- arguments ---- */

static int usage(void)
{
	fputs(usage_text, stderr);
	return 2;
}

static int positive(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	return *text && !*end && value > 0 && value <= 1000000 ? (int)value : 0;
}

/* Takes `--repeat N` out of the arguments. Returns N, 1 without it, 0 if malformed. */
static int take_repeat(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		int repeat;

		if (strcmp(argv[i], "--repeat"))
			continue;
		repeat = i + 1 < *argc ? positive(argv[i + 1]) : 0;
		if (!repeat)
			return 0;
		memmove(&argv[i], &argv[i + 2], (*argc - i - 2) * sizeof(*argv));
		*argc -= 2;
		return repeat;
	}
	return 1;
}

static int run(const char *name, char **arg, int args, int repeat)
{
	struct bench bench = { .name = name };

	if (!strcmp(name, "distill") && args == 4)
		return distill(arg) ? 1 : 0;
	if (!strcmp(name, "dedup") && args == 3)
		return dedup(arg) ? 1 : 0;
	if (!strcmp(name, "relocate") && args == 4)
		return relocate(arg) ? 1 : 0;
	if (!strcmp(name, "both") && args >= 2)
		return both(arg[0], arg + 1, args - 1) ? 1 : 0;
	if (!strcmp(name, "bench-distill") && args >= 2) {
		bench.blob_count = bench.items = args - 1;
		bench.run_item = bench_distill_item;
		return bench_files(&bench, arg[0], arg + 1, repeat) ? 1 : 0;
	}
	if (!strcmp(name, "bench-relocate") && args >= 3 && args % 2) {
		bench.blob_count = args - 1;
		bench.items = bench.blob_count / 2;
		bench.run_item = bench_relocate_item;
		return bench_files(&bench, arg[0], arg + 1, repeat) ? 1 : 0;
	}
	if (!strcmp(name, "bench-parse") && args == 2 && positive(arg[1])) {
		bench.blob_count = 1;
		bench.items = positive(arg[1]);
		bench.run_item = bench_parse_item;
		return bench_files(&bench, NULL, arg, repeat) ? 1 : 0;
	}
	return usage();
}

int main(int argc, char **argv)
{
	int repeat = take_repeat(&argc, argv);

	if (argc < 2 || !repeat)
		return usage();
	if (elf_version(EV_CURRENT) == EV_NONE)
		return complain("libelf", elf_errmsg(-1)) ? 1 : 0;
	return run(argv[1], argv + 2, argc - 2, repeat);
}
