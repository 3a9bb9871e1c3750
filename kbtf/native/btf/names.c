/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The types of a blob by name: hashed once, then found without a walk. */
#include "btf.h"

#include "hash.h"

#include <stdlib.h>

static uint32_t *next_of(const struct btf *btf, uint32_t id)
{
	return &btf->names.next[id - btf->start_id];
}

/* The slot where a name is or would be; equal offsets save the comparison. */
static uint32_t find_slot(const struct btf *btf, const char *name, size_t length, uint32_t hash)
{
	const struct name_index *names = &btf->names;
	uint32_t slot = hash & names->mask;
	const char *other;

	for (; names->heads[slot]; slot = (slot + 1) & names->mask) {
		if (names->hashes[slot] != hash)
			continue;
		other = btf_string(btf, type_name(btf_type(btf, names->heads[slot])));
		if (other == name || (!strncmp(other, name, length) && !other[length]))
			break;
	}
	return slot;
}

static void add_name(struct btf *btf, uint32_t id)
{
	const char *name = btf_string(btf, type_name(btf_type(btf, id)));
	size_t length = strlen(name);
	uint32_t hash, slot;

	if (!length)
		return;
	hash = (uint32_t)hash_bytes(name, length, btf->seed);
	slot = find_slot(btf, name, length, hash);
	*next_of(btf, id) = btf->names.heads[slot];
	btf->names.heads[slot] = id;
	btf->names.hashes[slot] = hash;
}

static uint32_t count_named(const struct btf *btf)
{
	uint32_t id, named = 0;

	for (id = btf->start_id; id < btf->end_id; id++)
		named += type_name(btf_type(btf, id)) != 0;
	return named;
}

int btf_name_index(struct btf *btf, struct btf_error *err)
{
	uint32_t id, named, slots = 16;

	if (btf->names.heads)
		return 0;
	named = count_named(btf);
	/* Terminates: a type takes at least 12 bytes of the 2 GiB of a blob. */
	while (slots < named * 2)
		slots *= 2;
	btf->names.mask = slots - 1;
	btf->names.hashes = malloc(slots * sizeof(uint32_t));
	btf->names.next = calloc((size_t)btf->end_id - btf->start_id + 1, sizeof(uint32_t));
	btf->names.heads = calloc(slots, sizeof(uint32_t));
	if (!btf->names.hashes || !btf->names.next || !btf->names.heads) {
		free(btf->names.hashes);
		free(btf->names.next);
		free(btf->names.heads);
		memset(&btf->names, 0, sizeof(btf->names));
		return btf_no_memory(err);
	}
	/* Backwards, so that each chain ascends. */
	for (id = btf->end_id; id-- > btf->start_id;)
		add_name(btf, id);
	return 0;
}

uint32_t btf_find(const struct btf *btf, const char *name, size_t length)
{
	uint32_t hash = (uint32_t)hash_bytes(name, length, btf->seed);

	return btf->names.heads[find_slot(btf, name, length, hash)];
}

uint32_t btf_find_next(const struct btf *btf, uint32_t id)
{
	return *next_of(btf, id);
}
