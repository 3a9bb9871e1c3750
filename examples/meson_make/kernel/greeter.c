// SPDX-License-Identifier: GPL-2.0-only
/* Greets everyone who asks; a BPF program may ask, too. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "greeter.h"

/* All pointer arguments are trusted since 7.0, and kernels no longer have the flag. */
#ifndef KF_TRUSTED_ARGS
#define KF_TRUSTED_ARGS 0
#endif

static char *whom = GREETER_WHOM;
module_param(whom, charp, 0444);
MODULE_PARM_DESC(whom, "whom to greet");

__bpf_kfunc_start_defs();

__bpf_kfunc void greeter_greet(struct task_struct *task)
{
	pr_info("%s greets %s\n", task->comm, whom);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(greeter_ids)
BTF_ID_FLAGS(func, greeter_greet, KF_TRUSTED_ARGS)
BTF_KFUNCS_END(greeter_ids)

static const struct btf_kfunc_id_set greeter_set = {
	.owner = THIS_MODULE,
	.set = &greeter_ids,
};

static int __init greeter_init(void)
{
	greeter_greet(current);
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &greeter_set);
}

static void __exit greeter_exit(void)
{
}

module_init(greeter_init);
module_exit(greeter_exit);
MODULE_DESCRIPTION("greets");
MODULE_LICENSE("GPL");
