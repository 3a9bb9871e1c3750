/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * For LD_PRELOAD: allocations that fail when they are told to.  With PYTHONMALLOC=malloc these are
 * Python's own too.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nr, size_t size);
void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size);
void *calloc(size_t nr, size_t size);
void *realloc(void *old, size_t size);
void fail_allocation(long after);
void fail_large_allocations(long after);
bool has_failed(void);

#define LARGE 4096

static long until_failure = -1; /* allocations that still go well; negative: all do */
static bool only_large;         /* of these, all fail from there on */
static bool failed;

static void arm(long after, bool large)
{
	until_failure = after;
	only_large = large;
	failed = false;
}

/* The one behind `after` others fails; negative: none. */
void fail_allocation(long after)
{
	arm(after, false);
}

/* Of those of a page or more, all behind the first `after` fail. */
void fail_large_allocations(long after)
{
	arm(after, true);
}

/* Whether an allocation failed since then. */
bool has_failed(void)
{
	return failed;
}

static bool fails_now(size_t size)
{
	if (until_failure < 0 || (only_large && size < LARGE))
		return false;
	if (until_failure) {
		until_failure--;
		return false;
	}
	if (!only_large)
		until_failure = -1;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails_now(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return fails_now(nr * size) ? NULL : __libc_calloc(nr, size);
}

void *realloc(void *old, size_t size)
{
	return fails_now(size) ? NULL : __libc_realloc(old, size);
}
