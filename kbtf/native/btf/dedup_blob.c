/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "dedup.h"

#include <stdlib.h>

/* The offset of a string of the split; in the base, if that has it too. */
static int move_string(struct strtab *strings, const struct base_index *base, const char *string,
		       uint32_t *offset)
{
	size_t length = strlen(string);

	if (kbtf_base_string(base, string, length, kbtf_base_hash(base, string, length), offset))
		return 0;
	return strtab_add(strings, string, offset);
}

static int move_strings(const struct btf *split, const struct base_index *base, uint8_t *types,
			struct strtab *strings)
{
	struct word_iter names;
	uint8_t *type;
	uint32_t id, offset;

	for (id = split->start_id; id < split->end_id; id++) {
		type = types + split->offsets[id - split->start_id];
		for (names = iter_names(type); next_word(&names);) {
			offset = load32(type + names.at);
			if (offset < split->start_str)
				continue;
			if (move_string(strings, base, btf_string(split, offset), &offset))
				return -1;
			store32(type + names.at, offset);
		}
	}
	return 0;
}

static int deduplicate(const struct btf *split, const struct base_index *base,
		       struct dedup_types *types, struct strtab *strings, struct blob *out,
		       struct btf_error *err)
{
	if (btf_all_known(split, err))
		return -1;
	if (move_strings(split, base, (uint8_t *)types->words, strings))
		return btf_no_memory(err);
	if (dedup_split(base, types, err))
		return -1;
	if (blob_finish(out, (uint8_t *)types->words, types->nr_words * 4, strings, split->foreign))
		return btf_no_memory(err);
	return 0;
}

int btf_deduplicate(const struct btf *split, const struct base_index *base,
		    struct deduplicated *out, struct btf_error *err)
{
	struct dedup_types types = {
		.words = malloc((size_t)split->type_len + 1),
		.nr_words = split->type_len / 4,
		.nr_types = split->end_id - split->start_id,
	};
	struct strtab strings;
	int failed;

	memset(out, 0, sizeof(*out));
	out->new_ids = malloc(((size_t)types.nr_types + 1) * sizeof(*out->new_ids));
	types.new_ids = out->new_ids;
	if (!types.words || !out->new_ids ||
	    strtab_init_after(&strings, base->str_len, split->seed)) {
		free(types.words);
		deduplicated_release(out);
		return btf_no_memory(err);
	}
	memcpy(types.words, split->types, split->type_len);
	failed = deduplicate(split, base, &types, &strings, &out->split, err);
	strtab_release(&strings);
	free(types.words);
	if (failed)
		deduplicated_release(out);
	return failed;
}

void deduplicated_release(struct deduplicated *out)
{
	free(out->split.bytes);
	free(out->new_ids);
	memset(out, 0, sizeof(*out));
}
