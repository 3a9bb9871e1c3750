/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Whether the parameters of a function are where the ABI places them.  BPF programs rely on the
 * prototype, so functions whose compiled form differs from it are not encoded.
 */
#include "encoder.h"

#define MAX_REGISTERS 8
#define UNKNOWN_REGISTER -1

struct machine_abi {
	uint16_t machine;
	uint8_t nr;
	int8_t registers[MAX_REGISTERS]; /* in DWARF's numbers; all UNKNOWN if the first is */
};

static const struct machine_abi abis[] = {
	{EM_X86_64, 6, {5, 4, 1, 2, 8, 9}},
	{EM_AARCH64, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
	{EM_ARM, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
	{EM_S390, 5, {2, 3, 4, 5, 6}},
	{EM_SPARC, 6, {UNKNOWN_REGISTER}},
	{EM_SPARCV9, 6, {UNKNOWN_REGISTER}},
	{EM_ARC_COMPACT, 8, {UNKNOWN_REGISTER}},
	{EM_ARC_COMPACT2, 8, {UNKNOWN_REGISTER}},
	{EM_MIPS, 8, {UNKNOWN_REGISTER}},
	{EM_PPC, 8, {UNKNOWN_REGISTER}},
	{EM_PPC64, 8, {UNKNOWN_REGISTER}},
	{EM_RISCV, 8, {UNKNOWN_REGISTER}},
};

static const struct machine_abi *abi_of(const struct encoder *encoder)
{
	static const struct machine_abi none;
	size_t i;

	for (i = 0; i < sizeof(abis) / sizeof(*abis); i++)
		if (abis[i].machine == encoder->elf->machine)
			return &abis[i];
	return &none;
}

uint32_t nr_registers(const struct encoder *encoder)
{
	return abi_of(encoder)->nr;
}

static int expected_register(const struct machine_abi *abi, uint32_t index)
{
	return abi->registers[0] == UNKNOWN_REGISTER ? UNKNOWN_REGISTER : abi->registers[index];
}

static bool is_register(const struct operation *operation)
{
	return operation->code >= DW_OP_reg0 && operation->code <= DW_OP_reg31;
}

static bool is_based(const struct operation *operation)
{
	return operation->code >= DW_OP_breg0 && operation->code <= DW_OP_breg31;
}

/* The only operation of an entry value; false if `operation` is none, or there is not one. */
static bool entry_operation(const struct unit *unit, const struct operation *operation,
			    struct operation *inner)
{
	struct operation operations[MAX_OPERATIONS];
	struct reader reader = {.start = operation->inner, .at = operation->inner};

	if (operation->code != DW_OP_entry_value && operation->code != DW_OP_GNU_entry_value)
		return false;
	reader.end = operation->inner + operation->inner_length;
	if (read_operations(unit, &reader, operations) != 1)
		return false;
	*inner = operations[0];
	return true;
}

static bool ends_as_value(const struct operation *operations, int nr)
{
	return nr > 1 && operations[nr - 1].code == DW_OP_stack_value;
}

/* Profile 131: the operation with the location of parameter `index`, or -1. */
static int found_operation(struct encoder *encoder, const struct unit *unit,
			   const struct param *param, int expected)
{
	struct expressions expressions = expressions_of(encoder, unit, &param->location);
	struct operation operations[MAX_OPERATIONS], inner;
	int found = -1, nr, k;

	for (k = 0; (nr = next_expression(&expressions, operations)) >= 0; k++) {
		if (ends_as_value(operations, nr))
			nr--;
		if (nr != 1)
			continue;
		if (is_register(operations) && !k)
			found = operations[0].code;
		else if (entry_operation(unit, operations, &inner))
			found = inner.code;
		if (found == expected)
			break;
	}
	return found;
}

static void analyse_by_index(struct encoder *encoder, const struct unit *unit, struct param *param)
{
	const struct machine_abi *abi = abi_of(encoder);
	int expected, found;

	if (param->index >= abi->nr)
		return;
	if (param->location.class == VALUE_NONE) {
		param->optimized = param->has_const_value;
		return;
	}
	param->has_location = true;
	expected = expected_register(abi, param->index);
	if (expected != UNKNOWN_REGISTER)
		expected += DW_OP_reg0;
	found = found_operation(encoder, unit, param, expected);
	if (found < 0)
		param->optimized = true;
	else if (expected != UNKNOWN_REGISTER)
		param->unexpected = found != expected;
}

/* The argument registers that a type takes. */
struct passed {
	uint64_t bytes;
	uint32_t slots;
	bool in_memory;
};

static struct passed how_passed(struct encoder *encoder, const struct unit *unit, uint32_t type)
{
	bool s390 = encoder->elf->machine == EM_S390;
	uint64_t size = unit->address_size;
	struct passed passed = {.bytes = value_size_of(encoder, type, unit->address_size)};

	passed.in_memory = passed.bytes > (s390 ? size : 2 * size);
	if (passed.bytes <= size || s390 || passed.in_memory)
		passed.slots = 1;
	else
		passed.slots = (uint32_t)((passed.bytes + size - 1) / size);
	return passed;
}

static int register_of_narrow(const struct operation *operations, int nr, int k)
{
	bool value = false;
	int i;

	for (i = 1; i < nr; i++)
		value |= operations[i].code == DW_OP_stack_value;
	if (k)
		return -1;
	if (is_register(operations))
		return operations[0].code - DW_OP_reg0;
	return is_based(operations) && value ? operations[0].code - DW_OP_breg0 : -1;
}

static int register_of_pieces(const struct operation *operations, int nr, uint32_t address_size)
{
	uint64_t covered = 0;
	int found = -1, i;

	for (i = 0; i < nr; i++) {
		if (is_register(&operations[i]) && (covered < address_size || found < 0))
			found = operations[i].code - DW_OP_reg0;
		else if (operations[i].code == DW_OP_piece)
			covered += operations[i].number;
	}
	return found;
}

/* Profile 132: the register in the location of a parameter, or -1. */
static int found_register(struct encoder *encoder, const struct unit *unit,
			  const struct param *param, const struct passed *passed)
{
	struct expressions expressions = expressions_of(encoder, unit, &param->location);
	bool narrow = passed->bytes <= unit->address_size || encoder->elf->machine == EM_S390;
	struct operation operations[MAX_OPERATIONS], inner;
	int found = -1, nr, k;
	bool value;

	for (k = 0; found < 0 && (nr = next_expression(&expressions, operations)) >= 0; k++) {
		if (!nr)
			continue;
		value = nr == 2 && ends_as_value(operations, nr);
		if (nr == 1 || value) {
			if (!k && (is_register(operations) || (is_based(operations) && value)))
				found = (operations[0].code - DW_OP_reg0) % 32;
			else if (entry_operation(unit, operations, &inner) && is_register(&inner))
				found = inner.code - DW_OP_reg0;
		} else if (narrow) {
			found = register_of_narrow(operations, nr, k);
		} else {
			found = register_of_pieces(operations, nr, unit->address_size);
		}
	}
	return found;
}

static void analyse_by_abi(struct encoder *encoder, const struct unit *unit, struct param *param,
			   bool clang, uint32_t *cursor)
{
	const struct machine_abi *abi = abi_of(encoder);
	struct passed passed = how_passed(encoder, unit, resolve(encoder, param->type));
	int expected, found;

	if (param->location.class != VALUE_NONE) {
		if (*cursor >= abi->nr)
			return;
		param->has_location = true;
		found = found_register(encoder, unit, param, &passed);
		expected = expected_register(abi, *cursor);
		if (found < 0)
			param->optimized = true;
		else if (expected != UNKNOWN_REGISTER)
			param->unexpected = found != expected;
	} else if (param->has_const_value && !clang) {
		param->optimized = true;
	}
	*cursor += passed.slots;
}

/* Check clang's parameters, unless it changed the signature: true to continue. */
static bool analyse_by_clang(struct encoder *encoder, const struct unit *unit, struct param *param,
			     uint32_t *cursor)
{
	const struct machine_abi *abi = abi_of(encoder);
	struct passed passed = how_passed(encoder, unit, resolve(encoder, param->type));
	uint32_t i;
	int found;

	if (passed.in_memory)
		return true;
	if (*cursor >= abi->nr)
		return false;
	param->has_location = param->location.class != VALUE_NONE;
	found = found_register(encoder, unit, param, &passed);
	if (found >= 0) {
		param->unexpected = true;
		for (i = *cursor; i < *cursor + passed.slots && i < abi->nr; i++)
			if (expected_register(abi, i) == found)
				param->unexpected = false;
	}
	*cursor += passed.slots;
	return true;
}

void analyse_parameters(struct encoder *encoder, struct function *function, bool clang)
{
	bool by_index = encoder->options->profile == 131;
	struct param *param;
	uint32_t cursor = 0, i;

	for (i = function->first_param; i; i = param->next) {
		param = &encoder->params.at[i - 1];
		if (by_index)
			analyse_by_index(encoder, function->unit, param);
		else if (!clang || function->nocall)
			analyse_by_abi(encoder, function->unit, param, clang, &cursor);
		else if (!analyse_by_clang(encoder, function->unit, param, &cursor))
			break;
	}
}
