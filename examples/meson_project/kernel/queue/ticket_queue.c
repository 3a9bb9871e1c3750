// SPDX-License-Identifier: GPL-2.0-only
/* Buys a ticket from the other module. */
#include <linux/module.h>

#include "ticket_office.h"

static struct ticket mine;

static int __init queue_init(void)
{
	ticket_office_sell(&mine);
	pr_info("got ticket %u\n", mine.number);
	return 0;
}

/* The office keeps the ticket: no exit, the module stays. */
module_init(queue_init);
MODULE_DESCRIPTION("buys a ticket");
MODULE_LICENSE("GPL");
