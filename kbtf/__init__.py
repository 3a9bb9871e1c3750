"""Resilient split BTF for out-of-tree Linux kernel modules.

The names below are the public interface; they are imported when first used (PEP 562).
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would take a third of the time of --version
if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType
    from kbtf.btf.builder import BtfBuilder
    from kbtf.btf.distill import Distilled, distill
    from kbtf.btf.kinds import Kind
    from kbtf.btf.relocate import Relocation, relocate, relocate_with_ids
    from kbtf.btf.rules import Rules, rules_of, rules_of_distilled
    from kbtf.btf.support import ModuleBtf, module_btf_support
    from kbtf.btf.verify import Violation, verify
    from kbtf.btf_ids import BtfIds, ids_mismatch, read_ids, resolve_ids, rewrite_ids
    from kbtf.elf.image import ElfImage
    from kbtf.elf.module import Module
    from kbtf.elf.release import is_release
    from kbtf.elf.vmlinux import Base, open_base, open_btf
    from kbtf.errors import (
        BaseError,
        BtfError,
        BtfIdsError,
        ElfError,
        KbtfError,
        RelocationError,
        ToolError,
        UsageError,
    )
    from kbtf.host.config import Config, OptionGroup
    from kbtf.host.markers import hookimpl
    from kbtf.host.pipeline import Output

_HOMES = {
    "kbtf.btf.btf": ("Btf", "BtfType"),
    "kbtf.btf.builder": ("BtfBuilder",),
    "kbtf.btf.distill": ("Distilled", "distill"),
    "kbtf.btf.kinds": ("Kind",),
    "kbtf.btf.relocate": ("Relocation", "relocate", "relocate_with_ids"),
    "kbtf.btf.rules": ("Rules", "rules_of", "rules_of_distilled"),
    "kbtf.btf.support": ("ModuleBtf", "module_btf_support"),
    "kbtf.btf.verify": ("Violation", "verify"),
    "kbtf.btf_ids": ("BtfIds", "ids_mismatch", "read_ids", "resolve_ids", "rewrite_ids"),
    "kbtf.elf.image": ("ElfImage",),
    "kbtf.elf.module": ("Module",),
    "kbtf.elf.release": ("is_release",),
    "kbtf.elf.vmlinux": ("Base", "open_base", "open_btf"),
    "kbtf.errors": (
        "BaseError",
        "BtfError",
        "BtfIdsError",
        "ElfError",
        "KbtfError",
        "RelocationError",
        "ToolError",
        "UsageError",
    ),
    "kbtf.host.config": ("Config", "OptionGroup"),
    "kbtf.host.markers": ("hookimpl",),
    "kbtf.host.pipeline": ("Output",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Base",
    "BaseError",
    "Btf",
    "BtfBuilder",
    "BtfError",
    "BtfIds",
    "BtfIdsError",
    "BtfType",
    "Config",
    "Distilled",
    "ElfError",
    "ElfImage",
    "KbtfError",
    "Kind",
    "Module",
    "ModuleBtf",
    "OptionGroup",
    "Output",
    "Relocation",
    "RelocationError",
    "Rules",
    "ToolError",
    "UsageError",
    "Violation",
    "distill",
    "hookimpl",
    "ids_mismatch",
    "is_release",
    "module_btf_support",
    "open_base",
    "open_btf",
    "read_ids",
    "relocate",
    "relocate_with_ids",
    "resolve_ids",
    "rewrite_ids",
    "rules_of",
    "rules_of_distilled",
    "verify",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'kbtf' has no attribute '{name}'")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
