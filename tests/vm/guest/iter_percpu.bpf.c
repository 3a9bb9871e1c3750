// SPDX-License-Identifier: GPL-2.0-only
/* Uses the iterator and the per-CPU variables of tests/modules/iter_percpu. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct iter_percpu_step {
	__u32 number;
} __attribute__((preserve_access_index));

struct bpf_iter_steps {
	__u64 opaque[1];
};

extern int bpf_iter_steps_new(struct bpf_iter_steps *it, __u32 first, __u32 end) __ksym;
extern struct iter_percpu_step *bpf_iter_steps_next(struct bpf_iter_steps *it) __ksym;
extern void bpf_iter_steps_destroy(struct bpf_iter_steps *it) __ksym;

extern const __u32 iter_percpu_number __ksym;
extern const struct iter_percpu_step iter_percpu_here __ksym;

/* 2, 3, 4; where the number is, the module's BTF says. */
SEC("syscall")
int walk(void *ctx)
{
	struct iter_percpu_step *step;
	int result = 0;

	bpf_for_each(steps, step, 2, 5)
		result = 10 * result + step->number;
	return result;
}

/* KF_ITER_NEW: what was begun must be ended, as KF_ITER_DESTROY does. */
SEC("syscall")
int walk_without_end(void *ctx)
{
	struct bpf_iter_steps it;

	return bpf_iter_steps_new(&it, 0, 1);
}

/* KF_ITER_NEXT. */
SEC("syscall")
int walk_without_start(void *ctx)
{
	struct bpf_iter_steps it = {};

	return !bpf_iter_steps_next(&it);
}

/* KF_RET_NULL: there may be no step left. */
SEC("syscall")
int walk_too_far(void *ctx)
{
	struct bpf_iter_steps it;
	int result;

	bpf_iter_steps_new(&it, 0, 1);
	result = bpf_iter_steps_next(&it)->number;
	bpf_iter_steps_destroy(&it);
	return result;
}

SEC("syscall")
int numbers(void *ctx)
{
	const __u32 *first = bpf_per_cpu_ptr(&iter_percpu_number, 0);
	const __u32 *second = bpf_per_cpu_ptr(&iter_percpu_number, 1);

	return first && second ? 100 * *first + *second : -1;
}

SEC("syscall")
int own_number(void *ctx)
{
	const __u32 *own = bpf_this_cpu_ptr(&iter_percpu_number);

	return *own >= 10 && *own <= 11;
}

SEC("syscall")
int here(void *ctx)
{
	const struct iter_percpu_step *second = bpf_per_cpu_ptr(&iter_percpu_here, 1);

	return second ? second->number : -1;
}

char LICENSE[] SEC("license") = "GPL";
