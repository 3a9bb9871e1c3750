# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Sorts a module's types by name if the kernel expects that order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import hookimpl, read_ids, sorts_types

if TYPE_CHECKING:
    from kbtf import Config, Module


@hookimpl
def kbtf_distill(module: Module, config: Config) -> None:
    btf = module.btf
    # BTF that needs no base comes from an earlier run, or from Kbuild.
    if btf is None or not module.base_is_known or not sorts_types(module.base):
        return
    ids = read_ids(module.image)
    # Kbuild sorted before it resolved ids; moving all ids again would gain nothing.
    if ids is None or not ids.is_resolved:
        from kbtf import sort_types  # only kernels since 7.0 need it

        module.set_btf(sort_types(btf), module.btf_base)
