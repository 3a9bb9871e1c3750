# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Kfuncs with implicit arguments, and BTF as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import Btf, BtfBuilder, Kind
from kbtf.btf.dump.raw import dump_raw
from kbtf.testing import make_base, make_ids

if TYPE_CHECKING:
    from kbtf.testing import Ids

KF_FASTCALL, KF_IMPLICIT_ARGS = 1 << 12, 1 << 16


def text(btf: Btf) -> str:
    return "".join(dump_raw(btf)).rstrip("\n")


def kfunc_ids(*kfuncs: tuple[str, int], more: tuple[tuple[str, int], ...] = ()) -> Ids:
    sets = {"kfuncs": [("func", name, flags) for name, flags in kfuncs]}
    if more:
        sets["more"] = [("func", name, flags) for name, flags in more]
    return make_ids(set8s=sets)


def implicit_split() -> BtfBuilder:
    """Two kfuncs with implicit arguments, of which pahole tagged one."""
    base = make_base()
    base.add_composite(Kind.STRUCT, "bpf_prog_aux", 8)
    split = BtfBuilder(base.build())
    aux = split.add_ref(Kind.PTR, split.add_ref(Kind.CONST, 3))
    proto = split.add_func_proto(1, [("x", 1), ("aux", split.add_ref(Kind.CONST, aux)), ("y", 1)])
    first = split.add_func("first", proto, linkage=0)
    split.add_decl_tag("bpf_kfunc", first)
    split.add_decl_tag("mine", first, component_idx=0)
    split.add_func("second", proto)
    split.add_func("plain", split.add_func_proto(0))
    return split
