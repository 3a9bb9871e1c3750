/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Names of C, in any locale. */
#ifndef KBTF_IDENTIFIER_H
#define KBTF_IDENTIFIER_H

#include <stdbool.h>
#include <stddef.h>

static inline bool is_letter(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' || ch == '.';
}

/*
 * Whether a name has from 1 to `most` bytes, and only those of an identifier; dots count as letters.
 *
 * The kernel's isalpha() also takes the letters of Latin-1, 0xc0 and above.  A name with them is not UTF-8,
 * whose characters also have bytes from 0x80 to 0xbf: no compiler makes one, and pahole leaves it out.
 */
static inline bool is_identifier(const char *name, size_t most)
{
	size_t length = 0;

	while (length <= most &&
	       (is_letter(name[length]) || (length && name[length] >= '0' && name[length] <= '9')))
		length++;
	return length && length <= most && !name[length];
}

#endif
