// SPDX-License-Identifier: GPL-2.0-only
/* Calls the kfuncs of examples/kfunc_module, in right and in wrong ways. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define KERNEL __attribute__((preserve_access_index))

struct task_struct {
	struct task_struct *last_wakee;
} KERNEL;

struct kfunc_module_ticket {
	__u32 number;
} KERNEL;

enum kfunc_module_mood { KFUNC_MODULE_CLOSED };

extern __u64 kfunc_module_serve(__u64 customers) __ksym;
extern enum kfunc_module_mood kfunc_module_set_mood(enum kfunc_module_mood mood) __ksym;
extern int kfunc_module_is_opener(struct task_struct *task) __ksym;
extern __u32 kfunc_module_queue(__u32 milliseconds) __ksym;
extern struct kfunc_module_ticket *kfunc_module_ticket_take(void) __ksym;
extern void kfunc_module_ticket_return(struct kfunc_module_ticket *ticket) __ksym;

SEC("syscall")
int serve(void *ctx)
{
	__u64 before = kfunc_module_serve(0);

	kfunc_module_serve(40);
	return kfunc_module_serve(2) - before;
}

SEC("tc")
int serve_packet(struct __sk_buff *ctx)
{
	__u64 before = kfunc_module_serve(0);

	return kfunc_module_serve(ctx->len) - before;
}

/* It is open, 1, when loaded. */
SEC("syscall")
int set_mood(void *ctx)
{
	int before = kfunc_module_set_mood(7);

	return 10 * before + kfunc_module_set_mood(1);
}

/* The task that runs this is the one that loaded the module. */
SEC("syscall")
int is_opener(void *ctx)
{
	return kfunc_module_is_opener(bpf_get_current_task_btf());
}

SEC("syscall")
int queue(void *ctx)
{
	return kfunc_module_queue(3);
}

/* The tickets are handed out by number; where the number is, the module's BTF says. */
SEC("syscall")
int take_tickets(void *ctx)
{
	struct kfunc_module_ticket *first, *second;
	int result = -1;

	first = kfunc_module_ticket_take();
	if (!first)
		return -1;
	second = kfunc_module_ticket_take();
	if (second) {
		result = 100 + 10 * first->number + second->number;
		kfunc_module_ticket_return(second);
	}
	kfunc_module_ticket_return(first);
	return result;
}

/* KF_SLEEPABLE: not from a program that may not sleep. */
SEC("tc")
int queue_packet(struct __sk_buff *ctx)
{
	return kfunc_module_queue(3);
}

/* KF_TRUSTED_ARGS: not with a pointer that was read from somewhere. */
SEC("syscall")
int is_wakee_opener(void *ctx)
{
	return kfunc_module_is_opener(bpf_get_current_task_btf()->last_wakee);
}

/* KF_ACQUIRE: what was taken must be returned, as KF_RELEASE makes of take_tickets. */
SEC("syscall")
int keep_ticket(void *ctx)
{
	return !kfunc_module_ticket_take();
}

/* KF_RET_NULL: there may be no ticket left. */
SEC("syscall")
int return_no_ticket(void *ctx)
{
	kfunc_module_ticket_return(kfunc_module_ticket_take());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
