"""Base BTF as another compiler would have had it.

pahole leaves out of a module's BTF what it finds in the base, to the letter.  Two letters are the
compiler's: gcc and clang name integers differently in DWARF, and clang drops the qualifiers of a
member that is an anonymous struct or union.  With one such difference all types that lead to it
are repeated in the module, and a BPF program's ``struct task_struct *`` is another type to the
verifier than that of the module's kfuncs.  (Found with gcc 12, clang 14 and pahole 1.24 to 1.31.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.btf.raw import RawBtf

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf

_CLANG_NAMES = {
    "long int": "long",
    "long unsigned int": "unsigned long",
    "short int": "short",
    "short unsigned int": "unsigned short",
    "long long int": "long long",
    "long long unsigned int": "unsigned long long",
    "__int128 unsigned": "unsigned __int128",
}


def made_by(base: Btf) -> str | None:
    """``gcc`` or ``clang``, by the names of integers; None if they do not tell."""
    if base.find("long int", Kind.INT):
        return "gcc"
    return "clang" if base.find("long", Kind.INT) else None


def as_by_clang(base: Btf) -> Btf:
    """*base*, of gcc, as clang would have had it.

    All ids and string offsets are the same, so that split BTF made on it fits *base* as well.
    """
    raw = RawBtf(base)
    for gcc, clang in _CLANG_NAMES.items():
        raw.respell(gcc, clang)
    _unqualify_members(raw)
    return raw.build()


def _unqualify_members(raw: RawBtf) -> None:
    words, starts = raw.words, raw.starts
    kinds = [words[start + 1] >> 24 & 0x7F for start in starts]
    composites = [at for at, kind in enumerate(kinds) if kind in (Kind.STRUCT, Kind.UNION)]
    anonymous = {at + raw.start_id for at in composites if not words[starts[at]]}
    qualified = {}
    for at, kind in enumerate(kinds):
        target = words[starts[at] + 2]
        if kind in (Kind.CONST, Kind.VOLATILE) and target in anonymous:
            qualified[at + raw.start_id] = target
    for at in composites:
        first = starts[at] + 3
        end = first + 3 * (words[starts[at] + 1] & 0xFFFFFF)
        for member in range(first + 1, end, 3):
            words[member] = qualified.get(words[member], words[member])
