# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Resilient split BTF for out-of-tree Linux kernel modules.

The names below are the public interface; they are imported when first used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.version import VERSION

if TYPE_CHECKING:
    from kbtf.btf.base import Base
    from kbtf.btf.btf import Btf, BtfType
    from kbtf.btf.builder import BtfBuilder
    from kbtf.btf.deduplicate import Deduplicated, deduplicate, deduplicate_with_ids
    from kbtf.btf.distill import Distilled, distill
    from kbtf.btf.kinds import Kind
    from kbtf.btf.relocate import Relocation, relocate, relocate_with_ids
    from kbtf.btf.rules import Rules, rules_of, rules_of_distilled
    from kbtf.btf.verify import Violation, verify
    from kbtf.elf.image import ElfImage
    from kbtf.elf.module import Module
    from kbtf.encode.compilers import base_path, encoding_base
    from kbtf.encode.dwarf import Encoded, encode_dwarf, encode_module
    from kbtf.encode.notes import Note
    from kbtf.encode.pahole import encode_with_pahole
    from kbtf.errors import (
        BaseError,
        BtfError,
        BtfIdsError,
        DwarfError,
        ElfError,
        KbtfError,
        RelocationError,
        ToolError,
        UsageError,
    )
    from kbtf.files.helper import run_helper, temporary_directory
    from kbtf.findings.finding import Severity
    from kbtf.hooks.markers import hookimpl
    from kbtf.hooks.options import Config, OptionGroup
    from kbtf.hooks.output import Output
    from kbtf.ids.btf2btf import Kfuncs, sort_types, transform_kfuncs
    from kbtf.ids.btf_ids import BtfIds, IdSet, Slot, read_ids
    from kbtf.ids.move import move_ids
    from kbtf.ids.own_copies import own_copies
    from kbtf.ids.resolve import Resolution, ids_mismatch, resolve_ids, rewrite_ids
    from kbtf.kernel.base import open_base, open_btf
    from kbtf.kernel.features import ModuleBtf, module_btf_support, sorts_types
    from kbtf.kernel.index_cache import load_index
    from kbtf.kernel.release import is_release

__version__ = VERSION
_HOMES = {
    "kbtf.btf.btf": ("Btf", "BtfType"),
    "kbtf.btf.builder": ("BtfBuilder",),
    "kbtf.btf.deduplicate": ("Deduplicated", "deduplicate", "deduplicate_with_ids"),
    "kbtf.btf.distill": ("Distilled", "distill"),
    "kbtf.btf.kinds": ("Kind",),
    "kbtf.btf.relocate": ("Relocation", "relocate", "relocate_with_ids"),
    "kbtf.btf.rules": ("Rules", "rules_of", "rules_of_distilled"),
    "kbtf.kernel.features": ("ModuleBtf", "module_btf_support", "sorts_types"),
    "kbtf.kernel.index_cache": ("load_index",),
    "kbtf.btf.verify": ("Violation", "verify"),
    "kbtf.ids.btf2btf": ("Kfuncs", "sort_types", "transform_kfuncs"),
    "kbtf.ids.move": ("move_ids",),
    "kbtf.ids.own_copies": ("own_copies",),
    "kbtf.ids.btf_ids": ("BtfIds", "IdSet", "Slot", "read_ids"),
    "kbtf.ids.resolve": ("Resolution", "ids_mismatch", "resolve_ids", "rewrite_ids"),
    "kbtf.elf.image": ("ElfImage",),
    "kbtf.elf.module": ("Module",),
    "kbtf.encode.compilers": ("base_path", "encoding_base"),
    "kbtf.kernel.release": ("is_release",),
    "kbtf.btf.base": ("Base",),
    "kbtf.kernel.base": ("open_base", "open_btf"),
    "kbtf.encode.dwarf": ("Encoded", "encode_dwarf", "encode_module"),
    "kbtf.encode.notes": ("Note",),
    "kbtf.encode.pahole": ("encode_with_pahole",),
    "kbtf.errors": (
        "BaseError",
        "BtfError",
        "BtfIdsError",
        "DwarfError",
        "ElfError",
        "KbtfError",
        "RelocationError",
        "ToolError",
        "UsageError",
    ),
    "kbtf.files.helper": ("run_helper", "temporary_directory"),
    "kbtf.hooks.options": ("Config", "OptionGroup"),
    "kbtf.findings.finding": ("Severity",),
    "kbtf.hooks.markers": ("hookimpl",),
    "kbtf.hooks.output": ("Output",),
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
    "Deduplicated",
    "Distilled",
    "DwarfError",
    "ElfError",
    "ElfImage",
    "Encoded",
    "IdSet",
    "KbtfError",
    "Kfuncs",
    "Kind",
    "Module",
    "ModuleBtf",
    "Note",
    "OptionGroup",
    "Output",
    "Relocation",
    "RelocationError",
    "Resolution",
    "Rules",
    "Severity",
    "Slot",
    "ToolError",
    "UsageError",
    "Violation",
    "__version__",
    "base_path",
    "deduplicate",
    "deduplicate_with_ids",
    "distill",
    "encode_dwarf",
    "encode_module",
    "encode_with_pahole",
    "encoding_base",
    "hookimpl",
    "ids_mismatch",
    "is_release",
    "load_index",
    "module_btf_support",
    "move_ids",
    "open_base",
    "open_btf",
    "own_copies",
    "read_ids",
    "relocate",
    "relocate_with_ids",
    "resolve_ids",
    "rewrite_ids",
    "rules_of",
    "rules_of_distilled",
    "run_helper",
    "sort_types",
    "sorts_types",
    "temporary_directory",
    "transform_kfuncs",
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
