# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Completion for fish."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.cli.inventory import Argument, Command

_HEAD = """\
# fish completion for kbtf; 'kbtf completion fish' prints it.

# The first word that is no option; with an argument, whether it is that one.
function __kbtf_command
    for word in (commandline -opc)[2..]
        if not string match -q -- '-*' $word
            test (count $argv) -eq 0 -o "$word" = "$argv[1]"
            return
        end
    end
    return 1
end

complete -c kbtf -f
complete -c kbtf -n 'not __kbtf_command' -s h -l help -d 'show help'
complete -c kbtf -n 'not __kbtf_command' -s V -l version -d 'show the version'
"""


def render(commands: list[Command]) -> str:
    """The script."""
    return _HEAD + "".join(line + "\n" for command in commands for line in _lines(command))


def _lines(command: Command) -> Iterator[str]:
    summary = _quoted(command.summary)
    yield f"complete -c kbtf -n 'not __kbtf_command' -a {command.name} -d {summary}"
    start = f"complete -c kbtf -n '__kbtf_command {command.name}'"
    for option in command.options:
        flags = " ".join(map(_flag, option.flags))
        takes = "" if option.values == "none" else f" -r {_value(option)}"
        yield f"{start} {flags}{takes} -d {_quoted(option.help)}"
    chosen = [word for word in command.words if word.choices]
    for word in [*chosen, *command.words][:1]:
        yield f"{start} {_value(word)}"


def _flag(flag: str) -> str:
    return f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"


def _value(argument: Argument) -> str:
    if argument.choices:
        return f"-f -a {_quoted(' '.join(argument.choices))}"
    folders = "-f -a '(__fish_complete_directories)'"
    return {"files": "-F", "folders": folders}.get(argument.values, "-f")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
