/* SPDX-License-Identifier: GPL-2.0-only */
/* MANY(DO) gives DO(many_00) to DO(many_ff): 256, as many as a set and a program may have. */
#define MANY_16(DO, h)                                                                             \
	DO(h##0) DO(h##1) DO(h##2) DO(h##3) DO(h##4) DO(h##5) DO(h##6) DO(h##7)                    \
	DO(h##8) DO(h##9) DO(h##a) DO(h##b) DO(h##c) DO(h##d) DO(h##e) DO(h##f)
#define MANY(DO)                                                                                   \
	MANY_16(DO, many_0) MANY_16(DO, many_1) MANY_16(DO, many_2) MANY_16(DO, many_3)            \
	MANY_16(DO, many_4) MANY_16(DO, many_5) MANY_16(DO, many_6) MANY_16(DO, many_7)            \
	MANY_16(DO, many_8) MANY_16(DO, many_9) MANY_16(DO, many_a) MANY_16(DO, many_b)            \
	MANY_16(DO, many_c) MANY_16(DO, many_d) MANY_16(DO, many_e) MANY_16(DO, many_f)
