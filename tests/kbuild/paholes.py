# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Options for pahole, prepared cases of encoding, and ``kbtf-pahole`` in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kbtf import BtfBuilder, Kind
from kbtf.testing import make_base
from real import encoding_cases

from .standins import PAHOLE, Said, call

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = encoding_cases()
SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")

LIST = "encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func"


def words(text: str) -> str:
    """Words in an order that does not depend on ours."""
    return " ".join(
        f"--btf_features={','.join(sorted(word.partition('=')[2].split(',')))}"
        if word.startswith("--btf_features")
        else word
        for word in sorted(text.split())
    )


def encode(*args: object) -> Said:
    return call(PAHOLE, "-J", *args)


def fake_encoder(fake: Callable[..., Path]) -> None:
    """A pahole that finds a typedef in every module, and a vmlinux for it."""
    fake("v1.31", 'for a; do case $a in --btf_encode_detached=*) cp split "${a#*=}";; esac; done')
    base = make_base().build()
    Path("vmlinux").write_bytes(base.to_bytes())
    split = BtfBuilder(base)
    split.add_ref(Kind.TYPEDEF, 1, "number")
    Path("split").write_bytes(split.to_bytes())
