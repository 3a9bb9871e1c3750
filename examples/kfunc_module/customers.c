// SPDX-License-Identifier: GPL-2.0-only
/*
 * customers - lets kfunc_module serve customers.
 *
 *   customers NUMBER
 *
 * Prints how many it has served so far. It needs no library and no other file: the light skeleton
 * contains the BPF program and another one that loads it, which looks up the kfuncs in the
 * kernel. Exit status: 1 if it could not be loaded or run, 2 for wrong arguments.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "customers.lskel.h"

struct visit {
	__u64 customers;
	__u64 served;
	__u32 ticket;
};

/* The kernel writes back what the program changed. */
static int run(int program, struct visit *visit)
{
	union bpf_attr attr = {};

	attr.test.prog_fd = program;
	attr.test.ctx_in = (long)visit;
	attr.test.ctx_size_in = sizeof(*visit);
	if (skel_sys_bpf(BPF_PROG_RUN, &attr, sizeof(attr)))
		return -1;
	return attr.test.retval;
}

int main(int argc, char **argv)
{
	struct visit visit = {};
	struct customers_bpf *skeleton;
	int result;

	if (argc != 2) {
		fprintf(stderr, "usage: customers NUMBER\n");
		return 2;
	}
	visit.customers = strtoull(argv[1], NULL, 0);
	skeleton = customers_bpf__open_and_load();
	if (!skeleton) {
		fprintf(stderr, "customers: cannot load: is kfunc_module there?\n");
		return 1;
	}
	result = run(skeleton->progs.visit.prog_fd, &visit);
	if (result)
		fprintf(stderr, "customers: %s\n", result < 0 ? "cannot run" : "no ticket");
	else
		printf("ticket %u, served %llu\n", visit.ticket, visit.served);
	customers_bpf__destroy(skeleton);
	return result != 0;
}
