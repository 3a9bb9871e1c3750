// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kfunc sets that break one rule each, and a set of kfuncs that cannot be called for one reason
 * each. What the kernel says to registering a set goes to its log: "kfunc_rules: NAME ERROR".
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>

#define TEN(X, n) \
	X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define HUNDRED(X, n) \
	TEN(X, n##0) TEN(X, n##1) TEN(X, n##2) TEN(X, n##3) TEN(X, n##4) \
	TEN(X, n##5) TEN(X, n##6) TEN(X, n##7) TEN(X, n##8) TEN(X, n##9)
#define MANY(X) \
	HUNDRED(X, 0) HUNDRED(X, 1) TEN(X, 20) TEN(X, 21) TEN(X, 22) TEN(X, 23) TEN(X, 24) \
	X(250) X(251) X(252) X(253) X(254) X(255)
#define NR_MANY 256

struct rules_thing {
	long pointers[2];
	struct task_struct *task;
};

struct rules_pair {
	int one, two;
};

struct rules_opaque;

struct bpf_iter_flags { u64 state; };
struct bpf_iter_size { u32 state[3]; };
struct bpf_iter_name { u64 state; };
struct bpf_iter_args { u64 state; };
struct bpf_iter_next { u64 state; };
struct bpf_iter_done { u64 state; };

static struct rules_thing thing;
static int numbers[4] = { 1, 2, 3, 4 };

__bpf_kfunc_start_defs();

#define DEFINE(n) __bpf_kfunc void rules_many_##n(struct rules_thing *it) { it->pointers[0]++; }
MANY(DEFINE)
__bpf_kfunc void rules_one_more(struct rules_thing *it) { it->pointers[1]++; }

/* Iterators. */
__bpf_kfunc int bpf_iter_flags_new(struct bpf_iter_flags *it) { it->state = 0; return 0; }
__bpf_kfunc int bpf_iter_arg_new(struct rules_thing *it) { it->task = NULL; return 0; }
__bpf_kfunc int bpf_iter_size_new(struct bpf_iter_size *it) { it->state[0] = 0; return 0; }
__bpf_kfunc int bpf_iter_name_begin(struct bpf_iter_name *it) { it->state = 0; return 0; }
__bpf_kfunc int *bpf_iter_args_next(struct bpf_iter_args *it, int n)
{
	return it->state++ < n ? numbers : NULL;
}
__bpf_kfunc int bpf_iter_next_next(struct bpf_iter_next *it) { return it->state++; }
__bpf_kfunc int bpf_iter_done_destroy(struct bpf_iter_done *it) { return it->state; }

/* Destructors. */
__bpf_kfunc void rules_gone(struct rules_thing *it) { it->task = NULL; }
__bpf_kfunc int rules_gone_int(struct rules_thing *it) { it->task = NULL; return 0; }
__bpf_kfunc void rules_gone_two(struct rules_thing *it, int n) { it->pointers[0] = n; }
__bpf_kfunc void rules_gone_number(long n) { thing.pointers[0] = n; }

/* To be called. */
__bpf_kfunc int rules_fine(int n) { return n + 1; }
__bpf_kfunc int rules_six(int a, int b, int c, int d, int e, int f) { return a + b + c + d + e + f; }
__bpf_kfunc int rules_variadic(int n, ...) { return n; }
__bpf_kfunc int rules_by_value(struct rules_pair pair) { return pair.one; }
__bpf_kfunc int rules_takes_opaque(struct rules_opaque *it) { return !it; }
__bpf_kfunc int rules_takes_pointers(long **it) { return !it; }
__bpf_kfunc int rules_takes_void(void *it) { return !it; }
__bpf_kfunc int rules_takes_size(void *it, int it__sz) { return it__sz; }
__bpf_kfunc int rules_takes_void_or_null(void *it__nullable) { return !it__nullable; }
__bpf_kfunc int rules_takes_ignored(void *it__ign) { return !it__ign; }
__bpf_kfunc int rules_takes_alloc(struct rules_pair *it__alloc) { return it__alloc->one; }
__bpf_kfunc int rules_takes_iter(struct rules_pair *it__iter) { return it__iter->one; }
__bpf_kfunc int rules_takes_constants(int a__k, int b__k) { return a__k + b__k; }
__bpf_kfunc int rules_takes_mixed_constants(int a__k, void *b, int b__szk) { return a__k + b__szk; }
__bpf_kfunc int *rules_takes_sizes(int rdonly_buf_size, int rdwr_buf_size) { return numbers; }
__bpf_kfunc int rules_ignores_size(int number__sz) { return number__sz; }
__bpf_kfunc struct rules_pair rules_returns_pair(int n) { return (struct rules_pair){ n, n }; }
__bpf_kfunc struct rules_opaque *rules_returns_opaque(int n) { return NULL; }
__bpf_kfunc int rules_acquires_int(int n) { return n; }
__bpf_kfunc int *rules_acquires_number(int n) { return numbers; }
__bpf_kfunc void rules_releases_int(int n) { numbers[0] = n; }
__bpf_kfunc int rules_int_or_null(int n) { return n; }
__bpf_kfunc u64 rules_all_bits(void) { return U64_MAX; }
__bpf_kfunc bool rules_equal(u64 a, u64 b) { return a == b; }
__bpf_kfunc int rules_twice(int n) { return 2 * n; }
__bpf_kfunc int rules_first(int n) { return n + 10; }
__bpf_kfunc int rules_second(int n) { return n + 20; }
__bpf_kfunc int rules_counted(int n) { return n + 30; }
__bpf_kfunc int rules_uncounted(int n) { return n + 40; }
__bpf_kfunc int rules_sizes_thing(struct rules_thing *it, int it__sz) { return it__sz; }
__bpf_kfunc int rules_sizes_pair(struct rules_pair *it, int it__sz) { return it__sz; }
__bpf_kfunc int rules_sizes_int(int n, int n__sz) { return n__sz; }
#ifndef NO_NAME_TAKEN
/* The kernel has a function of this name, which is no kfunc. */
__bpf_kfunc int do_epoll_create(int n) { return n; }
#endif

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(bad_iter_flag)
BTF_ID_FLAGS(func, bpf_iter_flags_new, KF_ITER_NEW | KF_ITER_NEXT)
BTF_KFUNCS_END(bad_iter_flag)
BTF_KFUNCS_START(bad_iter_arg)
BTF_ID_FLAGS(func, bpf_iter_arg_new, KF_ITER_NEW)
BTF_KFUNCS_END(bad_iter_arg)
BTF_KFUNCS_START(bad_iter_size)
BTF_ID_FLAGS(func, bpf_iter_size_new, KF_ITER_NEW)
BTF_KFUNCS_END(bad_iter_size)
BTF_KFUNCS_START(bad_iter_name)
BTF_ID_FLAGS(func, bpf_iter_name_begin, KF_ITER_NEW)
BTF_KFUNCS_END(bad_iter_name)
BTF_KFUNCS_START(bad_iter_args)
BTF_ID_FLAGS(func, bpf_iter_args_next, KF_ITER_NEXT | KF_RET_NULL)
BTF_KFUNCS_END(bad_iter_args)
BTF_KFUNCS_START(bad_iter_next)
BTF_ID_FLAGS(func, bpf_iter_next_next, KF_ITER_NEXT)
BTF_KFUNCS_END(bad_iter_next)
BTF_KFUNCS_START(bad_iter_destroy)
BTF_ID_FLAGS(func, bpf_iter_done_destroy, KF_ITER_DESTROY)
BTF_KFUNCS_END(bad_iter_destroy)
BTF_SET8_START(bad_flag)
BTF_ID_FLAGS(func, rules_fine)
BTF_SET8_END(bad_flag)
BTF_KFUNCS_START(bad_struct)
BTF_ID_FLAGS(struct, rules_thing)
BTF_KFUNCS_END(bad_struct)
BTF_KFUNCS_START(bad_lost)
BTF_ID_FLAGS(func, rules_fine)
BTF_ID_FLAGS(func, rules_not_there)
BTF_KFUNCS_END(bad_lost)
/* The test gives this one the id of an int or the like. */
BTF_KFUNCS_START(bad_id)
BTF_ID_FLAGS(func, rules_fine)
BTF_KFUNCS_END(bad_id)
#define IN_SET(n) BTF_ID_FLAGS(func, rules_many_##n)
BTF_KFUNCS_START(bad_number)
MANY(IN_SET)
BTF_ID_FLAGS(func, rules_one_more)
BTF_KFUNCS_END(bad_number)
BTF_KFUNCS_START(just_enough)
MANY(IN_SET)
BTF_KFUNCS_END(just_enough)
BTF_KFUNCS_START(doubled)
BTF_ID_FLAGS(func, rules_twice)
BTF_ID_FLAGS(func, rules_twice)
BTF_KFUNCS_END(doubled)

/* The test swaps the first two. */
BTF_KFUNCS_START(unsorted)
BTF_ID_FLAGS(func, rules_first)
BTF_ID_FLAGS(func, rules_second)
BTF_KFUNCS_END(unsorted)
/* The test says that it has one less. */
BTF_KFUNCS_START(miscounted)
BTF_ID_FLAGS(func, rules_counted)
BTF_ID_FLAGS(func, rules_uncounted)
BTF_KFUNCS_END(miscounted)
BTF_KFUNCS_START(called)
BTF_ID_FLAGS(func, rules_fine)
BTF_ID_FLAGS(func, rules_six)
BTF_ID_FLAGS(func, rules_variadic)
BTF_ID_FLAGS(func, rules_by_value)
BTF_ID_FLAGS(func, rules_takes_opaque)
BTF_ID_FLAGS(func, rules_takes_pointers)
BTF_ID_FLAGS(func, rules_takes_void)
BTF_ID_FLAGS(func, rules_takes_size)
BTF_ID_FLAGS(func, rules_takes_void_or_null)
BTF_ID_FLAGS(func, rules_takes_ignored)
BTF_ID_FLAGS(func, rules_takes_alloc)
BTF_ID_FLAGS(func, rules_takes_iter)
BTF_ID_FLAGS(func, rules_takes_constants)
BTF_ID_FLAGS(func, rules_takes_mixed_constants)
BTF_ID_FLAGS(func, rules_takes_sizes)
BTF_ID_FLAGS(func, rules_ignores_size)
BTF_ID_FLAGS(func, rules_returns_pair)
BTF_ID_FLAGS(func, rules_returns_opaque)
BTF_ID_FLAGS(func, rules_acquires_int, KF_ACQUIRE)
BTF_ID_FLAGS(func, rules_acquires_number, KF_ACQUIRE)
BTF_ID_FLAGS(func, rules_releases_int, KF_RELEASE)
BTF_ID_FLAGS(func, rules_int_or_null, KF_RET_NULL)
BTF_ID_FLAGS(func, rules_all_bits)
BTF_ID_FLAGS(func, rules_equal)
BTF_ID_FLAGS(func, rules_sizes_thing)
BTF_ID_FLAGS(func, rules_sizes_pair)
BTF_ID_FLAGS(func, rules_sizes_int)
#ifndef NO_NAME_TAKEN
BTF_ID_FLAGS(func, do_epoll_create)
#endif
BTF_KFUNCS_END(called)

BTF_ID_LIST(dtor_ids)
BTF_ID(struct, rules_thing)
BTF_ID(func, rules_gone)
BTF_ID_LIST(dtor_result_ids)
BTF_ID(struct, rules_thing)
BTF_ID(func, rules_gone_int)
BTF_ID_LIST(dtor_two_ids)
BTF_ID(struct, rules_thing)
BTF_ID(func, rules_gone_two)
BTF_ID_LIST(dtor_number_ids)
BTF_ID(struct, rules_thing)
BTF_ID(func, rules_gone_number)
BTF_ID_LIST(dtor_lost_ids)
BTF_ID(struct, rules_thing)
BTF_ID(func, rules_not_there)
#define IN_LIST(n) BTF_ID(func, rules_many_##n)
BTF_ID_LIST(dtor_many_ids)
BTF_ID(struct, rules_thing)
MANY(IN_LIST)

static void __init report(const char *name, int err)
{
	pr_info("kfunc_rules: %s %d\n", name, err);
}

static void __init try(const char *name, enum bpf_prog_type type, struct btf_id_set8 *set)
{
	struct btf_kfunc_id_set *all = kzalloc(sizeof(*all), GFP_KERNEL);

	/* The kernel copies what it keeps of it. */
	if (!all)
		return;
	all->owner = THIS_MODULE;
	all->set = set;
	report(name, register_btf_kfunc_id_set(type, all));
	kfree(all);
}

static void __init try_dtors(const char *name, const u32 *ids, u32 number)
{
	struct btf_id_dtor_kfunc *dtors = kcalloc(number, sizeof(*dtors), GFP_KERNEL);
	u32 i;

	if (!dtors)
		return;
	for (i = 0; i < number; i++) {
		dtors[i].btf_id = ids[0];
		dtors[i].kfunc_btf_id = ids[i + 1];
	}
	report(name, register_btf_id_dtor_kfuncs(dtors, number, THIS_MODULE));
	kfree(dtors);
}

#define TRY(set, type) try(#set, BPF_PROG_TYPE_##type, &set)
#define TRY_DTORS(ids, number) try_dtors(#ids, ids, number)

static int __init kfunc_rules_init(void)
{
	TRY(bad_iter_flag, XDP);
	TRY(bad_iter_arg, XDP);
	TRY(bad_iter_size, XDP);
	TRY(bad_iter_name, XDP);
	TRY(bad_iter_args, XDP);
	TRY(bad_iter_next, XDP);
	TRY(bad_iter_destroy, XDP);
	TRY(bad_flag, XDP);
	TRY(bad_struct, XDP);
	TRY(bad_lost, XDP);
	TRY(bad_id, XDP);
	TRY(bad_number, XDP);
	/* What fails frees what was registered before. */
	TRY(just_enough, XDP);
	TRY(doubled, SOCKET_FILTER);
	TRY(unsorted, SCHED_CLS);
	TRY(miscounted, UNSPEC);
	TRY(called, SYSCALL);
	TRY_DTORS(dtor_result_ids, 1);
	TRY_DTORS(dtor_two_ids, 1);
	TRY_DTORS(dtor_number_ids, 1);
	TRY_DTORS(dtor_lost_ids, 1);
	TRY_DTORS(dtor_many_ids, NR_MANY);
	TRY_DTORS(dtor_ids, 1);
	return 0;
}

static void __exit kfunc_rules_exit(void)
{
}

module_init(kfunc_rules_init);
module_exit(kfunc_rules_exit);
MODULE_DESCRIPTION("kfunc sets that break rules");
MODULE_LICENSE("GPL");
