// SPDX-License-Identifier: GPL-2.0-only
/*
 * A counter with tickets, offered to BPF programs as kfuncs.
 *
 * It is small, but its BTF refers to the kernel's in every way that matters: types
 * embedded by value, types behind a pointer, enums, a typedef of an anonymous
 * struct. Its kfuncs have different flags, so that mixing them up is noticed.
 */
#include <linux/atomic.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/task.h>

/* Missing in kernels before 6.3, 6.7 and 6.9. */
#ifndef __bpf_kfunc
#define __bpf_kfunc __used noinline
#endif
#ifndef __bpf_kfunc_start_defs
#define __bpf_kfunc_start_defs() \
	__diag_push(); \
	__diag_ignore_all("-Wmissing-prototypes", "kfuncs are called by BPF programs")
#define __bpf_kfunc_end_defs() __diag_pop()
#endif
#ifndef BTF_KFUNCS_START
#define BTF_KFUNCS_START BTF_SET8_START
#define BTF_KFUNCS_END BTF_SET8_END
#endif
/* All pointer arguments are trusted since 7.0, and kernels no longer have the flag. */
#ifndef KF_TRUSTED_ARGS
#define KF_TRUSTED_ARGS 0
#endif

enum kfunc_module_mood {
	KFUNC_MODULE_CLOSED,
	KFUNC_MODULE_OPEN,
	KFUNC_MODULE_BUSY = 7,
};

struct kfunc_module_ticket {
	struct list_head link;
	atomic_t taken;
	u32 number;
};

struct kfunc_module_counter {
	struct list_head tickets;
	struct mutex lock;
	atomic64_t served;
	enum kfunc_module_mood mood;
	enum system_states opened_in;
	struct task_struct *opener;
};

static struct kfunc_module_ticket tickets[4];

static struct kfunc_module_counter counter = {
	.tickets = LIST_HEAD_INIT(counter.tickets),
	.lock = __MUTEX_INITIALIZER(counter.lock),
	.mood = KFUNC_MODULE_OPEN,
};

__bpf_kfunc_start_defs();

__bpf_kfunc u64 kfunc_module_serve(u64 customers)
{
	return atomic64_add_return(customers, &counter.served);
}

__bpf_kfunc enum kfunc_module_mood kfunc_module_set_mood(enum kfunc_module_mood mood)
{
	return xchg(&counter.mood, mood);
}

/* Not bool: BPF programs test the whole register, of which a bool defines only the lowest byte. */
__bpf_kfunc int kfunc_module_is_opener(struct task_struct *task)
{
	return task == counter.opener;
}

__bpf_kfunc u32 kfunc_module_queue(u32 milliseconds)
{
	mutex_lock(&counter.lock);
	msleep(milliseconds);
	mutex_unlock(&counter.lock);
	return milliseconds;
}

__bpf_kfunc struct kfunc_module_ticket *kfunc_module_ticket_take(void)
{
	struct kfunc_module_ticket *ticket;

	list_for_each_entry(ticket, &counter.tickets, link)
		if (!atomic_cmpxchg(&ticket->taken, 0, 1))
			return ticket;
	return NULL;
}

__bpf_kfunc void kfunc_module_ticket_return(struct kfunc_module_ticket *ticket)
{
	atomic_set(&ticket->taken, 0);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(kfunc_module_ids)
BTF_ID_FLAGS(func, kfunc_module_serve)
BTF_ID_FLAGS(func, kfunc_module_set_mood)
BTF_ID_FLAGS(func, kfunc_module_is_opener, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, kfunc_module_queue, KF_SLEEPABLE)
BTF_ID_FLAGS(func, kfunc_module_ticket_take, KF_ACQUIRE | KF_RET_NULL)
BTF_ID_FLAGS(func, kfunc_module_ticket_return, KF_RELEASE)
BTF_KFUNCS_END(kfunc_module_ids)

static const struct btf_kfunc_id_set kfunc_module_set = {
	.owner = THIS_MODULE,
	.set = &kfunc_module_ids,
};

static int __init kfunc_module_init(void)
{
	int err;

	for (u32 i = 0; i < ARRAY_SIZE(tickets); i++) {
		tickets[i].number = i;
		list_add_tail(&tickets[i].link, &counter.tickets);
	}
	counter.opened_in = system_state;
	counter.opener = get_task_struct(current);

	err = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &kfunc_module_set);
	if (!err)
		err = register_btf_kfunc_id_set(BPF_PROG_TYPE_SCHED_CLS, &kfunc_module_set);
	if (err)
		put_task_struct(counter.opener);
	return err;
}

static void __exit kfunc_module_exit(void)
{
	put_task_struct(counter.opener);
}

module_init(kfunc_module_init);
module_exit(kfunc_module_exit);
MODULE_DESCRIPTION("kfuncs that hand out tickets");
MODULE_LICENSE("GPL");
