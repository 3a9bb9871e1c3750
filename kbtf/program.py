"""The programs as processes, without what the interpreter does only for those that live long.

On a small module that is a fifth of the time: looking for garbage while modules are imported, and
taking everything apart at the end.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_GARBAGE = 20_000
"""New objects before the collector looks: more than a run on one module makes."""


def kbtf() -> int:
    """The program ``kbtf``; its exit code."""
    gc.set_threshold(_GARBAGE)
    from kbtf.cli import main

    return _end(main)


def kbtf_pahole() -> int:
    """The program ``kbtf-pahole``; its exit code."""
    gc.set_threshold(_GARBAGE)
    from kbtf.kbuild.pahole import main

    return _end(main)


def kbtf_resolve_btfids() -> int:
    """The program ``kbtf-resolve-btfids``; its exit code."""
    gc.set_threshold(_GARBAGE)
    from kbtf.kbuild.resolve_btfids import main

    return _end(main)


def _end(main: Callable[[], int]) -> int:
    """The exit code of *main*; where nobody waits for the interpreter's end, this is the end."""
    code = main()
    if _is_awaited():
        return code
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:  # which the interpreter reports
        return code
    os._exit(code)


def _is_awaited() -> bool:
    """Whether there is code in the process, not ours, that may act at the interpreter's end."""
    script = sys._getframe(3)  # that called the function of the program, which called _end()
    return (
        script.f_back is not None  # a profiler, a debugger, runpy
        or atexit._ncallbacks() > 0
        or "threading" in sys.modules
        or "kbtf.host.loading" in sys.modules
        or bool(sys.flags.inspect)
    )
