/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Structs, unions, enums and arrays: types with children. */
#include "encoder.h"

/* Bytes of a member's type, through typedefs and qualifiers, for DWARF 4's bitfields. */
static uint64_t size_behind(struct encoder *encoder, const struct unit *unit, uint32_t type)
{
	struct die die;
	int steps;

	for (steps = 0; steps < 32 && read_other_die(encoder, unit, type, &die); steps++) {
		switch (die.tag) {
		case DW_TAG_typedef:
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_restrict_type:
			type = die_ref(&die, SLOT_TYPE);
			break;
		default:
			return die_number(&die, SLOT_BYTE_SIZE);
		}
	}
	return 0;
}

/* A constant, or an expression of one operation that adds or pushes one. */
static uint64_t byte_offset(struct encoder *encoder, const struct unit *unit, const struct die *die)
{
	const struct value *value = &die->values[SLOT_MEMBER_LOCATION];
	struct reader reader;
	uint8_t operation;
	uint64_t number;

	if (!die_has(die, SLOT_MEMBER_LOCATION) || value->class != VALUE_BLOCK)
		return die_number(die, SLOT_MEMBER_LOCATION);
	reader = unit_reader(&encoder->dwarf, unit, (uint32_t)value->number);
	reader.end = reader.at + value->length;
	operation = (uint8_t)reader_number(&reader, 1);
	if (operation != DW_OP_plus_uconst && operation != DW_OP_constu)
		return 0;
	number = reader_uleb(&reader);
	return reader.failed ? 0 : number;
}

static uint64_t bit_offset(struct encoder *encoder, const struct unit *unit, const struct die *die,
			   uint64_t bits)
{
	uint64_t offset, size, skipped;

	if (die_has(die, SLOT_DATA_BIT_OFFSET))
		return die_number(die, SLOT_DATA_BIT_OFFSET);
	offset = 8 * byte_offset(encoder, unit, die);
	if (!bits)
		return offset;
	skipped = die_number(die, SLOT_BIT_OFFSET);
	size = die_number(die, SLOT_BYTE_SIZE);
	if (!size)
		size = size_behind(encoder, unit, die_ref(die, SLOT_TYPE));
	if (!size)
		return offset;
	if (encoder->elf->foreign != machine_is_big_endian())
		return offset + skipped;
	return offset + 8 * size - skipped - bits;
}

/* Items are filled in place: copying one right after it is written would wait for the writes. */
struct item *new_item(struct encoder *encoder)
{
	struct item *item = vector_new(&encoder->items);

	if (item)
		*item = (struct item){0};
	else
		no_memory(encoder);
	return item;
}

int add_member(struct encoder *encoder, struct unit *unit, const struct die *die)
{
	uint64_t bits = die_number(die, SLOT_BIT_SIZE);
	struct item *item = new_item(encoder);

	if (!item)
		return -1;
	item->name = die_name(die, SLOT_NAME);
	item->type = die_ref(die, SLOT_TYPE);
	item->bits = bits > UINT32_MAX ? UINT32_MAX : (uint32_t)bits;
	item->number = bit_offset(encoder, unit, die, bits);
	return 0;
}

int add_enumerator(struct encoder *encoder, const struct die *die)
{
	struct item *item = new_item(encoder);

	if (!item)
		return -1;
	item->name = die_name(die, SLOT_NAME);
	item->number = die_number(die, SLOT_CONST_VALUE);
	item->is_signed = die_has(die, SLOT_CONST_VALUE) &&
			  die->values[SLOT_CONST_VALUE].class == VALUE_SIGNED;
	return 0;
}

int add_dimension(struct encoder *encoder, const struct die *die)
{
	struct item *item = new_item(encoder);

	if (!item)
		return -1;
	if (die_has(die, SLOT_UPPER_BOUND)) {
		if (die->values[SLOT_UPPER_BOUND].class <= VALUE_FLAG)
			item->number = (uint32_t)(die_number(die, SLOT_UPPER_BOUND) + 1);
	} else {
		item->number = (uint32_t)die_number(die, SLOT_COUNT);
	}
	return 0;
}

static int check_member(struct encoder *encoder, const struct type_die *type, uint32_t kind,
			const struct item *member)
{
	if (member->bits && (member->number > 0xffffff || member->bits > 255))
		return cannot_encode(encoder, type->die, type->name,
				     "a bitfield of %u bits at bit %llu", member->bits,
				     (unsigned long long)member->number);
	if (kind == KIND_UNION && member->number)
		return cannot_encode(encoder, type->die, type->name,
				     "a union with a member at bit %llu",
				     (unsigned long long)member->number);
	return 0;
}

static int too_many(struct encoder *encoder, const struct type_die *type, uint32_t nr)
{
	return cannot_encode(encoder, type->die, type->name, "a type of %u members", nr);
}

int emit_struct(struct encoder *encoder, const struct type_die *type, uint32_t kind,
		uint32_t first_item)
{
	uint32_t nr = encoder->items.nr - first_item;
	const struct item *member;
	bool bitfields = false;
	uint32_t name, i;

	if (nr > UINT16_MAX)
		return too_many(encoder, type, nr);
	for (i = 0; i < nr; i++)
		bitfields |= encoder->items.at[first_item + i].bits != 0;
	if (type_name_word(encoder, type->name, &name) ||
	    begin_type(encoder, name, make_info(kind, nr, bitfields), (uint32_t)type->byte_size))
		return -1;
	for (i = 0; i < nr; i++) {
		member = &encoder->items.at[first_item + i];
		if (check_member(encoder, type, kind, member) ||
		    type_name_word(encoder, member->name, &name) ||
		    add_word(encoder, name) || add_word(encoder, member->type) ||
		    add_word(encoder, member->bits << 24 | (uint32_t)member->number))
			return -1;
	}
	return 0;
}

/* Whether the type that an enum names is a signed base type. */
static bool is_signed_base(struct encoder *encoder, const struct unit *unit, uint32_t type)
{
	uint64_t encoding;
	struct die die;

	if (!read_other_die(encoder, unit, type, &die) || die.tag != DW_TAG_base_type)
		return false;
	encoding = die_number(&die, SLOT_ENCODING);
	return encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
}

static bool is_negative(const struct item *item)
{
	return item->is_signed && (int64_t)item->number < 0;
}

static int emit_value(struct encoder *encoder, const struct type_die *type, const struct item *item,
		      bool is_64, bool cut)
{
	uint32_t name;

	if (type_name_word(encoder, item->name, &name))
		return -1;
	if (!name)
		return cannot_encode(encoder, type->die, type->name, "an enumerator without a name");
	if (!is_64 && !cut &&
	    (is_negative(item) ? (int64_t)item->number < INT32_MIN : item->number > UINT32_MAX))
		return cannot_encode(encoder, type->die, type->name,
				     "an enumerator that needs more than 32 bits");
	if (add_word(encoder, name) || add_word(encoder, (uint32_t)item->number))
		return -1;
	return is_64 ? add_word(encoder, (uint32_t)(item->number >> 32)) : 0;
}

int emit_enum(struct encoder *encoder, struct unit *unit, const struct type_die *type,
	      uint32_t first_item)
{
	uint32_t nr = type->declaration ? 0 : encoder->items.nr - first_item;
	uint64_t size = type->byte_size ? type->byte_size : 4;
	bool is_64 = size > 4 && encoder->options->features & FEATURE_ENUM64;
	bool flag = is_64 && is_signed_base(encoder, unit, type->type);
	uint32_t i, name;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return cannot_encode(encoder, type->die, type->name, "an enum of %llu bytes",
				     (unsigned long long)size);
	if (nr > UINT16_MAX)
		return too_many(encoder, type, nr);
	for (i = 0; !is_64 && i < nr; i++)
		flag |= is_negative(&encoder->items.at[first_item + i]);
	if (type_name_word(encoder, type->name, &name) ||
	    begin_type(encoder, name, make_info(is_64 ? KIND_ENUM64 : KIND_ENUM, nr, flag),
		       (uint32_t)size))
		return -1;
	for (i = 0; i < nr; i++)
		if (emit_value(encoder, type, &encoder->items.at[first_item + i], is_64, size > 4))
			return -1;
	return 0;
}

static int emit_dimension(struct encoder *encoder, uint32_t element, uint32_t length)
{
	/* resolve_types() fills in the type of the index, which may not be known yet. */
	if (begin_type(encoder, 0, make_info(KIND_ARRAY, 0, false), 0) ||
	    add_word(encoder, element) || add_word(encoder, 0))
		return -1;
	return add_word(encoder, length);
}

int emit_array(struct encoder *encoder, const struct type_die *type, uint32_t first_item)
{
	uint32_t element = type->type, length = 1, i;

	encoder->any_array = true;
	if (encoder->options->profile == 131 || encoder->items.nr == first_item) {
		for (i = first_item; i < encoder->items.nr; i++)
			length *= (uint32_t)encoder->items.at[i].number;
		return emit_dimension(encoder, element, length);
	}
	for (i = encoder->items.nr; i > first_item; i--) {
		if (emit_dimension(encoder, element, (uint32_t)encoder->items.at[i - 1].number))
			return -1;
		element = (next_id(encoder) - 1) | IS_ID;
	}
	return 0;
}
