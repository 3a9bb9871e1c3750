/* SPDX-License-Identifier: GPL-2.0-only */
#define FIRST_NUMBER 1

extern unsigned int sold;

int office_register_kfuncs(void);
