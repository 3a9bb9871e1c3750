# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What is fuzzed in Python: by name, a function of any bytes that ends, or raises a KbtfError.

A result that is made must be readable again; everything else than a KbtfError is a finding.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from kbtf import Btf, ElfImage, KbtfError, Module, open_btf, read_ids, resolve_ids
from kbtf.bpf.audit.rules import audit
from kbtf.bpf.kernel import make_target
from kbtf.bpf.kfuncs import read_kfuncs
from kbtf.bpf.ksyms import link
from kbtf.bpf.object import read_object
from kbtf.bpf.resolve import Loader
from kbtf.btf.base import Base
from kbtf.btf.dump.c.header import dump_c
from kbtf.btf.dump.json import dump_json
from kbtf.btf.dump.raw import dump_raw
from kbtf.kbuild.cmdfiles import read_cmd, read_symvers
from kbtf.testing.elfwriter import ElfSymbol, write_elf
from kbtf.testing.modules import make_base

if TYPE_CHECKING:
    from collections.abc import Callable

_BASE = make_base().build()
_KERNEL = make_target(Base(_BASE, "vmlinux", None, "6.12.0-test"), ())
_FOLDER = tempfile.TemporaryDirectory(prefix="kbtf-fuzz-")


def btf(data: bytes) -> None:
    """BTF is read, walked through, and written as it was."""
    found = Btf.parse(data)
    for t in found:
        assert 0 < t.id < found.end_id
        _ = t.members, t.params, t.enumerators, t.entries, t.array, t.int_encoding
    assert found.to_bytes() == data


def dump(data: bytes) -> None:
    """BTF is printed in all forms."""
    found = Btf.parse(data)
    for _ in dump_raw(found), dump_json(found):
        list(_)
    dump_c(found)


def elf(data: bytes) -> None:
    """An ELF file is read, written as it was, and still is one after an edit."""
    image = ElfImage(data)
    for section in image.sections:
        try:
            image.contents(section)
        except KbtfError:
            continue
    try:
        list(image.symbols())
    except KbtfError:
        pass
    assert image.to_bytes() == data
    old = image.section(".BTF")
    image.set_section(".BTF", b"0123456789"[: old.size if old else 10])
    image.set_section(".new", b"")
    again = ElfImage(image.to_bytes())
    assert again.data(".BTF") == image.data(".BTF")
    assert again.data(".new") == b""
    image.remove_section(".new")
    assert ElfImage(image.to_bytes()).section(".new") is None


def module(data: bytes) -> None:
    """A module, compressed or signed perhaps, says of itself what a run asks."""
    found = Module(data, "fuzz.ko")
    found.require_unsigned(strip=True)
    _ = found.name, found.release, found.intree, found.has_btf, found.btf_base
    _ = found.btf if found.has_btf_base else None
    ids = read_ids(found.image)
    if ids is not None:
        assert len(ids.to_bytes()) % 4 == 0
    Module(found.to_bytes(), "again.ko")


def btf_ids(data: bytes) -> None:
    """Symbols of .BTF_ids, lines of kind, name, offset and size, are resolved or refused."""
    text, _, contents = data.partition(b"\0")
    symbols = []
    for line in text.decode("latin-1").splitlines():
        name, *numbers = line.split()[:3] or [""]
        offset, size = ([int(n) & 0xFFFFFFFF if n.isdecimal() else 0 for n in numbers] + [0, 0])[:2]
        symbols.append(ElfSymbol(f"__BTF_ID__{name}", ".BTF_ids", offset, size))
    image = ElfImage(write_elf({".BTF_ids": contents}, tuple(symbols)))
    ids = read_ids(image)
    if ids is None:
        return
    image.set_section(".BTF_ids", resolve_ids(ids, _BASE).ids.to_bytes())
    again = read_ids(ElfImage(image.to_bytes()))
    assert again is not None
    assert len(again.slots) == len(ids.slots)


def kernel(data: bytes) -> None:
    """A kernel image in any form gives its BTF or says why not."""
    path = os.path.join(_FOLDER.name, "vmlinuz")
    with open(path, "wb") as file:
        file.write(data)
    found = open_btf(path, cache=False)
    assert Btf.parse(found.to_bytes(), found.base).end_id == found.end_id


def bpf(data: bytes) -> None:
    """A BPF object is linked by both loaders, or refused."""
    found = read_object(data)
    for loader in Loader:
        link(found, _KERNEL, loader)


def kfuncs(data: bytes) -> None:
    """The kfunc sets of a module are audited."""
    found = Module(data, "fuzz.ko")
    if found.has_btf_base or not found.has_btf:
        audit(read_kfuncs(found), _BASE, {})


def cmd(data: bytes) -> None:
    """Kbuild's .cmd files are read whatever they hold."""
    text = data.decode("utf-8", "surrogateescape")
    assert all(name and not name.isspace() for name in read_cmd(text))
    read_symvers(text)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "btf": btf,
    "dump": dump,
    "elf": elf,
    "module": module,
    "btf_ids": btf_ids,
    "kernel": kernel,
    "bpf": bpf,
    "kfuncs": kfuncs,
    "cmd": cmd,
}


def run_one(name: str, data: bytes) -> None:
    """Give *data* to a target; only what breaks its contract comes out."""
    try:
        TARGETS[name](data)
    except KbtfError as error:
        if not str(error):
            raise AssertionError("an error without words") from error
