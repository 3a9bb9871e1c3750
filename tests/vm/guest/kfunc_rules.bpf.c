// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls each kfunc of tests/modules/kfunc_rules. Most calls are in assembly, as clang refuses what
 * the verifier is to be seen refusing.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct rules_pair {
	int one, two;
};

struct rules_opaque;

struct rules_thing {
	long pointers[2];
};

extern int rules_fine(int n) __ksym;
extern int rules_six(int a, int b, int c, int d, int e, int f) __ksym;
extern int rules_variadic(int n, ...) __ksym;
extern int rules_by_value(struct rules_pair pair) __ksym;
extern int rules_takes_opaque(struct rules_opaque *it) __ksym;
extern int rules_takes_pointers(long **it) __ksym;
extern int rules_takes_void(void *it) __ksym;
extern int rules_takes_size(void *it, int it__sz) __ksym;
extern int rules_takes_void_or_null(void *it__nullable) __ksym;
extern int rules_takes_ignored(void *it__ign) __ksym;
extern int rules_takes_alloc(struct rules_pair *it__alloc) __ksym;
extern int rules_takes_iter(struct rules_pair *it__iter) __ksym;
extern int rules_takes_constants(int a__k, int b__k) __ksym;
extern int rules_takes_mixed_constants(int a__k, void *b, int b__szk) __ksym;
extern int *rules_takes_sizes(int rdonly_buf_size, int rdwr_buf_size) __ksym;
extern int rules_ignores_size(int number__sz) __ksym;
extern struct rules_pair rules_returns_pair(int n) __ksym;
extern struct rules_opaque *rules_returns_opaque(int n) __ksym;
extern int rules_acquires_int(int n) __ksym;
extern int *rules_acquires_number(int n) __ksym;
extern void rules_releases_int(int n) __ksym;
extern int rules_int_or_null(int n) __ksym;
extern __u64 rules_all_bits(void) __ksym;
extern _Bool rules_equal(__u64 a, __u64 b) __ksym;
extern int rules_first(int n) __ksym;
extern int rules_second(int n) __ksym;
extern int rules_counted(int n) __ksym;
extern int rules_uncounted(int n) __ksym;
extern int rules_sizes_thing(struct rules_thing *it, int it__sz) __ksym;
extern int rules_sizes_pair(struct rules_pair *it, int it__sz) __ksym;
extern int rules_sizes_int(int n, int n__sz) __ksym;
extern int do_epoll_create(int n) __ksym;

#define NUMBERS "r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5;"
#define POINTER							\
	"r1 = 0; *(u64 *)(r10 - 8) = r1; *(u64 *)(r10 - 16) = r1;"	\
	"r1 = r10; r1 += -16; r2 = 4;"
#define SECOND_POINTER						\
	"r1 = 0; *(u64 *)(r10 - 8) = r1; *(u64 *)(r10 - 16) = r1;"	\
	"r1 = 4; r2 = r10; r2 += -16; r3 = 4;"

#define CALL(type, name, kfunc, arguments)				\
SEC(type)								\
int name(void *ctx)							\
{									\
	long result;							\
									\
	asm volatile(arguments "call %[f]; %[result] = r0;"		\
		     : [result] "=r"(result)				\
		     : [f] "i"(kfunc)					\
		     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");	\
	return result;							\
}

#define CALLED(kfunc, arguments) CALL("syscall", kfunc##_called, kfunc, arguments)

CALLED(rules_fine, NUMBERS)
CALLED(rules_six, NUMBERS)
CALLED(rules_variadic, NUMBERS)
CALLED(rules_by_value, NUMBERS)
CALLED(rules_takes_opaque, POINTER)
CALLED(rules_takes_pointers, POINTER)
CALLED(rules_takes_void, POINTER)
CALLED(rules_takes_size, POINTER)
CALLED(rules_takes_void_or_null, POINTER)
CALL("syscall", null_given, rules_takes_void_or_null, "r1 = 0;")
CALLED(rules_takes_ignored, NUMBERS)
CALLED(rules_takes_alloc, POINTER)
CALLED(rules_takes_iter, POINTER)
CALLED(rules_takes_constants, NUMBERS)
CALLED(rules_takes_mixed_constants, SECOND_POINTER)
CALLED(rules_takes_sizes, NUMBERS)
CALLED(rules_ignores_size, NUMBERS)
CALLED(rules_returns_pair, NUMBERS)
CALLED(rules_returns_opaque, NUMBERS)
CALLED(rules_acquires_int, NUMBERS)
CALLED(rules_acquires_number, NUMBERS)
CALLED(rules_releases_int, NUMBERS)
CALLED(rules_int_or_null, NUMBERS)
CALLED(rules_sizes_thing, POINTER)
CALLED(rules_sizes_pair, POINTER)
CALLED(rules_sizes_int, NUMBERS)
CALL("syscall", null_sized, rules_sizes_int, "r1 = 0; r2 = 4;")
CALL("syscall", null_before_size, rules_ignores_size, "r0 = 0; r1 = 1;")
CALLED(do_epoll_create, NUMBERS)
CALLED(rules_counted, NUMBERS)
CALLED(rules_uncounted, NUMBERS)
CALL("tc", rules_first_called, rules_first, NUMBERS)
CALL("tc", rules_second_called, rules_second, NUMBERS)

/* The register of the result has all bits set before rules_equal() sets the lowest byte. */
SEC("syscall")
int rules_equal_called(void *ctx)
{
	rules_all_bits();
	return rules_equal(1, 2) ? 1 : 0;
}

/*
 * clang describes a function in BTF that is called in its own IR and whose address an instruction
 * has. This program is not meant to load.
 */
#define KNOWN(kfunc, ...) do { if (never) kfunc(__VA_ARGS__); address = (long)kfunc; } while (0)

SEC("syscall")
int declarations(void *ctx)
{
	struct rules_pair pair = {};
	volatile long address;
	int never = 0;

	KNOWN(rules_fine, 0);
	KNOWN(rules_six, 0, 0, 0, 0, 0, 0);
	KNOWN(rules_variadic, 0);
	KNOWN(rules_by_value, pair);
	KNOWN(rules_takes_opaque, 0);
	KNOWN(rules_takes_pointers, 0);
	KNOWN(rules_takes_void, 0);
	KNOWN(rules_takes_size, 0, 0);
	KNOWN(rules_takes_void_or_null, 0);
	KNOWN(rules_takes_ignored, 0);
	KNOWN(rules_takes_alloc, 0);
	KNOWN(rules_takes_iter, 0);
	KNOWN(rules_takes_constants, 0, 0);
	KNOWN(rules_takes_mixed_constants, 0, 0, 0);
	KNOWN(rules_takes_sizes, 0, 0);
	KNOWN(rules_ignores_size, 0);
	KNOWN(rules_returns_pair, 0);
	KNOWN(rules_returns_opaque, 0);
	KNOWN(rules_acquires_int, 0);
	KNOWN(rules_acquires_number, 0);
	KNOWN(rules_releases_int, 0);
	KNOWN(rules_int_or_null, 0);
	KNOWN(rules_first, 0);
	KNOWN(rules_second, 0);
	KNOWN(rules_counted, 0);
	KNOWN(rules_uncounted, 0);
	KNOWN(rules_sizes_thing, 0, 0);
	KNOWN(rules_sizes_pair, 0, 0);
	KNOWN(rules_sizes_int, 0, 0);
	KNOWN(do_epoll_create, 0);
	return address;
}

char LICENSE[] SEC("license") = "GPL";
