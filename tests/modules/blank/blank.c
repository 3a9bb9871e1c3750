// SPDX-License-Identifier: GPL-2.0-only
/* A module that does nothing: it is loaded for the BTF that a test puts into it. */
#include <linux/module.h>

MODULE_DESCRIPTION("carries BTF");
MODULE_LICENSE("GPL");
