/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "base_index.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	uint32_t name_a = ((const struct named_id *)a)->name;
	uint32_t name_b = ((const struct named_id *)b)->name;

	return name_a < name_b ? -1 : name_a > name_b;
}

uint32_t unique_names(struct named_id *names, uint32_t nr)
{
	uint32_t i, kept = 0;

	qsort(names, nr, sizeof(*names), compare);
	for (i = 0; i < nr; i++) {
		if (kept && names[i].name == names[kept - 1].name)
			names[kept - 1].id = 0;
		else
			names[kept++] = names[i];
	}
	return kept;
}

const struct named_id *find_unique(const struct named_id *names, uint32_t nr, uint32_t name)
{
	uint32_t low = 0, high = nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (names[middle].name < name)
			low = middle + 1;
		else
			high = middle;
	}
	return low < nr && names[low].name == name ? &names[low] : NULL;
}
