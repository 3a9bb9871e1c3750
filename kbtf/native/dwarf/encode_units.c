/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The units of a file, one after another, or merged if they refer to one another.  A unit that cannot
 * be expressed leaves the state unchanged, unless it has to be an error.
 */
#include "reduce.h"

#include <stdio.h>

static bool are_of(const struct abbreviations *abbreviations, const struct unit *unit)
{
	return abbreviations->table.nr && abbreviations->offset == unit->abbreviations_offset &&
	       abbreviations->version == unit->version &&
	       abbreviations->address_size == unit->address_size &&
	       abbreviations->offset_size == unit->offset_size;
}

/* Reads the abbreviations of a unit, unless the current ones are the same. */
static int take_abbreviations(struct encoder *encoder, struct unit *unit,
			      struct abbreviations *at_hand)
{
	unit->abbreviations = at_hand;
	if (are_of(at_hand, unit))
		return 0;
	if (!abbreviations_read(&encoder->dwarf, unit, at_hand, encoder->err))
		return 0;
	at_hand->table.nr = 0;
	return -1;
}

static int note_unit(struct encoder *encoder, const struct die *root, enum encode_note_kind kind,
		     uint32_t number)
{
	size_t length;
	const char *name = name_text(&encoder->dwarf, die_name(root, SLOT_NAME), &length);

	return encode_note(&encoder->dwarf, encoder->result, kind, number, name, length, encoder->err);
}

/* Whether to encode a unit; those that are skipped are noted. */
static int look_at_unit(struct encoder *encoder, struct unit *unit, struct die *root, bool *wanted)
{
	uint64_t language;

	*wanted = false;
	encoder->unit_error = true;
	if (unit_read_root(&encoder->dwarf, unit, root, encoder->err))
		return -1;
	if (root->tag == DW_TAG_partial_unit)
		return cannot_encode(encoder, root->offset, 0, "a partial unit");
	if (root->tag == DW_TAG_type_unit)
		return cannot_encode(encoder, root->offset, 0,
				     "a type unit of -fdebug-types-section");
	encoder->unit_error = false;
	if (unit->type == DW_UT_skeleton ||
	    (root->tag == DW_TAG_compile_unit && die_has(root, SLOT_DWO_NAME)))
		return note_unit(encoder, root, NOTE_SKELETON, 0);
	language = die_number(root, SLOT_LANGUAGE);
	if (language == DW_LANG_Rust)
		return note_unit(encoder, root, NOTE_LANGUAGE, (uint32_t)language);
	*wanted = root->tag == DW_TAG_compile_unit;
	return 0;
}

static bool is_clang(struct encoder *encoder, const struct die *root)
{
	size_t length;
	const char *producer = name_text(&encoder->dwarf, die_name(root, SLOT_PRODUCER), &length);

	return dwarf_take(&encoder->dwarf, length) && strstr(producer, "clang");
}

static void forget_unit(struct encoder *encoder)
{
	encoder->items.nr = encoder->tags.nr = encoder->type_tags.nr = 0;
	encoder->function_tags.nr = encoder->variable_tags.nr = 0;
	encoder->params.nr = encoder->functions.nr = encoder->variables.nr = 0;
	encoder->packed.nr = 0;
}

/* Finish a walked unit: resolve references to ids, then tags, functions and variables. */
static int finish_unit(struct encoder *encoder)
{
	const struct tag *tag;
	uint32_t i;

	if (resolve_types(encoder) || (encoder->reducer && find_equal_types(encoder)))
		return -1;
	for (i = 0; i < encoder->type_tags.nr; i++) {
		tag = &encoder->type_tags.at[i];
		if (emit_tag(encoder, tag->owner, tag->value, tag->component))
			return -1;
	}
	if (save_functions(encoder) || emit_variables(encoder))
		return -1;
	if (encoder->reducer && leave_out_types(encoder))
		return -1;
	forget_unit(encoder);
	return check_verdicts(encoder);
}

/* The state to restore after a unit failed. */
struct mark {
	struct names_mark names;
	uint32_t nr_words, nr_offsets, nr_states, nr_state_words, nr_state_tags, nr_percpu;
	/* of the units before, if they are merged */
	uint32_t nr_ids, nr_type_tags, nr_function_tags, nr_variable_tags;
	uint32_t nr_params, nr_functions, nr_variables;
	uint32_t index_type, unresolved;
	bool index_fixed, any_array;
};

static struct mark mark_state(const struct encoder *encoder)
{
	return (struct mark){
		.names = names_mark(&encoder->names),
		.nr_words = encoder->words.nr,
		.nr_offsets = encoder->offsets.nr,
		.nr_states = encoder->states.nr,
		.nr_state_words = encoder->state_words.nr,
		.nr_state_tags = encoder->state_tags.nr,
		.nr_percpu = encoder->percpu.nr,
		.nr_ids = encoder->ids.nr,
		.nr_type_tags = encoder->type_tags.nr,
		.nr_function_tags = encoder->function_tags.nr,
		.nr_variable_tags = encoder->variable_tags.nr,
		.nr_params = encoder->params.nr,
		.nr_functions = encoder->functions.nr,
		.nr_variables = encoder->variables.nr,
		.index_type = encoder->index_type,
		.unresolved = encoder->unresolved,
		.index_fixed = encoder->index_fixed,
		.any_array = encoder->any_array,
	};
}

static void go_back(struct encoder *encoder, const struct mark *mark)
{
	names_forget(&encoder->names, mark->names);
	encoder->items.nr = encoder->tags.nr = encoder->packed.nr = 0;
	encoder->ids.nr = mark->nr_ids;
	encoder->type_tags.nr = mark->nr_type_tags;
	encoder->function_tags.nr = mark->nr_function_tags;
	encoder->variable_tags.nr = mark->nr_variable_tags;
	encoder->params.nr = mark->nr_params;
	encoder->functions.nr = mark->nr_functions;
	encoder->variables.nr = mark->nr_variables;
	encoder->words.nr = mark->nr_words;
	encoder->offsets.nr = mark->nr_offsets;
	encoder->states.nr = mark->nr_states;
	encoder->state_words.nr = mark->nr_state_words;
	encoder->state_tags.nr = mark->nr_state_tags;
	encoder->percpu.nr = mark->nr_percpu;
	encoder->index_type = mark->index_type;
	encoder->unresolved = mark->unresolved;
	encoder->index_fixed = mark->index_fixed;
	encoder->any_array = mark->any_array;
}

#define SECTIONS_KEPT_FOR (4u << 20) /* bytes of .debug_info */

/* The pages of a unit that was encoded, and now and then those of all sections. */
static void give_back(const struct encoder *encoder, const struct unit *unit, uint32_t first_relocation)
{
	const struct debug_section *info = &encoder->dwarf.info;

	relocations_give_back(&info->cursor, first_relocation);
	elf_give_back(info->section->mapped, info->data + unit->start, info->data + unit->end);
	if (unit->start / SECTIONS_KEPT_FOR != unit->end / SECTIONS_KEPT_FOR)
		dwarf_give_back(&encoder->dwarf);
}

static int encode_unit(struct encoder *encoder, struct unit *unit)
{
	uint32_t first_relocation = encoder->dwarf.info.cursor.next;

	if (start_area(encoder, unit->start, unit->end) || walk_unit(encoder, unit) ||
	    finish_unit(encoder))
		return -1;
	give_back(encoder, unit, first_relocation);
	return 0;
}

/* An error of a unit becomes a note, unless it has to be an error. */
static int give_up_unit(struct encoder *encoder, const struct die *root, const struct mark *mark)
{
	const char *name;
	char text[300];
	size_t length;
	int written;

	if (!encoder->unit_error || encoder->err->no_memory)
		return -1;
	name = name_text(&encoder->dwarf, die_name(root, SLOT_NAME), &length);
	written = snprintf(text, sizeof(text), "%.90s%s%s", name, length ? ": " : "",
			   encoder->err->text);
	if (encoder->options->strict)
		return btf_fail(encoder->err, 0, "%s", text);
	go_back(encoder, mark);
	return encode_note(&encoder->dwarf, encoder->result, NOTE_UNIT, 0, text, (size_t)written,
			   encoder->err);
}

static int encode_one(struct encoder *encoder, struct unit *unit, struct abbreviations *at_hand)
{
	struct die root = {0};
	struct mark mark;
	bool wanted;
	int failed;

	names_keep(&encoder->names);
	mark = mark_state(encoder);
	encoder->unit_error = true;
	failed = take_abbreviations(encoder, unit, at_hand);
	if (encoder->reduces && at_hand->across_units) {
		encoder->uncertain = true;
		encoder->unit_error = false;
		return btf_fail(encoder->err, 0, "units refer to one another");
	}
	if (failed)
		return give_up_unit(encoder, &root, &mark);
	if (look_at_unit(encoder, unit, &root, &wanted))
		return give_up_unit(encoder, &root, &mark);
	if (!wanted)
		return 0;
	encoder->clang = is_clang(encoder, &root);
	if (encode_unit(encoder, unit))
		return give_up_unit(encoder, &root, &mark);
	encoder->result->nr_units++;
	return 0;
}

int encode_range(struct encoder *encoder, uint32_t start, uint32_t end)
{
	struct abbreviations abbreviations = {0};
	uint32_t offset;
	struct unit unit;
	int failed = 0;

	for (offset = start; !failed && offset < end; offset = unit.end) {
		failed = unit_read_header(&encoder->dwarf, offset, &unit, encoder->err) ||
			 encode_one(encoder, &unit, &abbreviations);
	}
	abbreviations_release(&abbreviations);
	return failed ? -1 : 0;
}

/* Adds a unit to the list; it shares the abbreviations of the unit before if they are the same. */
static int list_unit(struct encoder *encoder, struct unit *unit)
{
	struct abbreviations *own = NULL;

	if (encoder->units.nr)
		own = encoder->units.at[encoder->units.nr - 1].abbreviations;
	unit->shares_abbreviations = own && are_of(own, unit);
	if (!unit->shares_abbreviations)
		own = calloc(1, sizeof(*own));
	if (!own)
		return no_memory(encoder);
	unit->abbreviations = own;
	if (vector_push(&encoder->units, *unit))
		return 0;
	if (!unit->shares_abbreviations)
		free(own);
	return no_memory(encoder);
}

/* All tables of merged units are kept, and many units may share one. */
static int spend_abbreviations(struct encoder *encoder, const struct abbreviations *kept)
{
	uint64_t nr = (uint64_t)kept->table.nr + kept->steps.nr;

	return dwarf_spend(&encoder->dwarf, nr * sizeof(struct step), encoder->err);
}

static int look_at_merged_unit(struct encoder *encoder, struct unit *unit)
{
	struct mark mark = mark_state(encoder);
	struct die root = {0};

	encoder->unit_error = true;
	if (!unit->shares_abbreviations &&
	    (abbreviations_read(&encoder->dwarf, unit, unit->abbreviations, encoder->err) ||
	     spend_abbreviations(encoder, unit->abbreviations)))
		return give_up_unit(encoder, &root, &mark);
	if (look_at_unit(encoder, unit, &root, &unit->wanted))
		return give_up_unit(encoder, &root, &mark);
	if (unit->wanted && !encoder->result->nr_units++)
		encoder->clang = is_clang(encoder, &root);
	return 0;
}

/* References from other units to a failed one are left out with it, or become void. */
static int walk_merged_unit(struct encoder *encoder, struct unit *unit)
{
	struct mark mark = mark_state(encoder);
	struct die root = {0};

	encoder->unit_error = false;
	if (!unit->wanted || !walk_unit(encoder, unit))
		return 0;
	read_die_at(&encoder->dwarf, unit, unit->first_die, &root);
	if (give_up_unit(encoder, &root, &mark))
		return -1;
	forget_types(encoder, unit->start, unit->end);
	unit->wanted = false;
	encoder->result->nr_units--;
	return 0;
}

/* All units with one table of types. */
static int encode_merged(struct encoder *encoder)
{
	struct unit unit;
	uint32_t offset, i;

	if (start_area(encoder, 0, encoder->dwarf.info.size))
		return -1;
	for (offset = 0; offset < encoder->dwarf.info.size; offset = unit.end)
		if (unit_read_header(&encoder->dwarf, offset, &unit, encoder->err) ||
		    list_unit(encoder, &unit) ||
		    look_at_merged_unit(encoder, &encoder->units.at[encoder->units.nr - 1]))
			return -1;
	for (i = 0; i < encoder->units.nr; i++)
		if (walk_merged_unit(encoder, &encoder->units.at[i]))
			return -1;
	return finish_unit(encoder);
}

/* Whether some unit may refer to another; errors in units are reported when they are encoded. */
static int refers_across(struct encoder *encoder, bool *across)
{
	struct abbreviations abbreviations = {0};
	uint32_t offset;
	struct unit unit;
	int failed = 0;

	*across = false;
	for (offset = 0; !failed && !*across && offset < encoder->dwarf.info.size; offset = unit.end) {
		failed = unit_read_header(&encoder->dwarf, offset, &unit, encoder->err);
		if (failed || (offset && abbreviations.offset == unit.abbreviations_offset))
			continue;
		failed = abbreviations_read(&encoder->dwarf, &unit, &abbreviations, encoder->err) &&
			 encoder->err->no_memory;
		*across = abbreviations.across_units;
	}
	abbreviations_release(&abbreviations);
	encoder->dwarf.info.cursor.next = 0;
	return failed ? -1 : 0;
}

int encode_units(struct encoder *encoder)
{
	bool merged = says_lto(encoder);

	/* Reducing units finds out itself, without reading all abbreviations twice. */
	if (!merged && !encoder->reduces && refers_across(encoder, &merged))
		return -1;
	if (merged) {
		encoder->reduces = false;
		return encode_merged(encoder);
	}
	if (encoder->reduces || encoder->options->jobs > 1)
		return encode_in_parallel(encoder, encoder->options->jobs);
	return encode_range(encoder, 0, encoder->dwarf.info.size);
}
