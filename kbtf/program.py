# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Startup and exit of the three programs: signals, truncated files, broken pipes, exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from kbtf.errors import KbtfError, MachineError, os_error, reason
from kbtf.say import drop_output, flush_output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_GARBAGE = 20_000
"""New objects before a garbage collection: more than imports create."""
_ACTS_AT_THE_END = frozenset(
    {"atexit", "bdb", "cProfile", "kbtf.hooks.loading", "profile", "threading"}
)
"""Modules that call functions, wait for threads or report when Python ends, or load plugins, which
may do anything then.  Coverage, debuggers and profilers import one of them."""


class Program(Protocol):
    """The interface of a program's module."""

    def run(self, args: list[str]) -> int:
        """Run with *args*; return the exit code."""

    def fail(self, args: list[str], error: KbtfError) -> int:
        """Report the error that stopped `run`; return the exit code."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP, as an exception, so that whatever is open is cleaned up."""


def kbtf() -> int:
    """The program ``kbtf``; its exit code."""
    return _as_process(main)


def kbtf_pahole() -> int:
    """The program ``kbtf-pahole``; its exit code."""
    from kbtf.kbuild.pahole import program

    return _as_process(lambda: guarded(program, sys.argv[1:]))


def kbtf_resolve_btfids() -> int:
    """The program ``kbtf-resolve-btfids``; its exit code."""
    from kbtf.kbuild import resolver

    return _as_process(lambda: guarded(resolver, sys.argv[1:]))


def _as_process(run: Callable[[], int]) -> int:
    """Collect garbage rarely, and end without it where nothing else acts at the end."""
    gc.set_threshold(_GARBAGE)
    code = run()
    if _ACTS_AT_THE_END.isdisjoint(sys.modules):
        _flush_messages()
        os._exit(code)  # freeing each object would take 4 ms
    return code


def _flush_messages() -> None:
    """Flush standard error; without a reader, the exit code must do."""
    with suppress(OSError):
        sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kbtf`` with the arguments *argv*, those of the process by default."""
    from kbtf import cli

    return guarded(cli, list(sys.argv[1:] if argv is None else argv))


def guarded(program: Program, args: list[str]) -> int:
    """Run *program*; any error is reported and becomes an exit code."""
    _prepare_process()
    try:
        code = _run(program, args)
        flush_output()
    except BrokenPipeError:  # the reader has closed output that is all that the command does
        drop_output()
        return 0
    except OSError as error:
        drop_output()
        return program.fail(args, MachineError(reason(error), file="standard output"))
    return code


def _run(program: Program, args: list[str]) -> int:
    try:
        return program.run(args)
    except KbtfError as error:
        return program.fail(args, error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return program.fail(args, os_error(error))
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        return program.fail(args, MachineError("out of memory"))
    except SystemExit as end:  # from argparse
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except Terminated:
        return 143


def _lacks_memory(error: MemoryError | RuntimeError) -> bool:
    # open() says "can't allocate read lock" (Modules/_io/bufferedio.c)
    return isinstance(error, MemoryError) or str(error).startswith("can't allocate")


def _prepare_process() -> None:
    from kbtf.native import _native

    _native.end_on_truncation()
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as set by nohup
        signal.signal(signal.SIGHUP, _terminate)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # Names in BTF and paths may not be valid text in the user's locale.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")


def _terminate(signum: int, frame: object) -> NoReturn:
    raise Terminated
