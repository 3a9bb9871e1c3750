# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Puts ``.BTF`` and ``.BTF.base`` into the module; ``.BTF_ids`` was filled in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import hookimpl

if TYPE_CHECKING:
    from kbtf import Config, Module


@hookimpl
def kbtf_embed_sections(module: Module, config: Config) -> None:
    if module.btf is not None:
        module.set_section(".BTF", module.btf.to_bytes())
    if module.btf_base is not None:
        module.set_section(".BTF.base", module.btf_base.to_bytes())
