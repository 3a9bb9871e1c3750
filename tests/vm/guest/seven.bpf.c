// SPDX-License-Identifier: GPL-2.0-only
/* Calls the kfuncs of tests/modules/seven as their authors mean them to be called. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int seven_plain(int n) __ksym;
extern int seven_hidden(int n) __ksym;

SEC("syscall")
int plain(void *ctx)
{
	return seven_plain(1);
}

SEC("syscall")
int hidden(void *ctx)
{
	return seven_hidden(1);
}

char LICENSE[] SEC("license") = "GPL";
