/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Tags in the source: btf_type_tag on pointers, btf_decl_tag on everything else. */
#include "encoder.h"

int add_annotation(struct encoder *encoder, const struct die *die, uint32_t component, bool of_pointer)
{
	struct tag tag = {.value = die_name(die, SLOT_CONST_VALUE), .component = component};
	struct item item = {.name = tag.value};
	uint32_t wanted = of_pointer ? FEATURE_TYPE_TAG : FEATURE_DECL_TAG;
	size_t length;

	if (!(encoder->options->features & wanted) ||
	    !name_is(&encoder->dwarf, die_name(die, SLOT_NAME),
		     of_pointer ? "btf_type_tag" : "btf_decl_tag"))
		return 0;
	name_text(&encoder->dwarf, tag.value, &length);
	if (!length)
		return cannot_encode(encoder, die->offset, 0, "a tag without a value");
	if (of_pointer ? vector_push(&encoder->items, item) : vector_push(&encoder->tags, tag))
		return 0;
	return no_memory(encoder);
}

/* The chain of a pointer is nearest first, the reverse of LLVM's children. */
static void reverse_items(struct encoder *encoder, uint32_t first)
{
	uint32_t last = encoder->items.nr;
	struct item item;

	while (first + 1 < last) {
		last--;
		item = encoder->items.at[first];
		encoder->items.at[first++] = encoder->items.at[last];
		encoder->items.at[last] = item;
	}
}

int add_annotations(struct encoder *encoder, struct unit *unit, uint32_t first, uint32_t component,
		    bool of_pointer)
{
	uint32_t first_item = encoder->items.nr;
	uint32_t at = first;
	struct die die;

	if (encoder->options->profile == 131)
		return 0;
	while (at && read_other_die(encoder, unit, at, &die) &&
	       die.tag == DW_TAG_GNU_annotation) {
		if (dwarf_spend(&encoder->dwarf, 16, encoder->err))
			return -1;
		if (of_pointer &&
		    !name_is(&encoder->dwarf, die_name(&die, SLOT_NAME), "btf_type_tag"))
			break;
		if (add_annotation(encoder, &die, component, of_pointer))
			return -1;
		at = die_ref(&die, SLOT_GNU_ANNOTATION);
	}
	if (of_pointer)
		reverse_items(encoder, first_item);
	return 0;
}

int emit_tag(struct encoder *encoder, uint32_t type, name_ref value, uint32_t component)
{
	uint32_t name;

	if (names_add_ref(&encoder->names, value, &name, encoder->err) ||
	    begin_type(encoder, name, make_info(KIND_DECL_TAG, 0, false), type))
		return -1;
	return add_word(encoder, component);
}
