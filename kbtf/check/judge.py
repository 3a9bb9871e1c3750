"""The judgement: what a kernel will do with the BTF of a module, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf import _native
from kbtf.btf.btf import Btf
from kbtf.btf.kinds import Kind
from kbtf.btf.relocate import relocate_with_ids
from kbtf.btf.support import ModuleBtf
from kbtf.btf.verify import verify
from kbtf.btf_ids import ids_mismatch, read_ids
from kbtf.check.model import BtfFate, Finding, Loading, Result, Severity, Verdict, worst
from kbtf.check.uses import by_value, c_name, embedding, other_uses
from kbtf.elf.module import located
from kbtf.errors import BtfError, MisfitError, RelocationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import BtfType
    from kbtf.btf.relocate import Relocation
    from kbtf.btf_ids import BtfIds
    from kbtf.check.kernel import Kernel
    from kbtf.elf.module import Module
    from kbtf.errors import KbtfError

_REGISTER = "register_btf_kfunc_id_set"
_BUILD = "build the module for that kernel"
_MOST = 8
"""Findings of one kind that are listed."""


def judge(module: Module, kernel: Kernel) -> Result:
    """What happens when *kernel* loads *module*; KbtfError if the module cannot be read."""
    with located(module.path):
        ids = read_ids(module.image)
    if not module.image.data(".BTF"):
        findings = tuple(_judge_nothing(module))
        return _result(module, kernel, worst(findings), BtfFate.NONE, findings)
    if kernel.support is ModuleBtf.NONE:
        findings = tuple(_judge_ignored(ids))
        return _result(module, kernel, worst(findings), BtfFate.IGNORED, findings)
    found = list(_judge_btf(module, kernel, ids))
    refused = any(f.severity is Severity.ERROR and f.code not in _NOT_OF_BTF for f in found)
    if refused and ids is not None and ids.sets:
        text = "its kfuncs are then not registered, and BPF programs cannot call them"
        found.append(Finding(Severity.NOTE, "kfuncs-lost", text))
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


_NOT_OF_BTF = frozenset({"ids-unresolved", "ids-mismatch", "ids-no-func", "misread"})
"""Errors that the kernel does not look for when it takes the BTF."""


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
    elif any(finding.code == "ids-no-func" for finding in findings):
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


def _judge_nothing(module: Module) -> Iterator[Finding]:
    # Not by the symbols of .BTF_ids: what strips the BTF may strip them too.
    registers = any(s.name == _REGISTER and s.shndx == 0 for s in module.image.symbols())
    if registers or module.btf_ids:
        text = "it has kfunc sets but no BTF: its kfuncs cannot be registered"
        yield Finding(Severity.ERROR, "no-btf", text, hint="run 'kbtf run' on the module as linked")
    else:
        yield Finding(Severity.NOTE, "no-btf", "it has no BTF")


def _judge_ignored(ids: BtfIds | None) -> Iterator[Finding]:
    severity = Severity.WARNING if ids is not None and ids.sets else Severity.NOTE
    text = "this kernel takes no module BTF (CONFIG_DEBUG_INFO_BTF_MODULES is not set)"
    yield Finding(severity, "no-module-btf", text)


def _judge_btf(module: Module, kernel: Kernel, ids: BtfIds | None) -> Iterator[Finding]:
    if not module.has_btf_base:
        yield from _judge_plain(module, kernel, ids)
    elif kernel.support is ModuleBtf.EXACT:
        text = "this kernel cannot relocate BTF (no btf_base_data in its struct module) and would "
        text += "misread BTF that stands on .BTF.base"
        hint = "give the module plain split BTF for this kernel ('kbtf undistill')"
        yield Finding(Severity.ERROR, "too-old", text, hint=hint)
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
    try:
        relocation = relocate_with_ids(split, kernel.btf)
    except RelocationError as error:
        yield _unrelocatable(error, split, kernel)
    except BtfError as error:
        yield _broken(error)
    else:
        yield from _accepted_though_changed(base, split, relocation, kernel)
    yield from _judge_ids(ids, split, "its .BTF.base")
    yield from _own_copies(ids, split, kernel)
    if ids is not None:
        yield from _plain_lists(ids, module)


def _judge_plain(module: Module, kernel: Kernel, ids: BtfIds | None) -> Iterator[Finding]:
    data = module.image.data(".BTF") or b""
    try:
        split = Btf.parse(data, kernel.btf)
    except MisfitError as error:
        yield _stale("stale", error)
        return
    except BtfError as error:
        yield _broken(error)
        return
    try:
        _native.check_fit(split.index)
    except MisfitError as error:
        # The kernel does not look at what a reference means, only at names and shapes.
        refused = any(violation.refused for violation in verify(split, kernel.rules))
        yield _stale("stale" if refused else "misread", error)
        yield from _judge_ids(ids, split, kernel.name)
        return
    yield from _violations(split, kernel, ".BTF")
    yield from _judge_ids(ids, split, kernel.name)
    yield from _own_copies(ids, split, kernel)
    if kernel.release and module.release and kernel.release != module.release:
        text = f"its BTF is plain, made for {module.release}; that it fits {kernel.release} too "
        text += "is chance, or the types of both are the same"
        yield Finding(Severity.WARNING, "plain-other-release", text)


def _stale(code: str, error: MisfitError) -> Finding:
    text = f"its BTF was made for another vmlinux: {error}"
    if code == "misread":
        text += "; the kernel does not notice, and takes its references for other types"
    hint = "give it a .BTF.base ('kbtf run'), or " + _BUILD
    return Finding(Severity.ERROR, code, text, hint=hint)


def _broken(error: BtfError) -> Finding:
    return Finding(Severity.ERROR, "broken", f"its BTF is broken: {error}")


def _violations(
    btf: Btf, kernel: Kernel, section: str, *, distilled: bool = False
) -> Iterator[Finding]:
    found = verify(btf, kernel.rules, distilled=distilled)
    for violation in found[:_MOST]:
        severity = Severity.ERROR if violation.refused else Severity.WARNING
        yield Finding(
            severity, "rule" if violation.refused else "unchecked", f"{section}: {violation}"
        )


def _unrelocatable(error: RelocationError, split: Btf, kernel: Kernel) -> Finding:
    """A refusal of the relocation, with what the module does with the type."""
    code = _CODES.get(error.reason, "unmapped")
    wanted = split[error.type_id]
    name = c_name(wanted)
    found = [kernel.btf[at] for at in error.candidates]
    text = f"{name}: {error.what}"
    full = Kind.UNION if wanted.kind_flag else Kind.STRUCT
    if wanted.kind is Kind.FWD and any(t.kind is full for t in found):
        # The kernel compares the FWD's kind_flag with the composite's, which means another thing.
        code = "matcher-quirk"
        text = f"{name} is only declared where the module was built, and defined in {kernel.name}; "
        text += "it is the same type, but the kernel's matching does not take it"
    elif error.reason == "embedded" and found:
        use = embedding(split, error.type_id)
        if use is not None:
            sizes = " or ".join(str(t.size) for t in found)
            text = f"{name} is embedded in {c_name(use.owner)} ({use.what}) and is "
            text += f"{wanted.size} bytes in the module, {sizes} in {kernel.name}"
    elif error.reason == "missing":
        text = f"{kernel.name} has no {name}, which the module refers to"
    elif error.reason == "ambiguous":
        listed = " and ".join(f"{c_name(t)} [{t.id}]" for t in found)
        text = f"{kernel.name} has two types that fit {name} ({wanted.size} bytes): {listed}"
    return Finding(Severity.ERROR, code, text, type=name, hint=error.hint)


_CODES = {
    "missing": "unmapped",
    "kind": "unmapped",
    "encoding": "unmapped",
    "size": "resized",
    "embedded": "embedded-resized",
    "ambiguous": "ambiguous",
    "string": "broken",
}


def _accepted_though_changed(
    base: Btf, split: Btf, relocation: Relocation, kernel: Kernel
) -> Iterator[Finding]:
    """Where the kernel's matching accepts what is no longer the same type."""
    resized = {}
    for wanted in base:
        found = kernel.btf[relocation.ids[wanted.id]]
        if wanted.kind is not found.kind and not _same_enum(wanted.kind, found.kind):
            if wanted.kind is Kind.FWD or found.kind is Kind.FWD:
                continue
            text = f"{c_name(wanted)} is {c_name(found)} in {kernel.name}, and the kernel takes it"
            yield Finding(Severity.WARNING, "kind-changed", text, type=c_name(wanted))
        elif wanted.size != found.size:
            resized[wanted.id] = found
    uses = other_uses(split, set(resized)) if resized else {}
    for type_id, found in resized.items():
        wanted = split[type_id]
        sizes = f"{wanted.size} bytes in the module, {found.size} in {kernel.name}"
        if type_id in uses:
            use = uses[type_id]
            text = f"{c_name(wanted)} is used by value ({use.what} of {_owner(use.owner)}) and is "
            text += f"{sizes}; the kernel does not see that"
            yield Finding(
                Severity.WARNING, "by-value-resized", text, type=c_name(wanted), hint=_BUILD
            )
        else:
            text = f"{c_name(wanted)} is {sizes}; the module has only pointers to it"
            yield Finding(Severity.NOTE, "resized-behind-pointer", text, type=c_name(wanted))


def _owner(owner: object) -> str:
    name = getattr(owner, "name", "")
    kind = getattr(owner, "kind", Kind.UNKN)
    return f"{kind.name} '{name}'" if name else f"a {kind.name}"


def _same_enum(one: Kind, other: Kind) -> bool:
    return {one, other} <= {Kind.ENUM, Kind.ENUM64}


def _judge_ids(ids: BtfIds | None, btf: Btf, base: str) -> Iterator[Finding]:
    if ids is None:
        return
    if not ids.is_resolved:
        text = ".BTF_ids is not resolved: its kfuncs cannot be registered"
        severity = Severity.ERROR if ids.sets else Severity.WARNING
        yield Finding(severity, "ids-unresolved", text, hint="run 'kbtf run' on it")
        return
    why = ids_mismatch(ids, btf)
    if why is None:
        for id_set in ids.sets:
            if ids.is_kfunc_set(id_set) and any(not ids.words[at] for at in id_set.id_words):
                text = f".BTF_ids: set {id_set.name} has an unresolved kfunc, and the kernel "
                text += "refuses to register the set"
                hint = "take what is not there out of the set"
                yield Finding(Severity.ERROR, "ids-no-func", text, hint=hint)
        return
    text = f".BTF_ids is not resolved against {base}: {why}"
    if any(_is_no_func(ids.words[at], btf) for s in ids.sets if s.is_set8 for at in s.id_words):
        text += "; the kernel refuses to register a set that holds what is not a function"
        yield Finding(Severity.ERROR, "ids-no-func", text, hint="link the module anew")
    else:
        yield Finding(Severity.ERROR, "ids-mismatch", text, hint="link the module anew")


def _is_no_func(type_id: int, btf: Btf) -> bool:
    return type_id >= btf.end_id or btf[type_id].kind is not Kind.FUNC


def _own_copies(ids: BtfIds | None, split: Btf, kernel: Kernel) -> Iterator[Finding]:
    """Structs of kfuncs that the kernel has too: the verifier takes the two for different types."""
    seen = set()
    for func in _kfuncs(ids, split):
        for type_id in _pointed_to(split, func.size_or_type):
            found = split[type_id]
            if type_id < split.start_id or not found.name or type_id in seen:
                continue
            if kernel.btf.find(found.name, found.kind) is not None:
                seen.add(type_id)
                text = f"{c_name(found)} of kfunc {func.name} is the module's own copy, and the "
                text += f"verifier takes it for another type than {kernel.name}'s"
                hint = "make its BTF with the vmlinux that the headers are of"
                yield Finding(Severity.WARNING, "own-copy", text, type=c_name(found), hint=hint)


def _kfuncs(ids: BtfIds | None, split: Btf) -> list[BtfType]:
    if ids is None:
        return []
    names = {slot.name for s in ids.sets if s.is_set8 for slot in ids.slots_of(s)}
    return [t for name in sorted(names) if (t := split.find(name, Kind.FUNC)) is not None]


def _pointed_to(split: Btf, proto_id: int) -> Iterator[int]:
    """The structs and unions that a prototype has pointers to."""
    proto = split[proto_id]
    for at in (proto.size_or_type, *(param.type for param in proto.params)):
        pointer = split[by_value(split, at)]
        if pointer.kind is Kind.PTR:
            target = by_value(split, pointer.size_or_type)
            if split[target].kind in (Kind.STRUCT, Kind.UNION):
                yield target


def _plain_lists(ids: BtfIds, module: Module) -> Iterator[Finding]:
    for name in ids.unrelocated_lists(module.image):
        text = f".BTF_ids: the kernel does not relocate the list {name}, which the module reads"
        yield Finding(Severity.WARNING, "ids-list", text)
