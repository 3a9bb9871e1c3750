// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kfuncs whose names vmlinux and the module seven have already, each in a set of its own. What the
 * kernel says to registering a set goes to its log: "seven_again: NAME ERROR".
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>

__bpf_kfunc_start_defs();
__bpf_kfunc int do_epoll_create(int n) { return n; }
__bpf_kfunc int seven_shared(int n) { return n; }
__bpf_kfunc int seven_own(int n) { return n; }
__bpf_kfunc_end_defs();

#define SET(name, kfunc)						\
	BTF_KFUNCS_START(name)						\
	BTF_ID_FLAGS(func, kfunc)					\
	BTF_KFUNCS_END(name)						\
	static const struct btf_kfunc_id_set name##_set = {		\
		.owner = THIS_MODULE,					\
		.set = &name,						\
	}

SET(of_vmlinux, do_epoll_create);
SET(of_module, seven_shared);
SET(of_nobody, seven_own);

#define REGISTER(name)							\
	pr_info("seven_again: " #name " %d\n",				\
		register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &name##_set))

static int __init seven_again_init(void)
{
	REGISTER(of_vmlinux);
	REGISTER(of_module);
	REGISTER(of_nobody);
	return 0;
}

static void __exit seven_again_exit(void)
{
}

module_init(seven_again_init);
module_exit(seven_again_exit);
MODULE_DESCRIPTION("names that are taken");
MODULE_LICENSE("GPL");
