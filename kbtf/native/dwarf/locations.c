/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The location expressions of parameters. */
#include "encoder.h"

/* Bytes of the operands of an operation that has neither LEB128 numbers nor blocks. */
static int fixed_operands(const struct unit *unit, uint8_t code)
{
	if (code == DW_OP_addr)
		return unit->address_size;
	if (code >= DW_OP_const1u && code <= DW_OP_const8s)
		return 1 << (code - DW_OP_const1u) / 2;
	if (code >= DW_OP_lit0 && code <= DW_OP_reg31)
		return 0;
	switch (code) {
	case DW_OP_deref:
	case DW_OP_dup ... DW_OP_over:
	case DW_OP_swap ... DW_OP_plus:
	case DW_OP_shl ... DW_OP_xor:
	case DW_OP_eq ... DW_OP_ne:
	case DW_OP_nop:
	case DW_OP_push_object_address:
	case DW_OP_form_tls_address:
	case DW_OP_call_frame_cfa:
	case DW_OP_stack_value:
	case DW_OP_GNU_push_tls_address:
	case DW_OP_GNU_uninit:
		return 0;
	case DW_OP_pick:
	case DW_OP_deref_size:
	case DW_OP_xderef_size:
		return 1;
	case DW_OP_bra:
	case DW_OP_skip:
	case DW_OP_call2:
		return 2;
	case DW_OP_call4:
	case DW_OP_GNU_parameter_ref:
		return 4;
	case DW_OP_call_ref:
		return unit->offset_size;
	default:
		return -1;
	}
}

/* Operations whose operands are LEB128 numbers or blocks.  False if the code is not known. */
static bool read_operands(const struct unit *unit, struct reader *reader,
			  struct operation *operation)
{
	switch (operation->code) {
	case DW_OP_constu:
	case DW_OP_plus_uconst:
	case DW_OP_regx:
	case DW_OP_piece:
	case DW_OP_addrx:
	case DW_OP_constx:
	case DW_OP_convert:
	case DW_OP_reinterpret:
	case DW_OP_GNU_convert:
	case DW_OP_GNU_reinterpret:
	case DW_OP_GNU_addr_index:
	case DW_OP_GNU_const_index:
		operation->number = reader_uleb(reader);
		return true;
	case DW_OP_consts:
	case DW_OP_fbreg:
	case DW_OP_breg0 ... DW_OP_breg31:
		operation->number = (uint64_t)reader_sleb(reader);
		return true;
	case DW_OP_bregx:
		operation->number = reader_uleb(reader);
		reader_sleb(reader);
		return true;
	case DW_OP_bit_piece:
	case DW_OP_regval_type:
	case DW_OP_GNU_regval_type:
		operation->number = reader_uleb(reader);
		reader_uleb(reader);
		return true;
	case DW_OP_deref_type:
	case DW_OP_GNU_deref_type:
		reader_skip(reader, 1);
		operation->number = reader_uleb(reader);
		return true;
	case DW_OP_xderef_type:
		reader_skip(reader, 1);
		reader_uleb(reader);
		return true;
	case DW_OP_const_type:
	case DW_OP_GNU_const_type:
		reader_uleb(reader);
		reader_skip(reader, reader_number(reader, 1));
		return true;
	case DW_OP_implicit_value:
		reader_skip(reader, reader_uleb(reader));
		return true;
	case DW_OP_entry_value:
	case DW_OP_GNU_entry_value:
		operation->inner_length = (uint32_t)reader_uleb(reader);
		operation->inner = reader->at;
		reader_skip(reader, operation->inner_length);
		return true;
	case DW_OP_implicit_pointer:
	case DW_OP_GNU_implicit_pointer:
		reader_skip(reader, unit->version == 2 ? unit->address_size : unit->offset_size);
		reader_sleb(reader);
		return true;
	default:
		return false;
	}
}

int read_operations(const struct unit *unit, struct reader *reader, struct operation *operations)
{
	int nr, fixed;

	for (nr = 0; nr < MAX_OPERATIONS && reader->at < reader->end; nr++) {
		operations[nr] = (struct operation){.code = (uint8_t)reader_number(reader, 1)};
		fixed = fixed_operands(unit, operations[nr].code);
		if (fixed >= 0)
			reader_skip(reader, (uint32_t)fixed);
		else if (!read_operands(unit, reader, &operations[nr]))
			return 0;
	}
	return reader->failed ? 0 : nr;
}

static struct reader section_reader(const struct debug_section *section, uint64_t offset, bool foreign)
{
	if (offset > section->size)
		offset = section->size;
	return (struct reader){
		.start = section->data,
		.at = section->data + offset,
		.end = section->data + section->size,
		.foreign = foreign,
	};
}

struct expressions expressions_of(struct encoder *encoder, const struct unit *unit,
				  const struct value *location)
{
	struct expressions to = {.encoder = encoder, .unit = unit};
	const struct debug_section *lists = &encoder->dwarf.loclists;
	bool foreign = encoder->elf->foreign;
	uint64_t at;

	switch (location->class) {
	case VALUE_BLOCK:
		to.single = true;
		to.reader = section_reader(&encoder->dwarf.info, location->number, foreign);
		to.reader.end = to.reader.at + location->length;
		break;
	case VALUE_LIST_INDEX:
		at = unit->loclists_base + location->number * unit->offset_size;
		to.reader = section_reader(lists, at, foreign);
		at = unit->loclists_base + reader_number(&to.reader, unit->offset_size);
		to.ended = to.reader.failed || location->number > UINT32_MAX;
		to.reader = section_reader(lists, at, foreign);
		break;
	case VALUE_LIST:
		to.old = unit->version < 5;
		to.reader = section_reader(to.old ? &encoder->dwarf.loc : lists, location->number,
					   foreign);
		break;
	default:
		to.ended = true;
	}
	return to;
}

/* Moves to the next entry of a DWARF 4 list with an expression; returns its length, or -1. */
static int64_t next_old_entry(struct expressions *expressions)
{
	struct reader *reader = &expressions->reader;
	struct relocation_cursor *cursor = &expressions->encoder->dwarf.loc.cursor;
	uint32_t size = expressions->unit->address_size;
	uint64_t none = size == 8 ? UINT64_MAX : UINT32_MAX;
	struct relocation found;
	uint64_t begin, end;
	uint32_t at;

	for (;;) {
		at = reader_offset(reader);
		begin = reader_number(reader, size);
		end = reader_number(reader, size);
		if (reader->failed)
			return -1;
		if (begin == none)
			continue;
		/* After relocation, no range starts at 0. */
		if (!begin && !end && !relocation_find(cursor, at, 0, &found) &&
		    !relocation_find(cursor, at + size, 0, &found))
			return -1;
		return (int64_t)reader_number(reader, 2);
	}
}

static int64_t next_new_entry(struct expressions *expressions)
{
	struct reader *reader = &expressions->reader;
	uint32_t size = expressions->unit->address_size;

	for (;;) {
		switch (reader_number(reader, 1)) {
		case DW_LLE_base_addressx:
			reader_uleb(reader);
			break;
		case DW_LLE_base_address:
			reader_skip(reader, size);
			break;
		case DW_LLE_GNU_view_pair:
			reader_uleb(reader);
			reader_uleb(reader);
			break;
		case DW_LLE_startx_endx:
		case DW_LLE_startx_length:
		case DW_LLE_offset_pair:
			reader_uleb(reader);
			reader_uleb(reader);
			return (int64_t)(reader_uleb(reader) & UINT32_MAX);
		case DW_LLE_default_location:
			return (int64_t)(reader_uleb(reader) & UINT32_MAX);
		case DW_LLE_start_end:
			reader_skip(reader, 2 * (uint64_t)size);
			return (int64_t)(reader_uleb(reader) & UINT32_MAX);
		case DW_LLE_start_length:
			reader_skip(reader, size);
			reader_uleb(reader);
			return (int64_t)(reader_uleb(reader) & UINT32_MAX);
		default:
			return -1;
		}
		if (reader->failed)
			return -1;
	}
}

int next_expression(struct expressions *expressions, struct operation *operations)
{
	struct reader *reader = &expressions->reader;
	const uint8_t *before = reader->at;
	struct reader inside;
	int64_t length;

	if (expressions->ended ||
	    dwarf_spend(&expressions->encoder->dwarf, 16, expressions->encoder->err))
		return -1;
	if (expressions->single) {
		expressions->ended = true;
		return read_operations(expressions->unit, reader, operations);
	}
	length = expressions->old ? next_old_entry(expressions) : next_new_entry(expressions);
	/* Many parameters may refer to one list. */
	if (!dwarf_take(&expressions->encoder->dwarf, (uint64_t)(reader->at - before)))
		length = -1;
	inside = *reader;
	if (length >= 0)
		reader_skip(reader, (uint64_t)length);
	if (length < 0 || reader->failed) {
		expressions->ended = true;
		return -1;
	}
	inside.end = reader->at;
	return read_operations(expressions->unit, &inside, operations);
}
