# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What kernels take, and what is said of BTF."""

from __future__ import annotations

from kbtf import BtfBuilder, Kind, Severity, verify
from kbtf.btf.rules import OLDEST, Rules

NOW = OLDEST._replace(max_kind=Kind.ENUM64, name_len=512)
SEVEN = Rules(
    info_mask=0xFFFFFFFF,
    max_kind=Kind.ENUM64,
    name_len=512,
    flag_on_tags=True,
    tags_first=False,
    layout_header=True,
    unique_kfuncs=True,
)
"""Those of 6.12 and 7.3."""


def builder() -> BtfBuilder:
    b = BtfBuilder(byte_order="little")
    b.add_int("int", 4, encoding=1)
    return b


def texts(b: BtfBuilder, rules: Rules = NOW) -> list[str]:
    return [v.text for v in verify(b.build(), rules) if v.severity is Severity.ERROR]
