# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Base BTF as another compiler would have named its types.

pahole omits a type from a module's BTF only if the base has exactly the same.  Two details depend
on the compiler: gcc and clang name integers differently in DWARF, and clang drops the qualifiers
of a member that is an anonymous struct or union.  One such difference repeats all types that lead
to it in the module, and to the verifier, a BPF program's ``struct task_struct *`` is then not the
type in the module's kfuncs.  (Observed with gcc 12, clang 14 and pahole 1.24 to 1.31.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from kbtf.btf.base import base_file
from kbtf.btf.kinds import COMPOSITES, Kind
from kbtf.btf.raw import RawBtf

if TYPE_CHECKING:
    from kbtf.btf.base import Base
    from kbtf.btf.btf import Btf
    from kbtf.elf.module import Module

_CLANG_NAMES = {
    "long int": "long",
    "long unsigned int": "unsigned long",
    "short int": "short",
    "short unsigned int": "unsigned short",
    "long long int": "long long",
    "long long unsigned int": "unsigned long long",
    "__int128 unsigned": "unsigned __int128",
}


def base_path(module: Module, folder: str) -> str:
    """A file with `encoding_base` for pahole; if there is none, it is created in *folder*."""
    return base_file(encoding_base(module), folder)


def encoding_base(module: Module) -> Base:
    """The base in which an encoder looks up the types of *module*.

    If the kernel was built with gcc and the module with clang, its types have the names that clang
    uses, because otherwise few would match; all ids are the same.
    """
    base = module.found_base
    kernels = made_by(base.btf)
    if kernels == "gcc" and module.compiler == "clang":
        module.note(
            "built with clang for a kernel built with gcc: types are matched by clang's names"
        )
        return base._replace(btf=as_by_clang(base.btf), path=None)
    if kernels == "clang" and module.compiler == "gcc":
        module.warn(
            "built with gcc for a kernel built with clang: .BTF repeats types of the kernel, and "
            "kfuncs cannot take them from BPF programs; build with LLVM=1"
        )
    return base


def made_by(base: Btf) -> str | None:
    """``gcc`` or ``clang``, by the names of integers; None if these do not show it."""
    if base.find("long int", Kind.INT):
        return "gcc"
    return "clang" if base.find("long", Kind.INT) else None


@lru_cache(maxsize=1)
def as_by_clang(base: Btf) -> Btf:
    """*base*, made by gcc, with clang's names.

    All ids and string offsets are the same, so that split BTF made on it fits *base* as well.  A
    kernel's takes some 100 ms to make, and is made once for all modules of a run.
    """
    raw = RawBtf(base)
    for gcc, clang in _CLANG_NAMES.items():
        raw.respell(gcc, clang)
    _unqualify_members(raw)
    return raw.build()


def _unqualify_members(raw: RawBtf) -> None:
    words, starts = raw.words, raw.starts
    kinds = [words[start + 1] >> 24 & 0x7F for start in starts]
    composites = [at for at, kind in enumerate(kinds) if kind in COMPOSITES]
    anonymous = {at + raw.start_id for at in composites if not words[starts[at]]}
    qualified = {}
    for at, kind in enumerate(kinds):
        target = words[starts[at] + 2]
        if kind in (Kind.CONST, Kind.VOLATILE) and target in anonymous:
            qualified[at + raw.start_id] = target
    for at in composites:
        first = starts[at] + 3
        end = first + 3 * (words[starts[at] + 1] & 0xFFFFFF)
        for member in range(first + 1, end, 3):
            words[member] = qualified.get(words[member], words[member])
