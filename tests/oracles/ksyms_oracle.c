// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * ksyms_oracle - lets libbpf link a BPF object against BTF from files, without a kernel.
 *
 *   ksyms_oracle libbpf OBJECT BASE [NAME SPLIT]...
 *   ksyms_oracle light OBJECT
 *   ksyms_oracle compat LOCAL TARGET
 *
 * BASE is the BTF of vmlinux, SPLIT that of the module NAME on it, in load order. The first prints
 * what libbpf says of externs ("said ..."), then, if it resolved all, each instruction that uses
 * one: "insn PROGRAM NUMBER EXTERN SRC_REG IMM OFF NEXT_IMM"; the file descriptor of the module at
 * place N is 5000 + N. The second generates the loader of a light skeleton and prints the
 * relocations and the indices into its array of file descriptors: "said gen: emit_relo ...",
 * "slot INDEX". The third reads "LOCAL_ID TARGET_ID" lines and prints what comparing them gives.
 * Exit status: 0, 1 where libbpf refuses, 2 wrong arguments.
 *
 * What it needs of libbpf is static, so libbpf.c is part of it.
 */
#include "libbpf.c"
#include "relo_core.h"

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	static const size_t prefix = sizeof("libbpf: ") - 1;
	char line[4096];

	vsnprintf(line, sizeof(line), format, args);
	if (strncmp(line + prefix, "extern", 6) == 0 ||
	    strncmp(line + prefix, "gen: emit_relo", 14) == 0 || level == LIBBPF_WARN)
		printf("said %s", line + prefix);
	return 0;
}

static struct bpf_object *open_object(const char *path)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_program *prog;

	if (!obj)
		exit(1);
	bpf_object__for_each_program(prog, obj)
		bpf_program__set_autoload(prog, true);
	return obj;
}

static struct btf *read_btf(const char *path, struct btf *base)
{
	struct btf *btf = btf__parse_split(path, base);

	if (!btf) {
		perror(path);
		exit(2);
	}
	return btf;
}

static void print_insns(const struct bpf_object *obj, const struct bpf_program *prog)
{
	for (int i = 0; i < prog->nr_reloc; i++) {
		const struct reloc_desc *relo = &prog->reloc_desc[i];
		const struct bpf_insn *insn = &prog->insns[relo->insn_idx];
		const struct extern_desc *ext;

		if (relo->type != RELO_EXTERN_LD64 && relo->type != RELO_EXTERN_CALL)
			continue;
		ext = &obj->externs[relo->ext_idx];
		if (ext->type != EXT_KSYM)
			continue;
		printf("insn %s %d %s %d %d %d %d\n", prog->name, relo->insn_idx, ext->name,
		       insn->src_reg, insn->imm, insn->off,
		       relo->type == RELO_EXTERN_LD64 ? insn[1].imm : 0);
	}
}

static int with_libbpf(int argc, char **argv)
{
	struct bpf_object *obj = open_object(argv[2]);
	struct bpf_program *prog;

	obj->btf_vmlinux = read_btf(argv[3], NULL);
	obj->btf_modules_loaded = true;
	obj->btf_module_cnt = (argc - 4) / 2;
	obj->btf_modules = calloc(obj->btf_module_cnt + 1, sizeof(*obj->btf_modules));
	for (size_t i = 0; i < obj->btf_module_cnt; i++) {
		struct module_btf *module = &obj->btf_modules[i];

		module->name = argv[4 + 2 * i];
		module->btf = read_btf(argv[5 + 2 * i], obj->btf_vmlinux);
		module->fd = 5000 + i;
	}
	if (bpf_object__resolve_externs(obj, NULL) || bpf_object__relocate(obj, NULL))
		return 1;
	bpf_object__for_each_program(prog, obj)
		print_insns(obj, prog);
	return 0;
}

static int with_light_skeleton(char **argv)
{
	struct bpf_object *obj = open_object(argv[2]);
	LIBBPF_OPTS(gen_loader_opts, opts);
	const struct bpf_insn *insn;

	if (bpf_object__gen_loader(obj, &opts) || bpf_object__load(obj))
		return 1;
	insn = (const void *)opts.insns;
	/* What stores into the offset, at byte 2, of the instruction that register 8 points to. */
	for (size_t i = 0; i < opts.insns_sz / sizeof(*insn); i++, insn++)
		if (insn->code == (BPF_ST | BPF_MEM | BPF_H) && insn->dst_reg == BPF_REG_8 &&
		    insn->off == 2 && insn->imm)
			printf("slot %d\n", insn->imm);
	return 0;
}

static int compare(char **argv)
{
	struct btf *local = read_btf(argv[2], NULL), *target = read_btf(argv[3], NULL);
	unsigned int local_id, target_id;

	while (scanf("%u %u", &local_id, &target_id) == 2)
		printf("%d\n", bpf_core_types_are_compat(local, local_id, target, target_id));
	return 0;
}

int main(int argc, char **argv)
{
	libbpf_set_print(print);
	if (argc >= 4 && argc % 2 == 0 && !strcmp(argv[1], "libbpf"))
		return with_libbpf(argc, argv);
	if (argc == 3 && !strcmp(argv[1], "light"))
		return with_light_skeleton(argv);
	if (argc == 4 && !strcmp(argv[1], "compat"))
		return compare(argv);
	fprintf(stderr, "usage: ksyms_oracle libbpf|light|compat ...\n");
	return 2;
}
