// SPDX-License-Identifier: GPL-2.0-only
/* What kernels since 7.0 are new to: a kfunc with an implicit argument, a list of a tracepoint. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include "seven_trace.h"

__bpf_kfunc_start_defs();

__bpf_kfunc int seven_plain(int n)
{
	trace_seven_called(n);
	return n + 1;
}

__bpf_kfunc int seven_shared(int n)
{
	return n;
}

__bpf_kfunc int seven_hidden(int n, struct bpf_prog_aux *aux)
{
	return n + (aux ? 100 : 0);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(seven_ids)
BTF_ID_FLAGS(func, seven_plain)
BTF_ID_FLAGS(func, seven_shared)
BTF_ID_FLAGS(func, seven_hidden, KF_IMPLICIT_ARGS)
BTF_KFUNCS_END(seven_ids)

static const struct btf_kfunc_id_set seven_set = {
	.owner = THIS_MODULE,
	.set = &seven_ids,
};

static int __init seven_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &seven_set);
}

static void __exit seven_exit(void)
{
}

module_init(seven_init);
module_exit(seven_exit);
MODULE_DESCRIPTION("an implicit argument and a tracepoint");
MODULE_LICENSE("GPL");
