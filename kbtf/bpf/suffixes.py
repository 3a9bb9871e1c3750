"""What the verifier takes a kfunc's parameter for because of the end of its name.

Source: is_kfunc_arg_*() in kernel/bpf/verifier.c of 6.12, Documentation/bpf/kfuncs.rst, and the
commits that brought the later ones.  A suffix counts only behind something: ``__sz`` alone is none.
"""

from __future__ import annotations

from enum import Enum

from kbtf.record import NamedTuple


class Fits(Enum):
    """What a parameter must be for its suffix to have an effect."""

    ANY = "anything"
    SCALAR = "an integer or an enum"
    POINTER = "a pointer"
    SIZE = "an integer right behind the pointer whose size it is"
    SIZED = "a pointer right before its size, which ends in __sz or __szk"
    STRING = "a pointer to char"
    DYNPTR = "a pointer to struct bpf_dynptr"
    MAP = "a pointer to struct bpf_map or to void"
    ITERATOR = "a pointer to a struct whose name begins with bpf_iter_"
    NEVER = "a kfunc of the kernel itself"


class Suffix(NamedTuple):
    """The end of a parameter's name that kernels know."""

    text: str
    fits: Fits
    meaning: str
    since: str | None = None
    """The first release that knows it, where 6.12 does not."""
    until: str | None = None
    """The first release that no longer does."""

    @property
    def is_fatal(self) -> bool:
        """Where it does not fit, the verifier refuses every call; else it just ignores it."""
        return self.fits in (Fits.ITERATOR, Fits.NEVER)


SUFFIXES = (
    Suffix("__sz", Fits.SIZE, "how many bytes the pointer before it points to"),
    Suffix("__szk", Fits.SIZE, "the same, and a constant"),
    Suffix("__k", Fits.SCALAR, "a constant"),
    Suffix("__ign", Fits.ANY, "not checked"),
    Suffix("__nullable", Fits.POINTER, "may be NULL although arguments are trusted"),
    Suffix("__opt", Fits.SIZED, "may be NULL, whatever the size behind it"),
    Suffix("__uninit", Fits.DYNPTR, "a dynptr that the kfunc initializes"),
    Suffix("__alloc", Fits.NEVER, "an object of bpf_obj_new()"),
    Suffix("__refcounted_kptr", Fits.POINTER, "an object with a bpf_refcount"),
    Suffix("__str", Fits.STRING, "a constant string"),
    Suffix("__map", Fits.MAP, "a map"),
    Suffix("__iter", Fits.ITERATOR, "an iterator that has begun"),
    Suffix("__irq_flag", Fits.POINTER, "interrupt flags on the stack", since="6.14"),
    Suffix("__prog", Fits.POINTER, "the program's bpf_prog_aux", since="6.16", until="7.0"),
)


def suffix_of(name: str) -> Suffix | None:
    """The suffix that a parameter's name ends in; there is at most one."""
    return next((s for s in SUFFIXES if name.endswith(s.text) and name != s.text), None)


def unknown_suffix(name: str) -> str | None:
    """What looks like a suffix, but is none that kernels know."""
    at = name.rfind("__")
    ending = name[at:]
    if at < 1 or len(ending) < 3 or suffix_of(name) is not None:
        return None
    return ending
