"""What resolve_btfids says where it fails, and with ``-v``.

Only these paths need its order of things; all else is in kbtf.btf_ids.  Source:
tools/bpf/resolve_btfids/main.c of 6.12.
"""

from __future__ import annotations

from kbtf.btf_ids import PREFIX, SECTION, SLOT_KINDS, BtfIds, Slot, resolve_ids
from kbtf.kbuild.console import worded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.btf.btf import Btf
    from kbtf.btf_ids import Resolution
    from kbtf.elf.image import ElfImage, Symbol

_MOST_SLOTS_OF_A_NAME = 100
_TREES = (*SLOT_KINDS, "set")  # set8 shares one with set


def _id_symbols(image: ElfImage) -> Iterator[tuple[Symbol, str]]:
    section = image.section(SECTION)
    number = section.number if section else -1
    for symbol in image.symbols():
        if symbol.shndx == number and symbol.name.startswith(PREFIX):
            yield symbol, symbol.name.removeprefix(PREFIX)


def _split(rest: str) -> tuple[str, str | None] | None:
    """Kind and name; None for a kind that is not known, no name where it cannot be parsed."""
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


def symbols_added(image: ElfImage) -> Iterator[str]:
    """A line for each name that is new, as far as the symbols can be read."""
    seen = set()
    for _, rest in _id_symbols(image):
        parts = _split(rest)
        if parts is None or parts[1] is None:
            return
        if parts not in seen:
            seen.add(parts)
            yield f"adding symbol {parts[1]}"


def collect_failure(image: ElfImage) -> tuple[str, ...] | None:
    """What is said where a symbol cannot be taken in; None if all can."""
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
            return ()  # of two sets of one name nothing is said
        if uses[key] > _MOST_SLOTS_OF_A_NAME:
            return (f"FAILED symbol {name} crossed the number of allowed lists",)
    return None


def patch_failure(image: ElfImage, btf: Btf) -> list[str]:
    """What is said up to the first slot that lies outside the section."""
    section = image.section(SECTION)
    start, size = (section.addr, section.size) if section else (0, 0)
    places: dict[tuple[str, str], list[int]] = {}
    for symbol, rest in _id_symbols(image):
        kind, name = _split(rest) or ("set", "")
        places.setdefault((kind, name or ""), []).append((symbol.value - start) % (1 << 64))
    slots = tuple(Slot(SLOT_KINDS[kind], name, 0) for kind, name in places if kind != "set")
    warnings = resolve_ids(BtfIds(slots, (), (), (0,), "little"), btf).warnings
    lines = [worded(warning) for warning in warnings if warning.startswith("multiple")]
    for kind, name in _in_order(places):
        if f"unresolved symbol {name}" in warnings and kind != "set":
            lines.append(worded(f"unresolved symbol {name}"))
        outside = [at for at in places[kind, name] if at >= size]
        if outside:
            return [*lines, f"FAILED patching index {outside[0]} out of bounds {size}"]
    return [*lines, "FAILED malformed .BTF_ids"]


def _in_order(keys: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Tree by tree, the names of each descending."""
    descending = sorted(keys, key=lambda key: key[1], reverse=True)
    return sorted(descending, key=lambda key: _TREES.index(key[0]))


def patching(image: ElfImage, btf: Btf, resolution: Resolution) -> Iterator[str]:
    """The lines with ``-v`` from resolving to sorting, warnings between them."""
    ids = resolution.ids
    for warning in resolution.warnings:
        if warning.startswith("multiple"):
            yield worded(warning)
    section = image.section(SECTION)
    start = section.addr if section else 0
    places: dict[tuple[str, str], list[int]] = {}
    for symbol, rest in _id_symbols(image):
        kind, name = _split(rest) or ("set", "")
        places.setdefault((kind, name or ""), []).append(symbol.value - start)
    lengths = {s.name: s.length for s in ids.sets}
    for kind, name in _in_order(places):
        if kind == "set":
            number = lengths[name]
        else:
            found = btf.find(name, SLOT_KINDS[kind])
            number = found.id if found else 0
            if not number:
                yield worded(f"unresolved symbol {name}")
        for at in places[kind, name]:
            yield f"patching addr {at:5}: ID {number:7} [{name}]"
    for s in sorted(ids.sets, key=lambda s: s.name, reverse=True):
        yield f"sorting  addr {4 * s.at:5}: cnt {s.length:6} [{s.name}]"
