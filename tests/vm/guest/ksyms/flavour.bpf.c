// SPDX-License-Identifier: GPL-2.0-only
/* The same kfunc under names with flavours, and a variable of vmlinux. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern __u64 kfunc_module_serve(__u64 customers) __ksym;
extern __u64 kfunc_module_serve___plain(__u64 customers) __ksym __weak;
extern __u64 kfunc_module_serve___two(__u64 customers, __u64 tables) __ksym __weak;
extern const int bpf_prog_active __ksym;

SEC("syscall")
int flavour(void *ctx)
{
	const int *active = bpf_this_cpu_ptr(&bpf_prog_active);
	__u64 before = kfunc_module_serve(0);

	if (bpf_ksym_exists(kfunc_module_serve___two))
		return kfunc_module_serve___two(1, 1);
	if (!bpf_ksym_exists(kfunc_module_serve___plain))
		return 5;
	return kfunc_module_serve___plain(3) - before + (*active < 0);
}

char LICENSE[] SEC("license") = "GPL";
