// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include "../provider.h"

static LIST_HEAD(items);

u32 provider_weigh(const struct provider_item *item)
{
	return item->weight;
}
EXPORT_SYMBOL_GPL(provider_weigh);

int provider_add(struct provider_item *item)
{
	list_add(&item->link, &items);
	return 0;
}
EXPORT_SYMBOL_GPL(provider_add);
