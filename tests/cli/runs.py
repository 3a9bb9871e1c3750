# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kernel and a module for `kbtf run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf import Btf, BtfBuilder, Kind
from kbtf.program import main
from kbtf.testing import make_base, make_ids, make_module

if TYPE_CHECKING:
    from pathlib import Path

    from kbtf.testing import Ids

RELEASE = "6.12.0-test"
SLEEPABLE, TRUSTED = 0x20, 0x10


class Kernel(NamedTuple):
    """A kernel's BTF in a file, and in memory."""

    path: Path
    btf: Btf


def make_kernel(folder: Path, members: tuple[str, ...] = ("btf_data", "btf_base_data")) -> Kernel:
    base = make_base(module_members=members)
    base.add_composite(Kind.STRUCT, "list_head", 16)
    base.add_ref(Kind.PTR, 3)
    path = folder / "vmlinux.btf"
    path.write_bytes(base.to_bytes())
    return Kernel(path, base.build())


def kfuncs_on(base: Btf) -> Btf:
    """Two kfuncs, one with a pointer to a struct of the kernel; ids against their order."""
    s = BtfBuilder(base)
    proto = s.add_func_proto(1, [("head", 4)])
    s.add_func("do_sleep", proto)
    s.add_func("do_add", proto)
    return s.build()


KFUNCS = make_ids(set8s={"kfuncs": [("func", "do_add", TRUSTED), ("func", "do_sleep", SLEEPABLE)]})


def write_module(
    folder: Path, btf: Btf | None, ids: Ids | None = KFUNCS, *, intree: bool = False
) -> Path:
    data = btf.to_bytes() if btf is not None else None
    path = folder / "tiny.ko"
    path.write_bytes(make_module(btf=data, ids=ids, release=RELEASE, intree=intree))
    return path


def run(*args: object) -> int:
    return main(["run", *map(str, args)])
