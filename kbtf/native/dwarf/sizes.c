/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Sizes of emitted types, in resolved units. */
#include "encoder.h"

#define MAX_STEPS 64 /* of types through one another */

uint32_t skip_modifiers_of(struct encoder *encoder, uint32_t id)
{
	const uint32_t *type;
	int steps;

	for (steps = 0; steps < MAX_STEPS && is_own(encoder, id) && dwarf_take(&encoder->dwarf, 1); steps++) {
		type = own_type(encoder, id);
		switch (info_kind(type[1])) {
		case KIND_TYPEDEF:
		case KIND_CONST:
		case KIND_VOLATILE:
		case KIND_RESTRICT:
		case KIND_TYPE_TAG:
			id = type[2];
			break;
		default:
			return id;
		}
	}
	return 0;
}

uint64_t type_size_of(struct encoder *encoder, uint32_t id, uint32_t address_size)
{
	uint64_t factor = 1;
	const uint32_t *type;
	int steps;

	for (steps = 0; steps < MAX_STEPS; steps++) {
		id = skip_modifiers_of(encoder, id);
		if (!is_own(encoder, id))
			return 0;
		type = own_type(encoder, id);
		switch (info_kind(type[1])) {
		case KIND_INT:
		case KIND_FLOAT:
		case KIND_STRUCT:
		case KIND_UNION:
		case KIND_ENUM:
		case KIND_ENUM64:
			return type[2] * factor;
		case KIND_PTR:
		case KIND_FUNC_PROTO:
			return address_size * factor;
		case KIND_ARRAY:
			if (type[5] && factor > UINT64_MAX / type[5] / UINT32_MAX)
				return UINT64_MAX;
			factor *= type[5];
			id = type[3];
			break;
		default:
			return 0;
		}
	}
	return 0;
}

uint64_t value_size_of(struct encoder *encoder, uint32_t id, uint32_t address_size)
{
	const uint32_t *type;
	int steps;

	for (steps = 0; steps < MAX_STEPS; steps++) {
		id = skip_modifiers_of(encoder, id);
		if (!is_own(encoder, id))
			return 0;
		type = own_type(encoder, id);
		if (info_kind(type[1]) != KIND_ARRAY)
			return info_kind(type[1]) == KIND_FUNC_PROTO
				       ? 0
				       : type_size_of(encoder, id, address_size);
		id = type[3];
	}
	return 0;
}
