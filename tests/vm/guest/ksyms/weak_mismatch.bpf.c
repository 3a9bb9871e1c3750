// SPDX-License-Identifier: GPL-2.0-only
/* Declares a weak kfunc with an argument of another kind than it has. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern __u64 kfunc_module_serve(void *customers) __ksym __weak;

SEC("syscall")
int weak_mismatch(void *ctx)
{
	return bpf_ksym_exists(kfunc_module_serve) ? kfunc_module_serve(ctx) : 7;
}

char LICENSE[] SEC("license") = "GPL";
