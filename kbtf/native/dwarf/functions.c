/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Subprograms: noted while a unit is walked, saved as states once its types have ids. */
#include "encoder.h"

#define COST_OF_FUNCTION 128 /* more data than of other DIEs is kept */

void make_function(struct function *function, struct unit *unit, const struct die *die)
{
	*function = (struct function){.unit = unit, .die = die->offset};
	function->name = die_name(die, SLOT_NAME);
	function->type = die_ref(die, SLOT_TYPE);
	function->origin = die_ref(die, SLOT_ORIGIN);
	function->specification = die_ref(die, SLOT_SPECIFICATION);
	function->declaration = die_has(die, SLOT_DECLARATION);
	function->is_inline = die_has(die, SLOT_INLINE);
	function->nocall = die_number(die, SLOT_CALLING_CONVENTION) == DW_CC_nocall;
	if (die_has(die, SLOT_LOW_PC))
		function->low_pc = die->values[SLOT_LOW_PC];
}

int add_param(struct encoder *encoder, struct function *function, const struct die *die)
{
	struct param *param = vector_new(&encoder->params);

	if (!param)
		return no_memory(encoder);
	*param = (struct param){.die = die->offset, .index = function->nr_params++};
	param->type = die_ref(die, SLOT_TYPE);
	param->origin = die_ref(die, SLOT_ORIGIN);
	param->name = die_name(die, SLOT_NAME);
	param->has_type = die_has(die, SLOT_TYPE);
	param->has_const_value = die_has(die, SLOT_CONST_VALUE);
	if (die_has(die, SLOT_LOCATION))
		param->location = die->values[SLOT_LOCATION];
	if (function->last_param)
		encoder->params.at[function->last_param - 1].next = encoder->params.nr;
	else
		function->first_param = encoder->params.nr;
	function->last_param = encoder->params.nr;
	return 0;
}

int add_function(struct encoder *encoder, struct function *function, uint32_t first_tag)
{
	uint32_t i;

	if (dwarf_spend(&encoder->dwarf, COST_OF_FUNCTION, encoder->err))
		return -1;
	function->first_tag = encoder->function_tags.nr;
	function->nr_tags = encoder->tags.nr - first_tag;
	for (i = first_tag; i < encoder->tags.nr; i++)
		if (!vector_push(&encoder->function_tags, encoder->tags.at[i]))
			return no_memory(encoder);
	encoder->tags.nr = first_tag;
	return vector_push(&encoder->functions, *function) ? 0 : no_memory(encoder);
}

/* The number of a parameter by the offset of its DIE, plus one; 0 if there is none. */
static uint32_t find_param(const struct encoder *encoder, uint32_t die)
{
	uint32_t low = 0, high = encoder->params.nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (encoder->params.at[middle].die < die)
			low = middle + 1;
		else
			high = middle;
	}
	return low < encoder->params.nr && encoder->params.at[low].die == die ? low + 1 : 0;
}

/* Copies attributes that only the origins of a concrete instance and its parameters have. */
static void take_from_origin(struct encoder *encoder, struct function *function)
{
	struct param *param, *origin;
	struct die die;
	uint32_t i;

	if (function->origin && read_other_die(encoder, function->unit, function->origin, &die)) {
		if (!function->type)
			function->type = die_ref(&die, SLOT_TYPE);
		function->nocall |= die_number(&die, SLOT_CALLING_CONVENTION) == DW_CC_nocall;
	}
	function->nocall &= !function->is_inline;
	for (i = function->first_param; i; i = param->next) {
		param = &encoder->params.at[i - 1];
		if (param->has_type || !param->origin)
			continue;
		param->origin_param = find_param(encoder, param->origin);
		if (!param->origin_param)
			continue;
		origin = &encoder->params.at[param->origin_param - 1];
		param->name = origin->name;
		param->type = origin->type;
	}
}

static void give_to_origin(struct encoder *encoder, const struct function *function)
{
	const struct param *param;
	struct param *origin;
	uint32_t i;

	for (i = function->first_param; i; i = param->next) {
		param = &encoder->params.at[i - 1];
		if (!param->origin_param)
			continue;
		origin = &encoder->params.at[param->origin_param - 1];
		origin->has_location |= param->has_location;
		origin->optimized |= param->optimized;
		origin->unexpected |= param->unexpected;
	}
}

static uint32_t group_of(struct encoder *encoder, struct function *function)
{
	uint32_t from = function->origin ? function->origin : function->specification;
	struct die die;

	if (function->declaration)
		return NO_GROUP;
	if (!function->name && from && read_other_die(encoder, function->unit, from, &die))
		function->name = die_name(&die, SLOT_NAME);
	return symbols_find_ref(&encoder->symbols, &encoder->dwarf, function->name);
}

static bool is_struct(const struct encoder *encoder, uint32_t id)
{
	const uint32_t *type;
	int steps;

	for (steps = 0; steps < 32 && is_own(encoder, id); steps++) {
		type = own_type(encoder, id);
		if (info_kind(type[1]) == KIND_STRUCT)
			return true;
		if (info_kind(type[1]) != KIND_CONST && info_kind(type[1]) != KIND_TYPEDEF)
			return false;
		id = type[2];
	}
	return false;
}

static bool is_packed_param(struct encoder *encoder, const struct function *function,
			    const struct param *param)
{
	uint32_t id = resolve(encoder, param->type);
	const uint32_t *type;

	if (param->index < nr_registers(encoder) || !is_own(encoder, id))
		return false;
	type = own_type(encoder, id);
	return info_kind(type[1]) == KIND_STRUCT && type[0] &&
	       looks_packed(encoder, id, function->unit->address_size);
}

static bool is_reordered(const struct encoder *encoder, const struct param *param)
{
	return param->origin_param && encoder->options->profile != 131 &&
	       encoder->params.at[param->origin_param - 1].index != param->index;
}

/* False if some parameter has no name: the function is not saved. */
static bool judge(struct encoder *encoder, const struct function *function, struct state *state)
{
	bool unexpected = false, by_value = false;
	const struct param *param;
	size_t length;
	uint32_t i;

	for (i = function->first_param; i; i = param->next) {
		param = &encoder->params.at[i - 1];
		name_text(&encoder->dwarf, param->name, &length);
		if (!length)
			return false;
		unexpected |= param->unexpected;
		by_value |= is_struct(encoder, resolve(encoder, param->type));
		state->optimized |= param->optimized ||
				    (!param->has_location && param->location.class == VALUE_NONE);
		if (is_reordered(encoder, param))
			state->flags |= DROPPED_REORDERED;
		if (is_packed_param(encoder, function, param))
			state->flags |= DROPPED_UNCERTAIN;
	}
	if (unexpected && !by_value)
		state->flags |= DROPPED_UNEXPECTED;
	state->changed = encoder->clang && function->nocall;
	return true;
}

static int add_state_word(struct encoder *encoder, uint32_t word)
{
	return vector_push(&encoder->state_words, word) ? 0 : no_memory(encoder);
}

static int save_param(struct encoder *encoder, const struct param *param, bool without_name)
{
	uint32_t name = 0;

	if (!without_name && names_add_ref(&encoder->names, param->name, &name, encoder->err))
		return -1;
	return add_state_word(encoder, name) ||
	       add_state_word(encoder, resolve(encoder, param->type));
}

static int save_tags(struct encoder *encoder, const struct function *function, struct state *state)
{
	const struct tag *tag;
	uint32_t value, i;

	state->first_tag = encoder->state_tags.nr;
	state->nr_tags = function->nr_tags;
	for (i = 0; i < function->nr_tags; i++) {
		tag = &encoder->function_tags.at[function->first_tag + i];
		if (names_add_ref(&encoder->names, tag->value, &value, encoder->err))
			return -1;
		if (!vector_push(&encoder->state_tags, tag->component) ||
		    !vector_push(&encoder->state_tags, value))
			return no_memory(encoder);
	}
	return 0;
}

static uint64_t laid_out(struct encoder *encoder, const struct function *function)
{
	struct address address;

	if (!read_address(&encoder->dwarf, function->unit, &function->low_pc, &address) ||
	    address.section >= encoder->elf->nr_sections)
		return 0;
	return encoder->section_addresses[address.section] + address.offset;
}

static int save_function(struct encoder *encoder, struct function *function, uint32_t group)
{
	struct state state = {
		.group = group,
		.first_word = encoder->state_words.nr,
		.nr_params = function->nr_params + function->variadic,
	};
	const struct param *param;
	uint32_t i;

	if (!judge(encoder, function, &state))
		return 0;
	if (state.nr_params > UINT16_MAX)
		return cannot_encode(encoder, function->die, function->name,
				     "a function of %u parameters", state.nr_params);
	state.low_pc = laid_out(encoder, function);
	if (add_state_word(encoder, resolve(encoder, function->type)))
		return -1;
	for (i = function->first_param; i; i = param->next) {
		param = &encoder->params.at[i - 1];
		if (save_param(encoder, param,
			       state.flags & DROPPED_REORDERED &&
				       (param->optimized || !param->has_location)))
			return -1;
	}
	if (function->variadic && (add_state_word(encoder, 0) || add_state_word(encoder, 0)))
		return -1;
	if (save_tags(encoder, function, &state))
		return -1;
	return vector_push(&encoder->states, state) ? 0 : no_memory(encoder);
}

int save_functions(struct encoder *encoder)
{
	struct function *function;
	uint32_t i, group;

	for (i = 0; i < encoder->functions.nr; i++) {
		function = &encoder->functions.at[i];
		if (group_of(encoder, function) == NO_GROUP)
			continue;
		take_from_origin(encoder, function);
		analyse_parameters(encoder, function, encoder->clang);
		give_to_origin(encoder, function);
	}
	for (i = 0; i < encoder->functions.nr; i++) {
		function = &encoder->functions.at[i];
		group = group_of(encoder, function);
		if (group != NO_GROUP && save_function(encoder, function, group))
			return -1;
	}
	return 0;
}
