/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One walk over the DIEs of a unit.  Types are emitted as soon as their children have been read, so in
 * post-order; functions and variables are noted for later.
 */
#include "encoder.h"

#define MAX_DEPTH 512 /* real modules stay below 40 */
#define COST_OF_DIE 64 /* about the bytes kept for each */

/* The role of a DIE's children. */
enum inside {
	IN_UNIT,
	IN_NAMESPACE,
	IN_STRUCT,
	IN_ENUM,
	IN_ARRAY,
	IN_PROTO,
	IN_POINTER,
	IN_TYPE, /* only annotations are of interest */
	IN_FUNCTION,
	IN_BLOCK,
	IN_VARIABLE,
	IN_COMPONENT, /* a member or a parameter; its annotations belong to its parent */
};

struct frame {
	enum inside inside;
	uint32_t first_item;
	uint32_t first_tag;
	uint32_t component; /* IN_STRUCT: how many were met; IN_COMPONENT: which this is */
	uint32_t variable;
	struct type_die type;
	struct function function;
};

struct walk {
	struct encoder *encoder;
	struct unit *unit;
	struct reader reader;
	const struct abbreviation *abbreviation; /* of the current DIE */
	struct die die;
	uint32_t depth;
	struct frame frames[MAX_DEPTH];
};

static int malformed(struct walk *walk, uint32_t die, const char *what)
{
	walk->encoder->unit_error = true;
	return btf_fail(walk->encoder->err, 0, "the DIE at 0x%x of .debug_info %s", die, what);
}

static void read_die(struct walk *walk)
{
	read_attributes(&walk->encoder->dwarf, walk->unit, &walk->reader,
			&walk->encoder->dwarf.info.cursor, walk->abbreviation, &walk->die);
}

static uint32_t skip_die(struct walk *walk)
{
	return skip_attributes(&walk->encoder->dwarf, walk->unit, &walk->reader,
			       &walk->encoder->dwarf.info.cursor, walk->abbreviation);
}

/* Moves to the sibling at a stated offset, if it is ahead. */
static bool jump(struct walk *walk, uint32_t sibling)
{
	if (sibling <= reader_offset(&walk->reader) || sibling >= walk->unit->end)
		return false;
	walk->reader.at = walk->reader.start + sibling;
	return true;
}

/* The abbreviation of the DIE at the reader; NULL for the end of children. */
static int next_abbreviation(struct walk *walk)
{
	uint64_t code;

	walk->abbreviation = NULL;
	if (walk->reader.at == walk->reader.end)
		return 0;
	walk->die.offset = reader_offset(&walk->reader);
	code = reader_uleb(&walk->reader);
	if (!code)
		return 0;
	walk->abbreviation = find_abbreviation(walk->unit->abbreviations, code);
	if (!walk->abbreviation)
		return malformed(walk, walk->die.offset, "has an unknown abbreviation");
	return 0;
}

/* Skips the current DIE and everything below it. */
static int skip_subtree(struct walk *walk)
{
	uint32_t depth = 0;
	uint32_t sibling;

	do {
		if (walk->abbreviation) {
			sibling = skip_die(walk);
			if (walk->abbreviation->has_children && !jump(walk, sibling))
				depth++;
		} else {
			if (walk->reader.at == walk->reader.end)
				return 0;
			depth--;
		}
	} while (depth && !next_abbreviation(walk));
	return walk->abbreviation || !depth ? 0 : -1;
}

/* A frame for the children of the current DIE; NULL if they are nested too deeply. */
static struct frame *push(struct walk *walk, enum inside inside)
{
	struct frame *frame;

	if (walk->depth == MAX_DEPTH) {
		malformed(walk, walk->die.offset, "is nested too deep");
		return NULL;
	}
	frame = &walk->frames[walk->depth++];
	frame->inside = inside;
	frame->first_item = walk->encoder->items.nr;
	frame->first_tag = walk->encoder->tags.nr;
	frame->component = 0;
	return frame;
}

static enum inside inside_type(uint16_t tag)
{
	switch (tag) {
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
		return IN_STRUCT;
	case DW_TAG_enumeration_type:
		return IN_ENUM;
	case DW_TAG_array_type:
		return IN_ARRAY;
	case DW_TAG_subroutine_type:
		return IN_PROTO;
	case DW_TAG_pointer_type:
		return IN_POINTER;
	default:
		return IN_TYPE;
	}
}

static bool is_type(uint16_t tag)
{
	switch (tag) {
	case DW_TAG_array_type:
	case DW_TAG_class_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_string_type:
	case DW_TAG_structure_type:
	case DW_TAG_subroutine_type:
	case DW_TAG_typedef:
	case DW_TAG_union_type:
	case DW_TAG_ptr_to_member_type:
	case DW_TAG_base_type:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_interface_type:
	case DW_TAG_rvalue_reference_type:
	case DW_TAG_atomic_type:
		return true;
	default:
		return false;
	}
}

static void make_type(struct type_die *type, const struct die *die)
{
	type->die = die->offset;
	type->tag = die->tag;
	type->type = die_ref(die, SLOT_TYPE);
	type->annotation = die_ref(die, SLOT_GNU_ANNOTATION);
	type->byte_size = die_number(die, SLOT_BYTE_SIZE);
	type->encoding = die_number(die, SLOT_ENCODING);
	type->name = die_name(die, SLOT_NAME);
	type->declaration = die_number(die, SLOT_DECLARATION);
}

static void drop_children(struct encoder *encoder, uint32_t first_item, uint32_t first_tag)
{
	encoder->items.nr = first_item;
	encoder->tags.nr = first_tag;
}

static int start_type(struct walk *walk)
{
	struct encoder *encoder = walk->encoder;
	uint32_t first_item = encoder->items.nr, first_tag = encoder->tags.nr;
	struct type_die type;
	struct frame *frame;

	read_die(walk);
	make_type(&type, &walk->die);
	if (note_type(encoder, type.die, &type.place))
		return -1;
	if (type.annotation && add_annotations(encoder, walk->unit, type.annotation, UINT32_MAX,
					       type.tag == DW_TAG_pointer_type))
		return -1;
	if (!walk->die.has_children) {
		if (emit_type(encoder, walk->unit, &type, first_item, first_tag))
			return -1;
		drop_children(encoder, first_item, first_tag);
		return 0;
	}
	frame = push(walk, inside_type(type.tag));
	if (!frame)
		return -1;
	frame->type = type;
	frame->first_item = first_item;
	frame->first_tag = first_tag;
	return 0;
}

/* Types may be defined at any level; anything else that is not of interest there is skipped. */
static int start_if_type(struct walk *walk, uint16_t tag)
{
	return is_type(tag) ? start_type(walk) : skip_subtree(walk);
}

static int start_function(struct walk *walk)
{
	struct function function;
	struct frame *frame;
	uint32_t first_tag = walk->encoder->tags.nr;
	uint32_t annotation;

	read_die(walk);
	make_function(&function, walk->unit, &walk->die);
	annotation = die_ref(&walk->die, SLOT_GNU_ANNOTATION);
	if (annotation && add_annotations(walk->encoder, walk->unit, annotation, UINT32_MAX, false))
		return -1;
	if (!walk->die.has_children)
		return add_function(walk->encoder, &function, first_tag);
	frame = push(walk, IN_FUNCTION);
	if (!frame)
		return -1;
	frame->function = function;
	frame->first_tag = first_tag;
	return 0;
}

/* A member or parameter whose own children may be annotations. */
static int start_component(struct walk *walk, uint32_t component)
{
	uint32_t annotation = die_ref(&walk->die, SLOT_GNU_ANNOTATION);
	struct frame *frame;

	if (annotation && add_annotations(walk->encoder, walk->unit, annotation, component, false))
		return -1;
	if (!walk->die.has_children)
		return 0;
	frame = push(walk, IN_COMPONENT);
	if (!frame)
		return -1;
	frame->component = component;
	return 0;
}

static int start_variable(struct walk *walk)
{
	uint32_t first_tag = walk->encoder->tags.nr;
	bool has_children;
	struct frame *frame;
	uint32_t kept;

	read_die(walk);
	has_children = walk->die.has_children;
	if (add_variable(walk->encoder, walk->unit, &walk->die, &kept))
		return -1;
	if (!has_children)
		return kept == UINT32_MAX ? 0 : tag_variable(walk->encoder, kept, first_tag);
	frame = push(walk, IN_VARIABLE);
	if (!frame)
		return -1;
	frame->variable = kept;
	frame->first_tag = first_tag;
	return 0;
}

static int skip_children(struct walk *walk)
{
	while (walk->die.has_children) {
		if (next_abbreviation(walk))
			return -1;
		if (!walk->abbreviation)
			break;
		if (skip_subtree(walk))
			return -1;
	}
	return 0;
}

static int read_annotation(struct walk *walk, uint32_t component, bool of_pointer)
{
	read_die(walk);
	if (add_annotation(walk->encoder, &walk->die, component, of_pointer))
		return -1;
	return skip_children(walk);
}

static int start_block(struct walk *walk, enum inside inside)
{
	skip_die(walk);
	return walk->abbreviation->has_children && !push(walk, inside) ? -1 : 0;
}

static int in_unit(struct walk *walk, uint16_t tag)
{
	switch (tag) {
	case DW_TAG_subprogram:
		return start_function(walk);
	case DW_TAG_variable:
		return start_variable(walk);
	case DW_TAG_namespace:
		return start_block(walk, IN_NAMESPACE);
	case DW_TAG_imported_unit:
		return cannot_encode(walk->encoder, walk->die.offset, 0, "an imported unit");
	default:
		return start_if_type(walk, tag);
	}
}

static int in_namespace(struct walk *walk, uint16_t tag)
{
	switch (tag) {
	case DW_TAG_subprogram:
		return start_function(walk);
	case DW_TAG_namespace:
		return start_block(walk, IN_NAMESPACE);
	default:
		return start_if_type(walk, tag);
	}
}

static int in_struct(struct walk *walk, struct frame *frame, uint16_t tag)
{
	switch (tag) {
	case DW_TAG_member:
		read_die(walk);
		if (add_member(walk->encoder, walk->unit, &walk->die))
			return -1;
		return start_component(walk, frame->component++);
	case DW_TAG_inheritance:
		frame->component++;
		return skip_subtree(walk);
	case DW_TAG_subprogram:
		return start_function(walk);
	case DW_TAG_LLVM_annotation:
		return read_annotation(walk, UINT32_MAX, false);
	default:
		return start_if_type(walk, tag);
	}
}

static int in_proto(struct walk *walk, uint16_t tag)
{
	struct item *item;

	if (tag != DW_TAG_formal_parameter && tag != DW_TAG_unspecified_parameters)
		return start_if_type(walk, tag);
	read_die(walk);
	item = new_item(walk->encoder);
	if (!item)
		return -1;
	if (tag == DW_TAG_formal_parameter) {
		item->name = die_name(&walk->die, SLOT_NAME);
		item->type = die_ref(&walk->die, SLOT_TYPE);
	} else {
		item->variadic = true;
	}
	return skip_children(walk);
}

static int in_block(struct walk *walk, uint16_t tag)
{
	switch (tag) {
	case DW_TAG_subprogram:
		return start_function(walk);
	case DW_TAG_inlined_subroutine:
		if (walk->encoder->options->profile != 131)
			return skip_subtree(walk);
		return start_block(walk, IN_BLOCK);
	case DW_TAG_lexical_block:
		return start_block(walk, IN_BLOCK);
	default:
		return start_if_type(walk, tag);
	}
}

static int in_function(struct walk *walk, struct frame *frame, uint16_t tag)
{
	switch (tag) {
	case DW_TAG_formal_parameter:
		read_die(walk);
		if (add_param(walk->encoder, &frame->function, &walk->die))
			return -1;
		return start_component(walk, frame->function.nr_params - 1);
	case DW_TAG_unspecified_parameters:
		frame->function.variadic = true;
		return skip_subtree(walk);
	case DW_TAG_LLVM_annotation:
		return read_annotation(walk, UINT32_MAX, false);
	default:
		return in_block(walk, tag);
	}
}

static int in_annotated(struct walk *walk, struct frame *frame, uint16_t tag)
{
	uint32_t component = frame->inside == IN_COMPONENT ? frame->component : UINT32_MAX;

	if (tag != DW_TAG_LLVM_annotation)
		return skip_subtree(walk);
	return read_annotation(walk, component, frame->inside == IN_POINTER);
}

static int read_child(struct walk *walk)
{
	struct frame *frame = &walk->frames[walk->depth - 1];
	uint16_t tag = walk->abbreviation->tag;

	switch (frame->inside) {
	case IN_UNIT:
		return in_unit(walk, tag);
	case IN_NAMESPACE:
		return in_namespace(walk, tag);
	case IN_STRUCT:
		return in_struct(walk, frame, tag);
	case IN_ENUM:
		if (tag != DW_TAG_enumerator)
			return skip_subtree(walk);
		read_die(walk);
		return add_enumerator(walk->encoder, &walk->die) || skip_children(walk);
	case IN_ARRAY:
		if (tag != DW_TAG_subrange_type)
			return skip_subtree(walk);
		read_die(walk);
		return add_dimension(walk->encoder, &walk->die) || skip_children(walk);
	case IN_PROTO:
		return in_proto(walk, tag);
	case IN_FUNCTION:
		return in_function(walk, frame, tag);
	case IN_BLOCK:
		return in_block(walk, tag);
	default:
		return in_annotated(walk, frame, tag);
	}
}

static int finish_frame(struct walk *walk)
{
	struct encoder *encoder = walk->encoder;
	struct frame *frame = &walk->frames[--walk->depth];
	int failed = 0;

	switch (frame->inside) {
	case IN_UNIT:
	case IN_NAMESPACE:
	case IN_BLOCK:
	case IN_COMPONENT:
		return 0;
	case IN_FUNCTION:
		failed = add_function(encoder, &frame->function, frame->first_tag);
		break;
	case IN_VARIABLE:
		if (frame->variable != UINT32_MAX)
			failed = tag_variable(encoder, frame->variable, frame->first_tag);
		break;
	default:
		failed = emit_type(encoder, walk->unit, &frame->type, frame->first_item,
				   frame->first_tag);
	}
	drop_children(encoder, frame->first_item, frame->first_tag);
	return failed;
}

static int walk_children(struct walk *walk)
{
	if (next_abbreviation(walk))
		return -1;
	if (!walk->abbreviation)
		return 0;
	if (start_block(walk, IN_UNIT))
		return -1;
	while (walk->depth) {
		if (next_abbreviation(walk) ||
		    dwarf_spend(&walk->encoder->dwarf, COST_OF_DIE, walk->encoder->err))
			return -1;
		if (walk->abbreviation ? read_child(walk) : finish_frame(walk))
			return -1;
		if (walk->reader.failed)
			return malformed(walk, walk->die.offset, "reaches past the end of its unit");
	}
	return 0;
}

int walk_unit(struct encoder *encoder, struct unit *unit)
{
	struct walk *walk = malloc(sizeof(*walk));
	int failed;

	if (!walk)
		return no_memory(encoder);
	walk->encoder = encoder;
	walk->unit = unit;
	walk->reader = unit_reader(&encoder->dwarf, unit, unit->first_die);
	walk->depth = 0;
	failed = walk_children(walk);
	free(walk);
	return failed;
}
