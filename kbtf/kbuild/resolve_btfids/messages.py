# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The messages of resolve_btfids on failure, and with ``-v``.

Only these paths depend on the order of its steps; everything else is in kbtf.ids.  Source:
tools/bpf/resolve_btfids/main.c of 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.ids.btf_ids import PREFIX, SECTION, SLOT_KINDS, BtfIds, Slot
from kbtf.ids.resolve import Ambiguous, Unresolved, resolve_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.btf.btf import Btf
    from kbtf.elf.format import Symbol
    from kbtf.elf.image import ElfImage
    from kbtf.ids.resolve import Resolution

_MOST_SLOTS_OF_A_NAME = 100
_TREES = (*SLOT_KINDS, "set")  # set8 shares one with set


def worded(warning: object) -> str:
    """A warning of resolve_ids() in the words of resolve_btfids."""
    by = "WARN: resolve_btfids" if isinstance(warning, Unresolved) else "WARN"
    return f"{by}: {warning}"


def _id_symbols(image: ElfImage) -> Iterator[tuple[Symbol, str]]:
    section = image.section(SECTION)
    number = section.number if section else -1
    for symbol in image.symbols(number):
        if symbol.name.startswith(PREFIX):
            yield symbol, symbol.name.removeprefix(PREFIX)


def _split(rest: str) -> tuple[str, str | None] | None:
    """Kind and name; None for an unknown kind, no name if it cannot be parsed."""
    for kind in (*SLOT_KINDS, "set8", "set"):
        if rest.startswith(kind):
            break
    else:
        return None
    name = rest[len(kind) + 2 :]
    if kind in ("set", "set8"):
        return "set", name or None
    at = name.rfind("_") - 1
    return kind, name[:at] if at >= 0 and name[at] == "_" else None


def symbols_added(image: ElfImage, longest: int | None = None) -> Iterator[str]:
    """A line for each name that is new, as far as the symbols can be read."""
    seen = set()
    for _, rest in _id_symbols(image):
        parts = _split(rest)
        if parts is None or parts[1] is None or _is_longer(rest, longest):
            return
        if parts not in seen:
            seen.add(parts)
            yield f"adding symbol {parts[1]}"


def long_name(image: ElfImage, longest: int) -> str | None:
    """The first name that is too long for the original, as it prints it."""
    return next((rest for _, rest in _id_symbols(image) if _is_longer(rest, longest)), None)


def _is_longer(rest: str, longest: int | None) -> bool:
    """Only the names of types are copied into a buffer."""
    kind = next((kind for kind in SLOT_KINDS if rest.startswith(kind)), None)
    if kind is None or longest is None:
        return False
    return len(rest.encode("utf-8", "surrogateescape")) - len(kind) - 2 > longest


def collect_failure(image: ElfImage) -> tuple[str, ...] | None:
    """The message for the first symbol that cannot be parsed; None if all can."""
    uses: dict[tuple[str, str], int] = {}
    for _, rest in _id_symbols(image):
        parts = _split(rest)
        if parts is None:
            return (f"FAILED unsupported prefix {rest}",)
        kind, name = parts
        if name is None:
            what = "set" if kind == "set" else "symbol"
            return (f"FAILED to parse {what} name: {rest}",)
        key = kind, name
        uses[key] = uses.get(key, 0) + 1
        if kind == "set" and uses[key] > 1:
            return ()  # two sets of one name cause no message
        if uses[key] > _MOST_SLOTS_OF_A_NAME:
            return (f"FAILED symbol {name} crossed the number of allowed lists",)
    return None


def patch_failure(image: ElfImage, btf: Btf) -> list[str]:
    """The messages up to the first slot outside the section."""
    section = image.section(SECTION)
    start, size = (section.addr, section.size) if section else (0, 0)
    places: dict[tuple[str, str], list[int]] = {}
    for symbol, rest in _id_symbols(image):
        kind, name = _split(rest) or ("set", "")
        places.setdefault((kind, name or ""), []).append((symbol.value - start) % (1 << 64))
    slots = tuple(Slot(SLOT_KINDS[kind], name, 0) for kind, name in places if kind != "set")
    warnings = resolve_ids(BtfIds(slots, (), (), (0,), "little"), btf).warnings
    lines = [worded(warning) for warning in warnings if isinstance(warning, Ambiguous)]
    for kind, name in _in_order(places):
        unresolved = Unresolved(SLOT_KINDS[kind], name) if kind != "set" else None
        if unresolved in warnings:
            lines.append(worded(unresolved))
        outside = [at for at in places[kind, name] if at >= size]
        if outside:
            return [*lines, f"FAILED patching index {outside[0]} out of bounds {size}"]
    return [*lines, "FAILED malformed .BTF_ids"]


def _in_order(keys: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """By tree, the names of each in descending order."""
    descending = sorted(keys, key=lambda key: key[1], reverse=True)
    return sorted(descending, key=lambda key: _TREES.index(key[0]))


def patching(image: ElfImage, btf: Btf, resolution: Resolution) -> Iterator[str]:
    """The lines with ``-v`` from resolving to sorting, warnings between them."""
    ids = resolution.ids
    for warning in resolution.warnings:
        if isinstance(warning, Ambiguous):
            yield worded(warning)
    section = image.section(SECTION)
    start = section.addr if section else 0
    places: dict[tuple[str, str], list[int]] = {}
    for symbol, rest in _id_symbols(image):
        kind, name = _split(rest) or ("set", "")
        places.setdefault((kind, name or ""), []).append(symbol.value - start)
    counts = {s.name: s.declared for s in ids.sets}
    for kind, name in _in_order(places):
        if kind == "set":
            number = counts[name]
        else:
            found = btf.find(name, SLOT_KINDS[kind])
            number = found.id if found else 0
            if not number:
                yield worded(Unresolved(SLOT_KINDS[kind], name))
        for at in places[kind, name]:
            yield f"patching addr {at:5}: ID {number:7} [{name}]"
    for s in sorted(ids.sets, key=lambda s: s.name, reverse=True):
        yield f"sorting  addr {4 * s.at:5}: cnt {s.declared:6} [{s.name}]"
