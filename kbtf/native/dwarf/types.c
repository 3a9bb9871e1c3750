/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* BTF types, each from one DIE. */
#include "encoder.h"

int begin_type(struct encoder *encoder, uint32_t name, uint32_t info, uint32_t third)
{
	if (next_id(encoder) >= IS_ID - 1)
		return btf_fail(encoder->err, 0, "there are too many types");
	if (!vector_reserve(&encoder->words, 3) ||
	    !vector_push(&encoder->offsets, encoder->words.nr))
		return no_memory(encoder);
	encoder->words.at[encoder->words.nr++] = name;
	encoder->words.at[encoder->words.nr++] = info;
	encoder->words.at[encoder->words.nr++] = third;
	return 0;
}

int add_word(struct encoder *encoder, uint32_t word)
{
	return vector_push(&encoder->words, word) ? 0 : no_memory(encoder);
}

static int begin_named(struct encoder *encoder, name_ref name, uint32_t info, uint32_t third)
{
	uint32_t offset;

	if (type_name_word(encoder, name, &offset))
		return -1;
	return begin_type(encoder, offset, info, third);
}

#define FAKE_INT "__SANITIZED_FAKE_INT__"

static int emit_int(struct encoder *encoder, const struct type_die *type)
{
	uint64_t size = type->byte_size;
	uint32_t encoding = 0, name;

	if (type->encoding == DW_ATE_signed || type->encoding == DW_ATE_signed_char)
		encoding = 1;
	else if (type->encoding == DW_ATE_boolean)
		encoding = 4;
	if (!size || size & (size - 1) || size > 16) {
		size = 4;
		if (type_text(encoder, FAKE_INT, sizeof(FAKE_INT) - 1, &name))
			return -1;
	} else if (type_name_word(encoder, type->name, &name)) {
		return -1;
	}
	if (!encoder->index_fixed && name_is(&encoder->dwarf, type->name, "int")) {
		encoder->index_type = next_id(encoder);
		encoder->index_fixed = true;
	}
	if (begin_type(encoder, name, make_info(KIND_INT, 0, false), (uint32_t)size))
		return -1;
	return add_word(encoder, encoding << 24 | (uint32_t)size * 8);
}

static int emit_base(struct encoder *encoder, const struct type_die *type)
{
	uint64_t size = type->byte_size;
	size_t length;

	name_text(&encoder->dwarf, type->name, &length);
	if (!length)
		return cannot_encode(encoder, type->die, 0, "a base type without a name");
	if (type->encoding == DW_ATE_complex_float || type->encoding == DW_ATE_imaginary_float)
		return cannot_encode(encoder, type->die, type->name, "a complex floating-point type");
	if (type->encoding != DW_ATE_float || !(encoder->options->features & FEATURE_FLOAT))
		return emit_int(encoder, type);
	if (size != 2 && size != 4 && size != 8 && size != 12 && size != 16)
		return cannot_encode(encoder, type->die, type->name,
				     "a floating-point type of %llu bytes",
				     (unsigned long long)size);
	return begin_named(encoder, type->name, make_info(KIND_FLOAT, 0, false), (uint32_t)size);
}

static int emit_reference(struct encoder *encoder, uint32_t kind, uint32_t to)
{
	return begin_type(encoder, 0, make_info(kind, 0, false), to);
}

/* A TYPE_TAG for each item, the last one next to the pointer. */
static int emit_pointer(struct encoder *encoder, const struct type_die *type, uint32_t first_item)
{
	uint32_t to = type->type;
	uint32_t i;

	for (i = first_item; i < encoder->items.nr; i++) {
		if (begin_named(encoder, encoder->items.at[i].name,
				make_info(KIND_TYPE_TAG, 0, false), to))
			return -1;
		to = (next_id(encoder) - 1) | IS_ID;
	}
	return emit_reference(encoder, KIND_PTR, to);
}

static int emit_typedef(struct encoder *encoder, const struct type_die *type)
{
	uint32_t name;

	if (type_name_word(encoder, type->name, &name))
		return -1;
	if (!name)
		return cannot_encode(encoder, type->die, 0, "a typedef without a name");
	return begin_type(encoder, name, make_info(KIND_TYPEDEF, 0, false), type->type);
}

static int emit_forward(struct encoder *encoder, const struct type_die *type)
{
	uint32_t name;

	if (type_name_word(encoder, type->name, &name))
		return -1;
	if (!name)
		return cannot_encode(encoder, type->die, 0, "a forward declaration without a name");
	return begin_type(encoder, name, make_info(KIND_FWD, 0, type->tag == DW_TAG_union_type), 0);
}

static int emit_proto(struct encoder *encoder, const struct type_die *type, uint32_t first_item)
{
	uint32_t nr = 0, i, name;
	bool variadic = false;
	const struct item *item;

	for (i = first_item; i < encoder->items.nr; i++) {
		variadic |= encoder->items.at[i].variadic;
		nr += !encoder->items.at[i].variadic;
	}
	if (nr + variadic > UINT16_MAX)
		return cannot_encode(encoder, type->die, 0, "a function of %u parameters", nr);
	if (begin_type(encoder, 0, make_info(KIND_FUNC_PROTO, nr + variadic, false), type->type))
		return -1;
	for (i = first_item; i < encoder->items.nr; i++) {
		item = &encoder->items.at[i];
		if (item->variadic)
			continue;
		if (type_name_word(encoder, item->name, &name) ||
		    add_word(encoder, name) || add_word(encoder, item->type))
			return -1;
	}
	return variadic ? add_word(encoder, 0) || add_word(encoder, 0) : 0;
}

static int emit_by_tag(struct encoder *encoder, struct unit *unit, const struct type_die *type,
		       uint32_t first_item)
{
	switch (type->tag) {
	case DW_TAG_base_type:
		return emit_base(encoder, type);
	case DW_TAG_pointer_type:
		return emit_pointer(encoder, type, first_item);
	case DW_TAG_const_type:
		return emit_reference(encoder, KIND_CONST, type->type);
	case DW_TAG_volatile_type:
		return emit_reference(encoder, KIND_VOLATILE, type->type);
	case DW_TAG_restrict_type:
		return emit_reference(encoder, KIND_RESTRICT, type->type);
	case DW_TAG_typedef:
		return emit_typedef(encoder, type);
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		return type->declaration ? emit_forward(encoder, type)
					 : emit_struct(encoder, type, KIND_STRUCT, first_item);
	case DW_TAG_union_type:
		return type->declaration ? emit_forward(encoder, type)
					 : emit_struct(encoder, type, KIND_UNION, first_item);
	case DW_TAG_enumeration_type:
		return emit_enum(encoder, unit, type, first_item);
	case DW_TAG_array_type:
		return emit_array(encoder, type, first_item);
	case DW_TAG_subroutine_type:
		return emit_proto(encoder, type, first_item);
	case DW_TAG_interface_type:
		if (type->declaration)
			return emit_forward(encoder, type);
		return cannot_encode(encoder, type->die, type->name, "an interface");
	case DW_TAG_atomic_type:
		return cannot_encode(encoder, type->die, type->name, "an atomic type");
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
		return cannot_encode(encoder, type->die, type->name, "a C++ reference");
	case DW_TAG_string_type:
		return cannot_encode(encoder, type->die, type->name, "a string type");
	case DW_TAG_ptr_to_member_type:
		return cannot_encode(encoder, type->die, type->name, "a pointer to a member");
	default:
		return cannot_encode(encoder, type->die, type->name, "a type of tag 0x%x", type->tag);
	}
}

/* Tags of a class, an enum or a pointer are not encoded. */
static int keep_tags(struct encoder *encoder, uint16_t tag, uint32_t first_tag)
{
	uint32_t i;

	if (!(encoder->options->features & FEATURE_DECL_TAG) ||
	    (tag != DW_TAG_structure_type && tag != DW_TAG_union_type && tag != DW_TAG_typedef))
		return 0;
	for (i = first_tag; i < encoder->tags.nr; i++) {
		encoder->tags.at[i].owner = next_id(encoder) - 1;
		if (!vector_push(&encoder->type_tags, encoder->tags.at[i]))
			return no_memory(encoder);
	}
	return 0;
}

int emit_type(struct encoder *encoder, struct unit *unit, const struct type_die *type,
	      uint32_t first_item, uint32_t first_tag)
{
	if (emit_by_tag(encoder, unit, type, first_item))
		return -1;
	encoder->ids.at[type->place] = next_id(encoder) - 1;
	return keep_tags(encoder, type->tag, first_tag);
}
