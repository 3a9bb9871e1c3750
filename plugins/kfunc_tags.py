# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tags kfuncs in the BTF if an old pahole (before 1.27) did not; only on request.

Later kernels and ``bpftool btf dump file M.ko format c`` recognise a kfunc by its declaration tag
``bpf_kfunc``.  The kernel itself uses the sets, so loading does not depend on this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import Kind, hookimpl, read_ids

if TYPE_CHECKING:
    from kbtf import Btf, BtfIds, Config, Module, OptionGroup

TAG = "bpf_kfunc"


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--kfunc-tags",
        action="store_true",
        default=False,
        safe=True,
        help="add the declaration tags of kfuncs, which pahole before 1.27 omits",
    )


@hookimpl
def kbtf_after_link(module: Module, config: Config) -> None:
    if not config["kfunc-tags"]:
        return
    ids = read_ids(module.image)
    btf = module.btf
    if ids is None or btf is None:
        return
    missing = _untagged(btf, _kfuncs(ids))
    if missing:
        module.set_btf(_tagged(btf, missing), module.btf_base)
        module.note(f"kfuncs tagged: {len(missing)}")


def _kfuncs(ids: BtfIds) -> list[str]:
    """The functions in sets that are marked as kfunc sets, by their symbols."""
    return [
        slot.name
        for id_set in ids.sets
        if ids.is_kfunc_set(id_set)
        for slot in ids.slots_of(id_set)
        if slot.kind is Kind.FUNC
    ]


def _untagged(btf: Btf, kfuncs: list[str]) -> list[int]:
    """Ids of the module's own functions with these names and without a tag, ascending."""
    tagged = {
        t.type
        for t in btf
        if t.kind is Kind.DECL_TAG and t.name == TAG and t.component_idx == -1 and not t.kind_flag
    }
    found = {t.id for name in kfuncs for t in btf.find_all(name, Kind.FUNC)}
    return sorted(i for i in found if i >= btf.start_id and i not in tagged)


def _tagged(btf: Btf, functions: list[int]) -> Btf:
    """The same BTF with tags after its types, so that no id changes."""
    from kbtf import BtfBuilder  # only on request

    new = BtfBuilder(btf.base, byte_order=btf.byte_order)
    for btf_type in btf:
        new.add_copy(btf_type)
    for function in functions:
        new.add_decl_tag(TAG, function)
    return new.build()
