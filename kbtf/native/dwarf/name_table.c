/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "name_table.h"

#define FIRST_SLOTS 1024u
#define MAX_BYTES (16u << 20) /* of new strings: the kernel's limit for all strings */

static uint32_t nr_memos(const struct dwarf *dwarf)
{
	uint32_t nr = 1;

	while (nr < MOST_MEMOS && nr <= dwarf->str.size / MEMO_GRAIN)
		nr *= 2;
	return nr;
}

int names_init(struct names *names, struct dwarf *dwarf, const struct base_index *base,
	       struct btf_error *err)
{
	uint32_t nr = nr_memos(dwarf), nr_pieces = (dwarf->str.size >> NAME_PIECE_SHIFT) + 1;

	*names = (struct names){
		.base = base,
		.dwarf = dwarf,
		.mask = FIRST_SLOTS - 1,
		.memo_mask = nr - 1,
	};
	names->slots = calloc(FIRST_SLOTS, sizeof(*names->slots));
	names->memo = calloc(nr, sizeof(*names->memo));
	names->looked_up = calloc(nr_pieces, sizeof(*names->looked_up));
	if (!names->slots || !names->memo || !names->looked_up ||
	    !vector_reserve(&names->bytes, 4096))
		return btf_no_memory(err);
	/* The strings of a base without types are few. */
	if (!base->nr_candidates)
		memset(names->looked_up, true, nr_pieces);
	return 0;
}

void names_release(struct names *names)
{
	vector_release(&names->bytes);
	vector_release(&names->own);
	free(names->slots);
	free(names->memo);
	free(names->looked_up);
}

#define BYTES_A_STEP 16 /* that are searched for a NUL */

const char *name_text(struct dwarf *dwarf, name_ref name, size_t *length)
{
	const struct debug_section *section;
	uint32_t offset = (uint32_t)name, most;
	const uint8_t *nul;

	*length = 0;
	switch (name >> 32) {
	case NAME_STR:
		section = &dwarf->str;
		break;
	case NAME_LINE_STR:
		section = &dwarf->line_str;
		break;
	case NAME_INFO:
		section = &dwarf->info;
		break;
	default:
		return "";
	}
	if (offset >= section->size)
		return "";
	most = section->size - offset;
	nul = memchr(section->data + offset, 0, most < MAX_STRING + 1 ? most : MAX_STRING + 1);
	if (!nul || !dwarf_take(dwarf, (uint64_t)(nul - section->data - offset) / BYTES_A_STEP))
		return "";
	*length = (size_t)(nul - section->data - offset);
	return (const char *)section->data + offset;
}

bool name_is(struct dwarf *dwarf, name_ref name, const char *text)
{
	size_t length;
	const char *found = name_text(dwarf, name, &length);

	return !strcmp(found, text);
}

static bool same_string(const struct names *names, const struct name_slot *slot, const char *text,
			size_t length)
{
	return slot->end > length && !memcmp(names->bytes.at + slot->end - length - 1, text, length) &&
	       (slot->end == length + 1 || !names->bytes.at[slot->end - length - 2]);
}

static void insert_slot(struct name_slot *slots, uint32_t mask, struct name_slot slot)
{
	uint32_t at = slot.hash & mask;

	while (slots[at].end)
		at = (at + 1) & mask;
	slots[at] = slot;
}

/* In the order of the strings, so that names_forget() can clear slots from the last one back. */
static int grow_slots(struct names *names, struct btf_error *err)
{
	uint32_t mask = names->mask * 2 + 1;
	struct name_slot *slots = calloc((size_t)mask + 1, sizeof(*slots));
	uint32_t start, end;

	if (!slots)
		return btf_no_memory(err);
	for (start = 0; start < names->bytes.nr; start = end) {
		end = start + (uint32_t)strlen(names->bytes.at + start) + 1;
		insert_slot(slots, mask,
			    (struct name_slot){kbtf_base_hash(names->base, names->bytes.at + start,
							      end - start - 1),
					       end});
	}
	free(names->slots);
	names->slots = slots;
	names->mask = mask;
	return 0;
}

static int append(struct names *names, const char *text, size_t length, uint32_t hash,
		  uint32_t *offset, struct btf_error *err)
{
	if (names->bytes.nr + length >= MAX_BYTES)
		return btf_fail(err, 0, "the names of types need more than %u bytes", MAX_BYTES);
	if (names->base->str_len > INT32_MAX - MAX_BYTES)
		return btf_fail(err, 0, "the strings of the base (%u bytes) leave none for names",
				names->base->str_len);
	if (names->used >= names->mask / 2 && grow_slots(names, err))
		return -1;
	if (!vector_reserve(&names->bytes, (uint32_t)length + 1))
		return btf_no_memory(err);
	*offset = names->base->str_len + names->bytes.nr;
	memcpy(names->bytes.at + names->bytes.nr, text, length);
	names->bytes.nr += (uint32_t)length;
	names->bytes.at[names->bytes.nr++] = 0;
	names->used++;
	insert_slot(names->slots, names->mask, (struct name_slot){hash, names->bytes.nr});
	return 0;
}

bool names_find(const struct names *names, const char *text, size_t length, uint32_t hash,
		uint32_t *offset)
{
	const struct name_slot *slot;
	uint32_t at;

	if (kbtf_base_string(names->base, text, length, hash, offset))
		return true;
	for (at = hash & names->mask; names->slots[at].end; at = (at + 1) & names->mask) {
		slot = &names->slots[at];
		if (slot->hash == hash && same_string(names, slot, text, length)) {
			*offset = names->base->str_len + slot->end - (uint32_t)length - 1;
			return true;
		}
	}
	return false;
}

int names_add(struct names *names, const char *text, size_t length, uint32_t *offset,
	      struct btf_error *err)
{
	uint32_t hash;

	*offset = 0;
	if (!length)
		return 0;
	if (dwarf_spend(names->dwarf, length, err))
		return -1;
	hash = kbtf_base_hash(names->base, text, length);
	if (names_find(names, text, length, hash, offset))
		return 0;
	return append(names, text, length, hash, offset, err);
}

static struct name_memo *memo_of(const struct names *names, uint32_t source)
{
	return &names->memo[source / MEMO_GRAIN & names->memo_mask];
}

bool names_remember(struct names *names, uint32_t source, uint32_t offset)
{
	struct name_memo *memo = memo_of(names, source);

	if (offset >= names->base->str_len &&
	    !vector_push(&names->own, (uint32_t)(memo - names->memo)))
		return false;
	*memo = (struct name_memo){source, offset};
	return true;
}

static bool remembers(const struct names *names, uint32_t source, uint32_t *offset)
{
	const struct name_memo *memo = memo_of(names, source);

	*offset = memo->offset;
	return memo->offset && memo->source == source;
}

/* A name that is not remembered. */
static int add_new(struct names *names, name_ref name, uint32_t *offset, struct btf_error *err)
{
	uint32_t source = (uint32_t)name;
	bool in_str = name >> 32 == NAME_STR && source < names->dwarf->str.size;
	const char *text;
	size_t length;

	if (in_str && !names->looked_up[source >> NAME_PIECE_SHIFT]) {
		names_look_ahead(names, source >> NAME_PIECE_SHIFT);
		if (remembers(names, source, offset))
			return 0;
	}
	text = name_text(names->dwarf, name, &length);
	if (names_add(names, text, length, offset, err))
		return -1;
	if (in_str && *offset && !names_remember(names, source, *offset))
		return btf_no_memory(err);
	return 0;
}

int names_add_ref(struct names *names, name_ref name, uint32_t *offset, struct btf_error *err)
{
	if (name >> 32 == NAME_STR && remembers(names, (uint32_t)name, offset))
		return 0;
	return add_new(names, name, offset, err);
}

const char *names_string(const struct names *names, uint32_t offset)
{
	if (offset < names->base->str_len)
		return names->base->strs + offset;
	return names->bytes.at + (offset - names->base->str_len);
}

static void clear_slot(struct names *names, uint32_t start, uint32_t end)
{
	uint32_t hash = kbtf_base_hash(names->base, names->bytes.at + start, end - start - 1);
	uint32_t at = hash & names->mask;

	while (names->slots[at].end != end)
		at = (at + 1) & names->mask;
	names->slots[at] = (struct name_slot){0, 0};
	names->used--;
}

void names_forget(struct names *names, struct names_mark mark)
{
	uint32_t start, end;

	while (names->own.nr > mark.nr_own)
		names->memo[names->own.at[--names->own.nr]].offset = 0;
	for (end = names->bytes.nr; end > mark.nr_bytes; end = start) {
		for (start = end - 1; start > mark.nr_bytes && names->bytes.at[start - 1]; start--)
			;
		clear_slot(names, start, end);
	}
	names->bytes.nr = mark.nr_bytes;
}
