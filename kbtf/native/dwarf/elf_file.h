/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The sections, symbols and relocations of an ELF file whose headers were read elsewhere. */
#ifndef KBTF_DWARF_ELF_FILE_H
#define KBTF_DWARF_ELF_FILE_H

#include "btf.h"
#include "bytes.h"

enum elf_constant {
	SHT_PROGBITS = 1,
	SHT_SYMTAB = 2,
	SHT_RELA = 4,
	SHT_NOTE = 7,
	SHT_NOBITS = 8,
	SHT_REL = 9,
	SHF_ALLOC = 2,
	SHN_LORESERVE = 0xff00,
	STT_OBJECT = 1,
	STT_FUNC = 2,
	EM_SPARC = 2,
	EM_386 = 3,
	EM_MIPS = 8,
	EM_PPC = 20,
	EM_PPC64 = 21,
	EM_S390 = 22,
	EM_ARM = 40,
	EM_SPARCV9 = 43,
	EM_X86_64 = 62,
	EM_ARC_COMPACT = 93,
	EM_AARCH64 = 183,
	EM_ARC_COMPACT2 = 195,
	EM_RISCV = 243,
	EM_LOONGARCH = 258,
};

/* A section; compressed ones as they were before.  `data` is NULL where the file has no bytes of it. */
struct elf_section {
	const char *name;
	const uint8_t *data;
	uint64_t size;
	uint64_t flags;
	uint64_t addr;
	uint64_t align;
	uint32_t type;
	uint32_t link;
	uint32_t info;
	bool mapped; /* from a file: released pages are read again when touched */
};

struct elf {
	const struct elf_section *sections;
	uint32_t nr_sections;
	uint64_t packed_size; /* bytes of the file before it or its sections were unpacked */
	uint16_t machine;
	bool is_64;
	bool foreign; /* of the other byte order */
	bool linked;  /* addresses are final, and nothing is relocated */
};

struct elf_symbol {
	uint64_t value;
	uint64_t size;
	uint32_t name; /* offset of a string of the table's `link` */
	uint16_t section;
	uint8_t type;
};

/* Release the pages between two addresses of a mapped section that is not read again soon. */
void elf_give_back(bool mapped, const uint8_t *from, const uint8_t *to);

/* The first section of a name, or NULL. */
const struct elf_section *elf_find(const struct elf *elf, const char *name);

/* The number of the loaded section that contains an address of a linked file, or 0. */
uint16_t elf_section_at(const struct elf *elf, uint64_t address);

uint32_t elf_nr_symbols(const struct elf *elf, const struct elf_section *table);
/* Symbol `index`, which must be below the number of symbols. */
struct elf_symbol elf_symbol(const struct elf *elf, const struct elf_section *table, uint32_t index);
/* The name of a symbol: ends with NUL within its section, and soon.  NULL if it does not. */
const char *elf_symbol_name(const struct elf *elf, const struct elf_section *table,
			    const struct elf_symbol *symbol);

/* The relocations of one section, ascending by offset. */
struct relocations {
	const struct elf *elf;
	const struct elf_section *symbols; /* NULL if there are no relocations */
	const uint16_t *types;		   /* those that make a whole word, up to a 0 */
	uint32_t nr_symbols;
	bool mapped; /* the entries are */
	const uint8_t *entries;
	uint8_t *sorted; /* what `entries` are if the file's do not ascend */
	uint32_t nr;
	uint32_t entry_size;
	bool addends; /* RELA: in the entries; else in the relocated words */
};

struct relocation {
	uint64_t symbol_value;
	int64_t addend;
	uint16_t section; /* of the symbol */
};

/* Where the last relocation was found: the next one is near. */
struct relocation_cursor {
	const struct relocations *relocations;
	uint32_t next;
};

int relocations_init(struct relocations *relocations, const struct elf *elf,
		     const struct elf_section *section, struct btf_error *err);
void relocations_release(struct relocations *relocations);
/* Release the pages of all entries from `first` up to the cursor. */
void relocations_give_back(const struct relocation_cursor *cursor, uint32_t first);

/* Whether the word at `offset`, which holds `stored`, is replaced by symbol and addend. */
bool relocation_find(struct relocation_cursor *cursor, uint64_t offset, uint64_t stored,
		     struct relocation *found);

/* The word at `offset` as relocated. */
static inline uint64_t relocated(struct relocation_cursor *cursor, uint64_t offset, uint64_t stored)
{
	struct relocation found;

	if (!cursor->relocations->nr || !relocation_find(cursor, offset, stored, &found))
		return stored;
	return found.symbol_value + (uint64_t)found.addend;
}

#endif
