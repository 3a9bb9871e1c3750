# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Completion for bash, using only its builtins."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.cli.inventory import Argument, Command

_HEAD = """\
# bash completion for kbtf; 'kbtf completion bash' prints it.

_kbtf_files() {
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

_kbtf_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_kbtf() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' at
    # --option=value is three words here
    if [[ $cur == '=' ]]; then
        cur=''
    elif [[ $prev == '=' ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        if [[ ${COMP_WORDS[at]} != -* ]]; then
            command=${COMP_WORDS[at]}
            break
        fi
    done
    COMPREPLY=()
"""


def render(commands: list[Command]) -> str:
    """The script."""
    return _HEAD + "\n".join([*_values(commands), *_own(commands)]) + "\n"


def _values(commands: list[Command]) -> Iterator[str]:
    """What follows an option that takes a value."""
    yield "    case $command:$prev in"
    for command in commands:
        for option in command.options:
            if option.values != "none":
                pattern = "|".join(f"{command.name}:{flag}" for flag in option.flags)
                yield f"        {pattern}) {_offer(option)}; return ;;"
    yield "    esac"


def _own(commands: list[Command]) -> Iterator[str]:
    """Options, and the words that a command takes."""
    names = " ".join(command.name for command in commands)
    yield "    case $command:$cur in"
    yield "        :-*) _kbtf_words '--help --version' ;;"
    yield f"        :*) _kbtf_words '{names}' ;;"
    for command in commands:
        flags = " ".join(flag for option in command.options for flag in option.flags)
        yield f"        {command.name}:-*) _kbtf_words '{flags}' ;;"
        if command.words:
            yield f"        {command.name}:*) {_offer_any(command.words)} ;;"
    yield "    esac"
    yield "}"
    yield ""
    yield "complete -F _kbtf kbtf"


def _offer_any(words: list[Argument]) -> str:
    chosen = next((word for word in words if word.choices), None)
    return _offer(chosen or words[0])


def _offer(argument: Argument) -> str:
    if argument.choices:
        return f"_kbtf_words '{' '.join(argument.choices)}'"
    return {"files": "_kbtf_files -f", "folders": "_kbtf_files -d"}.get(argument.values, ":")
