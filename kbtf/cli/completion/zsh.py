# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Completion for zsh."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.cli.inventory import Argument, Command

_HEAD = """\
#compdef kbtf
# zsh completion for kbtf; 'kbtf completion zsh' prints it.

_kbtf() {
    local curcontext=$curcontext state line
    local -a commands
    commands=(
"""
_MIDDLE = """\
    )
    _arguments -C '(- *)'{-h,--help}'[show help]' '(- *)'{-V,--version}'[show the version]' \\
        '1:command:->command' '*::argument:->argument' && return
    if [[ $state == command ]]; then
        _describe command commands
        return
    fi
    case $words[1] in
"""
_TAIL = """\
    esac
}

if [[ $funcstack[1] == _kbtf ]]; then
    _kbtf "$@"
else
    compdef _kbtf kbtf
fi
"""


def render(commands: list[Command]) -> str:
    """The script: read by ``source``, or installed as ``_kbtf`` in a directory of ``$fpath``."""
    names = "".join(f"        {_quoted(_name(command))}\n" for command in commands)
    cases = "".join(line + "\n" for command in commands for line in _case(command))
    return _HEAD + names + _MIDDLE + cases + _TAIL


def _name(command: Command) -> str:
    return f"{command.name}:{command.summary}"


def _case(command: Command) -> Iterator[str]:
    yield f"        {command.name}) _arguments \\"
    for option in command.options:
        yield f"            {_option(option)} \\"
    chosen = [word for word in command.words if word.choices]
    for word in [*chosen, *command.words][:1]:
        yield f"            {_quoted('*:' + _value(word))} \\"
    yield "            ;;"


def _option(option: Argument) -> str:
    """Options may be anywhere and repeated; the command itself reports conflicts."""
    flags = "{" + ",".join(option.flags) + "}" if len(option.flags) > 1 else option.flags[0]
    values = ""
    if option.values != "none":
        values = "".join(f":{_value(option, name)}" for name in option.metavar.split())
    return f"'*'{flags}{_quoted(f'[{_escaped(option.help)}]{values}')}"


def _value(argument: Argument, name: str = "") -> str:
    """The completions for a value, after its name."""
    name = _escaped(name or argument.metavar)
    if argument.choices:
        return f"{name}:({' '.join(argument.choices)})"
    offered = {"files": "_files", "folders": "_files -/"}.get(argument.values, " ")
    return f"{name}:{offered}"


def _escaped(text: str) -> str:
    for special in "\\[]:":
        text = text.replace(special, "\\" + special)
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
