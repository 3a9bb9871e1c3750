// SPDX-License-Identifier: GPL-2.0-only
/* Calls the kfuncs of tests/modules/own_types. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum own_types_light { OWN_TYPES_RED };

extern enum own_types_light own_types_next(enum own_types_light light) __ksym;
extern void own_types_rest(void) __ksym;

/* From red, 4, to green, 5; then yellow, 6. */
SEC("syscall")
int next(void *ctx)
{
	return 10 * own_types_next(4) + own_types_next(5);
}

/* KF_SLEEPABLE. */
SEC("tc")
int rest_packet(struct __sk_buff *ctx)
{
	own_types_rest();
	return 0;
}

SEC("syscall")
int rest(void *ctx)
{
	own_types_rest();
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
