// SPDX-License-Identifier: GPL-2.0-only
/* The office's functions for BPF programs. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/sched.h>

#include "office.h"

/* All pointer arguments are trusted since 7.0, and kernels no longer have the flag. */
#ifndef KF_TRUSTED_ARGS
#define KF_TRUSTED_ARGS 0
#endif

__bpf_kfunc_start_defs();

__bpf_kfunc u32 ticket_office_price(struct task_struct *buyer)
{
	return buyer->prio + sold;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(office_ids)
BTF_ID_FLAGS(func, ticket_office_price, KF_TRUSTED_ARGS)
BTF_KFUNCS_END(office_ids)

static const struct btf_kfunc_id_set office_set = {
	.owner = THIS_MODULE,
	.set = &office_ids,
};

int office_register_kfuncs(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &office_set);
}
