// SPDX-License-Identifier: GPL-2.0-only
/* Calls kfuncs of kfunc_module; customers.c loads it through its light skeleton. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct kfunc_module_ticket {
	__u32 number;
} __attribute__((preserve_access_index));

extern __u64 kfunc_module_serve(__u64 customers) __ksym;
extern struct kfunc_module_ticket *kfunc_module_ticket_take(void) __ksym;
extern void kfunc_module_ticket_return(struct kfunc_module_ticket *ticket) __ksym;
/* Newer versions of the module may have it. */
extern __u64 kfunc_module_forget(void) __ksym __weak;

/* Passed and read by customers.c. */
struct visit {
	__u64 customers;
	__u64 served;
	__u32 ticket;
};

SEC("syscall")
int visit(struct visit *visit)
{
	struct kfunc_module_ticket *ticket = kfunc_module_ticket_take();

	if (!ticket)
		return 1;
	visit->ticket = ticket->number;
	kfunc_module_ticket_return(ticket);
	if (bpf_ksym_exists(kfunc_module_forget))
		kfunc_module_forget();
	visit->served = kfunc_module_serve(visit->customers);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
