# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Malformed BTF and ids of modules: one line that says what is wrong, and every file as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.folders import (
    BAD_INPUT,
    DISTILLED,
    GOOD,
    IDS,
    RUN,
    SPLIT_BLOB,
    module,
    other_base,
    patched,
    split_on,
)
from kbtf import Module, read_ids, resolve_ids
from kbtf.testing import ElfSymbol, Ids, make_ids

if TYPE_CHECKING:
    from cli.folders import Folder


# FUNC_PROTO with one parameter, of 20 bytes, then FUNC
BAD_SPLITS = {
    "no BTF": (b"this is a text and no BTF at all", "no BTF magic"),
    "half a header": (SPLIT_BLOB[:20], "header"),
    "last byte missing": (SPLIT_BLOB[:-1], "past the end"),
    "name out of range": (patched(SPLIT_BLOB, 44, "<I", 0xFFFFFF), "name offset 16777215"),
    "parameter's name out of range": (patched(SPLIT_BLOB, 36, "<I", 9999), "name offset 9999"),
    "vlen out of range": (patched(SPLIT_BLOB, 28, "<I", 13 << 24 | 0xFFFF), "vlen 65535"),
    "kind out of range": (patched(SPLIT_BLOB, 48, "<I", 99 << 24), "kind 99"),
    "type id out of range": (patched(SPLIT_BLOB, 40, "<I", 9999), "type id 9999"),
}
DISTILLED_BASE, DISTILLED_SPLIT = DISTILLED.base.to_bytes(), DISTILLED.split.to_bytes()
# INT of 16 bytes, then STRUCT
BAD_DISTILLED_BASES = {
    "no BTF": (b"this is a text and no BTF at all", "no BTF magic"),
    "half a header": (DISTILLED_BASE[:20], "header"),
    "last byte missing": (DISTILLED_BASE[:-1], "past the end"),
    "name out of range": (patched(DISTILLED_BASE, 24, "<I", 0xFFFFFF), "name offset 16777215"),
    "vlen out of range": (patched(DISTILLED_BASE, 44, "<I", 4 << 24 | 0xFFFF), "vlen 65535"),
    "kind out of range": (patched(DISTILLED_BASE, 28, "<I", 99 << 24), "kind 99"),
    "type id out of range": (patched(DISTILLED_BASE, 44, "<II", 2 << 24, 999), "type id 999"),
}


def test_malformed_btf_of_a_module_is_refused(folder: Folder) -> None:
    cases = {case: (module(data), words) for case, (data, words) in BAD_SPLITS.items()}

    folder.refuses_all(folder.write_all(cases), *RUN)


def test_malformed_btf_on_a_distilled_base_is_refused(folder: Folder) -> None:
    # FUNC_PROTO of 20 bytes, then FUNC
    broken = patched(DISTILLED_SPLIT, 52, "<I", 9999)
    folder.write("bad.ko", module(broken, DISTILLED_BASE))

    folder.refuses(*RUN, "bad.ko", code=BAD_INPUT, names="bad.ko: .BTF: ", says="type id 9999")
    folder.refuses("show", "bad.ko", code=BAD_INPUT, names="bad.ko: .BTF: ", says="type id 9999")


@pytest.mark.parametrize("command", [RUN, ("show",)], ids=["run", "show"])
def test_a_malformed_distilled_base_is_refused(command: tuple[str, ...], folder: Folder) -> None:
    cases = {
        case: (module(DISTILLED_SPLIT, data), words)
        for case, (data, words) in BAD_DISTILLED_BASES.items()
    }

    folder.refuses_all(folder.write_all(cases), *command)


# .BTF_ids that makes no sense


def ids(*symbols: ElfSymbol, words: int = 4) -> Ids:
    return Ids(bytes(4 * words), symbols)


def symbol(name: str, at: int = 0, size: int = 0) -> ElfSymbol:
    return ElfSymbol(f"__BTF_ID__{name}", ".BTF_ids", at, size)


BAD_IDS = {
    "a slot behind the section": (ids(symbol("func__f__1", 16)), "__BTF_ID__func__f__1"),
    "a slot before the section": (ids(symbol("func__f__1", 2**64 - 4)), "__BTF_ID__func__f__1"),
    "a set without its count": (ids(symbol("set8__kfuncs", 0, 4)), "set kfuncs"),
    "two sets of a name": (
        ids(symbol("set8__kfuncs", 0, 8), symbol("set8__kfuncs", 8, 8)), "two sets kfuncs"
    ),
    "an unknown kind": (ids(symbol("enum__e__1")), "kind 'enum'"),
    "no suffix": (ids(symbol("func__name")), "__BTF_ID__func__name"),
    "a suffix with one underscore": (ids(symbol("func__na_1")), "__BTF_ID__func__na_1"),
    "half a word": (
        Ids(bytes(7), (symbol("func__f__1"),)), "7 bytes are not a whole number of words"
    ),
    "101 slots of a name": (
        make_ids({"list": [("func", "do_work")] * 101}), "more than 100 slots for do_work"
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", [RUN, ("show",)], ids=["run", "show"])
def test_ids_that_make_no_sense_are_refused(command: tuple[str, ...], folder: Folder) -> None:
    cases = {case: (module(ids=made), words) for case, (made, words) in BAD_IDS.items()}

    folder.refuses_all(folder.write_all(cases), *command)


def test_ids_without_btf_or_dwarf_are_refused(folder: Folder) -> None:
    folder.write("bad.ko", module(btf=None))

    folder.refuses(*RUN, "bad.ko", code=BAD_INPUT, names="bad.ko", says="neither BTF nor DWARF")


@pytest.mark.parametrize("base", [None, DISTILLED_BASE], ids=["plain", "distilled"])
def test_ids_resolved_against_another_base_are_refused(base: bytes | None, folder: Folder) -> None:
    unresolved = read_ids(Module(GOOD).image)
    assert unresolved is not None
    other = split_on(other_base("shifted types"))
    resolved = resolve_ids(unresolved, other).ids.to_bytes()
    split = SPLIT_BLOB if base is None else DISTILLED_SPLIT
    folder.write("bad.ko", module(split, base, IDS._replace(data=resolved)))

    for option in ("auto", "never"):
        folder.refuses(
            *RUN, "--distill", option, "bad.ko",
            code=BAD_INPUT, names="bad.ko: .BTF_ids: ", says="resolved against",
        )  # fmt: skip
