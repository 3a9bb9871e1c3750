/* SPDX-License-Identifier: GPL-2.0-only */
/* One of two modules that have a kfunc of the same name, and one of its own: TWIN is a or b. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>

#define PASTE(a, b) a##b
#define NAME(a, b) PASTE(a, b)
#define OWN NAME(twin_only_, TWIN)

__bpf_kfunc_start_defs();

__bpf_kfunc u32 twin_which(void)
{
	return NUMBER;
}

__bpf_kfunc u32 OWN(u32 add)
{
	return NUMBER + add;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(twin_ids)
BTF_ID_FLAGS(func, twin_which)
BTF_ID_FLAGS(func, OWN)
BTF_KFUNCS_END(twin_ids)

static const struct btf_kfunc_id_set twin_set = {
	.owner = THIS_MODULE,
	.set = &twin_ids,
};

static int __init twin_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &twin_set);
}

static void __exit twin_exit(void)
{
}

module_init(twin_init);
module_exit(twin_exit);
MODULE_DESCRIPTION("kfunc of a name that another module has too");
MODULE_LICENSE("GPL");
