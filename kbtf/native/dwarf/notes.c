/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What was left out of the BTF, and why. */
#include "encode.h"

#include <string.h>

#define MAX_NOTE 512u /* bytes of a name; the kernel's symbols have fewer */

#define COST_OF_NOTE 256 /* about the bytes that Python needs for it */

int encode_note(struct dwarf *dwarf, struct encode_result *result, enum encode_note_kind kind,
		uint32_t number, const char *text, size_t length, struct btf_error *err)
{
	struct encode_note *note;
	char *copy;

	if (dwarf_spend(dwarf, COST_OF_NOTE, err))
		return -1;
	if (length > MAX_NOTE)
		length = MAX_NOTE;
	if (!vector_reserve(&result->notes, 1))
		return btf_no_memory(err);
	copy = malloc(length + 1);
	if (!copy)
		return btf_no_memory(err);
	memcpy(copy, text, length);
	copy[length] = 0;
	note = &result->notes.at[result->notes.nr++];
	*note = (struct encode_note){kind, number, copy};
	return 0;
}

void encode_release(struct encode_result *result)
{
	uint32_t i;

	for (i = 0; i < result->notes.nr; i++)
		free(result->notes.at[i].text);
	vector_release(&result->notes);
	free(result->blob.bytes);
}
