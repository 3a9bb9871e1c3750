/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Reads .debug_info: units, their abbreviations, and the wanted attributes of DIEs. */
#ifndef KBTF_DWARF_READER_H
#define KBTF_DWARF_READER_H

#include "vector.h"
#include "dwarf_constants.h"
#include "elf_file.h"

/* Sequential reads.  After a read past the end, all reads give 0 and `failed` is set. */
struct reader {
	const uint8_t *start; /* of the section, for offsets */
	const uint8_t *at;
	const uint8_t *end;
	bool foreign;
	bool failed;
};

static inline bool reader_has(struct reader *reader, uint64_t length)
{
	if ((uint64_t)(reader->end - reader->at) >= length)
		return true;
	reader->failed = true;
	reader->at = reader->end;
	return false;
}

static inline void reader_skip(struct reader *reader, uint64_t length)
{
	if (reader_has(reader, length))
		reader->at += length;
}

static inline uint32_t reader_offset(const struct reader *reader)
{
	return (uint32_t)(reader->at - reader->start);
}

/* A number of 1, 2, 3, 4 or 8 bytes. */
uint64_t reader_number(struct reader *reader, uint32_t length);
uint64_t reader_uleb_slow(struct reader *reader);
int64_t reader_sleb(struct reader *reader);

static inline uint64_t reader_uleb(struct reader *reader)
{
	if (reader->at < reader->end && *reader->at < 0x80)
		return *reader->at++;
	return reader_uleb_slow(reader);
}

/* The attributes that are read; all others are skipped. */
enum slot {
	SLOT_SIBLING,
	SLOT_LOCATION,
	SLOT_NAME,
	SLOT_BYTE_SIZE,
	SLOT_BIT_OFFSET,
	SLOT_BIT_SIZE,
	SLOT_LOW_PC,
	SLOT_LANGUAGE,
	SLOT_CONST_VALUE,
	SLOT_INLINE,
	SLOT_PRODUCER,
	SLOT_UPPER_BOUND,
	SLOT_ORIGIN,
	SLOT_ARTIFICIAL,
	SLOT_CALLING_CONVENTION,
	SLOT_COUNT,
	SLOT_MEMBER_LOCATION,
	SLOT_DECLARATION,
	SLOT_ENCODING,
	SLOT_EXTERNAL,
	SLOT_SPECIFICATION,
	SLOT_TYPE,
	SLOT_DATA_BIT_OFFSET,
	SLOT_STR_OFFSETS_BASE,
	SLOT_ADDR_BASE,
	SLOT_LOCLISTS_BASE,
	SLOT_DWO_NAME,
	SLOT_GNU_ANNOTATION,
	NR_SLOTS,
	SLOT_NONE = NR_SLOTS,
	SLOT_SKIP, /* some bytes of unwanted attributes */
};

/* One attribute, or several that are skipped at once. */
struct step {
	uint8_t slot;
	uint16_t form;
	uint32_t length; /* of SLOT_SKIP */
	int64_t implicit;
};

struct abbreviation {
	uint64_t code;
	uint32_t first_read; /* steps of a DIE whose attributes are wanted */
	uint32_t first_skip; /* steps of one of which only the end and SLOT_SIBLING are wanted */
	uint16_t nr_read;
	uint16_t nr_skip;
	uint16_t tag;
	bool has_children;
};

/* The abbreviations of a unit, ascending by code. */
struct abbreviations {
	uint64_t offset;
	uint8_t version;
	uint8_t address_size;
	uint8_t offset_size;
	bool across_units; /* some reference may go to another unit */
	VECTOR(struct abbreviation) table;
	VECTOR(struct step) steps;
};

static inline const struct abbreviation *
find_abbreviation(const struct abbreviations *abbreviations, uint64_t code)
{
	uint32_t low = 0, high = abbreviations->table.nr, middle;
	const struct abbreviation *table = abbreviations->table.at;

	if (code - 1 < high && table[code - 1].code == code)
		return &table[code - 1];
	while (low < high) {
		middle = low + (high - low) / 2;
		if (table[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low < abbreviations->table.nr && table[low].code == code ? &table[low] : NULL;
}

enum value_class {
	VALUE_NONE,
	VALUE_UNSIGNED,
	VALUE_SIGNED,
	VALUE_FLAG,
	VALUE_NAME,	     /* a name_ref */
	VALUE_REF,	     /* the offset of a DIE in .debug_info */
	VALUE_BLOCK,	     /* the offset in .debug_info of `length` bytes */
	VALUE_LIST,	     /* the offset of a list of locations */
	VALUE_LIST_INDEX,    /* the number of such a list */
	VALUE_ADDRESS,	     /* the offset in .debug_info of an address */
	VALUE_ADDRESS_INDEX, /* the number of an address in .debug_addr */
	VALUE_OTHER,
};

struct value {
	uint64_t number;
	uint32_t length;
	uint8_t class;
};

/* The place of a string: the section, above 32 bits of offset.  0: none. */
typedef uint64_t name_ref;

enum name_section { NAME_NONE, NAME_STR, NAME_LINE_STR, NAME_INFO };

static inline name_ref make_name(enum name_section section, uint64_t offset)
{
	return (uint64_t)section << 32 | (uint32_t)offset;
}

/* The wanted attributes of a DIE; only those in `present` are set. */
struct die {
	uint32_t offset;
	uint32_t present;
	uint16_t tag;
	bool has_children;
	struct value values[NR_SLOTS + 1]; /* SLOT_NONE for what is not wanted */
};

struct debug_section {
	const struct elf_section *section; /* NULL if there is none */
	const uint8_t *data;
	uint32_t size;
	struct relocations relocations;
	struct relocation_cursor cursor;
};

/* The parts of a DWARF file that are read. */
struct dwarf {
	const struct elf *elf;
	struct debug_section info, abbrev, str, line_str, str_offsets, addr, loc, loclists;
	struct relocation_cursor jumps; /* for DIEs out of order in .debug_info */
	uint64_t work;			/* the remaining work limit, see units.c */
};

struct unit {
	uint32_t start; /* in .debug_info */
	uint32_t end;
	uint32_t first_die;
	uint64_t abbreviations_offset;
	uint8_t type;
	uint8_t version;
	uint8_t address_size;
	uint8_t offset_size;
	bool wanted;
	bool shares_abbreviations; /* with the unit before */
	struct abbreviations *abbreviations;
	uint64_t str_offsets_base;
	uint64_t addr_base;
	uint64_t loclists_base;
};

/* Opens the sections.  *dwarf needs dwarf_close() in any case. */
int dwarf_open(struct dwarf *dwarf, const struct elf *elf, struct btf_error *err);
void dwarf_close(struct dwarf *dwarf);
/* The pages of the sections may leave memory; those that are needed are read again. */
void dwarf_give_back(const struct dwarf *dwarf);

/* Subtract `amount` from the work limit; false, also from then on, if less is left. */
static inline bool dwarf_take(struct dwarf *dwarf, uint64_t amount)
{
	bool enough = amount <= dwarf->work;

	dwarf->work = enough ? dwarf->work - amount : 0;
	return enough;
}

/* The same with a message: 0, or -1. */
int dwarf_spend(struct dwarf *dwarf, uint64_t amount, struct btf_error *err);

/* Read the header of the unit at `offset`. */
int unit_read_header(struct dwarf *dwarf, uint32_t offset, struct unit *unit,
		     struct btf_error *err);
/* The attributes of the unit's own DIE; sets the bases in the unit. */
int unit_read_root(struct dwarf *dwarf, struct unit *unit, struct die *root, struct btf_error *err);

int abbreviations_read(struct dwarf *dwarf, const struct unit *unit,
		       struct abbreviations *abbreviations, struct btf_error *err);
void abbreviations_release(struct abbreviations *abbreviations);

/* Read the attributes after an abbreviation code; reader->failed if they do not end. */
void read_attributes(struct dwarf *dwarf, const struct unit *unit, struct reader *reader,
		     struct relocation_cursor *cursor, const struct abbreviation *abbreviation,
		     struct die *die);
/* Skip them; the offset of the sibling if the DIE names it, else 0. */
uint32_t skip_attributes(struct dwarf *dwarf, const struct unit *unit, struct reader *reader,
			 struct relocation_cursor *cursor, const struct abbreviation *abbreviation);
/* The DIE at an offset within a unit; false if there is none. */
bool read_die_at(struct dwarf *dwarf, const struct unit *unit, uint32_t offset, struct die *die);

struct reader unit_reader(const struct dwarf *dwarf, const struct unit *unit, uint32_t offset);

static inline bool die_has(const struct die *die, enum slot slot)
{
	return die->present >> slot & 1;
}

/* The number of a constant attribute of any form, or 0. */
static inline uint64_t die_number(const struct die *die, enum slot slot)
{
	if (die_has(die, slot) && die->values[slot].class <= VALUE_FLAG)
		return die->values[slot].number;
	return 0;
}

static inline uint32_t die_ref(const struct die *die, enum slot slot)
{
	if (die_has(die, slot) && die->values[slot].class == VALUE_REF)
		return (uint32_t)die->values[slot].number;
	return 0;
}

static inline name_ref die_name(const struct die *die, enum slot slot)
{
	if (die_has(die, slot) && die->values[slot].class == VALUE_NAME)
		return die->values[slot].number;
	return 0;
}

/* An address: its symbol's section and the place therein.  False if it is not relocated. */
struct address {
	uint16_t section;
	uint64_t offset;
};

bool read_address(struct dwarf *dwarf, const struct unit *unit, const struct value *value,
		  struct address *address);
/* The address at byte `at` of .debug_info, or entry `index` of .debug_addr. */
bool address_in_info(struct dwarf *dwarf, const struct unit *unit, uint64_t at,
		     struct address *address);
bool address_by_index(struct dwarf *dwarf, const struct unit *unit, uint64_t index,
		      struct address *address);

#endif
