// SPDX-License-Identifier: GPL-2.0-only
/* Missing kfuncs behind a constant switch, off unless WANTED is 1, and behind tests of addresses. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifndef WANTED
#define WANTED 0
#endif

const volatile int wanted = WANTED;

extern __u64 kfunc_module_serve(__u64 customers) __ksym;
extern __u64 kfunc_module_absent(__u64 value) __ksym __weak;
extern __u64 kfunc_module_gone(__u64 value) __ksym __weak;

static __attribute__((noinline)) int from_below(void)
{
	if (bpf_ksym_exists(kfunc_module_gone))
		return kfunc_module_gone(1);
	return 2;
}

SEC("syscall")
int weak(void *ctx)
{
	if (wanted)
		return kfunc_module_absent(3);
	return from_below() + (kfunc_module_serve(0) != 0);
}

char LICENSE[] SEC("license") = "GPL";
