/* SPDX-License-Identifier: GPL-2.0-only */
/* The interface between the office, those who queue at it, and the program. */
#ifndef TICKET_OFFICE_H
#define TICKET_OFFICE_H

#define TICKET_OFFICE_SOLD "/sys/module/ticket_office/parameters/sold"

#ifdef __KERNEL__
#include <linux/list.h>
#include <linux/types.h>

struct ticket {
	struct list_head link;
	u32 number;
};

void ticket_office_sell(struct ticket *ticket);
#endif

#endif
