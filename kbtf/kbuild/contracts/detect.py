# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Detect the contract of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.kbuild.console import named_in_environment
from kbtf.kbuild.contracts.v6 import V6
from kbtf.kbuild.contracts.v7 import V7

if TYPE_CHECKING:
    from kbtf.kbuild.contracts.contract import Contract
    from kbtf.kbuild.resolve_btfids.options import Options

CONTRACTS = (V6, V7)


def detect(options: Options) -> Contract:
    """The contract that the options show, else that of ``$KBTF_CONTRACT``, else the oldest.

    The option ``--btf`` alone does not decide: both have it.
    """
    shown = [contract for contract in CONTRACTS if contract.is_shown_by(options)]
    chosen = named_in_environment("KBTF_CONTRACT", [contract.name for contract in CONTRACTS])
    named = [contract for contract in CONTRACTS if contract.name == chosen]
    likely = [V7] if _is_called_as_by_7(options) else [V6]
    return (shown or named or likely)[0]


def _is_called_as_by_7(options: Options) -> bool:
    return (
        "fmodret_error_injection" in options.flags
        or options.values.get("btf") == f"{options.elf}.BTF.1"
    )
