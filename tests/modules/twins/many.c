// SPDX-License-Identifier: GPL-2.0-only
/* 256 kfuncs; each returns what it is given and one more. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include "many.h"

__bpf_kfunc_start_defs();

#define DEFINE(name)                                                                               \
	__bpf_kfunc u64 name(u64 value)                                                            \
	{                                                                                          \
		return value + 1;                                                                  \
	}
MANY(DEFINE)

__bpf_kfunc_end_defs();

#define LIST(name) BTF_ID_FLAGS(func, name)
BTF_KFUNCS_START(many_ids)
MANY(LIST)
BTF_KFUNCS_END(many_ids)

static const struct btf_kfunc_id_set many_set = {
	.owner = THIS_MODULE,
	.set = &many_ids,
};

static int __init many_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &many_set);
}

static void __exit many_exit(void)
{
}

module_init(many_init);
module_exit(many_exit);
MODULE_DESCRIPTION("as many kfuncs as a set may have");
MODULE_LICENSE("GPL");
