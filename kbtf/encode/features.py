# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The versions of pahole, and the BTF features by the names in its ``--btf_features``.

kbtf's encoder, the stand-in ``kbtf-pahole``, runs of a real pahole and ``kbtf doctor`` all use
these tables.
"""

from __future__ import annotations

from typing import NamedTuple

from kbtf.errors import UsageError

Version = tuple[int, int]

DETACHED_SINCE: Version = (1, 22)
"""``--btf_encode_detached`` and ``--jobs``."""
LANGUAGES_SINCE: Version = (1, 24)
"""``--lang`` and ``--lang_exclude``."""
LIST_SINCE: Version = (1, 26)
"""``--btf_features``; older versions have an option for each feature, or no choice."""


class Feature(NamedTuple):
    """A feature: the first pahole that supports it under any name, and kbtf's bit for it."""

    since: Version
    bit: int = 0
    """0 if kbtf's encoder has no choice: it always or never does this."""
    default: bool = True
    on: str = ""
    """The single option that turns it on."""
    off: str = ""
    """The single option that turns it off."""


FEATURES = {
    "encode_force": Feature((1, 20), 1 << 4, on="--btf_encode_force"),
    "var": Feature((0, 0), 1 << 9, off="--skip_encoding_btf_vars"),
    "float": Feature((1, 21), 1 << 6, on="--btf_gen_floats"),
    "decl_tag": Feature((1, 23), 1 << 2, off="--skip_encoding_btf_decl_tag"),
    "type_tag": Feature((1, 23), 1 << 8, off="--skip_encoding_btf_type_tag"),
    "enum64": Feature((1, 24), 1 << 5, off="--skip_encoding_btf_enum64"),
    "optimized_func": Feature((1, 25), on="--btf_gen_optimized"),
    "consistent_func": Feature((1, 25), 1 << 1, on="--skip_encoding_btf_inconsistent_proto"),
    "decl_tag_kfuncs": Feature((1, 27), 1 << 3),
    "reproducible_build": Feature((1, 27), default=False, on="--reproducible_build"),
    "distilled_base": Feature((1, 28), default=False),
    "global_var": Feature((1, 28), 1 << 7, default=False),
    "attributes": Feature((1, 30), 1 << 0, default=False, on="--btf_attributes"),
    "layout": Feature((1, 31), default=False),
    "true_signature": Feature((1, 31), default=False),
}
"""Bits: enum encode_feature of kbtf/native/dwarf/encode.h."""

DEFAULT = tuple(name for name, feature in FEATURES.items() if feature.default)

WANTED = (*DEFAULT, "attributes")
"""The features that `kbtf run` requests, like the kernel's scripts/Makefile.btf."""


class Fault(NamedTuple):
    """A fault in the BTF of some versions of pahole that kbtf's encoder does not have."""

    since: Version
    before: Version | None
    """The first version without it; None if the newest also has it, depending on its libbpf."""
    what: str


FAULTS = (
    Fault((0, 0), (1, 25), "it encodes functions with inconsistent prototypes"),
    Fault((0, 0), (1, 25), "it leaves out optimized functions"),
    Fault((0, 0), (1, 27), "it adds no declaration tags for kfuncs"),
    Fault((1, 27), (1, 30), "it may lose declaration tags of kfuncs"),
    Fault((0, 0), (1, 31), "with libbpf before 1.6 it repeats types of kernels since 6.15"),
    Fault((1, 31), None, "with libbpf 1.7 or 1.8 it repeats typedefs of the kernel"),
)


def faults_of(version: Version) -> list[Fault]:
    """The faults of a pahole of that version."""
    return [
        fault
        for fault in FAULTS
        if fault.since <= version and (fault.before is None or version < fault.before)
    ]


def features_of_list(value: str) -> set[str]:
    """The features of one list: names, ``default``, and ``+`` for the default ones before it."""
    names = {name for name in value.removeprefix("+").split(",") if name}
    if value.startswith("+") or names & {"default", "all"}:
        names.update(DEFAULT)
    return names - {"default", "all"}


def require_known(names: set[str]) -> None:
    """UsageError for a feature that no encoder knows."""
    unknown = sorted(names - set(FEATURES))
    if unknown:
        raise UsageError(f"unknown feature {unknown[0]}", hint=f"known are {', '.join(FEATURES)}")


def mask_of(names: set[str] | frozenset[str] | tuple[str, ...]) -> int:
    """The bits of features for kbtf's encoder; unknown features are ignored."""
    return sum(feature.bit for name, feature in FEATURES.items() if name in names)
