# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Judge what a kernel will do with the BTF of a module, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf
from kbtf.btf.c_type_name import c_name
from kbtf.btf.continues import continues_distilled
from kbtf.btf.kinds import ENUMS, Kind
from kbtf.btf.relocate import relocate_with_ids
from kbtf.btf.rules import version_shown
from kbtf.btf.verify import verify
from kbtf.check.result import BtfFate, Loading, Result, Verdict, worst
from kbtf.check.rules.ids import judge_ids, plain_lists
from kbtf.check.rules.names import taken_names
from kbtf.check.rules.own_copies import judge_copies
from kbtf.check.uses import embedding, other_uses
from kbtf.errors import BtfError, MisfitError, RelocationError, located
from kbtf.findings.finding import Finding, Severity
from kbtf.findings.loading import LOADING
from kbtf.ids.btf_ids import read_ids, registers_functions
from kbtf.kernel.features import ModuleBtf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import BtfType, Data
    from kbtf.btf.relocate import Relocation
    from kbtf.check.kernel import Kernel
    from kbtf.elf.module import Module
    from kbtf.errors import KbtfError
    from kbtf.ids.btf_ids import BtfIds

_MOST = 8
"""How many findings of one kind are listed."""


def judge(module: Module, kernel: Kernel) -> Result:
    """The result when *kernel* loads *module*; KbtfError if the module cannot be read."""
    with located(module.path):
        ids = read_ids(module.image)
    if module.has_kernel_btf:
        findings: tuple[Finding, ...] = (LOADING.finding("kernel-btf"),)
        return _result(module, kernel, Verdict.OK, BtfFate.ACCEPTED, findings)
    if not module.image.data(".BTF"):
        findings = tuple(_judge_nothing(module, ids))
        verdict = max(worst(findings), Verdict.UNKNOWN, key=lambda verdict: verdict.rank)
        return _result(module, kernel, verdict, BtfFate.NONE, findings)
    if kernel.support is ModuleBtf.NONE:
        findings = tuple(_judge_ignored(module, ids))
        return _result(module, kernel, worst(findings), BtfFate.IGNORED, findings)
    if unknown := _unknown_kind(module, kernel):
        return _result(module, kernel, Verdict.UNKNOWN, BtfFate.UNKNOWN, (unknown,))
    found = [*_judged_by_signs(kernel), *_judge_btf(module, kernel, ids)]
    found += taken_names(ids, kernel)
    if module.is_raw_btf:
        found.append(LOADING.finding("raw-btf"))
    refused = any(f.severity is Severity.ERROR and f.code not in _NOT_OF_BTF for f in found)
    if refused and registers_functions(module.image, ids):
        found.append(LOADING.finding("kfuncs-lost"))
    findings = tuple(found)
    fate = BtfFate.REFUSED if refused else BtfFate.ACCEPTED
    return _result(module, kernel, worst(findings), fate, findings)


def failed(path: str, error: KbtfError) -> Result:
    """The result for a module, or a kernel, that cannot be read."""
    return Result(
        module=path,
        name=path,
        kernel="",
        source="",
        verdict=Verdict.UNKNOWN,
        btf=BtfFate.UNKNOWN,
        loading=Loading.UNKNOWN,
        error=str(error),
        exit_code=error.exit_code,
    )


_NOT_OF_BTF = frozenset({"ids-unresolved", "ids-mismatch", "ids-no-func", "misread", "name-taken"})
"""Errors that the kernel does not check for when it accepts the BTF."""
_NOT_REGISTERED = frozenset({"ids-no-func", "name-taken"})
"""Errors that make the kernel refuse to register kfuncs."""


def _result(
    module: Module,
    kernel: Kernel,
    verdict: Verdict,
    fate: BtfFate,
    findings: tuple[Finding, ...],
) -> Result:
    loading = Loading.LOADS
    if fate is BtfFate.REFUSED:
        known = {True: Loading.LOADS_WITHOUT_BTF, False: Loading.FAILS, None: Loading.DEPENDS}
        loading = known[kernel.allow_mismatch]
    elif fate is BtfFate.UNKNOWN:
        loading = Loading.UNKNOWN
    elif any(f.code in _NOT_REGISTERED and f.severity is Severity.ERROR for f in findings):
        loading = Loading.DEPENDS_ON_INIT
    return Result(
        module=module.path,
        name=module.name,
        kernel=kernel.name,
        source=kernel.source,
        verdict=verdict,
        btf=fate,
        loading=loading,
        findings=findings,
    )


def _unknown_kind(module: Module, kernel: Kernel) -> Finding | None:
    """A finding if the module has a type of an unknown kind, if its BTF can be read at all."""
    try:
        if module.has_btf_base:
            parts = [module.btf_base, module.btf]
        else:
            parts = [Btf.parse(module.image.data(".BTF") or b"", kernel.btf)]
    except BtfError:
        return None
    for btf in parts:
        if btf is not None and btf.index.unknown_id:
            found = btf[btf.index.unknown_id]
            return LOADING.finding("unknown-kind", kind=found.kind.name, id=found.id)
    return None


def _judged_by_signs(kernel: Kernel) -> Iterator[Finding]:
    if kernel.release is None:
        shown = version_shown(kernel.btf)
        like = f"{shown} or later" if shown else "an old one"
        yield LOADING.finding("judged-by-signs", kernel=kernel.name, as_what=like)


def _judge_nothing(module: Module, ids: BtfIds | None) -> Iterator[Finding]:
    yield LOADING.finding("no-btf", "sets" if registers_functions(module.image, ids) else "bare")


def _judge_ignored(module: Module, ids: BtfIds | None) -> Iterator[Finding]:
    case = "sets" if registers_functions(module.image, ids) else "bare"
    yield LOADING.finding("no-module-btf", case)


def _judge_btf(module: Module, kernel: Kernel, ids: BtfIds | None) -> Iterator[Finding]:
    if not module.has_btf_base:
        yield from _judge_plain(module, kernel, ids)
    elif kernel.support is ModuleBtf.EXACT:
        yield LOADING.finding("too-old")
    else:
        try:
            base, split = module.btf_base, module.btf
        except BtfError as error:
            yield _broken(error)
            return
        if base is not None and split is not None:
            yield from _judge_distilled(module, base, split, kernel, ids)


def _judge_distilled(
    module: Module, base: Btf, split: Btf, kernel: Kernel, ids: BtfIds | None
) -> Iterator[Finding]:
    yield from _violations(base, kernel, ".BTF.base", distilled=True)
    yield from _violations(split, kernel, ".BTF")
    on_kernel = None
    try:
        relocation = relocate_with_ids(split, kernel.btf)
    except RelocationError as error:
        yield _unrelocatable(error, split, kernel)
    except BtfError as error:
        yield _broken(error)
    else:
        on_kernel = relocation.split
        yield from _accepted_though_changed(base, split, relocation, kernel)
    yield from judge_ids(ids, module, split, "its .BTF.base")
    yield from judge_copies(ids, split, kernel, on_kernel)
    if ids is not None:
        yield from plain_lists(ids, module)


def _judge_plain(module: Module, kernel: Kernel, ids: BtfIds | None) -> Iterator[Finding]:
    data = module.image.data(".BTF") or b""
    try:
        split = Btf.parse(data, kernel.btf)
    except MisfitError as error:
        yield _stale(data, kernel, "stale", error)
        return
    except BtfError as error:
        yield _broken(error)
        return
    try:
        split.check_fit()
    except MisfitError as error:
        # The kernel does not check the meaning of a reference, only names and shapes.
        refused = any(v.severity is Severity.ERROR for v in verify(split, kernel.rules))
        yield _stale(data, kernel, "stale" if refused else "misread", error)
        yield from judge_ids(ids, module, split, kernel.name)
        return
    yield from _violations(split, kernel, ".BTF")
    yield from judge_ids(ids, module, split, kernel.name)
    yield from judge_copies(ids, split, kernel, split)
    if kernel.release and module.release and kernel.release != module.release:
        releases = {"made_for": module.release, "release": kernel.release}
        yield LOADING.finding("plain-other-release", **releases)


def _stale(data: Data, kernel: Kernel, code: str, error: MisfitError) -> Finding:
    if continues_distilled(data, kernel.btf):
        return LOADING.finding("base-removed")
    return LOADING.finding(code, why=error)


def _broken(error: BtfError) -> Finding:
    return LOADING.finding("broken", "unreadable", why=error)


def _violations(
    btf: Btf, kernel: Kernel, section: str, *, distilled: bool = False
) -> Iterator[Finding]:
    found = verify(btf, kernel.rules, distilled=distilled)
    for severity, code in ((Severity.ERROR, "rule"), (Severity.WARNING, "unchecked")):
        for violation in [v for v in found if v.severity is severity][:_MOST]:
            yield LOADING.finding(code, section=section, violation=violation)


def _unrelocatable(error: RelocationError, split: Btf, kernel: Kernel) -> Finding:
    """A refusal of the relocation, with the module's use of the type."""
    wanted = split[error.type_id]
    found = [kernel.btf[at] for at in error.candidates]
    fields = {"type": c_name(wanted), "kernel": kernel.name, "hint": error.hint or ""}
    full = Kind.UNION if wanted.kind_flag else Kind.STRUCT
    if wanted.kind is Kind.FWD and any(t.kind is full for t in found):
        # The kernel compares the FWD's kind_flag with the composite's, which has another meaning.
        return LOADING.finding("matcher-quirk", **fields)
    if error.reason == "missing":
        return LOADING.finding("unmapped", "missing", **fields)
    if error.reason == "ambiguous":
        listed = " and ".join(f"{c_name(t)} [{t.id}]" for t in found)
        return LOADING.finding("ambiguous", size=wanted.size, found=listed, **fields)
    use = embedding(split, error.type_id) if error.reason == "embedded" and found else None
    if use is not None:
        return LOADING.finding(
            "embedded-resized",
            "member",
            owner=c_name(use.owner),
            member=use.what,
            size=wanted.size,
            sizes=" or ".join(str(t.size) for t in found),
            **fields,
        )
    code, case = _AS_RELOCATION_SAYS.get(error.reason, ("unmapped", "other"))
    return LOADING.finding(code, case, why=error.what, **fields)


_AS_RELOCATION_SAYS = {
    "size": ("resized", ""),
    "embedded": ("embedded-resized", "other"),
    "string": ("broken", "relocation"),
}


def _accepted_though_changed(
    base: Btf, split: Btf, relocation: Relocation, kernel: Kernel
) -> Iterator[Finding]:
    """Cases in which the kernel's matching accepts a type that is no longer the same."""
    resized = {}
    for wanted in base:
        found = kernel.btf[relocation.ids[wanted.id]]
        if wanted.kind is not found.kind and not {wanted.kind, found.kind} <= ENUMS:
            if wanted.kind is Kind.FWD or found.kind is Kind.FWD:
                continue
            fields = {"type": c_name(wanted), "found": c_name(found), "kernel": kernel.name}
            yield LOADING.finding("kind-changed", **fields)
        elif wanted.size != found.size:
            resized[wanted.id] = found
    uses = other_uses(split, set(resized)) if resized else {}
    for type_id, found in resized.items():
        wanted = split[type_id]
        sizes = {"size": wanted.size, "found": found.size, "kernel": kernel.name}
        if type_id in uses:
            use, owner = uses[type_id].what, _owner(uses[type_id].owner)
            yield LOADING.finding(
                "by-value-resized", type=c_name(wanted), use=use, owner=owner, **sizes
            )
        else:
            yield LOADING.finding("resized-behind-pointer", type=c_name(wanted), **sizes)


def _owner(owner: BtfType) -> str:
    return f"{owner.kind.name} '{owner.name}'" if owner.name else f"a {owner.kind.name}"
