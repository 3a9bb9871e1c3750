/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The kernel's checks when it loads BTF (btf_check_all_metas() and btf_check_type_tags() in
 * kernel/bpf/btf.c), and rules that it does not check.  Parsing has already checked all bounds.
 */
#include "btf.h"

#include "identifier.h"

#include <stdarg.h>
#include <stdio.h>

struct check {
	const struct btf *btf;
	const struct verify_rules *rules;
	struct verify_report *report;
	uint32_t nr_refused; /* findings of the report that are */
	uint32_t id;
	const uint8_t *type;
	uint32_t kind;
	uint32_t vlen;
	bool flag;
};

/* A new last finding; NULL if the report is full.  Then a refusal takes the place of the last other one. */
static struct verify_finding *new_finding(struct check *c, bool refused)
{
	struct verify_finding *findings = c->report->findings;
	uint32_t i;

	if (c->nr_refused == MAX_FINDINGS || (c->report->nr == MAX_FINDINGS && !refused))
		return NULL;
	if (c->report->nr == MAX_FINDINGS) {
		for (i = MAX_FINDINGS - 1; findings[i].refused;)
			i--;
		memmove(&findings[i], &findings[i + 1], (MAX_FINDINGS - 1 - i) * sizeof(*findings));
		c->report->nr--;
	}
	c->nr_refused += refused;
	return &findings[c->report->nr++];
}

__attribute__((format(printf, 3, 4))) static void say(struct check *c, bool refused,
						      const char *format, ...)
{
	struct verify_finding *finding = new_finding(c, refused);
	va_list args;
	int used;

	if (!finding)
		return;
	finding->type_id = c->id;
	finding->refused = refused;
	used = snprintf(finding->text, sizeof(finding->text), "%s ", kinds[c->kind].name);
	va_start(args, format);
	vsnprintf(finding->text + used, sizeof(finding->text) - (size_t)used, format, args);
	va_end(args);
}

#define REFUSED true
#define TRUSTED false

static const char *name_of(const struct check *c, uint32_t offset)
{
	return btf_string(c->btf, offset);
}

static bool has_identifier(const struct check *c, uint32_t offset)
{
	return is_identifier(name_of(c, offset), c->rules->name_len);
}

/* As the kernel's isprint(), which also takes the printable characters of Latin-1. */
static bool is_printable(char ch)
{
	unsigned char byte = (unsigned char)ch;

	return (byte >= 0x20 && byte < 0x7f) || byte >= 0xa0;
}

static bool is_section_name(const struct check *c, uint32_t offset)
{
	const char *name = name_of(c, offset);
	uint32_t length = 0;

	while (length <= c->rules->name_len && is_printable(name[length]))
		length++;
	return length && length <= c->rules->name_len && !name[length];
}

static void need_identifier(struct check *c)
{
	if (!type_name(c->type) || !has_identifier(c, type_name(c->type)))
		say(c, REFUSED, "has no valid name");
}

static void allow_identifier(struct check *c)
{
	if (type_name(c->type) && !has_identifier(c, type_name(c->type)))
		say(c, REFUSED, "has an invalid name");
}

static void need_no_name(struct check *c)
{
	if (type_name(c->type))
		say(c, REFUSED, "has a name ('%.64s')", name_of(c, type_name(c->type)));
}

static void need_no_flag(struct check *c)
{
	if (c->flag)
		say(c, REFUSED, "has kind_flag set");
}

static void need_plain_info(struct check *c)
{
	if (c->vlen)
		say(c, REFUSED, "has vlen %u", c->vlen);
	need_no_flag(c);
}

static uint32_t item_word(const struct check *c, uint32_t item, uint32_t word)
{
	return type_word(c->type + TYPE_LEN, item * kinds[c->kind].item_words + word);
}

static uint32_t tail_word(const struct check *c)
{
	return type_word(c->type + TYPE_LEN, 0);
}

#define INT_BOOL 4u /* the highest encoding; the others are 1 (signed) and 2 (char) */

static void check_int(struct check *c)
{
	uint32_t word = tail_word(c);
	uint32_t encoding = word >> 24 & 0xf;
	uint32_t bits = (word & 0xff) + (word >> 16 & 0xff);

	need_plain_info(c);
	if (word & 0xf0000000)
		say(c, REFUSED, "has unknown bits (0x%x)", word);
	if (word & 0xff00)
		say(c, TRUSTED, "has bits that mean nothing (0x%x)", word);
	if (bits > 128)
		say(c, REFUSED, "has more than 128 bits (%u)", bits);
	if ((bits + 7) / 8 > type_size(c->type))
		say(c, REFUSED, "has %u bits in %u bytes", bits, type_size(c->type));
	if (encoding & (encoding - 1))
		say(c, REFUSED, "has more than one encoding (0x%x)", encoding);
	else if (encoding > INT_BOOL)
		say(c, REFUSED, "has an unknown encoding (0x%x)", encoding);
}

static void check_array(struct check *c)
{
	need_no_name(c);
	need_plain_info(c);
	if (type_size(c->type))
		say(c, REFUSED, "has a size (%u)", type_size(c->type));
	if (!type_word(c->type + TYPE_LEN, 0) || !type_word(c->type + TYPE_LEN, 1))
		say(c, REFUSED, "has elements or an index of type void");
}

static void check_members(struct check *c)
{
	uint32_t i, name, offset, last = 0;

	for (i = 0; i < c->vlen; i++) {
		name = item_word(c, i, 0);
		offset = item_word(c, i, 2);
		if (c->flag)
			offset &= 0xffffff;
		if (name && !has_identifier(c, name))
			say(c, REFUSED, "has an invalid name for member %u", i);
		if (!item_word(c, i, 1))
			say(c, REFUSED, "has member '%.64s' of type void", name_of(c, name));
		if (c->kind == KIND_UNION && offset)
			say(c, REFUSED, "has member '%.64s' at bit %u", name_of(c, name), offset);
		if (offset < last)
			say(c, REFUSED, "has member '%.64s' out of order",
			    name_of(c, name));
		if (offset / 8 + (offset % 8 != 0) > type_size(c->type))
			say(c, REFUSED, "has member '%.64s' past the end of the struct", name_of(c, name));
		last = offset;
	}
}

static void check_composite(struct check *c)
{
	allow_identifier(c);
	check_members(c);
}

static void check_enum(struct check *c)
{
	uint32_t size = type_size(c->type);
	uint32_t i, name;

	allow_identifier(c);
	if (size > 8 || !size || size & (size - 1))
		say(c, REFUSED, "has %u bytes", size);
	for (i = 0; i < c->vlen; i++) {
		name = item_word(c, i, 0);
		if (!name || !has_identifier(c, name))
			say(c, REFUSED, "has an invalid name for value %u", i);
	}
}

static void check_fwd(struct check *c)
{
	need_identifier(c);
	if (c->vlen)
		say(c, REFUSED, "has vlen %u", c->vlen);
	if (type_size(c->type))
		say(c, REFUSED, "refers to a type");
}

static void check_modifier(struct check *c)
{
	if (c->kind != KIND_TYPE_TAG || !c->rules->flag_on_tags)
		need_no_flag(c);
	if (c->vlen)
		say(c, REFUSED, "has vlen %u", c->vlen);
	if (c->kind == KIND_TYPEDEF)
		need_identifier(c);
	else if (c->kind != KIND_TYPE_TAG)
		need_no_name(c);
	else if (!*name_of(c, type_name(c->type)))
		say(c, REFUSED, "has no name");
}

static void check_func(struct check *c)
{
	uint32_t proto = type_size(c->type);

	need_identifier(c);
	need_no_flag(c);
	if (c->vlen > 1)
		say(c, REFUSED, "has linkage %u", c->vlen);
	if (!proto || type_kind(btf_type(c->btf, proto)) != KIND_FUNC_PROTO)
		say(c, TRUSTED, "has type [%u], which is not a FUNC_PROTO", proto);
}

static void check_func_proto(struct check *c)
{
	uint32_t i;

	need_no_name(c);
	need_no_flag(c);
	for (i = 0; i + 1 < c->vlen; i++)
		if (!item_word(c, i, 1))
			say(c, TRUSTED, "has parameter %u of type void", i);
}

static void check_var(struct check *c)
{
	need_identifier(c);
	need_plain_info(c);
	if (!type_size(c->type))
		say(c, REFUSED, "is of type void");
	if (tail_word(c) > 1)
		say(c, REFUSED, "has linkage %u", tail_word(c));
}

static void check_entries(struct check *c)
{
	uint32_t size = type_size(c->type);
	uint64_t end = 0;
	uint32_t i, at, length;

	for (i = 0; i < c->vlen; i++) {
		at = item_word(c, i, 1);
		length = item_word(c, i, 2);
		if (!item_word(c, i, 0))
			say(c, REFUSED, "has entry %u of type void", i);
		if (at < end || at >= size)
			say(c, REFUSED, "has entry %u at a wrong offset (%u)", i, at);
		if (!length || (uint64_t)at + length > size)
			say(c, REFUSED, "has entry %u of a wrong size (%u)", i, length);
		end = (uint64_t)at + length;
	}
}

static void check_datasec(struct check *c)
{
	need_no_flag(c);
	if (!type_size(c->type))
		say(c, REFUSED, "has no size");
	if (!type_name(c->type) || !is_section_name(c, type_name(c->type)))
		say(c, REFUSED, "has no valid name");
	check_entries(c);
}

static void check_float(struct check *c)
{
	uint32_t size = type_size(c->type);

	need_plain_info(c);
	if (size != 2 && size != 4 && size != 8 && size != 12 && size != 16)
		say(c, REFUSED, "has %u bytes", size);
}

static void check_decl_tag(struct check *c)
{
	if (!*name_of(c, type_name(c->type)))
		say(c, REFUSED, "has no name");
	if (!c->rules->flag_on_tags)
		need_no_flag(c);
	if (c->vlen)
		say(c, REFUSED, "has vlen %u", c->vlen);
	if ((int32_t)tail_word(c) < -1)
		say(c, REFUSED, "has component_idx %d", (int32_t)tail_word(c));
}

static void check_kind(struct check *c)
{
	switch (c->kind) {
	case KIND_INT:
		check_int(c);
		break;
	case KIND_ARRAY:
		check_array(c);
		break;
	case KIND_STRUCT:
	case KIND_UNION:
		check_composite(c);
		break;
	case KIND_ENUM:
	case KIND_ENUM64:
		check_enum(c);
		break;
	case KIND_FWD:
		check_fwd(c);
		break;
	case KIND_FUNC:
		check_func(c);
		break;
	case KIND_FUNC_PROTO:
		check_func_proto(c);
		break;
	case KIND_VAR:
		check_var(c);
		break;
	case KIND_DATASEC:
		check_datasec(c);
		break;
	case KIND_FLOAT:
		check_float(c);
		break;
	case KIND_DECL_TAG:
		check_decl_tag(c);
		break;
	case KIND_PTR:
	case KIND_TYPEDEF:
	case KIND_VOLATILE:
	case KIND_CONST:
	case KIND_RESTRICT:
	case KIND_TYPE_TAG:
		check_modifier(c);
		break;
	case KIND_LOC_PARAM:
		need_no_name(c);
		break;
	case KIND_LOC_PROTO:
	case KIND_LOCSEC:
		break;
	default:
		say(c, REFUSED, "is of a kind whose rules kbtf does not know");
	}
}

static void check_type(struct check *c)
{
	uint32_t info = type_info(c->type);

	c->kind = info_kind(info);
	c->vlen = info_vlen(info);
	c->flag = info_flag(info);
	if (info & ~c->rules->info_mask)
		say(c, REFUSED, "has bits in its info (0x%x) that this kernel does not know", info);
	if (c->kind > c->rules->max_kind)
		say(c, REFUSED, "is of a kind that this kernel does not know");
	check_kind(c);
}

/*
 * A chain of modifiers has at most 32, and ends.  As in the kernel, a walk ends at a type with a
 * lower id, whose own chain was walked before; the rules still hold for that type itself.
 */
static void check_chain(struct check *c)
{
	const uint8_t *type = c->type;
	bool in_tags = c->kind == KIND_TYPE_TAG;
	uint32_t id = c->id, steps;

	for (steps = 0; is_modifier(type_kind(type)); steps++) {
		if (steps == 32) {
			say(c, REFUSED, "starts a chain of more than 32 modifiers, or a cycle");
			return;
		}
		if (type_kind(type) != KIND_TYPE_TAG) {
			in_tags = false;
		} else if (!in_tags && c->rules->tags_first) {
			say(c, REFUSED, "starts a chain in which a TYPE_TAG follows another modifier");
			return;
		}
		if (id < c->id)
			return;
		id = type_size(type);
		if (!id)
			return;
		type = btf_type(c->btf, id);
	}
}

void btf_verify(const struct btf *btf, const struct verify_rules *rules,
		struct verify_report *report)
{
	struct check c = {.btf = btf, .rules = rules, .report = report};

	report->nr = 0;
	for (c.id = btf->start_id; c.id < btf->end_id; c.id++) {
		c.type = btf_type(btf, c.id);
		check_type(&c);
		if (is_modifier(c.kind))
			check_chain(&c);
	}
}
