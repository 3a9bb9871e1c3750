"""ELF files: read as pyelftools reads them, edited without moving what stays."""

from __future__ import annotations

import io
import itertools
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_SH_TYPE_BASE, ENUM_ST_SHNDX
from hypothesis import given, settings
from hypothesis import strategies as st

from kbtf.elf.image import SHT_NOBITS, SHT_PROGBITS, SHT_SYMTAB, ElfImage, Section, Symbol
from kbtf.errors import ElfError
from kbtf.testing import ElfSymbol, write_elf

if TYPE_CHECKING:
    from collections.abc import Sequence

LAYOUTS = list(itertools.product((32, 64), ("little", "big")))
every_layout = pytest.mark.parametrize(("bits", "byte_order"), LAYOUTS)

SHT_NULL, SHT_STRTAB, SHT_SYMTAB_SHNDX = 0, 3, 18
SHN_XINDEX = 0xFFFF
CONTENTS = {".text": b"\x90" * 21, ".data": b"data", ".empty": b"", ".BTF_ids": bytes(range(12))}
SYMBOLS = (
    ElfSymbol("start", ".text", 1, 20),
    ElfSymbol("__BTF_ID__set8__s", ".BTF_ids", 4, 8),
    ElfSymbol("printk", None),
)


# What pyelftools reads


def their_sections(data: bytes) -> list[tuple[Any, ...]]:
    elf = ELFFile(io.BytesIO(data))
    return [their_section(elf, number) for number in range(elf.num_sections())]


def their_section(elf: Any, number: int) -> tuple[Any, ...]:
    section = elf.get_section(number)
    kind = section["sh_type"]
    fields = ("flags", "addr", "offset", "size", "link", "info", "addralign", "entsize")
    return (
        number,
        section.name,
        ENUM_SH_TYPE_BASE.get(kind, kind),
        *(section[f"sh_{field}"] for field in fields),
    )


def their_symbols(data: bytes) -> list[Symbol]:
    elf = ELFFile(io.BytesIO(data))
    table: Any = first_of(elf, "SHT_SYMTAB")
    found = []
    for number in range(table.num_symbols()):
        symbol = table.get_symbol(number)
        shndx = ENUM_ST_SHNDX.get(symbol["st_shndx"], symbol["st_shndx"])
        if shndx == SHN_XINDEX:
            shndx = first_of(elf, "SHT_SYMTAB_SHNDX").get_section_index(number)
        # pyelftools splits the byte st_info and gives its halves names
        table.stream.seek(table["sh_offset"] + number * table["sh_entsize"])
        info = table.stream.read(table["sh_entsize"])[4 if elf.elfclass == 64 else 12]
        found.append(Symbol(symbol.name, symbol["st_value"], symbol["st_size"], info, shndx))
    return found


def first_of(elf: Any, kind: str) -> Any:
    return next(section for section in elf.iter_sections() if section["sh_type"] == kind)


def their_contents(data: bytes) -> dict[str, bytes]:
    sections = ELFFile(io.BytesIO(data)).iter_sections()
    return {section.name: section.data() for section in sections}


@every_layout
def test_sections_are_read_as_pyelftools_reads_them(bits: int, byte_order: str) -> None:
    data = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)
    image = ElfImage(data)

    assert (image.bits, image.byte_order) == (bits, byte_order)
    assert image.sections == their_sections(data)
    for section in image.sections:
        assert bytes(image.contents(section)) == their_contents(data)[section.name]


@every_layout
def test_symbols_are_read_as_pyelftools_reads_them(bits: int, byte_order: str) -> None:
    data = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)

    symbols = list(ElfImage(data).symbols())

    assert symbols == their_symbols(data)
    assert [(s.name, s.value, s.size, s.shndx) for s in symbols[1:]] == [
        ("start", 1, 20, 1),
        ("__BTF_ID__set8__s", 4, 8, 4),
        ("printk", 0, 0, 0),
    ]


def test_a_section_is_found_by_name() -> None:
    image = ElfImage(write_elf(CONTENTS))

    assert image.section(".data") == image.sections[2]
    assert image.data(".data") == b"data"
    assert image.data(".empty") == b""
    assert image.section(".dat") is None
    assert image.data(".absent") is None


def test_data_may_be_a_view_of_a_larger_file() -> None:
    data = write_elf(CONTENTS)

    assert ElfImage(memoryview(b"before" + data)[6:]).data(".data") == b"data"


# What the writer of kbtf.testing does not make


class Row(NamedTuple):
    """A section header and the contents that belong to it."""

    name: bytes
    type: int = SHT_PROGBITS
    data: bytes = b""
    flags: int = 0
    link: int = 0
    info: int = 0
    entsize: int = 0
    offset: int | None = None
    size: int | None = None


class Shape(NamedTuple):
    """The formats of gABI chapter 4, of one class and byte order."""

    bits: int
    byte_order: str

    def pack(self, formats: str, *values: int) -> bytes:
        order = ">" if self.byte_order == "big" else "<"
        word = "Q" if self.bits == 64 else "I"
        return struct.pack(order + formats.replace("W", word), *values)

    @property
    def row_size(self) -> int:
        return len(self.row([0] * 10))

    def row(self, fields: Sequence[int]) -> bytes:
        return self.pack("IIWWWWIIWW", *fields)

    def symbol(self, name: int, value: int, size: int, info: int, shndx: int) -> bytes:
        if self.bits == 64:
            return self.pack("IBBHQQ", name, info, 0, shndx, value, size)
        return self.pack("IIIBBH", name, value, size, info, 0, shndx)


LITTLE_64 = Shape(64, "little")


def table_first(
    rows: Sequence[Row],
    shape: Shape = LITTLE_64,
    *,
    shstrndx: int | None = None,
) -> bytes:
    """An ELF file with its section header table before the contents.

    The names come last, in section ``.shstrtab``; a first one of type NULL is added.  Numbers of
    0xff00 and more are written as gABI has it: in the first section header.
    """
    names = b"\0"
    name_offsets: dict[bytes, int] = {}
    for row in (*rows, Row(b".shstrtab")):
        if row.name not in name_offsets:
            name_offsets[row.name] = len(names)
            names += row.name + b"\0"
    rows = [*rows, Row(b".shstrtab", SHT_STRTAB, names)]
    count = len(rows) + 1
    shstrndx = count - 1 if shstrndx is None else shstrndx
    header_size = 52 if shape.bits == 32 else 64
    many, far = count >= 0xFF00, shstrndx >= 0xFF00
    first = [0, 0, 0, 0, 0, count if many else 0, shstrndx if far else 0, 0, 0, 0]
    table, contents = [shape.row(first)], []
    at = header_size + count * shape.row_size
    for row in rows:
        offset = at if row.offset is None else row.offset
        size = len(row.data) if row.size is None else row.size
        fields = (row.type, row.flags, 0, offset, size, row.link, row.info, 1, row.entsize)
        table.append(shape.row((name_offsets[row.name], *fields)))
        contents.append(row.data)
        at += len(row.data)
    ident = b"\x7fELF" + bytes([shape.bits // 32, 1 + (shape.byte_order == "big"), 1]) + bytes(9)
    header = shape.pack(
        "HHIWWWIHHHHHH", 1, 62, 1, 0, 0, header_size, 0, header_size, 0, 0, shape.row_size,
        0 if many else count, SHN_XINDEX if far else shstrndx,
    )  # fmt: skip
    return ident + header + b"".join((*table, *contents))


@every_layout
def test_a_table_before_the_contents_is_read_and_edited(bits: int, byte_order: str) -> None:
    rows = [Row(name.encode(), data=data) for name, data in CONTENTS.items()]
    data = table_first(rows, Shape(bits, byte_order))
    image = ElfImage(data)
    assert image.sections == their_sections(data)

    image.set_section(".BTF", b"new")

    edited = image.to_bytes()
    assert their_contents(edited) == {
        **their_contents(data),
        ".BTF": b"new",
        ".shstrtab": their_contents(data)[".shstrtab"] + b".BTF\0",
    }


# 0xff00 sections and more: gABI, "e_shnum", "e_shstrndx" and "Special Section Indexes"


def many_sections(count: int, shape: Shape = LITTLE_64) -> bytes:
    """*count* sections; the first ones are ``.symtab`` with a symbol into the last but one."""
    last = count - 2
    symbols = shape.symbol(0, 0, 0, 0, 0)
    symbols += shape.symbol(0, 7, 2, 0x10, SHN_XINDEX) + shape.symbol(0, 3, 1, 0x10, 2)
    rows = [
        Row(b".symtab", SHT_SYMTAB, symbols, link=3, info=1, entsize=len(symbols) // 3),
        Row(b".symtab_shndx", SHT_SYMTAB_SHNDX, shape.pack("III", 0, last, 0), link=1, entsize=4),
        Row(b".strtab", SHT_STRTAB, b"\0"),
    ]
    rows += [Row(b".many")] * (count - 2 - len(rows) - 1)
    return table_first([*rows, Row(b".last", data=b"last")], shape)


@pytest.mark.parametrize(("bits", "byte_order"), [(32, "big"), (64, "little")])
def test_extended_numbering_is_read_as_pyelftools_reads_it(bits: int, byte_order: str) -> None:
    count = 0xFF00 + 300
    data = many_sections(count, Shape(bits, byte_order))
    image = ElfImage(data)
    elf = ELFFile(io.BytesIO(data))

    assert len(image.sections) == elf.num_sections() == count
    for number in (0, 1, 0xFEFF, 0xFF00, 0xFFFF, count - 2, count - 1):
        assert image.sections[number] == their_section(elf, number)
    assert list(image.symbols()) == their_symbols(data)
    assert [image.sections[s.shndx].name for s in image.symbols()] == ["", ".last", ".symtab_shndx"]


@pytest.mark.parametrize("count", [0xFEFE, 0xFEFF, 0xFF00])
def test_a_section_is_added_around_the_limit_of_plain_numbering(count: int) -> None:
    data = many_sections(count)
    image = ElfImage(data)
    image.set_section(".BTF", b"new")

    edited = image.to_bytes()

    elf = ELFFile(io.BytesIO(edited))
    assert elf.num_sections() == count + 1
    (e_shnum,) = struct.unpack_from("<H", edited, 60)
    assert e_shnum == (count + 1 if count + 1 < 0xFF00 else 0)
    assert elf.get_section(count).name == ".BTF"
    assert elf.get_section(count).data() == b"new"
    again = ElfImage(edited)
    assert [s.name for s in again.sections] == [*(s.name for s in image.sections), ".BTF"]
    assert list(again.symbols()) == list(image.symbols())


def test_extended_indexes_are_those_of_the_symbol_table() -> None:
    shape = LITTLE_64
    symbols = shape.symbol(0, 0, 0, 0, 0) + shape.symbol(0, 0, 0, 0, SHN_XINDEX)
    rows = [
        Row(b".others_shndx", SHT_SYMTAB_SHNDX, shape.pack("II", 0, 4), link=4, entsize=4),
        Row(b".symtab", SHT_SYMTAB, symbols, link=4, entsize=24),
        Row(b".symtab_shndx", SHT_SYMTAB_SHNDX, shape.pack("II", 0, 2), link=2, entsize=4),
        Row(b".strtab", SHT_STRTAB, b"\0"),
    ]

    assert [s.shndx for s in ElfImage(table_first(rows)).symbols()] == [0, 2]


def test_a_number_in_the_elf_header_counts_more_than_the_extended_one() -> None:
    data = patched(PLAIN, ROW + 32, "<Q", 2)

    assert ElfImage(data).sections == their_sections(data)
    assert len(ElfImage(data).sections) == 4


def test_a_symbol_of_extended_index_without_its_table_is_refused() -> None:
    symbol = LITTLE_64.symbol(0, 0, 0, 0, SHN_XINDEX)
    data = table_first([Row(b".symtab", SHT_SYMTAB, symbol, link=2, entsize=24)])

    with pytest.raises(ElfError, match=r"\.symtab: symbol 0 has no section index"):
        list(ElfImage(data).symbols())


def test_a_table_of_extended_indexes_that_is_too_short_is_refused() -> None:
    shape = LITTLE_64
    symbols = shape.symbol(0, 0, 0, 0, 0) + shape.symbol(0, 0, 0, 0, SHN_XINDEX)
    rows = [
        Row(b".symtab", SHT_SYMTAB, symbols, link=3, entsize=24),
        Row(b".symtab_shndx", SHT_SYMTAB_SHNDX, bytes(7), link=1, entsize=4),
        Row(b".strtab", SHT_STRTAB, b"\0"),
    ]

    with pytest.raises(ElfError, match=r"\.symtab: symbol 1 has no section index"):
        list(ElfImage(table_first(rows)).symbols())


# Editing


def rows_of(image: ElfImage) -> dict[str, tuple[Section, bytes]]:
    return {s.name: (s, bytes(image.contents(s))) for s in image.sections}


def check_the_others(before: bytes, after: bytes, changed: set[str]) -> None:
    """Whatever is not in *changed* is where it was and what it was, by pyelftools."""
    old, new = their_sections(before), their_sections(after)
    old_contents, new_contents = their_contents(before), their_contents(after)
    # a name that is added goes to the end of the table of names
    moved = {*changed, ".shstrtab"} if len(new) > len(old) else changed
    for row in old:
        if row[1] not in moved:
            assert new[row[0]] == row
            assert new_contents[row[1]] == old_contents[row[1]]
            if row[2] not in (SHT_NULL, SHT_NOBITS):
                assert after[row[5] : row[5] + row[6]] == old_contents[row[1]]
    assert new_contents[".shstrtab"].startswith(old_contents[".shstrtab"])
    assert their_symbols(after) == their_symbols(before)
    assert [row[1] for row in new[: len(old)]] == [row[1] for row in old]


@every_layout
@pytest.mark.parametrize("size", [0, 1, 7, 8, 4097])
def test_a_section_is_added(bits: int, byte_order: str, size: int) -> None:
    before = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)
    image = ElfImage(before)
    image.set_section(".BTF", b"n" * size)

    after = image.to_bytes()

    check_the_others(before, after, set())
    (added,) = their_sections(after)[len(image.sections) :]
    # as objcopy --add-section makes it: PROGBITS, no flags, no address
    assert added[1:5] == (".BTF", SHT_PROGBITS, 0, 0)
    assert added[6:9] == (size, 0, 0)
    assert their_contents(after)[".BTF"] == b"n" * size


@every_layout
def test_what_is_added_is_aligned_and_little_else_is_added(bits: int, byte_order: str) -> None:
    before = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)
    image = ElfImage(before)
    image.set_section(".BTF", b"n" * 1001)
    image.set_section(".BTF.base", b"n" * 77)

    after = image.to_bytes()

    elf = ELFFile(io.BytesIO(after))
    assert elf["e_shoff"] % (bits // 8) == 0
    for name in (".BTF", ".BTF.base"):
        section: Any = elf.get_section_by_name(name)
        assert section["sh_offset"] % section["sh_addralign"] == 0
    rows, names, padding = 2 * elf["e_shentsize"], len(b".BTF\0.BTF.base\0"), 4 * 8
    assert len(after) <= len(before) + 1001 + 77 + rows + names + padding


@every_layout
@pytest.mark.parametrize("size", [0, 1, 11, 13, 4097])
def test_a_section_grows_or_shrinks(bits: int, byte_order: str, size: int) -> None:
    before = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)
    image = ElfImage(before)
    image.set_section(".BTF_ids", b"n" * size)

    after = image.to_bytes()

    check_the_others(before, after, {".BTF_ids"})
    assert len(their_sections(after)) == len(their_sections(before))
    old, new = their_sections(before)[4], their_sections(after)[4]
    assert new[:5] == old[:5]
    assert new[6:] == (size, *old[7:])
    assert their_contents(after)[".BTF_ids"] == b"n" * size


@every_layout
def test_a_section_of_the_same_size_is_patched_in_place(bits: int, byte_order: str) -> None:
    before = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)
    image = ElfImage(before)
    image.set_section(".BTF_ids", b"n" * 12)

    section = image.sections[4]
    expected = before[: section.offset] + b"n" * 12 + before[section.offset + 12 :]
    assert image.to_bytes() == expected


def test_the_contents_that_a_section_has_change_nothing() -> None:
    before = write_elf(CONTENTS, SYMBOLS)
    image = ElfImage(before)
    for name, data in CONTENTS.items():
        image.set_section(name, data)

    assert image.to_bytes() == before


def test_without_changes_the_file_stays_as_it_is() -> None:
    data = write_elf(CONTENTS, SYMBOLS) + b"what lies behind"

    assert ElfImage(data).to_bytes() == data


EDITS = {
    ".BTF": b"added",
    ".BTF.base": b"",
    ".data": b"grown" * 9,
    ".text": b"shrunk",
    ".BTF_ids": b"n" * 12,
}


@every_layout
def test_several_sections_are_set_at_once(bits: int, byte_order: str) -> None:
    before = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)
    image = ElfImage(before)
    for name, data in EDITS.items():
        image.set_section(name, data)
        assert image.data(name) == data

    after = image.to_bytes()

    check_the_others(before, after, set(EDITS))
    assert their_contents(after).items() >= EDITS.items()


@every_layout
def test_the_same_edit_of_the_result_changes_nothing(bits: int, byte_order: str) -> None:
    image = ElfImage(write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order))
    for name, data in EDITS.items():
        image.set_section(name, data)
    once = image.to_bytes()
    again = ElfImage(once)
    for name, data in EDITS.items():
        again.set_section(name, data)

    assert again.to_bytes() == once


def test_the_last_of_two_settings_counts() -> None:
    image = ElfImage(write_elf(CONTENTS))
    image.set_section(".data", b"first, longer")
    image.set_section(".data", b"last")

    assert image.to_bytes() == write_elf({**CONTENTS, ".data": b"last"})


def test_edits_of_a_section_do_not_pile_up() -> None:
    data = write_elf(CONTENTS, SYMBOLS)
    sizes = []
    for length in (5000, 4000, 3000) * 3:
        image = ElfImage(data)
        image.set_section(".BTF", b"n" * length)
        data = image.to_bytes()
        sizes.append(len(data))

    assert sizes[3:6] == sizes[6:]


def test_what_lies_behind_the_table_stays() -> None:
    image = ElfImage(write_elf(CONTENTS) + b"what lies behind")
    image.set_section(".BTF", b"new")

    after = image.to_bytes()

    assert b"what lies behind" in after
    assert their_contents(after)[".BTF"] == b"new"


def test_a_name_that_is_no_text_is_kept() -> None:
    image = ElfImage(table_first([Row(b".caf\xe9", data=b"old")]))
    name = image.sections[1].name
    image.set_section(name, b"longer than it was")
    image.set_section(name + "2", b"new")

    again = ElfImage(image.to_bytes())

    assert again.data(name) == b"longer than it was"
    assert b".caf\xe92\0" in (again.data(".shstrtab") or b"")


@pytest.mark.parametrize("name", ["", ".a\0b"])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(ElfError, match="is not a name"):
        ElfImage(write_elf(CONTENTS)).set_section(name, b"new")


def test_a_section_without_contents_cannot_be_set() -> None:
    data = table_first([Row(b".bss", SHT_NOBITS, size=1 << 20)])
    image = ElfImage(data)
    (section,) = (s for s in image.sections if s.name == ".bss")

    assert (section.size, section.file_size, bytes(image.contents(section))) == (1 << 20, 0, b"")
    with pytest.raises(ElfError, match=r"section \.bss has no contents"):
        image.set_section(".bss", b"new")


def test_an_inactive_section_cannot_be_set() -> None:
    image = ElfImage(table_first([Row(b".gone", SHT_NULL, offset=1 << 20, size=3)]))

    with pytest.raises(ElfError, match=r"section \.gone has no contents"):
        image.set_section(".gone", b"new")


OVERLAPS = {
    "another section": ("overlaps .shstrtab", -1),
    "the ELF header": ("overlaps the ELF header", 60),
    "the section headers": ("overlaps the section headers", 0x40),
}


@pytest.mark.parametrize("case", OVERLAPS)
def test_a_section_that_overlaps_something_is_not_patched(case: str) -> None:
    words, offset = OVERLAPS[case]
    own = table_first([Row(b".BTF", data=b"12345678")])
    offset = ElfImage(own).sections[2].offset - 4 if offset < 0 else offset
    image = ElfImage(table_first([Row(b".BTF", data=b"12345678", offset=offset)]))

    image.set_section(".BTF", b"87654321")
    with pytest.raises(ElfError, match=rf"\.BTF: {words}"):
        image.to_bytes()


def test_one_of_several_sections_of_a_name_cannot_be_set() -> None:
    data = table_first([Row(b".text", data=b"first"), Row(b".text", data=b"second")])
    image = ElfImage(data)

    assert image.data(".text") == b"first"
    with pytest.raises(ElfError, match=r"several sections \.text"):
        image.set_section(".text", b"new")
    image.set_section(".BTF", b"new")
    edited = ElfImage(image.to_bytes())
    assert [bytes(edited.contents(s)) for s in edited.sections[1:3]] == [b"first", b"second"]


name_text = st.text("abc._é", min_size=1, max_size=12).filter(
    lambda name: name not in (".symtab", ".strtab", ".shstrtab")
)
contents = st.dictionaries(name_text, st.binary(max_size=40), max_size=6)


@settings(deadline=None, max_examples=100)
@given(contents, contents, st.sampled_from(LAYOUTS), st.binary(max_size=9))
def test_any_edit_keeps_every_other_section(
    old: dict[str, bytes], edits: dict[str, bytes], layout: tuple[int, str], tail: bytes
) -> None:
    symbols = tuple(ElfSymbol(f"in {name}", name, len(data)) for name, data in old.items())
    before = write_elf(old, symbols, bits=layout[0], byte_order=layout[1]) + tail
    image = ElfImage(before)
    for name, data in edits.items():
        image.set_section(name, data)

    after = image.to_bytes()

    check_the_others(before, after, set(edits))
    assert their_contents(after).items() >= {**old, **edits}.items()


# Files that cannot be read


def test_a_file_truncated_anywhere_is_refused() -> None:
    table_last = write_elf(CONTENTS, SYMBOLS)
    rows = [Row(name.encode(), data=data) for name, data in CONTENTS.items()]
    for data in (table_last, table_first(rows)):
        for length in range(len(data)):
            with pytest.raises(ElfError):
                ElfImage(data[:length])


def test_bytes_that_nothing_refers_to_may_be_missing() -> None:
    data = write_elf(CONTENTS, SYMBOLS)
    for length in range(5):
        assert ElfImage(data + bytes(length)).sections == ElfImage(data).sections


def test_a_file_without_sections_has_none() -> None:
    data = table_first([])
    no_table = data[:40] + bytes(8) + data[48:58] + bytes(6) + data[64:]
    image = ElfImage(no_table)

    assert image.sections == their_sections(no_table) == []
    assert list(image.symbols()) == []
    assert image.data(".text") is None
    image.set_section(".BTF", b"new")
    with pytest.raises(ElfError, match="no section header table"):
        image.to_bytes()


def patched(data: bytes, offset: int, formats: str, value: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(formats, out, offset, value)
    return bytes(out)


PLAIN = table_first([Row(b".text", data=b"text"), Row(b".data", data=b"data")])
ROW = 64  # where the section header table of PLAIN begins, and what each row of it takes
MALFORMED = {
    "empty": (b"", "not an ELF file"),
    "magic only": (PLAIN[:4], "the ELF header is truncated"),
    "no magic": (b"\x7fELE" + PLAIN[4:], "not an ELF file"),
    "class 0": (patched(PLAIN, 4, "B", 0), "class 0"),
    "class 3": (patched(PLAIN, 4, "B", 3), "class 3"),
    "byte order 0": (patched(PLAIN, 5, "B", 0), "byte order 0"),
    "byte order 3": (patched(PLAIN, 5, "B", 3), "byte order 3"),
    "table past the end": (patched(PLAIN, 40, "<Q", len(PLAIN)), "table .* reaches past the end"),
    "table half past the end": (
        patched(PLAIN, 40, "<Q", len(PLAIN) - ROW), "table .* reaches past the end"
    ),
    "table at 2**64 - 1": (patched(PLAIN, 40, "<Q", 2**64 - 1), "table .* reaches past the end"),
    "too many sections": (patched(PLAIN, 60, "<H", 0xFEFF), "table .* reaches past the end"),
    "far too many sections": (
        patched(patched(PLAIN, 60, "<H", 0), ROW + 32, "<Q", 2**64 - 1),
        "table .* reaches past the end",
    ),
    "section headers too small": (patched(PLAIN, 58, "<H", 40), "section headers of 40 bytes"),
    "section headers too large": (patched(PLAIN, 58, "<H", 65), "section headers of 65 bytes"),
    "section headers of no size": (patched(PLAIN, 58, "<H", 0), "section headers of 0 bytes"),
    "names in no section": (patched(PLAIN, 62, "<H", 4), "section 4 of section names does not"),
    "names in a section of another type": (
        patched(PLAIN, ROW * 4 + 4, "<I", SHT_PROGBITS), "section 3 of section names is not"
    ),
    "names far out": (
        patched(patched(PLAIN, 62, "<H", SHN_XINDEX), ROW + 40, "<I", 2**32 - 1),
        "section 4294967295 of section names does not exist",
    ),
    "names past the end": (
        patched(PLAIN, ROW * 4 + 32, "<Q", 999), "name table .* reaches past the end"
    ),
    "name behind the names": (patched(PLAIN, ROW * 2, "<I", 999), "name of entry 1"),
    "name without end": (patched(PLAIN, len(PLAIN) - 1, "B", 1), "name of entry 3"),
    "section past the end": (patched(PLAIN, ROW * 2 + 24, "<Q", len(PLAIN)), r"\.text .* reaches"),
    "section longer than the file": (patched(PLAIN, ROW * 2 + 32, "<Q", 999), r"\.text .* reaches"),
    "section whose end overflows": (
        patched(PLAIN, ROW * 2 + 32, "<Q", 2**64 - 1), r"\.text .* reaches past the end"
    ),
    "section whose start overflows": (
        patched(PLAIN, ROW * 2 + 24, "<Q", 2**64 - 1), r"\.text .* reaches past the end"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_words(case: str) -> None:
    data, words = MALFORMED[case]
    with pytest.raises(ElfError, match=words):
        ElfImage(data)


def test_a_section_that_ends_with_the_file_is_read() -> None:
    end = len(PLAIN) - ElfImage(PLAIN).sections[1].offset
    data = patched(PLAIN, ROW * 2 + 32, "<Q", end)

    assert ElfImage(data).sections == their_sections(data)


def test_a_section_without_contents_may_lie_behind_the_end() -> None:
    # gABI, sh_offset: for NOBITS it "locates the conceptual placement in the file"
    data = table_first([Row(b".bss", SHT_NOBITS, offset=1 << 20, size=64)])

    assert ElfImage(data).sections == their_sections(data)


def test_an_inactive_section_header_says_nothing() -> None:
    # gABI, SHT_NULL: "Other members of the section header have undefined values."
    data = table_first([Row(b".gone", SHT_NULL, offset=1 << 20, size=64)])

    assert ElfImage(data).sections == their_sections(data)


def test_sections_without_names_are_read() -> None:
    # gABI, e_shstrndx: SHN_UNDEF if the file has no table of names
    data = table_first([Row(b".text", data=b"text")], shstrndx=0)

    assert [s.name for s in ElfImage(data).sections] == ["", "", ""]


def symbol_table(symbols: bytes, names: bytes = b"\0name\0", *, link: int = 2) -> bytes:
    rows = [
        Row(b".symtab", SHT_SYMTAB, symbols, link=link, info=1, entsize=24),
        Row(b".strtab", SHT_STRTAB, names),
    ]
    return table_first(rows)


MALFORMED_SYMBOLS = {
    "half a symbol": (symbol_table(bytes(36)), "36 bytes are not a whole number of symbols"),
    "names in no section": (symbol_table(bytes(24), link=9), "names are in a section that"),
    "name behind the names": (
        symbol_table(LITTLE_64.symbol(99, 0, 0, 0, 0)), r"name of entry 0 \(offset 99\) has no end"
    ),
    "name without end": (
        symbol_table(bytes(24) + LITTLE_64.symbol(1, 0, 0, 0, 0), b"\0name"),
        r"name of entry 1 \(offset 1\) has no end",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED_SYMBOLS)
def test_a_malformed_symbol_table_is_refused_in_words(case: str) -> None:
    data, words = MALFORMED_SYMBOLS[case]
    with pytest.raises(ElfError, match=words):
        list(ElfImage(data).symbols())


SMALL = {layout: write_elf(CONTENTS, SYMBOLS, bits=layout[0], byte_order=layout[1])
         for layout in LAYOUTS}  # fmt: skip
damages = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 255) | st.sampled_from([0, 0x7F, 0xFF])),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(LAYOUTS), damages)
def test_any_damage_gives_an_elf_error_or_an_image(
    layout: tuple[int, str], damage: list[tuple[int, int]]
) -> None:
    data = bytearray(SMALL[layout])
    for at, value in damage:
        data[at % len(data)] = value
    try:
        image = ElfImage(bytes(data))
        list(image.symbols())
        for name in (".BTF", ".data", ".BTF_ids"):
            image.set_section(name, b"other")
        image.to_bytes()
    except ElfError:
        pass


@pytest.mark.parametrize("bits", [32, 64])
def test_a_removed_section_in_the_middle_keeps_all_indices_and_no_place_at_zero(bits: int) -> None:
    sections = {".one": b"1" * 8, ".gone": b"2" * 8, ".three": b"3" * 8}
    image = ElfImage(write_elf(sections, bits=bits))
    image.remove_section(".gone")

    after = ElfImage(image.to_bytes())

    assert after.data(".gone") is None
    assert after.data(".three") == b"3" * 8
    assert after.sections[3].name == ".three"
    assert after.sections[2].type == 0
    assert after.sections[2].offset >= (52 if bits == 32 else 64)
