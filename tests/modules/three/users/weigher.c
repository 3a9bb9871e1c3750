// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include "provider.h"

static struct provider_item light = { .weight = 1 };

static int __init weigher_init(void)
{
	pr_info("weighs %u\n", provider_weigh(&light));
	return 0;
}

static void __exit weigher_exit(void)
{
}

module_init(weigher_init);
module_exit(weigher_exit);
MODULE_DESCRIPTION("weighs");
MODULE_LICENSE("GPL");
