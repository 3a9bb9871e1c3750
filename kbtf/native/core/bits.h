/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Bits of words. */
#ifndef KBTF_BITS_H
#define KBTF_BITS_H

#include <stdint.h>

/* How many are set.  Where not every processor has an instruction for it, a builtin calls a function. */
static inline uint32_t count_bits(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555u;
	word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (uint32_t)(word * 0x0101010101010101u >> 56);
}

#endif
