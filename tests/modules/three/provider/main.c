// SPDX-License-Identifier: GPL-2.0-only
/* Exports functions to two other modules, and one to BPF programs. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/sched.h>
#include "provider.h"

/* Kernel 6.9 brought these names, together with the flag that it asks for. */
#ifndef BTF_KFUNCS_START
#define BTF_KFUNCS_START(name) BTF_SET8_START(name)
#define BTF_KFUNCS_END(name) BTF_SET8_END(name)
#endif
#ifndef __bpf_kfunc
#define __bpf_kfunc __used noinline
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"

__bpf_kfunc u32 provider_weigh_task(struct task_struct *task)
{
	return task->prio;
}

#pragma GCC diagnostic pop

BTF_KFUNCS_START(provider_ids)
BTF_ID_FLAGS(func, provider_weigh_task)
BTF_KFUNCS_END(provider_ids)

static const struct btf_kfunc_id_set provider_set = {
	.owner = THIS_MODULE,
	.set = &provider_ids,
};

static int __init provider_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &provider_set);
}

static void __exit provider_exit(void)
{
}

module_init(provider_init);
module_exit(provider_exit);
MODULE_DESCRIPTION("serves two other modules");
MODULE_LICENSE("GPL");
