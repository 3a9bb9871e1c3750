// SPDX-License-Identifier: GPL-2.0-only
/* Calls a function of vmlinux that is no kfunc. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern long schedule_timeout(long timeout) __ksym;

SEC("syscall")
int not_kfunc(void *ctx)
{
	return schedule_timeout(1);
}

char LICENSE[] SEC("license") = "GPL";
