// SPDX-License-Identifier: GPL-2.0-only
/* What BPF programs may ask the office. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/sched.h>

#include "office.h"

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
