// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>

BTF_KFUNCS_START(own_types_ids)
BTF_ID_FLAGS(func, own_types_next)
BTF_ID_FLAGS(func, own_types_rest, KF_SLEEPABLE)
BTF_KFUNCS_END(own_types_ids)

static const struct btf_kfunc_id_set own_types_set = {
	.owner = THIS_MODULE,
	.set = &own_types_ids,
};

static int __init own_types_init(void)
{
	int err = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &own_types_set);

	return err ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_SCHED_CLS, &own_types_set);
}

static void __exit own_types_exit(void)
{
}

module_init(own_types_init);
module_exit(own_types_exit);
MODULE_DESCRIPTION("kfuncs with types of their own");
MODULE_LICENSE("GPL");
