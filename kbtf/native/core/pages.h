/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Memory for a large array that is filled from its start on. */
#ifndef KBTF_PAGES_H
#define KBTF_PAGES_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define MOST_HUGE_PAGES 32 /* finding more takes longer than they save */

/*
 * NULL if there is none; free() releases it.  In huge pages, if the system has them: there are fewer page
 * faults, and less of the processor's time goes into finding pages.
 */
static inline void *allocate_pages(size_t length)
{
	void *at;

	if (length < HUGE_PAGE || length > MOST_HUGE_PAGES * HUGE_PAGE)
		return malloc(length);
	length = (length + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	at = aligned_alloc(HUGE_PAGE, length);
#ifdef MADV_HUGEPAGE
	if (at)
		(void)madvise(at, length, MADV_HUGEPAGE);
#endif
	return at;
}

#endif
