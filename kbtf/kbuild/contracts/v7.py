# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The contract of Linux 7.0: files next to the module, which scripts/gen-btf.sh embeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.kbuild.contracts.contract import Contract

if TYPE_CHECKING:
    from kbtf.kbuild.resolve_btfids.options import Options


def _is_shown_by(options: Options) -> bool:
    return "patch_btfids" in options.values or "distill_base" in options.flags


def _resolve(options: Options) -> int:
    from kbtf.kbuild.resolve_btfids import files

    if "patch_btfids" in options.values:
        return files.patch(options)
    return files.write_files(options)


V7 = Contract("7", "from 7.0", is_shown_by=_is_shown_by, resolve=_resolve)
