# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Encode modules for Kbuild with kbtf's own encoder, in either contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.encode.dwarf import encode_module, has_dwarf
from kbtf.encode.features import FEATURES, WANTED
from kbtf.files.replace import replace_and_warn
from kbtf.say import complain

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf
    from kbtf.kbuild.pahole.options import Request

_BY_SINGLE_OPTIONS = frozenset(name for name, feature in FEATURES.items() if feature.off)
"""What pahole encodes without ``--btf_features`` unless an option excludes it."""


_OF_KBUILD = "encode_force"
"""A feature that is in every list of scripts/Makefile.btf."""
_OF_KFUNCS = frozenset({"decl_tag_kfuncs", "attributes"})
"""Features that Kbuild of 7.3 leaves to resolve_btfids, which finds them done."""


def features_of(request: Request, *, is_external: bool) -> frozenset[str]:
    """The features to encode: the requested ones, and for an external module those of `kbtf run`.

    A separate file for resolve_btfids has the requested features; only the tags of kfuncs are
    added right away, because they affect the order of strings.
    """
    features = request.features if request.listed else request.features | _BY_SINGLE_OPTIONS
    if is_external and request.detached is None:
        features |= set(WANTED)
    elif is_external and _OF_KBUILD in features:
        features |= _OF_KFUNCS
    return features - request.excluded


def encode(program: str, path: str, base: str, features: frozenset[str]) -> Btf | None:
    """The BTF of the module in a file; None, and a message, if it has no DWARF."""
    from kbtf.elf.module import Module
    from kbtf.errors import located
    from kbtf.kernel.base import open_base
    from kbtf.kernel.index_cache import load_index

    module = Module.open(path, find_base=lambda _: open_base(base))
    if not has_dwarf(module.image):
        complain(f"{program}: {path}: has no debug information (DWARF), and gets no BTF")
        return None
    with located(path):
        encoded = encode_module(module, load_index, features=features)
    for warning in module.warnings:
        complain(f"{program}: warning: {path}: {warning}")
    return encoded.btf


def add_section(path: str, btf: Btf) -> None:
    """Add plain split BTF to a module of the kernel tree, as pahole does."""
    from kbtf.elf.module import Module
    from kbtf.errors import located

    module = Module.open(path)
    with located(path):
        module.image.set_section(".BTF", btf.to_bytes())
    replace_and_warn(path, module.to_bytes(), program="kbtf-pahole")
