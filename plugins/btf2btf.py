# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Processes split BTF like Kbuild's BTF-to-BTF step, so that it fits the kernel's own BTF.

Types that the kernel also has are left out, wherever the BTF comes from: to the verifier, a
module's own copy of ``struct task_struct`` is not the kernel's.  For kernels since 7.0, kfuncs with
KF_IMPLICIT_ARGS get the function ``<name>_impl``, and all kfuncs get their tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import (
    BtfError,
    Kind,
    deduplicate_with_ids,
    hookimpl,
    load_index,
    move_ids,
    read_ids,
    sorts_types,
)

if TYPE_CHECKING:
    from kbtf import Btf, BtfIds, Config, Module

_NAMED = 3
"""The most structs that a message names."""


@hookimpl
def kbtf_after_link(module: Module, config: Config) -> None:
    btf = module.btf
    if btf is None:
        return
    if module.has_btf_base:
        _warn_if_distilled_with_copies(module, btf)
        return
    is_wanted = sorts_types(module.base)
    ids = read_ids(module.image)
    if is_wanted and ids is not None and not ids.is_resolved:
        btf = _transformed(module, btf, ids)
        module.set_btf(btf)
    load_index(module.base, cache=not config["no-cache"])
    try:
        made = deduplicate_with_ids(btf)
    except BtfError as error:
        module.warn(f"{error}; its BTF repeats types of the kernel")
        _warn_of_copies(module, btf)
        return
    repeated = list(made.repeated())
    if repeated:
        module.note(f"copies of the kernel's types left out: {len(repeated)}")
    if repeated or is_wanted:
        move_ids(module, btf, made.new_id)
        module.set_btf(made.split)
        btf = made.split
    _warn_of_copies(module, btf)


def _transformed(module: Module, btf: Btf, ids: BtfIds) -> Btf:
    """The BTF with its kfuncs as kernels since 7.0 expect them."""
    from kbtf import Kfuncs, transform_kfuncs  # only these kernels need it

    kfuncs = Kfuncs(btf, ids)
    for found in kfuncs.found:
        if found.is_warning:
            module.warn(f".BTF_ids: {found.text}")
    return transform_kfuncs(kfuncs)


def _warn_of_copies(module: Module, btf: Btf) -> None:
    """Report kernel structs of which kfuncs still use the module's own copy."""
    ids = read_ids(module.image)
    if ids is None or not ids.kfuncs:
        return
    from kbtf import own_copies  # only modules with kfuncs need it

    copies = [btf[type_id] for type_id in own_copies(btf, ids, module.base)]
    if not copies:
        return
    named = sorted({f"{found.keyword} {found.name}" for found in copies})
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    module.warn(
        f"kfuncs take {', '.join(named[:_NAMED])}{more} that the kernel also has, but defines "
        f"differently: to the verifier, they are different types; {_cause(btf, module.base)}"
    )


def _warn_if_distilled_with_copies(module: Module, btf: Btf) -> None:
    """Report BTF that Kbuild distilled although its pahole had not left out the kernel's types.

    Only the kernel defines ``struct module``, so this needs no base.
    """
    ids = read_ids(module.image)
    if ids is None or not ids.kfuncs or not btf.find("module", Kind.STRUCT):
        return
    module.warn(
        "its .BTF, which was distilled before, repeats types of the kernel: to the verifier, they "
        "are different types; build it with 'kbtf build', which leaves them out"
    )


def _cause(btf: Btf, base: Btf) -> str:
    """Why types that look alike were not merged."""
    if _nests_arrays(btf) and not load_index(base).nested_arrays:
        return (
            "its BTF nests arrays as pahole 1.32 does, the kernel's does not: encode it without "
            "that pahole"
        )
    return "build it with the headers and the compiler of this kernel"


def _nests_arrays(btf: Btf) -> bool:
    return any(
        found.array is not None and btf[found.array.type].kind is Kind.ARRAY for found in btf
    )
