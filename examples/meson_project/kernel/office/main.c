// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

#include "office.h"
#include "ticket_office.h"

unsigned int sold;
module_param(sold, uint, 0444);
MODULE_PARM_DESC(sold, "number of tickets that were sold");

static LIST_HEAD(tickets);

void ticket_office_sell(struct ticket *ticket)
{
	ticket->number = FIRST_NUMBER + sold++;
	list_add_tail(&ticket->link, &tickets);
}
EXPORT_SYMBOL_GPL(ticket_office_sell);

static int __init office_init(void)
{
	return office_register_kfuncs();
}

static void __exit office_exit(void)
{
}

module_init(office_init);
module_exit(office_exit);
MODULE_DESCRIPTION("sells tickets");
MODULE_LICENSE("GPL");
