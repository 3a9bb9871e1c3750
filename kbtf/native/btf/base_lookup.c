/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The types of a base by name. */
#include "base_index.h"

/* The position in `named` of the first type with this name, or a later one, and at least this id. */
static uint32_t first_named(const struct base_index *index, uint32_t name, uint32_t id)
{
	uint32_t low = 0, high = index->nr_named, middle;
	const struct named_id *at;

	while (low < high) {
		middle = low + (high - low) / 2;
		at = &index->named[middle];
		if (at->name < name || (at->name == name && at->id < id))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct named_id *base_index_named(const struct base_index *index, const char *name,
					size_t length, const struct named_id **end)
{
	uint32_t offset;

	*end = index->named;
	if (!kbtf_base_string(index, name, length, kbtf_base_hash(index, name, length), &offset) ||
	    !offset)
		return index->named;
	*end = &index->named[first_named(index, offset + 1, 0)];
	return &index->named[first_named(index, offset, 0)];
}

uint32_t base_index_next_named(const struct base_index *index, uint32_t id)
{
	uint32_t name = type_name(kbtf_base_type(index, id));
	uint32_t at = first_named(index, name, id + 1);

	return at < index->nr_named && index->named[at].name == name ? index->named[at].id : 0;
}
