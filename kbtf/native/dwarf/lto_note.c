/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The note that the kernel's build leaves in modules whose units refer to one another. */
#include "encoder.h"

#define NOTE_LTO 0x101u

static bool has_lto_note(struct encoder *encoder, const struct elf_section *section)
{
	const struct elf *elf = encoder->elf;
	uint64_t left = section->size, length;
	const uint8_t *at = section->data;
	uint32_t name, description, type;

	while (left >= 12 && dwarf_take(&encoder->dwarf, 1)) {
		name = read32(at, elf->foreign);
		description = read32(at + 4, elf->foreign);
		type = read32(at + 8, elf->foreign);
		length = 12 + (((uint64_t)name + 3) & ~(uint64_t)3);
		if (length > left || description > left - length)
			return false;
		if (type == NOTE_LTO && name == 6 && !memcmp(at + 12, "Linux", 6) &&
		    description >= 4 && read32(at + length, elf->foreign))
			return true;
		length += ((uint64_t)description + 3) & ~(uint64_t)3;
		if (length > left)
			return false;
		at += length;
		left -= length;
	}
	return false;
}

bool says_lto(struct encoder *encoder)
{
	const struct elf *elf = encoder->elf;
	uint32_t i;

	for (i = 0; i < elf->nr_sections; i++)
		if (elf->sections[i].type == SHT_NOTE && elf->sections[i].data &&
		    has_lto_note(encoder, &elf->sections[i]))
			return true;
	return false;
}
