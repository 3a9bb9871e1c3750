# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Small modules with BTF and ``.BTF_ids``, built in memory."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.builder import BtfBuilder
from kbtf.btf.kinds import Kind
from kbtf.ids.btf_ids import SET8_KFUNCS
from kbtf.testing.elfwriter import ElfSymbol, write_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kbtf.btf.btf import Btf


class Ids(NamedTuple):
    """An unresolved ``.BTF_ids`` section and its symbols, as the linker leaves them."""

    data: bytes
    symbols: tuple[ElfSymbol, ...]


def make_ids(
    lists: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    sets: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    set8s: Mapping[str, Sequence[tuple[str, str, int]]] | None = None,
    *,
    byte_order: str = "little",
) -> Ids:
    """Lists and sets of (kind, name), and set8s of (kind, name, flags), by name."""
    words: list[int] = []
    symbols: list[ElfSymbol] = []

    def slot(kind: str, name: str) -> None:
        unique = len(symbols)
        symbols.append(ElfSymbol(f"__BTF_ID__{kind}__{name}__{unique}", ".BTF_ids", 4 * len(words)))
        words.append(0)

    def frame(kind: str, name: str, size: int) -> None:
        at = 4 * len(words)
        symbols.append(ElfSymbol(name, ".BTF_ids", at))
        symbols.append(ElfSymbol(f"__BTF_ID__{kind}__{name}", ".BTF_ids", at, size))

    for name, entries in (lists or {}).items():
        symbols.append(ElfSymbol(name, ".BTF_ids", 4 * len(words)))
        for entry in entries:
            slot(*entry)
    for name, entries in (sets or {}).items():
        frame("set", name, 4 + 4 * len(entries))
        words.append(0)
        for entry in entries:
            slot(*entry)
    for name, pairs in (set8s or {}).items():
        frame("set8", name, 8 + 8 * len(pairs))
        words.extend((0, SET8_KFUNCS))
        for kind, function, flags in pairs:
            slot(kind, function)
            words.append(flags)
    order = ">" if byte_order == "big" else "<"
    return Ids(struct.pack(f"{order}{len(words)}I", *words), tuple(symbols))


def make_module(
    name: str = "tiny",
    *,
    btf: bytes | None = None,
    btf_base: bytes | None = None,
    ids: Ids | None = None,
    release: str = "6.12.0-test",
    intree: bool = False,
    bits: int = 64,
    byte_order: str = "little",
    sections: Mapping[str, bytes] | None = None,
) -> bytes:
    """The bytes of a ``.ko`` with a ``.modinfo`` and the given sections."""
    modinfo = [f"name={name}", f"vermagic={release} SMP mod_unload", "license=GPL"]
    modinfo += ["intree=Y"] if intree else []
    contents = {
        ".text": b"\x90" * 16,
        ".modinfo": "\0".join([*modinfo, ""]).encode("utf-8", "surrogateescape"),
        **(sections or {}),
    }
    if ids:
        contents[".BTF_ids"] = ids.data
    if btf is not None:
        contents[".BTF"] = btf
    if btf_base is not None:
        contents[".BTF.base"] = btf_base
    return write_elf(contents, ids.symbols if ids else (), bits=bits, byte_order=byte_order)


def make_base(*, module_members: Sequence[str] = ("btf_data", "btf_base_data")) -> BtfBuilder:
    """The beginning of a kernel's BTF: int, and struct module with members of these names.

    The names decide whether the kernel can relocate (kbtf.module_btf_support).
    """
    base = BtfBuilder(byte_order="little")
    integer = base.add_int("int", 4, encoding=1)
    members = [(name, integer, 32 * at) for at, name in enumerate(module_members)]
    base.add_composite(Kind.STRUCT, "module", 4 * len(members), members)
    return base


def make_kfuncs(base: Btf, names: Iterable[str]) -> bytes:
    """Split BTF on *base* with functions that take a pointer to its first struct and return int."""
    split = BtfBuilder(base)
    struct_id = next(t.id for t in base if t.kind is Kind.STRUCT)
    returned = next(t.id for t in base if t.kind is Kind.INT)
    proto = split.add_func_proto(returned, [("it", split.add_ref(Kind.PTR, struct_id))])
    for name in names:
        split.add_func(name, proto)
    return split.to_bytes()
