/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The table of candidates, in the order of libbpf's own. */
#include "dedup_state.h"

#include <stdlib.h>

int dedup_table_init(struct dedup_table *table, uint32_t nr_types)
{
	uint32_t buckets = 64;

	while (buckets < nr_types / 8)
		buckets *= 2;
	table->mask = buckets - 1;
	table->front = calloc(buckets, sizeof(*table->front));
	table->back = calloc(buckets, sizeof(*table->back));
	table->entries = malloc(((size_t)nr_types + 1) * sizeof(*table->entries));
	return table->front && table->back && table->entries ? 0 : -1;
}

void dedup_table_release(struct dedup_table *table)
{
	free(table->front);
	free(table->back);
	free(table->entries);
}

static void reverse_list(struct dedup_table *table, uint32_t *head)
{
	uint32_t at = *head, next;

	*head = 0;
	for (; at; at = next) {
		next = table->entries[at - 1].next;
		table->entries[at - 1].next = *head;
		*head = at;
	}
}

static void reverse(struct dedup_table *table)
{
	uint32_t *front = table->front;
	uint32_t bucket;

	for (bucket = 0; bucket <= table->mask; bucket++) {
		reverse_list(table, &table->front[bucket]);
		reverse_list(table, &table->back[bucket]);
	}
	table->front = table->back;
	table->back = front;
	table->base_reversed = !table->base_reversed;
}

void dedup_add(struct dedup *dedup, uint32_t id, uint32_t signature)
{
	struct dedup_table *table = &dedup->table;
	uint32_t entries = dedup->base->nr_candidates + table->nr_entries;
	uint32_t *head;

	if (table_doublings(entries + 1) != table_doublings(entries))
		reverse(table);
	head = &table->front[signature & table->mask];
	table->entries[table->nr_entries] =
		(struct dedup_entry){.hash = signature, .id = id, .next = *head};
	*head = ++table->nr_entries;
	dedup->map[id] = id;
}

struct candidates dedup_candidates(const struct dedup *dedup, uint32_t signature)
{
	const struct base_index *base = dedup->base;
	uint32_t bucket = signature & base->bucket_mask;
	uint32_t first = base->starts[bucket], end = base->starts[bucket + 1];

	return (struct candidates){
		.signature = signature,
		.front = dedup->table.front[signature & dedup->table.mask],
		.base = dedup->table.base_reversed ? end - 1 : first,
		.base_left = end - first,
		.back = dedup->table.back[signature & dedup->table.mask],
	};
}

static bool next_entry(const struct dedup_table *table, struct candidates *candidates, uint32_t *at)
{
	const struct dedup_entry *entry;

	while (*at) {
		entry = &table->entries[*at - 1];
		*at = entry->next;
		if (entry->hash == candidates->signature) {
			candidates->id = entry->id;
			return true;
		}
	}
	return false;
}

static bool next_of_base(const struct dedup *dedup, struct candidates *candidates)
{
	const struct base_candidate *candidate;

	while (candidates->base_left) {
		candidate = &dedup->base->candidates[candidates->base];
		candidates->base += dedup->table.base_reversed ? UINT32_MAX : 1; /* -1 or 1 */
		candidates->base_left--;
		if (candidate->hash == candidates->signature) {
			candidates->id = candidate->id;
			return true;
		}
	}
	return false;
}

bool next_candidate(const struct dedup *dedup, struct candidates *candidates)
{
	return next_entry(&dedup->table, candidates, &candidates->front) ||
	       next_of_base(dedup, candidates) ||
	       next_entry(&dedup->table, candidates, &candidates->back);
}
