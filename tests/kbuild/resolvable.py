# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Modules whose ids are to be resolved, and both resolve_btfids side by side."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from kbtf import Btf, BtfBuilder, ElfImage, Kind
from kbtf.testing import ElfSymbol, make_base, make_ids, make_module, write_elf

from .standins import RESOLVE_BTFIDS, call

if TYPE_CHECKING:
    from kbtf.testing import Ids

    from .standins import Said


def build_base() -> Btf:
    """Functions f, twice, and struct s, twice."""
    b = make_base()
    proto = b.add_func_proto(0)
    b.add_func("f", proto)
    b.add_composite(Kind.STRUCT, "s", 4)
    b.add_func("f", proto)
    b.add_composite(Kind.STRUCT, "s", 8)
    return b.build()


def build_split() -> bytes:
    split = BtfBuilder(build_base())
    split.add_func("g", 3)
    return split.to_bytes()


BASE, SPLIT = build_base().to_bytes(), build_split()
SET8 = {"k": [("func", "g", 5), ("func", "f", 7), ("func", "gone", 9)]}


def all_ids(byte_order: str = "little") -> Ids:
    """Lists and sets with ids that are there, doubled or missing."""
    lists = {"l": [("func", "f"), ("func", "nope"), ("struct", "zz"), ("struct", "za")]}
    sets = {"q": [("func", "g"), ("func", "f")]}
    return make_ids(lists, sets, SET8, byte_order=byte_order)


def with_symbols(*symbols: tuple[str, int, int]) -> bytes:
    made = tuple(ElfSymbol(name, ".BTF_ids", at, size) for name, at, size in symbols)
    return write_elf({".BTF_ids": bytes(16), ".BTF": SPLIT}, made)


def with_section_field(elf: bytes, name: str, at: int, value: int) -> bytes:
    """An ELF64 file with 8 bytes of a section's header replaced."""
    section = ElfImage(elf).section(name)
    assert section is not None
    out = bytearray(elf)
    (start,) = struct.unpack_from("<Q", out, 40)
    struct.pack_into("<Q", out, start + 64 * section.number + at, value)
    return bytes(out)


def as_vmlinux() -> bytes:
    """An executable with .BTF_ids at an address, and base BTF."""
    address = 0xFFFFFFFF82000000
    made = make_ids(lists={"l": [("func", "f"), ("struct", "s")]}, set8s=SET8)
    symbols = tuple(s._replace(value=address + s.value) for s in made.symbols)
    elf = write_elf({".BTF": BASE, ".BTF_ids": made.data}, symbols, elf_type=2)
    return with_section_field(elf, ".BTF_ids", 16, address)


SAME = {
    "all of it": make_module(btf=SPLIT, ids=all_ids()),
    "big endian": make_module(btf=SPLIT, ids=all_ids("big"), byte_order="big"),
    "32 bits": make_module(btf=SPLIT, ids=all_ids(), bits=32),
    "two kinds with two types each": make_module(
        btf=SPLIT,
        ids=make_ids(lists={"l": [("func", "f"), ("func", "x"), ("struct", "s"), ("struct", "x")]}),
    ),
    "an empty set": make_module(btf=SPLIT, ids=make_ids(set8s={"k": []})),
    "a distilled base": make_module(btf=SPLIT, btf_base=BASE, ids=all_ids()),
    "another kind": with_symbols(("__BTF_ID__enum__e__1", 0, 0)),
    "a suffix with one underscore": with_symbols(("__BTF_ID__func__na_1", 0, 0)),
    "a slot that is not aligned": with_symbols(("__BTF_ID__func__f__1", 2, 0)),
    "a kind that only begins like one": with_symbols(("__BTF_ID__structs__f__1", 0, 0)),
    "a kind alone": with_symbols(("__BTF_ID__func", 0, 0)),
    "no name": with_symbols(("__BTF_ID__func__", 0, 0)),
    "a set without name": with_symbols(("__BTF_ID__set__", 0, 8)),
    "two sets of one name": with_symbols(("__BTF_ID__set__s", 0, 4), ("__BTF_ID__set__s", 4, 4)),
    "101 slots": make_module(btf=SPLIT, ids=make_ids(lists={"l": [("func", "f")] * 101})),
    "outside the section": with_symbols(
        ("__BTF_ID__func__zz__1", 0, 0),
        ("__BTF_ID__func__f__2", 16, 0),
        ("__BTF_ID__func__a__3", 4, 0),
    ),
    "no BTF": make_module(ids=all_ids()),
    "no ids": make_module(btf=SPLIT),
    "no symbols": with_symbols(),
    "other symbols only": with_symbols(("foo", 0, 0)),
    "not ELF": b"garbage" * 10,
    "empty": b"",
    "a compressed section": with_section_field(
        make_module(btf=SPLIT, ids=all_ids(), sections={".debug_info": bytes(32)}),
        ".debug_info",
        8,
        1 << 11,
    ),
}


def side_by_side(tool: Path, elf: bytes, *options: object) -> tuple[Said, bytes]:
    """What both make of an ELF file, once it is known to be the same."""
    results = []
    for program in (tool, RESOLVE_BTFIDS):
        Path("x.ko").write_bytes(elf)
        said = call(program, *options, "x.ko")
        results.append((said, Path("x.ko").read_bytes()))
    (theirs, their_file), (ours, our_file) = results
    assert (ours.code, ours.out, ours.words) == (theirs.code, theirs.out, theirs.words)
    assert our_file == their_file
    return ours, our_file
