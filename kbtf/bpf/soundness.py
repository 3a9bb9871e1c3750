# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whether the BTF of a kernel describes its own kfuncs correctly: a check for kernel packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import COMPOSITES, KFUNC_TAG, Kind
from kbtf.findings.kernel import KERNEL
from kbtf.ids import kfunc_flags as kf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.offer import Offer, Offers
    from kbtf.btf.btf import Btf, BtfType
    from kbtf.findings.finding import Finding


def audit_kernel(btf: Btf, offers: Offers) -> list[Finding]:
    """Findings about the kfuncs of the kernel whose types are *btf*."""
    if offers.stale:  # the ids then refer to arbitrary types
        return [
            KERNEL.finding(
                "kernel-ids", type=f"set {each.name}", lost=len(each.missing), name=each.missing[0]
            )
            for each in offers.stale
        ]
    findings = list(_untagged(btf, offers))
    for offer in offers.kfuncs.values():
        findings += _audit(btf, offer)
    return findings + list(_duplicates(btf, offers))


def _audit(btf: Btf, offer: Offer) -> Iterator[Finding]:
    if offer.func is None:
        yield KERNEL.finding("kernel-no-func", type=offer.name)
    elif offer.flags is not None and offer.flags & kf.IMPLICIT_ARGS:
        yield from _implicit(btf, offer.name, offer.func)


def _implicit(btf: Btf, name: str, func: BtfType) -> Iterator[Finding]:
    """KF_IMPLICIT_ARGS: resolve_btfids splits a kfunc into its public and its full prototype."""
    if btf.find(f"{name}_impl", Kind.FUNC) is None:
        yield KERNEL.finding("kernel-implicit", "no_impl", type=name)
    for param in func.btf[func.size_or_type].params:
        pointer = btf.skip(param.type)
        if pointer.kind is Kind.PTR and btf.skip(pointer.size_or_type).name in kf.IMPLICIT_STRUCTS:
            yield KERNEL.finding("kernel-implicit", "left", type=name)


def _untagged(btf: Btf, offers: Offers) -> Iterator[Finding]:
    """kfuncs without the tag by which vmlinux.h and loaders recognise them."""
    if not offers.has_sets:
        return
    tagged = {tag.size_or_type for tag in btf.find_all(KFUNC_TAG, Kind.DECL_TAG)}
    known = [offer for offer in offers.kfuncs.values() if offer.func is not None]
    bare = sorted(o.name for o in known if o.func is not None and o.func.id not in tagged)
    if not bare:
        return
    if len(bare) == len(known):
        yield KERNEL.finding("kernel-no-tags")
        return
    listed = ", ".join(bare[:5]) + (f" and {len(bare) - 5} more" if len(bare) > 5 else "")
    yield KERNEL.finding("kernel-untagged", bare=len(bare), known=len(known), names=listed)


def _duplicates(btf: Btf, offers: Offers) -> Iterator[Finding]:
    """Structs of kfuncs that BTF has twice: to the verifier, these are different types."""
    seen = set()
    for offer in offers.kfuncs.values():
        if offer.func is None:
            continue
        for struct in _structs_of(btf, offer.func):
            key = struct.name, struct.kind
            if key in seen:
                continue
            seen.add(key)
            copies = btf.find_all(*key)
            if len(copies) > 1:
                what = f"{struct.kind.name.lower()} {struct.name}"
                ids = ", ".join(f"[{each.id}]" for each in copies)
                fields = {"func": offer.name, "copies": len(copies), "ids": ids}
                yield KERNEL.finding("kernel-duplicate", type=what, **fields)


def _structs_of(btf: Btf, func: BtfType) -> Iterator[BtfType]:
    proto = btf[func.size_or_type]
    for type_id in (proto.size_or_type, *(param.type for param in proto.params)):
        pointer = btf.skip(type_id)
        if pointer.kind is Kind.PTR:
            target = btf.skip(pointer.size_or_type)
            if target.kind in COMPOSITES and target.name:
                yield target


def lost_functions(old: Btf, new: Btf) -> list[str]:
    """Names of functions that *old* has and *new* does not."""
    names = {t.name for t in old if t.kind is Kind.FUNC}
    return sorted(names - {t.name for t in new if t.kind is Kind.FUNC})
