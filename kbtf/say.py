# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""All printing for people goes through this module.

Names in modules, paths and the output of other programs are untrusted.  In a terminal, or in a log
that somebody reads there, a control character could hide, forge or overwrite lines.  So all are
escaped, also in pipes, because these may end in a terminal.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kbtf.errors import MachineError, reason

if TYPE_CHECKING:
    from typing import IO, AnyStr

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """*text* on one line, with characters escaped that control a terminal, hide or reorder text.

    Control characters, bidirectional overrides, zero-width characters and bytes that are not UTF-8
    become escapes.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte preserved by surrogateescape
        code -= 0xDC00
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(number: int, noun: str) -> str:
    """``1 type``, ``1115 bytes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def counted_is(number: int, noun: str) -> str:
    """``1 byte is``, ``2 bytes are``."""
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'}"


def say(*lines: object) -> None:
    """Print each of *lines* as one line on standard output."""
    for line in lines:
        say_text(visible(str(line)) + "\n")


def say_text(text: str) -> None:
    """Print *text* whose parts are already `visible`, or kbtf's own, on standard output.

    Without a reader, the exit code must do: the command continues, and its output is discarded.
    """
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        drop_output()


def write_binary(data: bytes) -> None:
    """Write *data*, which is not for people, to standard output.

    Without a reader, this raises BrokenPipeError: it is all that the command does.
    """
    _write(sys.stdout.buffer, data)


def _write(stream: IO[AnyStr], data: AnyStr) -> None:
    try:
        stream.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise MachineError(reason(error), file="standard output") from error


def flush_output() -> None:
    """Flush standard output, with or without a reader."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Discard buffered and further output, so that nothing fails when the interpreter exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def complain(line: object) -> None:
    """Print *line* as one line on standard error; without a reader, the exit code must do."""
    try:
        print(visible(str(line)), file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def complain_of_traceback() -> None:
    """Print the traceback of the current exception, each of its messages on one line."""
    import traceback

    for entry in traceback.format_exception(sys.exception()):
        for line in entry.splitlines() if entry.startswith("  File ") else [entry.strip("\n")]:
            complain(line)


def update_status(text: str) -> None:
    """Overwrite the last line of the terminal on standard error; empty *text* clears it."""
    sys.stderr.write("\r\x1b[K" + visible(text))
    sys.stderr.flush()
