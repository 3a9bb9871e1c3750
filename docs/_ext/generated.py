# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What of the reference is made from the program itself, so that it cannot say anything else.

A page has a line ``<!-- generated: NAME -->``, NAME being a function of PARTS, where that
function's Markdown goes.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kbtf
from kbtf import errors
from kbtf.cli import COMMANDS
from kbtf.cli._inventory import complete_parser, inventory
from kbtf.host import hookspecs
from kbtf.host.manager import HOOKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.cli._inventory import Argument, Command

_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def commands() -> str:
    """A section for each command: what it does, how it is called, its options, an example."""
    return "\n".join("\n".join(_command(command)) for command in inventory())


def _command(command: Command) -> Iterator[str]:
    yield f"## kbtf {command.name}\n"
    yield f"{_prose(command.description)}\n"
    yield _block("text", command.usage)
    for argument in (*command.words, *command.options):
        if "--help" not in argument.flags:
            yield from _argument(argument)
    yield _block("make" if command.name == "makefile" else "sh", inspect.cleandoc(command.example))


def _argument(argument: Argument) -> Iterator[str]:
    """An entry of a list of definitions."""
    names = [f"{flag} {argument.metavar}".strip() for flag in argument.flags]
    yield ", ".join(f"`{name}`" for name in names or [argument.metavar])
    yield f": {_prose(argument.help or '-')}\n"


def hooks() -> str:
    """A section for each hook: its signature and its documentation."""
    return "\n".join("\n".join(_hook(name)) for name in HOOKS)


def _hook(name: str) -> Iterator[str]:
    hook = getattr(hookspecs, name)
    signature = str(inspect.signature(hook)).replace("'", "")
    yield f"## {name}\n"
    yield _block("python", f"def {name}{signature}")
    yield f"{_prose(inspect.getdoc(hook) or '')}\n"


def error_classes() -> str:
    """A table of the errors with their exit codes."""
    rows = ["| error | is a | exit code | what it is |", "|---|---|---|---|"]
    for name, error in vars(errors).items():
        if inspect.isclass(error) and issubclass(error, kbtf.KbtfError):
            first = (inspect.getdoc(error) or "").partition("\n\n")[0].replace("\n", " ")
            parent = error.__bases__[0].__name__
            rows.append(f"| `{name}` | `{parent}` | {error.exit_code} | {first} |")
    return "\n".join(rows)


def configuration() -> str:
    """A table of the keys of the configuration, with the commands that read them."""
    readers: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for command in COMMANDS:
        for action in complete_parser(command)._actions:
            mark, _, key = action.dest.partition(":")  # see kbtf.host.config.Option.dest
            if mark == "option":
                readers.setdefault(key, []).append(f"`{command}`")
                texts[key] = _prose(action.help or "-")
    rows = ["| key | what it is | read by |", "|---|---|---|"]
    rows += [f"| `{key}` | {texts[key]} | {', '.join(readers[key])} |" for key in texts]
    return "\n".join(rows)


def schemas() -> str:
    """A section for each JSON schema that comes with kbtf."""
    folder = Path(kbtf.__file__).parent / "schemas"
    return "\n".join("\n".join(_schema(path)) for path in sorted(folder.glob("*.json")))


def _schema(path: Path) -> Iterator[str]:
    schema = json.loads(path.read_text())
    yield f"## {path.name}\n"
    yield f"{_prose(schema['title'])}\n"
    yield _block("json", json.dumps(schema, indent=2))


def _prose(text: str) -> str:
    """Help or a docstring as Markdown: names and commands are code, all else is as it stands."""
    text = re.sub(r"``(.+?)``|(?<!\*)\*(\w+)\*(?!\*)|(?<!\w)'([^'\n]+)'(?!\w)", _as_code, text)
    parts = text.split("`")
    parts[::2] = [re.sub(r"[*<\[|]", r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def _as_code(found: re.Match[str]) -> str:
    return f"`{found[1] or found[2] or found[3]}`"


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```\n"


PARTS = {part.__name__: part for part in (commands, hooks, error_classes, configuration, schemas)}


def fill_in(app: Any, page: str, source: list[str]) -> None:
    """Put what is generated in the place of its mark."""
    source[0] = _MARK.sub(lambda mark: PARTS[mark[1]](), source[0])


def setup(app: Any) -> dict[str, bool]:
    os.environ["KBTF_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
