// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * programs - loads each BPF program of an object by itself and runs it once.
 *
 *   programs OBJECT LOGS
 *
 * Prints a line for each program: "returned NAME VALUE"; "refused NAME ERRNO", by libbpf or the
 * verifier; "broke NAME ERRNO" if it was loaded and could not be run; "accepted NAME" if it is of a
 * type that is not run here. What libbpf and the verifier say of a program goes to LOGS/NAME.
 * Exit status: 1 the object cannot be opened, 2 wrong arguments, else 0.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static FILE *log_file;

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG || !log_file ? 0 : vfprintf(log_file, format, args);
}

static void run(const struct bpf_program *program, const char *name)
{
	char packet[64] = "";
	LIBBPF_OPTS(bpf_test_run_opts, options);
	int err;

	switch (bpf_program__type(program)) {
	case BPF_PROG_TYPE_SYSCALL:
		break;
	case BPF_PROG_TYPE_SCHED_CLS:
		options.data_in = packet;
		options.data_size_in = sizeof(packet);
		break;
	default:
		printf("accepted %s\n", name);
		return;
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
	if (err)
		printf("broke %s %d\n", name, -err);
	else
		printf("returned %s %u\n", name, options.retval);
}

/* Loads and runs the program at that place in the object; false if there is none. */
static bool try(const char *path, int at, const char *logs)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *each, *program = NULL;
	char log_path[256];
	const char *name;
	int err;

	if (!object) {
		perror(path);
		exit(1);
	}
	bpf_object__for_each_program(each, object) {
		bpf_program__set_autoload(each, at == 0);
		if (at-- == 0)
			program = each;
	}
	if (program) {
		name = bpf_program__name(program);
		snprintf(log_path, sizeof(log_path), "%s/%s", logs, name);
		log_file = fopen(log_path, "w");
		err = bpf_object__load(object);
		if (err)
			printf("refused %s %d\n", name, -err);
		else
			run(program, name);
		if (log_file)
			fclose(log_file);
		log_file = NULL;
	}
	bpf_object__close(object);
	return program;
}

int main(int argc, char **argv)
{
	int at = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: programs OBJECT LOGS\n");
		return 2;
	}
	libbpf_set_print(print);
	while (try(argv[1], at, argv[2]))
		at++;
	return 0;
}
