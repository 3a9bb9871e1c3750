// SPDX-License-Identifier: GPL-2.0-only
/* Calls 256 kfuncs of one module, each twice; with ONE_MORE one of another module. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../../../modules/twins/many.h"

#define DECLARE(name) extern __u64 name(__u64 value) __ksym;
MANY(DECLARE)
extern __u64 kfunc_module_serve(__u64 customers) __ksym;

#define CALL(name) value = name(value);

SEC("syscall")
int many(void *ctx)
{
	__u64 value = 0;

	MANY(CALL)
	MANY(CALL)
#ifdef ONE_MORE
	value += kfunc_module_serve(0) & 0;
#endif
	return value;
}

char LICENSE[] SEC("license") = "GPL";
