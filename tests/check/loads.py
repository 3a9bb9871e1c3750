# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kernel, and modules to be judged by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import Btf, BtfBuilder, Kind, Module, distill, read_ids, resolve_ids
from kbtf.btf.rules import OLDEST
from kbtf.check.kernel import Kernel
from kbtf.kernel.features import module_btf_support
from kbtf.testing import make_base, make_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbtf.check.result import Result
    from kbtf.findings.finding import Finding
    from kbtf.testing import Ids

RULES = OLDEST._replace(max_kind=Kind.ENUM64, name_len=512)
RELEASE = "6.12.0-test"


def kernel(btf: Btf, *, release: str = RELEASE, allow_mismatch: bool | None = True) -> Kernel:
    support = module_btf_support(btf)
    return Kernel(release, "vmlinux", release, btf, support, RULES, allow_mismatch)


def base(size: int = 16, *, add: Callable[[BtfBuilder], object] | None = None) -> BtfBuilder:
    """int [1], struct module [2], struct thing [3]."""
    b = make_base()
    b.add_composite(Kind.STRUCT, "thing", size)
    if add:
        add(b)
    return b


def module_of(split: BtfBuilder, *, distilled: bool = True, ids: Ids | None = None) -> Module:
    """A module with that split BTF; *ids* resolved against what it carries."""
    btf = split.build()
    made = distill(btf) if distilled else None
    if ids is not None:
        read = read_ids(Module(make_module(ids=ids)).image)
        assert read is not None
        ids = ids._replace(data=resolve_ids(read, made.split if made else btf).ids.to_bytes())
    data = make_module(
        btf=made.split.to_bytes() if made else btf.to_bytes(),
        btf_base=made.base.to_bytes() if made else None,
        ids=ids,
        release=RELEASE,
    )
    return Module(data, "tiny.ko")


def pointing(b: BtfBuilder) -> BtfBuilder:
    """A module with a pointer to struct thing."""
    s = BtfBuilder(b.build())
    s.add_func("use", s.add_func_proto(1, [("thing", s.add_ref(Kind.PTR, 3))]))
    return s


def embedding(b: BtfBuilder) -> BtfBuilder:
    """A module with struct thing in a struct of its own, behind a typedef and an array."""
    s = BtfBuilder(b.build())
    array = s.add_array(s.add_ref(Kind.TYPEDEF, 3, "thing_t"), 1, 2)
    s.add_composite(Kind.STRUCT, "mine", 40, [("count", 1, 0), ("things", array, 64)])
    return s


def only(result: Result) -> Finding:
    (finding,) = (f for f in result.findings if f.code != "kfuncs-lost")
    return finding
