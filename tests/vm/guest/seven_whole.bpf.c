// SPDX-License-Identifier: GPL-2.0-only
/* Calls a kfunc whose implicit argument was not taken away. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_prog_aux {
};

extern int seven_plain(int n) __ksym;
extern int seven_hidden(int n, struct bpf_prog_aux *aux) __ksym;

SEC("syscall")
int plain_there(void *ctx)
{
	return seven_plain(1);
}

SEC("syscall")
int whole(void *ctx)
{
	return seven_hidden(1, 0);
}

char LICENSE[] SEC("license") = "GPL";
