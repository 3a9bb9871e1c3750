# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""ELF files that are malformed, truncated or damaged."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elf.images import (
    CONTENTS,
    LAYOUTS,
    LITTLE_64,
    PLAIN,
    ROW,
    SHN_XINDEX,
    SHT_NULL,
    SHT_STRTAB,
    SYMBOLS,
    Row,
    patched,
    table_first,
    their_sections,
)
from kbtf.elf.format import SHT_NOBITS, SHT_PROGBITS, SHT_SYMTAB
from kbtf.elf.image import ElfImage
from kbtf.errors import ElfError
from kbtf.testing import write_elf


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


MALFORMED = {
    "empty": (b"", "is empty"),
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
