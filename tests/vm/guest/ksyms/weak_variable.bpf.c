// SPDX-License-Identifier: GPL-2.0-only
/* Declares a weak variable of another type than it has, which libbpf does not forgive. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern void *const bpf_prog_active __ksym __weak;

SEC("syscall")
int weak_variable(void *ctx)
{
	return &bpf_prog_active != 0;
}

char LICENSE[] SEC("license") = "GPL";
