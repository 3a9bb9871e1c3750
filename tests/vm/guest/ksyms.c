// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * ksyms - loads a BPF object and prints what stands in its programs then.
 *
 *   ksyms libbpf OBJECT LOG
 *   ksyms light OBJECT LOG
 *
 * The second makes the loader of a light skeleton and runs it. Prints "loaded" or "refused ERRNO";
 * with libbpf then "insn PROGRAM NUMBER SRC_REG IMM OFF" for each call that is not one of a
 * program's own functions, and "address PROGRAM NUMBER SRC_REG IMM NEXT_IMM" for each load of 64
 * bits. For what was loaded, "kfunc PROGRAM OFF" for each call of a kfunc that the kernel shows,
 * and "returned PROGRAM VALUE". What libbpf and the verifier say goes to LOG.
 * Exit status: 2 wrong arguments, else 0.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <bpf/skel_internal.h>
#pragma GCC diagnostic pop

#define CALL (BPF_JMP | BPF_CALL)
#define LD_IMM64 (BPF_LD | BPF_IMM | BPF_DW)
#define MOST_INSNS 65536
#define LOG_SIZE (1 << 22)

static FILE *log_file;

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	return vfprintf(log_file, format, args);
}

static void print_insns(const struct bpf_program *program)
{
	const struct bpf_insn *insns = bpf_program__insns(program);
	const char *name = bpf_program__name(program);

	for (size_t i = 0; insns && i < bpf_program__insn_cnt(program); i++) {
		const struct bpf_insn *insn = &insns[i];

		if (insn->code == CALL && insn->src_reg != BPF_PSEUDO_CALL)
			printf("insn %s %zu %d %d %d\n", name, i, insn->src_reg, insn->imm,
			       insn->off);
		if (insn->code == LD_IMM64) {
			printf("address %s %zu %d %d %d\n", name, i, insn->src_reg, insn->imm,
			       insns[i + 1].imm);
			i++;
		}
	}
}

/* The kernel has rewritten the numbers of the functions, but not the offsets. */
static void print_loaded(const char *name, int program)
{
	static struct bpf_insn insns[MOST_INSNS];
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	LIBBPF_OPTS(bpf_test_run_opts, options);

	info.xlated_prog_insns = (long)insns;
	info.xlated_prog_len = sizeof(insns);
	if (bpf_prog_get_info_by_fd(program, &info, &size)) {
		printf("unknown %s %d\n", name, errno);
		return;
	}
	for (__u32 i = 0; i < info.xlated_prog_len / sizeof(*insns); i++)
		if (insns[i].code == CALL && insns[i].src_reg == BPF_PSEUDO_KFUNC_CALL)
			printf("kfunc %s %d\n", name, insns[i].off);
	if (!bpf_prog_test_run_opts(program, &options))
		printf("returned %s %u\n", name, options.retval);
}

static void with_libbpf(struct bpf_object *object)
{
	struct bpf_program *program;
	int err;

	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, true);
		bpf_program__set_log_level(program, 1);
	}
	err = bpf_object__load(object);
	if (err)
		printf("refused %d\n", -err);
	else
		printf("loaded\n");
	bpf_object__for_each_program(program, object) {
		print_insns(program);
		if (!err)
			print_loaded(bpf_program__name(program), bpf_program__fd(program));
	}
}

static void with_light_skeleton(struct bpf_object *object)
{
	static char log[LOG_SIZE];
	LIBBPF_OPTS(gen_loader_opts, made);
	struct bpf_load_and_run_opts options = {};
	struct bpf_prog_desc *programs;
	struct bpf_program *program;
	struct bpf_map *map;
	size_t maps = 0, number = 0;
	struct {
		struct bpf_loader_ctx head;
		char rest[4096];
	} context = {};
	int err = bpf_object__gen_loader(object, &made);

	if (!err)
		err = bpf_object__load(object);
	if (err) {
		printf("refused %d\n", -err);
		return;
	}
	bpf_object__for_each_map(map, object)
		maps++;
	bpf_object__for_each_program(program, object)
		number++;
	programs = (void *)((char *)&context.head + sizeof(context.head) +
			    maps * sizeof(struct bpf_map_desc));
	context.head.sz = (char *)&programs[number] - (char *)&context;
	context.head.log_level = 1;
	context.head.log_size = sizeof(log);
	context.head.log_buf = (long)log;
	options.ctx = &context.head;
	options.data = made.data;
	options.data_sz = made.data_sz;
	options.insns = (void *)made.insns;
	options.insns_sz = made.insns_sz;
	err = bpf_load_and_run(&options);
	fprintf(log_file, "%s\n", log);
	if (err < 0) {
		printf("refused %d\n", -err);
		fprintf(log_file, "%s\n", options.errstr ? options.errstr : "");
		return;
	}
	printf("loaded\n");
	number = 0;
	bpf_object__for_each_program(program, object)
		print_loaded(bpf_program__name(program), programs[number++].prog_fd);
}

int main(int argc, char **argv)
{
	struct bpf_object *object;

	log_file = argc == 4 ? fopen(argv[3], "w") : NULL;
	if (!log_file) {
		fprintf(stderr, "usage: ksyms libbpf|light OBJECT LOG\n");
		return 2;
	}
	libbpf_set_print(print);
	object = bpf_object__open_file(argv[2], NULL);
	if (!object)
		printf("refused %d\n", errno);
	else if (strcmp(argv[1], "light"))
		with_libbpf(object);
	else
		with_light_skeleton(object);
	fclose(log_file);
	return 0;
}
