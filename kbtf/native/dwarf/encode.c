/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Encode the DWARF of a module as split BTF, or that of a kernel as its own: the units one after another,
 * or merged if they refer to one another, then the functions and sections of all, then deduplication.
 */
#define _DEFAULT_SOURCE /* madvise() */
#include "encoder.h"
#include "pages.h"

#include <stdarg.h>
#include <stdio.h>

int cannot_encode(struct encoder *encoder, uint32_t die, name_ref name, const char *format, ...)
{
	char what[100];
	const char *text;
	size_t length;
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	encoder->unit_error = true;
	text = name_text(&encoder->dwarf, name, &length);
	if (!length)
		return btf_fail(encoder->err, 0, "%s (DIE 0x%x) cannot be expressed in BTF", what,
				die);
	return btf_fail(encoder->err, 0, "%s '%.64s' (DIE 0x%x) cannot be expressed in BTF", what,
			text, die);
}

bool read_other_die(struct encoder *encoder, const struct unit *unit, uint32_t offset,
		    struct die *die)
{
	uint32_t low = 0, high = encoder->units.nr, middle;

	if (offset < unit->start || offset >= unit->end) {
		while (low < high) {
			middle = low + (high - low) / 2;
			if (encoder->units.at[middle].end <= offset)
				low = middle + 1;
			else
				high = middle;
		}
		if (low == encoder->units.nr)
			return false;
		unit = &encoder->units.at[low];
		if (!unit->wanted)
			return false;
	}
	return read_die_at(&encoder->dwarf, unit, offset, die);
}

/* Addresses of the sections: those of a linked file, or as pahole's library lays out a relocatable file. */
#define FIRST_ADDRESS 0x10000u

static int lay_out(struct encoder *encoder)
{
	const struct elf *elf = encoder->elf;
	uint64_t end = FIRST_ADDRESS, align;
	uint32_t i;

	encoder->section_addresses = calloc((size_t)elf->nr_sections + 1, sizeof(uint64_t));
	if (!encoder->section_addresses)
		return no_memory(encoder);
	for (i = 0; i < elf->nr_sections; i++) {
		if (elf->linked)
			encoder->section_addresses[i] = elf->sections[i].addr;
		if (elf->linked || !(elf->sections[i].flags & SHF_ALLOC))
			continue;
		align = elf->sections[i].align ? elf->sections[i].align : 1;
		if (end % align)
			end += align - end % align;
		encoder->section_addresses[i] = end;
		end += elf->sections[i].size;
	}
	return 0;
}

/* Empty BTF would hide that something is missing. */
static int check_units(struct encoder *encoder)
{
	const struct encode_note *note;
	uint32_t i;

	if (encoder->result->nr_units)
		return 0;
	for (i = 0; i < encoder->result->notes.nr; i++) {
		note = &encoder->result->notes.at[i];
		if (note->kind == NOTE_UNIT)
			return btf_fail(encoder->err, 0, "no unit can be encoded: %s", note->text);
		if (note->kind == NOTE_SKELETON)
			return btf_fail(encoder->err, 0,
					"the types are in other files (split DWARF): compile "
					"without -gsplit-dwarf");
	}
	return btf_fail(encoder->err, 0, "has no unit of a language that is encoded");
}

/* A kernel's own BTF starts with the empty string. */
static int put_empty_string(struct names *names)
{
	if (!vector_reserve(&names->bytes, 1))
		return -1;
	memmove(names->bytes.at + 1, names->bytes.at, names->bytes.nr++);
	names->bytes.at[0] = 0;
	return 0;
}

static int finish(struct encoder *encoder)
{
	struct strtab strings = {0};
	struct dedup_types types;

	if (encoder->unresolved &&
	    encode_note(&encoder->dwarf, encoder->result, NOTE_UNRESOLVED, encoder->unresolved, "",
			0, encoder->err))
		return -1;
	vector_release(&encoder->offsets);
	types = (struct dedup_types){
		.words = encoder->words.at,
		.nr_words = encoder->words.nr,
		.nr_types = encoder->nr_types,
		.reduced = encoder->reduces,
	};
	if (dedup_split(encoder->base, &types, encoder->err)) {
		encoder->uncertain = types.uncertain;
		return -1;
	}
	if (encoder->elf->linked && put_empty_string(&encoder->names))
		return no_memory(encoder);
	strings.bytes = encoder->names.bytes.at;
	strings.length = encoder->names.bytes.nr;
	if (blob_finish(&encoder->result->blob, (uint8_t *)encoder->words.at, 4 * types.nr_words,
			&strings, encoder->elf->foreign))
		return no_memory(encoder);
	return 0;
}

static void release_units(struct encoder *encoder)
{
	uint32_t i;

	for (i = 0; i < encoder->units.nr; i++) {
		if (encoder->units.at[i].shares_abbreviations)
			continue;
		abbreviations_release(encoder->units.at[i].abbreviations);
		free(encoder->units.at[i].abbreviations);
	}
	vector_release(&encoder->units);
}

/* Release what only reading DWARF needs, before deduplication allocates memory. */
void release_reading(struct encoder *encoder)
{
	dwarf_give_back(&encoder->dwarf);
	release_units(encoder);
	free(encoder->starts);
	free(encoder->ranks);
	encoder->starts = NULL;
	encoder->ranks = NULL;
	free(encoder->names.memo);
	encoder->names.memo = NULL;
	vector_release(&encoder->ids);
	vector_release(&encoder->items);
	vector_release(&encoder->tags);
	vector_release(&encoder->type_tags);
	vector_release(&encoder->function_tags);
	vector_release(&encoder->variable_tags);
	vector_release(&encoder->params);
	vector_release(&encoder->functions);
	vector_release(&encoder->variables);
	vector_release(&encoder->packed);
	vector_release(&encoder->states);
	vector_release(&encoder->state_words);
	vector_release(&encoder->state_tags);
	vector_release(&encoder->percpu);
}

static void release(struct encoder *encoder)
{
	release_reading(encoder);
	symbols_release(&encoder->symbols);
	names_release(&encoder->names);
	dwarf_close(&encoder->dwarf);
	free(encoder->section_addresses);
	vector_release(&encoder->words);
	vector_release(&encoder->offsets);
}

/* Types take about as many bytes as their DIEs: growing would copy them, at twice the size. */
static int reserve_words(struct encoder *encoder)
{
	uint32_t room = encoder->dwarf.info.size / sizeof(uint32_t) + 4096;

	encoder->words.at = allocate_pages(room * sizeof(uint32_t));
	if (!encoder->words.at)
		return no_memory(encoder);
	encoder->words.room = room;
	return 0;
}

static int encode(struct encoder *encoder)
{
	if (dwarf_open(&encoder->dwarf, encoder->elf, encoder->err))
		return -1;
	if (!encoder->dwarf.info.size || !encoder->dwarf.abbrev.size)
		return btf_fail(encoder->err, 0, "has no debug information (DWARF)");
	if (reserve_words(encoder))
		return -1;
	if (names_init(&encoder->names, &encoder->dwarf, encoder->base, encoder->err) ||
	    symbols_init(&encoder->symbols, &encoder->dwarf, encoder->base->seed, encoder->err) ||
	    lay_out(encoder))
		return -1;
	if (encoder->options->features & FEATURE_DECL_TAG_KFUNCS &&
	    encoder->options->features & FEATURE_DECL_TAG &&
	    symbols_mark_kfuncs(&encoder->symbols, &encoder->dwarf, encoder->result, encoder->err))
		return -1;
	if (encode_units(encoder) || check_units(encoder) || emit_functions(encoder) ||
	    emit_sections(encoder) || check_verdicts(encoder))
		return -1;
	encoder->nr_types = encoder->offsets.nr;
	release_reading(encoder);
	return finish(encoder);
}

/* 0, -1 on failure, or 1 if reducing the units might change the result. */
static int encode_file(const struct elf *elf, const struct base_index *base,
		       const struct encode_options *options, bool reduces,
		       struct encode_result *result, struct btf_error *err)
{
	struct encoder *encoder = calloc(1, sizeof(*encoder));
	int failed;

	*result = (struct encode_result){0};
	if (!encoder)
		return btf_no_memory(err);
	encoder->reduces = reduces;
	encoder->elf = elf;
	encoder->base = base;
	encoder->options = options;
	encoder->result = result;
	encoder->err = err;
	failed = encode(encoder);
	if (failed && encoder->uncertain)
		failed = 1;
	release(encoder);
	free(encoder);
	return failed;
}

int dwarf_encode(const struct elf *elf, const struct base_index *base,
		 const struct encode_options *options, struct encode_result *result,
		 struct btf_error *err)
{
	int failed;

	if (!elf->linked || options->whole)
		return encode_file(elf, base, options, false, result, err);
	failed = encode_file(elf, base, options, true, result, err);
	if (failed <= 0)
		return failed;
	encode_release(result);
	return encode_file(elf, base, options, false, result, err);
}
