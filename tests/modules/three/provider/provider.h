/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PROVIDER_H
#define PROVIDER_H

#include <linux/list.h>
#include <linux/types.h>

struct provider_item {
	struct list_head link;
	u32 weight;
};

u32 provider_weigh(const struct provider_item *item);
int provider_add(struct provider_item *item);

#endif
