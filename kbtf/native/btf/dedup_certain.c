/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Whether the result is that of all types, if equal ones were left out.
 *
 * A type is mapped to the first candidate that may be equal.  That is certainly the one of its class if
 * it is the only candidate that may be equal: then it does not matter when the type is compared.
 */
#include "dedup_state.h"

#include <stdlib.h>

static int not_certain(struct dedup *dedup)
{
	return btf_fail(dedup->err, 0, "equal types are not certain");
}

int dedup_check_twins(struct dedup *dedup, uint32_t id, uint32_t signature)
{
	struct candidates candidates = dedup_candidates(dedup, signature);
	int result;

	while (next_candidate(dedup, &candidates)) {
		if (dedup_spend(dedup, 1))
			return -1;
		if (candidates.id == id || !btf_same_shape(dedup_type(dedup, id),
							   any_type(dedup, candidates.id)))
			continue;
		dedup_forget(dedup);
		result = dedup_equivalent(dedup, candidates.id, id);
		if (result)
			return result < 0 ? -1 : not_certain(dedup);
	}
	return 0;
}

/* Whether several enums of a name are defined. */
static int check_enum(struct dedup *dedup, const uint8_t *forward)
{
	uint32_t signature = btf_signature(forward, dedup->base->seed), nr = 0;
	struct candidates candidates = dedup_candidates(dedup, signature);
	const uint8_t *other;

	while (next_candidate(dedup, &candidates)) {
		if (dedup_spend(dedup, 1))
			return -1;
		other = any_type(dedup, candidates.id);
		nr += is_enum(type_kind(other)) && !is_forward_enum(other) &&
		      type_name(other) == type_name(forward);
	}
	return nr > 1 ? not_certain(dedup) : 0;
}

int dedup_check_forwards(struct dedup *dedup)
{
	struct named_id *uniques;
	const struct named_id *found;
	uint32_t nr, id, kind;
	const uint8_t *type;
	int failed = 0;

	if (!dedup->reduced)
		return 0;
	if (dedup->skipped_elements)
		return not_certain(dedup);
	uniques = dedup_uniques(dedup, &nr);
	if (!uniques)
		return btf_no_memory(dedup->err);
	for (id = dedup->start_id; id < dedup->end_id && !failed; id++) {
		type = dedup_type(dedup, id);
		kind = type_kind(type);
		if (is_forward_enum(type)) {
			failed = check_enum(dedup, type);
		} else if (kind == KIND_FWD) {
			found = find_unique(uniques, nr, type_name(type));
			if (found && !found->id)
				failed = not_certain(dedup);
		}
	}
	free(uniques);
	return failed;
}
