"""The command line: one file a command, imported when it is the one that is run."""

from __future__ import annotations

import os
import sys

from kbtf.btf import _native

TYPE_CHECKING = False  # importing typing would take a third of the time of --version
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn

COMMANDS = {
    "build": "build modules with Kbuild and give them resilient BTF",
    "run": "give modules resilient BTF",
    "check": "tell on which kernels the BTF of modules will load, and why not",
    "stats": "tell how much .BTF.base adds to a tree of modules",
    "show": "show what BTF modules have",
    "explain": "tell why a type is in .BTF.base",
    "dump": "print BTF as text, as C or as JSON",
    "distill": "distil split BTF into a small base and a split on it",
    "relocate": "put distilled BTF on a vmlinux, as the kernel does",
    "undistill": "give modules with .BTF.base plain split BTF again",
    "extract": "write out one section of a module",
    "base": "find the BTF of a kernel, show and extract it",
    "kfuncs": "show what modules offer to BPF programs, and audit it",
    "ksyms": "link the externs of a BPF object against a kernel and modules",
    "makefile": "print the path of a fragment for a Makefile",
    "dkms": "give the modules of all DKMS packages resilient BTF",
    "doctor": "tell what a build would do and what is missing",
    "plugins": "list the plugins and their hooks",
    "schema": "print the schema of a JSON document",
    "completion": "print what makes a shell complete commands",
    "demo": "run the four phases on a module that comes with kbtf",
}


class Terminated(BaseException):
    """SIGTERM or SIGHUP, as an exception, so that whatever is open is cleaned up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kbtf`` with the arguments *argv*, those of the process by default."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        if args in (["--version"], ["-V"]):
            print(f"kbtf {_native.VERSION}")
            code = 0
        else:
            code = _run_guarded(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        _drop(1)
        return 0
    except OSError as error:
        _drop(1)
        print_error(f"standard output: {(error.strerror or str(error)).lower()}")
        return 4
    return code


def _run_guarded(args: list[str]) -> int:
    """Run a command; whatever stops it becomes one line and an exit code."""
    from kbtf.errors import KbtfError, MachineError, os_error

    _prepare_process()
    try:
        return _run(args)
    except KbtfError as error:
        return _fail(args, error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _fail(args, os_error(error))
    except MemoryError:
        return _fail(args, MachineError("out of memory"))
    except SystemExit as end:  # of argparse
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except Terminated:
        return 143


def _drop(stream: int) -> None:
    """Send what is still buffered nowhere, so that nothing fails at the interpreter's exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _prepare_process() -> None:
    import signal

    def terminate(signum: int, frame: object) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    _native.end_on_truncation()
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, terminate)
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # Names in BTF and paths need not be text in the user's locale.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")


def _fail(args: list[str], error: Exception) -> int:
    if "--debug" in args:
        print_traceback()
    print_error(error)
    return int(getattr(error, "exit_code", 3))


def print_traceback() -> None:
    """Say on standard error where the error at hand comes from."""
    import traceback

    traceback.print_exc()


def print_error(error: object) -> None:
    """Say on standard error what went wrong, in one line."""
    _say("error", error)


def print_warning(text: object) -> None:
    """Say on standard error what is probably wrong, in one line."""
    _say("warning", text)


def _say(what: str, text: object) -> None:
    line = str(text).replace("\n", "\\n")
    try:
        print(f"kbtf: {what}: {line}", file=sys.stderr)
    except OSError:  # nobody can be told; the exit code still tells
        _drop(2)


def _run(args: list[str]) -> int:
    if args[:1] == ["--debug"] and len(args) > 1:
        args = [args[1], "--debug", *args[2:]]
    if args and args[0] in COMMANDS:
        from kbtf.cli._parser import parse_own

        return parse_own(args[0], args[1:])
    from kbtf.cli._parser import parse_any

    parsed: argparse.Namespace | int = parse_any(args)
    if isinstance(parsed, int):
        return parsed
    return int(parsed.run(parsed))
