// SPDX-License-Identifier: GPL-2.0-only
/* Needs a kfunc that is nowhere. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern __u64 kfunc_module_absent(__u64 value) __ksym;

SEC("syscall")
int strong(void *ctx)
{
	return kfunc_module_absent(3);
}

char LICENSE[] SEC("license") = "GPL";
