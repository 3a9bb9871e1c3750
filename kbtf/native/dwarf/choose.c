/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Choose one prototype from all states of a function, or give the reason for none. */
#include "encoder.h"

#define MAX_STEPS 256 /* of references that are followed from two types */

static uint32_t kind_of(const struct encoder *encoder, uint32_t id)
{
	const uint32_t *type = own_type(encoder, id);

	if (info_kind(type[1]) != KIND_FWD)
		return info_kind(type[1]);
	return info_flag(type[1]) ? KIND_UNION : KIND_STRUCT;
}

/* A pair of types that has not been compared yet. */
struct pair {
	uint32_t left;
	uint32_t right;
};

struct comparison {
	struct encoder *encoder;
	VECTOR(struct pair) pairs;
	uint32_t steps;
};

static bool add_pair(struct comparison *comparison, uint32_t left, uint32_t right)
{
	if (vector_push(&comparison->pairs, ((struct pair){left, right})))
		return true;
	comparison->encoder->lacked_memory = true;
	return false;
}

static bool same_proto(struct comparison *comparison, const uint32_t *left, const uint32_t *right)
{
	uint32_t nr = info_vlen(left[1]), i;

	if (nr != info_vlen(right[1]) || !dwarf_take(&comparison->encoder->dwarf, nr) ||
	    !add_pair(comparison, left[2], right[2]))
		return false;
	for (i = 0; i < nr; i++)
		if (!add_pair(comparison, left[4 + 2 * i], right[4 + 2 * i]))
			return false;
	return true;
}

/* Compare two types of one kind without their references, which are added to the pairs. */
static bool same_kind(struct comparison *comparison, const uint32_t *left, const uint32_t *right,
		      uint32_t kind)
{
	switch (kind) {
	case KIND_INT:
		return left[0] == right[0] && left[2] == right[2] && left[3] >> 24 == right[3] >> 24;
	case KIND_FLOAT:
		return left[0] == right[0] && left[2] == right[2];
	case KIND_TYPEDEF:
	case KIND_STRUCT:
	case KIND_UNION:
	case KIND_ENUM:
	case KIND_ENUM64:
		return left[0] == right[0];
	case KIND_PTR:
	case KIND_VOLATILE:
	case KIND_CONST:
	case KIND_RESTRICT:
	case KIND_TYPE_TAG:
		return add_pair(comparison, left[2], right[2]);
	case KIND_ARRAY:
		return left[5] == right[5] && add_pair(comparison, left[3], right[3]);
	case KIND_FUNC_PROTO:
		return same_proto(comparison, left, right);
	default:
		return false;
	}
}

static bool same_pair(struct comparison *comparison, struct pair pair)
{
	struct encoder *encoder = comparison->encoder;
	uint32_t left_kind, right_kind;

	for (;;) {
		if (pair.left == pair.right)
			return true;
		if (!pair.left || !pair.right || comparison->steps++ == MAX_STEPS ||
		    !dwarf_take(&encoder->dwarf, 1))
			return false;
		left_kind = kind_of(encoder, pair.left);
		right_kind = kind_of(encoder, pair.right);
		if (left_kind == right_kind)
			return same_kind(comparison, own_type(encoder, pair.left),
					 own_type(encoder, pair.right), left_kind);
		if (left_kind == KIND_CONST)
			pair.left = own_type(encoder, pair.left)[2];
		else if (right_kind == KIND_CONST)
			pair.right = own_type(encoder, pair.right)[2];
		else
			return false;
	}
}

static bool same_types(struct encoder *encoder, struct pair pair)
{
	struct comparison comparison = {.encoder = encoder};
	bool same = add_pair(&comparison, pair.left, pair.right);

	while (same && comparison.pairs.nr)
		same = same_pair(&comparison, comparison.pairs.at[--comparison.pairs.nr]);
	vector_release(&comparison.pairs);
	return same;
}

static bool same_prototype(struct encoder *encoder, const struct state *a, const struct state *b)
{
	const uint32_t *left = encoder->state_words.at + a->first_word;
	const uint32_t *right = encoder->state_words.at + b->first_word;
	uint32_t i;

	if (a->nr_params != b->nr_params)
		return false;
	for (i = 0; i <= a->nr_params; i++)
		if (!same_types(encoder, (struct pair){left[2 * i], right[2 * i]}))
			return false;
	return true;
}

/* The first state collects the problems of all. */
static void combine(struct encoder *encoder, struct state *states, uint32_t nr)
{
	struct state *first = states;
	uint32_t flags, i;

	for (i = 1; i < nr; i++) {
		flags = first->flags | states[i].flags;
		if (!(flags & (DROPPED_UNEXPECTED | DROPPED_INCONSISTENT | DROPPED_REORDERED)) &&
		    !same_prototype(encoder, first, &states[i]))
			flags |= DROPPED_INCONSISTENT;
		first->flags = states[i].flags = flags;
	}
}

/* The symbol of a group at an address, or NULL. */
static const struct symbol_value *symbol_at(struct encoder *encoder,
					    const struct symbol_group *group, uint64_t address)
{
	const struct symbol_value *values = encoder->symbols.values.at + group->first;
	uint32_t i;

	for (i = 0; i < group->nr && dwarf_take(&encoder->dwarf, 1); i++)
		if (values[i].address == address)
			return &values[i];
	return NULL;
}

/* Whether the symbol of a state has a suffix for a changed signature. */
static bool has_changed_symbol(struct encoder *encoder, const struct symbol_group *group,
			       const struct state *state)
{
	const struct symbol_value *symbol = symbol_at(encoder, group, state->low_pc);

	return symbol && symbol->changed;
}

static const struct state *choose(struct encoder *encoder, const struct symbol_group *group,
				  const struct state *states, uint32_t nr)
{
	uint32_t i;

	if (encoder->options->profile == 131 || nr == 1)
		return states;
	for (i = 0; i < nr; i++)
		if (symbol_at(encoder, group, states[i].low_pc))
			return &states[i];
	for (i = 0; i < nr; i++)
		if (states[i].low_pc)
			return &states[i];
	return states;
}

static uint32_t why_dropped(struct encoder *encoder, const struct symbol_group *group,
			    const struct state *first, const struct state *chosen)
{
	uint32_t flags = first->flags;

	if (group->ambiguous)
		flags |= DROPPED_AMBIGUOUS;
	if (encoder->options->profile != 131 && chosen->optimized &&
	    (chosen->changed || has_changed_symbol(encoder, group, chosen)))
		flags |= DROPPED_OPTIMIZED;
	if (encoder->options->features & FEATURE_CONSISTENT_FUNC)
		return flags;
	return encoder->options->profile == 131 ? 0 : flags & ~(uint32_t)DROPPED_INCONSISTENT;
}

/* A pointer into an arena, in place of a plain one. */
static int to_arena(struct encoder *encoder, const struct symbol_group *group, uint32_t *type)
{
	uint32_t name;

	if (!is_own(encoder, *type) || info_kind(own_type(encoder, *type)[1]) != KIND_PTR)
		return btf_fail(encoder->err, 0,
				"kfunc %.*s has an arena flag for what is not a pointer",
				(int)group->length, group->name);
	if (names_add(&encoder->names, "address_space(1)", 16, &name, encoder->err) ||
	    begin_type(encoder, name, make_info(KIND_TYPE_TAG, 0, true),
		       own_type(encoder, *type)[2]) ||
	    begin_type(encoder, 0, make_info(KIND_PTR, 0, false), next_id(encoder) - 1))
		return -1;
	*type = next_id(encoder) - 1;
	return 0;
}

#define KF_FASTCALL (1u << 12)
#define KF_ARENA_RET (1u << 13)
#define KF_ARENA_ARG1 (1u << 14)
#define KF_ARENA_ARG2 (1u << 15)

static int to_arenas(struct encoder *encoder, const struct symbol_group *group,
		     const struct state *state)
{
	uint32_t *words = encoder->state_words.at + state->first_word;

	if (!group->kfunc || !(encoder->options->features & FEATURE_ATTRIBUTES))
		return 0;
	if (group->kfunc_flags & KF_ARENA_RET && to_arena(encoder, group, &words[0]))
		return -1;
	if (group->kfunc_flags & KF_ARENA_ARG1 && state->nr_params > 0 &&
	    to_arena(encoder, group, &words[2]))
		return -1;
	if (group->kfunc_flags & KF_ARENA_ARG2 && state->nr_params > 1 &&
	    to_arena(encoder, group, &words[4]))
		return -1;
	return 0;
}

static int emit_kfunc_tags(struct encoder *encoder, const struct symbol_group *group, uint32_t func)
{
	uint32_t name;

	if (!group->kfunc)
		return 0;
	if (names_add(&encoder->names, "bpf_kfunc", 9, &name, encoder->err) ||
	    begin_type(encoder, name, make_info(KIND_DECL_TAG, 0, false), func) ||
	    add_word(encoder, UINT32_MAX))
		return -1;
	if (!(group->kfunc_flags & KF_FASTCALL))
		return 0;
	if (names_add(&encoder->names, "bpf_fastcall", 12, &name, encoder->err) ||
	    begin_type(encoder, name, make_info(KIND_DECL_TAG, 0, false), func))
		return -1;
	return add_word(encoder, UINT32_MAX);
}

static int emit_state_tags(struct encoder *encoder, const struct state *state, uint32_t func)
{
	uint32_t i;

	for (i = state->first_tag; i < state->first_tag + 2 * state->nr_tags; i += 2)
		if (begin_type(encoder, encoder->state_tags.at[i + 1],
			       make_info(KIND_DECL_TAG, 0, false), func) ||
		    add_word(encoder, encoder->state_tags.at[i]))
			return -1;
	return 0;
}

#define MAX_PARAM_NAME 127u

/* A parameter: its name, which is cut, and its type. */
static int emit_param(struct encoder *encoder, const uint32_t *words)
{
	const char *text = names_string(&encoder->names, words[0]);
	char cut[MAX_PARAM_NAME];
	uint32_t name = words[0];

	if (strlen(text) > MAX_PARAM_NAME) {
		/* a copy, because the table may move when it grows */
		memcpy(cut, text, MAX_PARAM_NAME);
		if (names_add(&encoder->names, cut, MAX_PARAM_NAME, &name, encoder->err))
			return -1;
	}
	return add_word(encoder, name) || add_word(encoder, words[1]);
}

static int emit_function(struct encoder *encoder, const struct symbol_group *group,
			 const struct state *state)
{
	bool kfunc_tags_first = encoder->options->profile == 131;
	uint32_t name, func, i;

	if (to_arenas(encoder, group, state) ||
	    begin_type(encoder, 0, make_info(KIND_FUNC_PROTO, state->nr_params, false),
		       encoder->state_words.at[state->first_word]))
		return -1;
	for (i = 0; i < state->nr_params; i++)
		if (emit_param(encoder, encoder->state_words.at + state->first_word + 1 + 2 * i))
			return -1;
	func = next_id(encoder);
	if (names_add(&encoder->names, group->name, group->length, &name, encoder->err) ||
	    begin_type(encoder, name, make_info(KIND_FUNC, 0, false), func - 1))
		return -1;
	if (kfunc_tags_first && emit_kfunc_tags(encoder, group, func))
		return -1;
	if (emit_state_tags(encoder, state, func))
		return -1;
	return kfunc_tags_first ? 0 : emit_kfunc_tags(encoder, group, func);
}

static int compare_states(const void *left, const void *right)
{
	const struct state *a = left, *b = right;

	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return a->first_word < b->first_word ? -1 : a->first_word > b->first_word;
}

static int emit_group(struct encoder *encoder, struct state *states, uint32_t nr)
{
	struct symbol_group *group = &encoder->symbols.groups.at[states->group];
	const struct state *chosen;
	uint32_t why;

	combine(encoder, states, nr);
	chosen = choose(encoder, group, states, nr);
	why = why_dropped(encoder, group, states, chosen);
	if (why)
		return encode_note(&encoder->dwarf, encoder->result, NOTE_DROPPED, why, group->name,
				   group->length, encoder->err);
	group->encoded = true;
	return emit_function(encoder, group, chosen);
}

static int note_kfuncs(struct encoder *encoder)
{
	const struct symbol_group *group;
	uint32_t i;

	for (i = 0; i < encoder->symbols.groups.nr; i++) {
		group = &encoder->symbols.groups.at[i];
		if (group->kfunc && !group->encoded &&
		    encode_note(&encoder->dwarf, encoder->result, NOTE_KFUNC, 0, group->name,
				group->length, encoder->err))
			return -1;
	}
	return 0;
}

int emit_functions(struct encoder *encoder)
{
	struct state *states = encoder->states.at;
	uint32_t nr = encoder->states.nr, first, end;

	if (nr)
		qsort(states, nr, sizeof(*states), compare_states);
	for (first = 0; first < nr; first = end) {
		for (end = first + 1; end < nr && states[end].group == states[first].group;)
			end++;
		if (emit_group(encoder, states + first, end - first))
			return -1;
	}
	return note_kfuncs(encoder);
}
