# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Refuses to write a module whose BTF its own kernel would reject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import (
    Btf,
    BtfError,
    KbtfError,
    ModuleBtf,
    Severity,
    hookimpl,
    module_btf_support,
    relocate,
    rules_of,
    rules_of_distilled,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from kbtf import Config, Module, Violation


@hookimpl(wrapper=True, tryfirst=True)
def kbtf_embed_sections(module: Module, config: Config) -> Generator[None, object, object]:
    """Check the sections after all other passes."""
    result = yield
    split, base = module.image.data(".BTF"), module.image.data(".BTF.base")
    if split:
        _check(module, split, base)
    return result


def _check(module: Module, split: bytes, base: bytes | None) -> None:
    # a module that was already distilled needs no base here
    if module.base_is_known or not base:
        rules = rules_of(module.base, module.release)
    else:
        rules = rules_of_distilled(module.release)
    distilled = None
    if base:
        distilled = _parse(module, ".BTF.base", base, None)
        _refuse(module, ".BTF.base", verify(distilled, rules, distilled=True))
    btf = _parse(module, ".BTF", split, distilled or module.base)
    _refuse(module, ".BTF", verify(btf, rules))
    if not distilled or not module.base_is_known:
        return
    if module_btf_support(module.base) is ModuleBtf.RELOCATES:
        try:
            relocate(btf, module.base)
        except BtfError as error:
            raise _rejected(module, ".BTF", error) from error


def _parse(module: Module, section: str, data: bytes, base: Btf | None) -> Btf:
    try:
        return Btf.parse(data, base)
    except BtfError as error:
        raise _rejected(module, section, error) from error


def _refuse(module: Module, section: str, violations: list[Violation]) -> None:
    for violation in violations:
        if violation.severity is Severity.ERROR:
            raise _rejected(module, section, violation)


def _rejected(module: Module, section: str, why: object) -> KbtfError:
    return KbtfError(
        f"its own kernel would reject it: {why}",
        file=module.path,
        where=section,
    )
