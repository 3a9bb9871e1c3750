"""The options with which Kbuild calls pahole, put into those of the pahole that is installed.

Kbuild takes them from CONFIG_PAHOLE_VERSION, the version that the kernel was built with: single
options up to 1.25, ``--btf_features`` from 1.26 on (scripts/Makefile.btf; pahole.c and
dwarf_loader.c of pahole say what each version knows).
"""

from __future__ import annotations

from kbtf.record import NamedTuple

FEATURES_SINCE = (1, 26)

# Since when pahole knows a feature under any name.
SINCE = {
    "encode_force": (1, 20),
    "var": (0, 0),
    "float": (1, 21),
    "decl_tag": (1, 23),
    "type_tag": (1, 23),
    "enum64": (1, 24),
    "optimized_func": (1, 25),
    "consistent_func": (1, 25),
    "decl_tag_kfuncs": (1, 27),
    "reproducible_build": (1, 27),
    "distilled_base": (1, 28),
    "global_var": (1, 28),
    "attributes": (1, 30),
    "layout": (1, 31),
    "true_signature": (1, 31),
}
DEFAULT = (
    "encode_force",
    "var",
    "float",
    "decl_tag",
    "type_tag",
    "enum64",
    "optimized_func",
    "consistent_func",
    "decl_tag_kfuncs",
)
# What `kbtf run` asks for (plugins/pahole.py).
WANTED = (*DEFAULT, "attributes")

# The single options, and what each turns on or off.
_ON = {
    "--reproducible_build": "reproducible_build",
    "--btf_attributes": "attributes",
    "--btf_encode_force": "encode_force",
    "--btf_gen_floats": "float",
    "--btf_gen_optimized": "optimized_func",
    "--skip_encoding_btf_inconsistent_proto": "consistent_func",
}
_OFF = {
    "--skip_encoding_btf_vars": "var",
    "--skip_encoding_btf_decl_tag": "decl_tag",
    "--skip_encoding_btf_type_tag": "type_tag",
    "--skip_encoding_btf_enum64": "enum64",
}
_SKIP_VARS_SINCE = (1, 18)
_VALUES = (
    "--btf_base",
    "--btf_encode_detached",
    "--btf_features",
    "--btf_features_strict",
    "--lang",
    "--lang_exclude",
)
_LANG_SINCE = (1, 24)
_JOBS_SINCE = (1, 22)


class Request(NamedTuple):
    """What the command line asks for."""

    encode: bool
    file: str | None
    base: str | None
    detached: str | None
    features: frozenset[str]
    excluded: frozenset[str]
    """Turned off by a single option."""
    listed: bool
    """They were given as ``--btf_features``."""
    jobs: str | None
    others: tuple[tuple[str, ...], ...]
    """The options that are handed on, each with its value."""


def read(args: list[str]) -> Request:
    """Take a command line apart."""
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
            features |= _listed(value)
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


def _listed(value: str) -> set[str]:
    """The features of one list: names, ``default``, and ``+`` for the default ones before it."""
    names = {name for name in value.removeprefix("+").split(",") if name}
    if value.startswith("+") or names & {"default", "all"}:
        names.update(DEFAULT)
    return names - {"default", "all"}


def for_module(request: Request, version: tuple[int, int]) -> Request:
    """The request as `kbtf run` would make it, for a module that is to get a distilled base.

    Several jobs would order its types differently from build to build, and the base is distilled
    by kbtf, not by pahole.
    """
    more = frozenset(WANTED)
    if version < FEATURES_SINCE:
        more -= {"encode_force"}
    features = (request.features | more) - {"distilled_base"} - request.excluded
    return request._replace(features=features, listed=version >= FEATURES_SINCE, jobs=None)


def lacks(request: Request, version: tuple[int, int]) -> list[str]:
    """What is asked for that a pahole of that version cannot do."""
    # From 1.26 on pahole itself passes over what it does not know.
    missing = [f for f in sorted(request.features) if SINCE.get(f, FEATURES_SINCE) > version]
    if version < _LANG_SINCE:
        missing += [words[0] for words in request.others if words[0].startswith("--lang")]
    return missing


def flags(request: Request, version: tuple[int, int]) -> list[str]:
    """The options for a pahole of that version, without ``-J`` and files."""
    out = [request.jobs] if request.jobs and version >= _JOBS_SINCE else []
    as_list = request.listed and version >= FEATURES_SINCE
    out += _as_list(request) if as_list else _as_singles(request, version)
    for words in request.others:
        if version >= _LANG_SINCE or not words[0].startswith("--lang"):
            out += words
    return out


def _as_list(request: Request) -> list[str]:
    names = [name for name in SINCE if name in request.features - request.excluded]
    names += sorted(request.features - set(SINCE))
    return [f"--btf_features={','.join(names)}"] if names else []


def _as_singles(request: Request, version: tuple[int, int]) -> list[str]:
    features = request.features - request.excluded
    words = [word for word, name in _ON.items() if name in features and SINCE[name] <= version]
    for word, name in _OFF.items():
        unwanted = name in request.excluded or (request.listed and name not in features)
        if unwanted and version >= max(SINCE[name], _SKIP_VARS_SINCE):
            words.append(word)
    return words
