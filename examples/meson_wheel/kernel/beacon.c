// SPDX-License-Identifier: GPL-2.0-only
/* A light that BPF programs may switch. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include "beacon.h"

static struct beacon beacon = { .lock = __MUTEX_INITIALIZER(beacon.lock) };

__bpf_kfunc_start_defs();

__bpf_kfunc u32 beacon_switch(u32 colour)
{
	return xchg(&beacon.colour, colour % BEACON_COLOURS);
}

__bpf_kfunc struct beacon *beacon_get(void)
{
	return &beacon;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(beacon_ids)
BTF_ID_FLAGS(func, beacon_switch)
BTF_ID_FLAGS(func, beacon_get, KF_RET_NULL)
BTF_KFUNCS_END(beacon_ids)

static const struct btf_kfunc_id_set beacon_set = {
	.owner = THIS_MODULE,
	.set = &beacon_ids,
};

static int __init beacon_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &beacon_set);
}

static void __exit beacon_exit(void)
{
}

module_init(beacon_init);
module_exit(beacon_exit);
MODULE_DESCRIPTION("a light");
MODULE_LICENSE("GPL");
