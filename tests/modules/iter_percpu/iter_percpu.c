// SPDX-License-Identifier: GPL-2.0-only
/* An iterator of kfuncs and per-CPU variables: what BPF programs find by the module's BTF alone. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/percpu.h>

struct iter_percpu_step {
	struct task_struct *task;
	u32 number;
};

struct bpf_iter_steps {
	u32 next;
	u32 end;
} __aligned(8);

DEFINE_PER_CPU(u32, iter_percpu_number);
DEFINE_PER_CPU(struct iter_percpu_step, iter_percpu_here);

static struct iter_percpu_step steps[8];

__bpf_kfunc_start_defs();

__bpf_kfunc int bpf_iter_steps_new(struct bpf_iter_steps *it, u32 first, u32 end)
{
	it->next = first;
	it->end = min_t(u32, end, ARRAY_SIZE(steps));
	return 0;
}

__bpf_kfunc struct iter_percpu_step *bpf_iter_steps_next(struct bpf_iter_steps *it)
{
	return it->next < it->end ? &steps[it->next++] : NULL;
}

__bpf_kfunc void bpf_iter_steps_destroy(struct bpf_iter_steps *it)
{
	it->end = 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(iter_percpu_ids)
BTF_ID_FLAGS(func, bpf_iter_steps_new, KF_ITER_NEW)
BTF_ID_FLAGS(func, bpf_iter_steps_next, KF_ITER_NEXT | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_iter_steps_destroy, KF_ITER_DESTROY)
BTF_KFUNCS_END(iter_percpu_ids)

static const struct btf_kfunc_id_set iter_percpu_set = {
	.owner = THIS_MODULE,
	.set = &iter_percpu_ids,
};

static int __init iter_percpu_init(void)
{
	int cpu;

	for (u32 i = 0; i < ARRAY_SIZE(steps); i++)
		steps[i].number = i;
	for_each_possible_cpu(cpu) {
		per_cpu(iter_percpu_number, cpu) = 10 + cpu;
		per_cpu(iter_percpu_here, cpu).number = 20 + cpu;
	}
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &iter_percpu_set);
}

static void __exit iter_percpu_exit(void)
{
}

module_init(iter_percpu_init);
module_exit(iter_percpu_exit);
MODULE_DESCRIPTION("an iterator and per-CPU variables");
MODULE_LICENSE("GPL");
