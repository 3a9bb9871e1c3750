// SPDX-License-Identifier: GPL-2.0-only
/* Calls a kfunc that two modules have, and one that only the first or the second has. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern __u32 twin_which(void) __ksym;
extern __u32 twin_only_a(__u32 add) __ksym;
extern __u32 twin_only_b(__u32 add) __ksym;

SEC("syscall")
int which(void *ctx)
{
	return twin_which() + twin_only_a(10) + twin_only_b(100);
}

char LICENSE[] SEC("license") = "GPL";
