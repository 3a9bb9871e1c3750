# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel's checks before it looks at a module's BTF: vermagic, symbols, their versions.

Source: check_version() in kernel/module/version.c, resolve_symbol() in kernel/module/main.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.check.result import Loading, Result, worst
from kbtf.check.vermagic import accepts
from kbtf.elf.versions import symbol_versions, undefined_symbols
from kbtf.findings.finding import Severity
from kbtf.findings.loading import LOADING
from kbtf.kernel.symvers import find_exports

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from kbtf.check.kernel import Kernel
    from kbtf.elf.module import Module
    from kbtf.findings.finding import Finding
    from kbtf.kernel.symvers import Exports

_MOST = 3


class Insmod(NamedTuple):
    """Whether a kernel accepts a module at all, and which checks were possible."""

    loading: Loading
    findings: tuple[Finding, ...]


def judge_insmod(module: Module, kernel: Kernel) -> Insmod:
    """The judgement on everything but the BTF."""
    if module.is_raw_btf or module.release is None:
        return Insmod(Loading.LOADS, ())
    findings = tuple(_judge(module, kernel))
    codes = {finding.code for finding in findings if finding.severity is Severity.WARNING}
    if codes:
        return Insmod(Loading.FAILS, findings)
    is_foreign = kernel.release not in (None, module.release)
    unknown = is_foreign and any(finding.code == "symbols-unchecked" for finding in findings)
    return Insmod(Loading.DEPENDS_ON_SYMBOLS if unknown else Loading.LOADS, findings)


def with_insmod(result: Result, insmod: Insmod) -> Result:
    """Combine the judgement on the BTF with whether the kernel gets as far as looking at it."""
    loading = result.loading
    if insmod.loading is Loading.FAILS or loading is Loading.LOADS:
        loading = insmod.loading
    verdict = max(result.verdict, worst(insmod.findings), key=lambda verdict: verdict.rank)
    findings = (*result.findings, *insmod.findings)
    return result._replace(loading=loading, verdict=verdict, findings=findings)


def _judge(module: Module, kernel: Kernel) -> Iterator[Finding]:
    if kernel.release is None:
        yield LOADING.finding("symbols-unchecked", "release", kernel=kernel.name)
        return
    exports = find_exports(kernel.source, kernel.release)
    versions = symbol_versions(module.image)
    is_foreign = kernel.release != module.release
    has_none = exports is not None and exports.with_modules and not exports.has_versions
    both_have = bool(versions) and not has_none
    if not accepts(kernel.release, module.vermagic or "", has_versions=both_have):
        who = kernel.name if versions else "the module"
        yield LOADING.finding("vermagic", release=module.release, who=who, kernel=kernel.name)
    elif exports is None:
        yield LOADING.finding("symbols-unchecked", "exports", kernel=kernel.name)
    else:
        yield from _missing(module, kernel, exports)
        if exports.has_versions:
            yield from _other_versions(module, kernel, exports, versions)
        elif is_foreign:
            yield LOADING.finding("symbols-unchecked", "versions", source=exports.source)


def _missing(module: Module, kernel: Kernel, exports: Exports) -> Iterator[Finding]:
    missing = [name for name in undefined_symbols(module.image) if name not in exports.crcs]
    others = sorted(set(_depends(module)) - exports.owners)
    if missing and others:
        names, modules = _names(missing), _names(others)
        yield LOADING.finding("symbols-unchecked", "modules", names=names, modules=modules)
    elif missing:
        yield LOADING.finding("symbol-missing", kernel=kernel.name, names=_names(missing))


def _other_versions(
    module: Module, kernel: Kernel, exports: Exports, versions: dict[str, int]
) -> Iterator[Finding]:
    needed = [name for name in undefined_symbols(module.image) if name in exports.crcs]
    other = [
        name for name in needed if versions.get(name, exports.crcs[name]) != exports.crcs[name]
    ]
    if other:
        yield LOADING.finding("symbol-version", kernel=kernel.name, names=_names(other))


def _depends(module: Module) -> list[str]:
    """The modules that it uses symbols of."""
    names = module.modinfo.get("depends", "").split(",")
    return [name.replace("-", "_") for name in names if name]


def _names(names: Collection[str]) -> str:
    first = ", ".join(list(names)[:_MOST])
    return f"{first} and {len(names) - _MOST} more" if len(names) > _MOST else first
