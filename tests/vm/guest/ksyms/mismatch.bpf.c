// SPDX-License-Identifier: GPL-2.0-only
/* Declares a kfunc with one argument more than it has. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern __u64 kfunc_module_serve(__u64 customers, __u64 tables) __ksym;

SEC("syscall")
int mismatch(void *ctx)
{
	return kfunc_module_serve(1, 2);
}

char LICENSE[] SEC("license") = "GPL";
