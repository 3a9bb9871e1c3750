// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include "provider.h"

static struct provider_item heavy = { .weight = 1000 };

static int __init adder_user_init(void)
{
	return provider_add(&heavy);
}

static void __exit adder_user_exit(void)
{
}

module_init(adder_user_init);
module_exit(adder_user_exit);
MODULE_DESCRIPTION("adds");
MODULE_LICENSE("GPL");
