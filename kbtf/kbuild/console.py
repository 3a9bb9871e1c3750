"""What the stand-ins say, and how they end."""

from __future__ import annotations

import os
import sys

from kbtf.errors import KbtfError, MachineError, os_error

TYPE_CHECKING = False  # importing typing would cost a build more than the work
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


class Failure(Exception):  # noqa: N818 - it carries the words of the tool that is stood in for
    """The end of a run: *lines* for standard error, as the original words them, and a code."""

    def __init__(self, *lines: str, code: int = 255) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.code = code


class Terminated(BaseException):
    """SIGTERM, as an exception, so that whatever is open is cleaned up."""


def say(line: str) -> None:
    """One line on standard error, with names byte for byte as the file has them."""
    try:
        os.write(2, (line + "\n").encode("utf-8", "surrogateescape"))
    except OSError:
        # Nobody listens; the exit code still tells.
        pass


def worded(warning: str) -> str:
    """A warning of resolve_ids() in the words of resolve_btfids."""
    unresolved = warning.startswith("unresolved symbol")
    return f"WARN: resolve_btfids: {warning}" if unresolved else f"WARN: {warning}"


def guarded(program: str, run: Callable[[list[str]], int], argv: list[str] | None) -> int:
    """Run a stand-in; whatever stops it becomes lines on standard error and an exit code."""
    import signal

    def terminate(signum: int, frame: object) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        return run(sys.argv[1:] if argv is None else argv)
    except Failure as failure:
        for line in failure.lines:
            say(line)
        return failure.code
    except KbtfError as error:
        return _fail(program, error)
    except OSError as error:
        return _fail(program, os_error(error))
    except MemoryError:
        return _fail(program, MachineError("out of memory"))
    except KeyboardInterrupt:
        return 130
    except Terminated:
        return 143


def _fail(program: str, error: KbtfError) -> int:
    text = str(error).replace("\n", "\\n")
    say(f"{program}: error: {text}")
    return 255 if program == "kbtf-resolve-btfids" else error.exit_code
