/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Shared by the parts of the encoder: the BTF in the making, and the unit being encoded. */
#ifndef KBTF_DWARF_ENCODER_H
#define KBTF_DWARF_ENCODER_H

#include "dedup.h"
#include "encode.h"
#include "name_table.h"
#include "symbols.h"

/* In the words of types of a unit that is not finished, a reference is 0, the offset of a DIE, or a type id
 * with this bit. */
#define IS_ID 0x80000000u

/* A child of a type's DIE, or an annotation. */
struct item {
	name_ref name;
	uint64_t number;  /* bit offset of a member, value of an enumerator, length of a dimension */
	uint32_t type;	  /* the offset of a DIE, or 0 */
	uint32_t bits;	  /* of a bitfield, else 0 */
	bool is_signed;	  /* the value of an enumerator was encoded as a signed number */
	bool variadic;	  /* not a parameter: there may be more */
};

/* A declaration tag on the current DIE; `owner` is a type id, a function's number, or 0. */
struct tag {
	name_ref value;
	uint32_t owner;
	uint32_t component; /* UINT32_MAX: the whole */
};

/* A formal parameter of a subprogram, in the order of the DIEs. */
struct param {
	uint32_t die;
	uint32_t next; /* number of the function's next parameter plus one, or 0 */
	uint32_t index;
	uint32_t type; /* the offset of a DIE, or 0 */
	uint32_t origin;
	uint32_t origin_param; /* its number plus one, once it is found */
	name_ref name;
	struct value location; /* class VALUE_NONE: none */
	bool has_type;
	bool has_const_value;
	/* from its location */
	bool has_location;
	bool optimized;
	bool unexpected;
};

struct function {
	struct unit *unit;
	uint32_t die;
	uint32_t first_param; /* number plus one, or 0 */
	uint32_t last_param;
	uint32_t nr_params;
	uint32_t type;
	uint32_t origin;
	uint32_t specification;
	uint32_t first_tag; /* of unit_tags.functions */
	uint32_t nr_tags;
	name_ref name;
	struct value low_pc;
	bool declaration;
	bool is_inline;
	bool nocall;
	bool variadic;
};

/* A variable directly below a unit. */
struct variable {
	struct unit *unit;
	name_ref name;
	uint32_t type;
	uint32_t first_tag;
	uint32_t nr_tags;
	uint16_t section;
	uint64_t offset;
	bool external;
};

/* Why a function is not encoded. */
enum dropped {
	DROPPED_UNEXPECTED = 1,	  /* a parameter is not in the register of the ABI */
	DROPPED_INCONSISTENT = 2, /* prototypes of one name differ */
	DROPPED_UNCERTAIN = 4,	  /* a packed struct on the stack */
	DROPPED_REORDERED = 8,	  /* parameters were reordered */
	DROPPED_AMBIGUOUS = 16,	  /* several functions of one name */
	DROPPED_OPTIMIZED = 32,	  /* parameters were optimized out of a changed signature */
};

/* A function as one DIE describes it, with ids and string offsets of BTF. */
struct state {
	uint32_t group;
	uint32_t first_word; /* of encoder.state_words: return type, then (name, type) of each parameter */
	uint32_t nr_params;
	uint32_t first_tag; /* of encoder.state_tags: (component, offset of the value) */
	uint32_t nr_tags;
	uint32_t flags; /* enum dropped */
	uint64_t low_pc; /* as laid out, or 0 */
	bool optimized;	 /* some parameter is, or has no location */
	bool changed;	 /* its signature differs from the source */
};

struct percpu_entry {
	uint32_t section;
	uint32_t id;
	uint32_t offset;
	uint32_t size;
	uint32_t order;
};

struct encoder {
	const struct elf *elf;
	const struct encode_options *options;
	const struct base_index *base;
	struct btf_error *err;
	struct encode_result *result;
	struct dwarf dwarf;
	struct names names;
	struct names literals; /* see late_names.c */
	struct symbols symbols;
	uint64_t *section_addresses; /* as laid out, by number */
	bool unit_error; /* the error is in a unit, and other units may succeed */
	bool lacked_memory; /* while a verdict was found, which may be wrong */
	bool merged;	 /* all units share one table of types */
	bool clang;	 /* made the unit, or the first of them if merged */
	VECTOR(struct unit) units; /* if merged */

	VECTOR(uint32_t) words;	  /* types in native order */
	VECTOR(uint32_t) offsets; /* by own type: its first word */

	uint32_t index_type; /* of arrays; 0: not known yet */
	bool index_fixed;
	bool any_array;

	/* of the unit, or of all units if merged */
	uint32_t first_id;
	uint32_t area_start; /* offset in .debug_info that bit 0 of `starts` stands for */
	uint32_t area_end;
	uint64_t *starts;    /* bit by offset: a type's DIE starts there */
	uint32_t *ranks;     /* by word of `starts`: how many do before */
	uint32_t area_room;  /* words of both */
	VECTOR(uint32_t) ids; /* by type DIE, ascending by offset */
	VECTOR(struct item) items;
	VECTOR(struct tag) tags;      /* of the current DIE */
	VECTOR(struct tag) type_tags; /* of types, in their order */
	VECTOR(struct tag) function_tags;
	VECTOR(struct tag) variable_tags;
	VECTOR(struct param) params;
	VECTOR(struct function) functions;
	VECTOR(struct variable) variables;
	VECTOR(uint32_t) packed; /* structs embedded in another at an unaligned offset */

	/* of the whole file */
	VECTOR(struct state) states;
	VECTOR(uint32_t) state_words;
	VECTOR(uint32_t) state_tags;
	VECTOR(struct percpu_entry) percpu;
	uint32_t nr_types;
	uint32_t unresolved; /* references to DIEs that are not types */
	bool reduces; /* the parts of the file */
	struct reducer *reducer; /* of a part */
	bool uncertain; /* failed because reducing units may change the result */
};

/* The DIE at an offset of the unit, or of any unit if they are merged; false if there is none. */
bool read_other_die(struct encoder *encoder, const struct unit *unit, uint32_t offset,
		    struct die *die);

/* Fail for a DIE that cannot be expressed. */
int cannot_encode(struct encoder *encoder, uint32_t die, name_ref name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static inline int no_memory(struct encoder *encoder)
{
	encoder->unit_error = false;
	return btf_no_memory(encoder->err);
}

/* -1 if a verdict may be wrong, because there was not enough memory or work left for it. */
static inline int check_verdicts(struct encoder *encoder)
{
	if (!encoder->lacked_memory)
		return dwarf_spend(&encoder->dwarf, 1, encoder->err);
	return no_memory(encoder);
}

static inline uint32_t next_id(const struct encoder *encoder)
{
	return encoder->base->nr_types + encoder->offsets.nr;
}

static inline bool is_own(const struct encoder *encoder, uint32_t id)
{
	return id >= encoder->base->nr_types && id < next_id(encoder);
}

static inline const uint32_t *own_type(const struct encoder *encoder, uint32_t id)
{
	return encoder->words.at + encoder->offsets.at[id - encoder->base->nr_types];
}

static inline uint32_t make_info(uint32_t kind, uint32_t vlen, bool flag)
{
	return (uint32_t)flag << 31 | kind << 24 | vlen;
}

/* types.c */
struct type_die {
	uint32_t die;
	uint32_t type;
	uint32_t annotation; /* the offset of a GNU_annotation's DIE, or 0 */
	uint32_t place;	     /* number in encoder.ids, or UINT32_MAX */
	uint64_t byte_size;
	uint64_t encoding;
	name_ref name;
	uint16_t tag;
	bool declaration;
};

/* Begin a type of three words; its id is next_id() before. */
int begin_type(struct encoder *encoder, uint32_t name, uint32_t info, uint32_t third);
int add_word(struct encoder *encoder, uint32_t word);
/* Emit the type of a DIE after reading all its children, from `first_item` on. */
int emit_type(struct encoder *encoder, struct unit *unit, const struct type_die *type,
	      uint32_t first_item, uint32_t first_tag);

/* late_names.c: the word of a type for a name, which finish_type_names() replaces by its offset in BTF */
int type_name_word(struct encoder *encoder, name_ref name, uint32_t *word);
int type_text(struct encoder *encoder, const char *text, size_t length, uint32_t *word);
/* Sets encoder->uncertain if a name turns out to be empty. */
int finish_type_names(struct encoder *encoder, uint32_t *type);

/* aggregates.c */
int emit_struct(struct encoder *encoder, const struct type_die *type, uint32_t kind,
		uint32_t first_item);
int emit_enum(struct encoder *encoder, struct unit *unit, const struct type_die *type,
	      uint32_t first_item);
int emit_array(struct encoder *encoder, const struct type_die *type, uint32_t first_item);
/* A new item without name or number; NULL if there is no memory. */
struct item *new_item(struct encoder *encoder);
/* Read a DIE that is a child of a type into an item. */
int add_member(struct encoder *encoder, struct unit *unit, const struct die *die);
int add_enumerator(struct encoder *encoder, const struct die *die);
int add_dimension(struct encoder *encoder, const struct die *die);

/* annotations.c */
int add_annotation(struct encoder *encoder, const struct die *die, uint32_t component, bool of_pointer);
/* Follow a chain of GNU annotations. */
int add_annotations(struct encoder *encoder, struct unit *unit, uint32_t first, uint32_t component,
		    bool of_pointer);
/* Emit a DECL_TAG. */
int emit_tag(struct encoder *encoder, uint32_t type, name_ref value, uint32_t component);

/* encode.c */
/* Release what only reading DWARF needs. */
void release_reading(struct encoder *encoder);

/* lto_note.c: whether the kernel's build says that units refer to one another */
bool says_lto(struct encoder *encoder);

/* encode_units.c */
int encode_units(struct encoder *encoder);
/* Encode the units from one offset of .debug_info up to another, one after another. */
int encode_range(struct encoder *encoder, uint32_t start, uint32_t end);

/* parallel.c: encode the units of a linked file with several threads. */
int encode_in_parallel(struct encoder *encoder, uint32_t nr_threads);

/* join.c: append what `from` and its result hold; the notes move. */
int encode_join(struct encoder *encoder, const struct encoder *from, struct encode_result *result);

/* walk.c */
int walk_unit(struct encoder *encoder, struct unit *unit);

/* resolve.c: numbers for DIEs */
int start_area(struct encoder *encoder, uint32_t start, uint32_t end);
int note_type(struct encoder *encoder, uint32_t die, uint32_t *place);
/* Record that no type's DIE starts between two offsets. */
void forget_types(struct encoder *encoder, uint32_t start, uint32_t end);
/* The id of a type's DIE, once all types were emitted; void if there is none. */
uint32_t resolve(struct encoder *encoder, uint32_t ref);
int resolve_types(struct encoder *encoder);

/* sizes.c */
/* The bytes that the own or base type takes, through typedefs, qualifiers and arrays. */
uint64_t type_size_of(struct encoder *encoder, uint32_t id, uint32_t address_size);
/* The bytes that a parameter of that type takes; those of one element, for an array. */
uint64_t value_size_of(struct encoder *encoder, uint32_t id, uint32_t address_size);
uint32_t skip_modifiers_of(struct encoder *encoder, uint32_t id);
/* packed.c */
bool looks_packed(struct encoder *encoder, uint32_t id, uint32_t address_size);

/* functions.c */
int add_function(struct encoder *encoder, struct function *function, uint32_t first_tag);
int add_param(struct encoder *encoder, struct function *function, const struct die *die);
void make_function(struct function *function, struct unit *unit, const struct die *die);
int save_functions(struct encoder *encoder);
/* parameters.c */
void analyse_parameters(struct encoder *encoder, struct function *function, bool clang);
uint32_t nr_registers(const struct encoder *encoder);
/* locations.c */
struct operation {
	uint8_t code;
	uint64_t number;
	const uint8_t *inner; /* entry_value: its expression */
	uint32_t inner_length;
};

#define MAX_OPERATIONS 32

struct expressions {
	struct encoder *encoder;
	const struct unit *unit;
	struct reader reader;
	bool single;
	bool ended;
	bool old; /* a list of DWARF 4 */
};

struct expressions expressions_of(struct encoder *encoder, const struct unit *unit,
				  const struct value *location);
/* The operations of the next expression: their number, or -1 at the end. */
int next_expression(struct expressions *expressions, struct operation *operations);
int read_operations(const struct unit *unit, struct reader *reader, struct operation *operations);

/* choose.c */
int emit_functions(struct encoder *encoder);

/* variables.c */
/* Note a variable; `*kept` is its number, or UINT32_MAX if it is not encoded. */
int add_variable(struct encoder *encoder, struct unit *unit, struct die *die, uint32_t *kept);
int tag_variable(struct encoder *encoder, uint32_t number, uint32_t first_tag);
int emit_variables(struct encoder *encoder);
int emit_sections(struct encoder *encoder);

#endif
