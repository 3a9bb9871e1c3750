# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Suffixes in the names of a kfunc's parameters that change how the verifier treats them.

Source: is_kfunc_arg_*() in kernel/bpf/verifier.c of 6.12, Documentation/bpf/kfuncs.rst, and the
commits that added the later ones.  A suffix needs a name before it: ``__sz`` alone is none.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Fits(Enum):
    """The type a parameter must have for its suffix to take effect."""

    ANY = "anything"
    SCALAR = "an integer or an enum"
    POINTER = "a pointer"
    SIZE = "an integer that follows the pointer whose size it gives"
    SIZED = "a pointer right before its size, which ends in __sz or __szk"
    STRING = "a pointer to char"
    DYNPTR = "a pointer to struct bpf_dynptr"
    MAP = "a pointer to struct bpf_map or to void"
    ITERATOR = "a pointer to a struct whose name begins with bpf_iter_"
    NEVER = "a kfunc of the kernel itself"


class Suffix(NamedTuple):
    """A parameter suffix that kernels know."""

    text: str
    fits: Fits
    meaning: str
    since: str | None = None
    """The first release that knows it, if 6.12 does not."""
    until: str | None = None
    """The first release that no longer does."""

    @property
    def is_fatal(self) -> bool:
        """On the wrong type, the verifier rejects every call; otherwise it ignores the suffix."""
        return self.fits in (Fits.ITERATOR, Fits.NEVER)


SUFFIXES = (
    Suffix("__sz", Fits.SIZE, "how many bytes the pointer before it points to"),
    Suffix("__szk", Fits.SIZE, "the same, and a constant"),
    Suffix("__k", Fits.SCALAR, "a constant"),
    Suffix("__ign", Fits.ANY, "not checked"),
    Suffix("__arena__nullable", Fits.POINTER, "points into an arena, or is NULL", since="7.3"),
    Suffix("__arena", Fits.POINTER, "points into an arena", since="7.3"),
    Suffix("__nullable", Fits.POINTER, "may be NULL although arguments are trusted"),
    Suffix("__opt", Fits.SIZED, "may be NULL, whatever the size after it", until="7.2"),
    Suffix("__uninit", Fits.DYNPTR, "a dynptr that the kfunc initializes"),
    Suffix("__alloc", Fits.NEVER, "an object of bpf_obj_new()"),
    Suffix("__refcounted_kptr", Fits.POINTER, "an object with a bpf_refcount"),
    Suffix("__str", Fits.STRING, "a constant string"),
    Suffix("__map", Fits.MAP, "a map"),
    Suffix("__const_map", Fits.MAP, "a map that is known when the program is loaded", since="7.3"),
    Suffix("__nonown_allowed", Fits.POINTER, "a list node that is not owned", since="7.2"),
    Suffix("__iter", Fits.ITERATOR, "an iterator that has begun"),
    Suffix("__irq_flag", Fits.POINTER, "interrupt flags on the stack", since="6.14"),
    Suffix("__prog", Fits.POINTER, "the program's bpf_prog_aux", since="6.16", until="7.0"),
)


def suffix_of(name: str) -> Suffix | None:
    """The suffix of a parameter's name; there is at most one."""
    return next((s for s in SUFFIXES if name.endswith(s.text) and name != s.text), None)


def unknown_suffix(name: str) -> str | None:
    """An ending that looks like a suffix but that no kernel knows."""
    at = name.rfind("__")
    ending = name[at:]
    if at < 1 or len(ending) < 3 or suffix_of(name) is not None:
        return None
    return ending
