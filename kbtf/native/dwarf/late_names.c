/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Names of types that may be left out.  Looking up a name takes as long as reading the DIE that has it, and
 * few types stay, so until then a word of a type is the offset of its name in .debug_str plus one, or, for
 * a name from elsewhere, an offset in `literals` with IS_LITERAL.
 */
#include "encoder.h"

#define IS_LITERAL 0x80000000u

int type_text(struct encoder *encoder, const char *text, size_t length, uint32_t *word)
{
	if (!encoder->reducer)
		return names_add(&encoder->names, text, length, word, encoder->err);
	if (names_add(&encoder->literals, text, length, word, encoder->err))
		return -1;
	if (*word)
		*word |= IS_LITERAL;
	return 0;
}

int type_name_word(struct encoder *encoder, name_ref name, uint32_t *word)
{
	const char *text;
	size_t length;

	if (!encoder->reducer)
		return names_add_ref(&encoder->names, name, word, encoder->err);
	if (name >> 32 == NAME_STR) {
		*word = (uint32_t)name < encoder->dwarf.str.size ? (uint32_t)name + 1 : 0;
		return 0;
	}
	text = name_text(&encoder->dwarf, name, &length);
	return type_text(encoder, text, length, word);
}

static int finish_name(struct encoder *encoder, uint32_t *word)
{
	const char *text;

	if (!*word)
		return 0;
	if (*word & IS_LITERAL) {
		text = names_string(&encoder->literals, *word & ~IS_LITERAL);
		return names_add(&encoder->names, text, strlen(text), word, encoder->err);
	}
	if (names_add_ref(&encoder->names, make_name(NAME_STR, *word - 1), word, encoder->err))
		return -1;
	encoder->uncertain |= !*word;
	return 0;
}

int finish_type_names(struct encoder *encoder, uint32_t *type)
{
	struct word_iter names = iter_names((const uint8_t *)type);

	while (next_word(&names))
		if (finish_name(encoder, &type[names.at / 4]))
			return -1;
	return 0;
}
