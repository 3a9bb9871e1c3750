# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Editing ELF files without changing what stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elf.images import (
    CONTENTS,
    LAYOUTS,
    SHT_NULL,
    SYMBOLS,
    Row,
    check_places,
    every_layout,
    table_first,
    their_contents,
    their_sections,
    their_symbols,
)
from kbtf.elf.format import SHT_NOBITS, SHT_PROGBITS, Section
from kbtf.elf.image import ElfImage
from kbtf.errors import ElfError
from kbtf.testing import ElfSymbol, write_elf


def rows_of(image: ElfImage) -> dict[str, tuple[Section, bytes]]:
    return {s.name: (s, bytes(image.contents(s))) for s in image.sections}


def check_the_others(before: bytes, after: bytes, changed: set[str]) -> None:
    """Whatever is not in *changed* is what it was, by pyelftools, though it may have moved."""
    old, new = their_sections(before), their_sections(after)
    old_contents, new_contents = their_contents(before), their_contents(after)
    for row in old:
        if row[1] not in {*changed, ".shstrtab"}:
            assert without_offset(new[row[0]]) == without_offset(row)
            assert new_contents[row[1]] == old_contents[row[1]]
    assert their_symbols(after) == their_symbols(before)
    assert [row[1] for row in new[: len(old)]] == [row[1] for row in old]
    check_places(after)


def without_offset(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:5], *row[6:])


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
@pytest.mark.parametrize("size", [0, 1, 11, 13, 4097])
def test_a_section_grows_or_shrinks(bits: int, byte_order: str, size: int) -> None:
    before = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)
    image = ElfImage(before)
    image.set_section(".BTF_ids", b"n" * size)

    after = image.to_bytes()

    check_the_others(before, after, {".BTF_ids"})
    assert len(their_sections(after)) == len(their_sections(before))
    old, new = their_sections(before)[4], their_sections(after)[4]
    assert (*new[:5], *new[6:]) == (*old[:5], size, *old[7:])
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
