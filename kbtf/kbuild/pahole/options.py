# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Translate Kbuild's options for pahole into those of the installed pahole.

Kbuild derives them from CONFIG_PAHOLE_VERSION, the version that the kernel was built with: single
options up to 1.25, ``--btf_features`` from 1.26 on (scripts/Makefile.btf; pahole.c and
dwarf_loader.c of pahole define what each version supports).
"""

from __future__ import annotations

from typing import NamedTuple

from kbtf.encode.features import (
    DEFAULT,
    DETACHED_SINCE,
    FEATURES,
    LANGUAGES_SINCE,
    LIST_SINCE,
    WANTED,
    features_of_list,
)

# The single options, and what each turns on or off.
_ON = {feature.on: name for name, feature in FEATURES.items() if feature.on}
_OFF = {feature.off: name for name, feature in FEATURES.items() if feature.off}
_SKIP_VARS_SINCE = (1, 18)
_VALUES = (
    "--btf_base",
    "--btf_encode_detached",
    "--btf_features",
    "--btf_features_strict",
    "--lang",
    "--lang_exclude",
)


class Request(NamedTuple):
    """The request on the command line."""

    encode: bool
    file: str | None
    base: str | None
    detached: str | None
    features: frozenset[str]
    excluded: frozenset[str]
    """Turned off by a single option."""
    listed: bool
    """Whether they were given as ``--btf_features``."""
    jobs: str | None
    others: tuple[tuple[str, ...], ...]
    """The options that are passed on, each with its value."""


def read(args: list[str]) -> Request:
    """Parse a command line."""
    values: dict[str, str] = {}
    features: set[str] = set()
    excluded: set[str] = set()
    others: list[tuple[str, ...]] = []
    files: list[str] = []
    encode = listed = False
    jobs = None
    words = list(args)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in _VALUES and not equals and words:
            value = words.pop(0)
        if name in ("--btf_features", "--btf_features_strict"):
            listed = True
            features |= features_of_list(value)
        elif name in ("--lang", "--lang_exclude"):
            others.append((f"{name}={value}",))
        elif name in _VALUES:
            values[name] = value
        elif word in ("-J", "--btf_encode"):
            encode = True
        elif name == "--jobs" or (word.startswith("-j") and word[2:].isdecimal()) or word == "-j":
            jobs = word
        elif word in _ON:
            features.add(_ON[word])
        elif word in _OFF:
            excluded.add(_OFF[word])
        elif word == "--btf_gen_all":
            features.update(DEFAULT)
        elif word.startswith("-") and word != "-":
            others.append((word,))
        else:
            files.append(word)
    return Request(
        encode=encode or "--btf_encode_detached" in values,
        file=files[-1] if files else None,
        base=values.get("--btf_base"),
        detached=values.get("--btf_encode_detached"),
        features=frozenset(features),
        excluded=frozenset(excluded),
        listed=listed,
        jobs=jobs,
        others=tuple(others) + tuple((file,) for file in files[:-1]),
    )


def for_module(request: Request, version: tuple[int, int]) -> Request:
    """The request that `kbtf run` would make, for a module that gets a distilled base.

    Several jobs would order its types differently in each build, and kbtf distills the base, not
    pahole.
    """
    more = frozenset(WANTED)
    if version < LIST_SINCE:
        more -= {"encode_force"}
    features = (request.features | more) - {"distilled_base"} - request.excluded
    return request._replace(features=features, listed=version >= LIST_SINCE, jobs=None)


def lacks(request: Request, version: tuple[int, int]) -> list[str]:
    """The requested features that a pahole of that version lacks."""
    # From 1.26 on, pahole itself ignores unknown features.
    missing = [f for f in sorted(request.features) if _since(f) > version]
    if version < LANGUAGES_SINCE:
        missing += [words[0] for words in request.others if words[0].startswith("--lang")]
    return missing


def _since(feature: str) -> tuple[int, int]:
    known = FEATURES.get(feature)
    return known.since if known else LIST_SINCE


def flags(request: Request, version: tuple[int, int]) -> list[str]:
    """The options for a pahole of that version, without ``-J`` and files."""
    out = [request.jobs] if request.jobs and version >= DETACHED_SINCE else []
    as_list = request.listed and version >= LIST_SINCE
    out += _as_list(request) if as_list else _as_singles(request, version)
    for words in request.others:
        if version >= LANGUAGES_SINCE or not words[0].startswith("--lang"):
            out += words
    return out


def _as_list(request: Request) -> list[str]:
    names = [name for name in FEATURES if name in request.features - request.excluded]
    names += sorted(request.features - set(FEATURES))
    return [f"--btf_features={','.join(names)}"] if names else []


def _as_singles(request: Request, version: tuple[int, int]) -> list[str]:
    features = request.features - request.excluded
    words = [word for word, name in _ON.items() if name in features and _since(name) <= version]
    for word, name in _OFF.items():
        unwanted = name in request.excluded or (request.listed and name not in features)
        if unwanted and version >= max(_since(name), _SKIP_VARS_SINCE):
            words.append(word)
    return words
