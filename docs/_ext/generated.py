# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The parts of the documentation that are generated from the program, so that they cannot differ.

A page has a line ``<!-- generated: NAME -->``, NAME being a function of PARTS, where that
function's Markdown goes.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import re
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kbtf
from kbtf import errors
from kbtf.btf.rules import CHANGES
from kbtf.cli.command import COMMANDS
from kbtf.cli.inventory import inventory, settings_of
from kbtf.findings.boot import BOOT
from kbtf.findings.build import BUILD
from kbtf.findings.deep import DEEP
from kbtf.findings.kernel import KERNEL
from kbtf.findings.kfuncs import KFUNCS
from kbtf.findings.linking import LINKING
from kbtf.findings.loading import LOADING
from kbtf.hooks import specs as hookspecs
from kbtf.hooks.specs import HOOKS
from kbtf.run.phases import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.cli.inventory import Argument, Command
    from kbtf.findings.table import Row, Table

TABLES = {
    "check": LOADING,
    "check --deep": DEEP,
    "kfuncs": KFUNCS,
    "kfuncs VMLINUX": KERNEL,
    "ksyms": LINKING,
    "doctor": BUILD,
    "status": BOOT,
}
"""The findings by the command that reports them."""

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


def kernel_changes() -> str:
    """A table of what releases changed in the checks, and where a kernel's BTF shows it."""
    rows = ["| since | what | shown by | denied by |", "|---|---|---|---|"]
    for change in CHANGES:
        signs = (str(sign or "-") for sign in (change.shown_by, change.denied_by))
        rows.append(f"| {change.since} | {change.what} | {' | '.join(signs)} |")
    return "\n".join(rows)


def findings() -> str:
    """A table of what ``kbtf check`` finds."""
    return _findings(LOADING)


def deep_findings() -> str:
    """A table of what ``kbtf check --deep`` finds."""
    return _findings(DEEP)


def kfunc_findings() -> str:
    """A table of what ``kbtf kfuncs`` finds."""
    return _findings(KFUNCS)


def kernel_findings() -> str:
    """A table of what ``kbtf kfuncs VMLINUX`` finds."""
    return _findings(KERNEL)


def linking_findings() -> str:
    """A table of what ``kbtf ksyms`` finds."""
    return _findings(LINKING)


def build_findings() -> str:
    """A table of what ``kbtf doctor`` looks at."""
    return _findings(BUILD)


def boot_findings() -> str:
    """A table of what ``kbtf status`` finds in addition to the findings of ``kbtf check``."""
    return _findings(BOOT)


def finding_codes() -> str:
    """A table of all codes; each has the place ``finding-CODE``."""
    rows = ["| code | reported by | severity | what it is about |", "|---|---|---|---|"]
    found = [(row.code, command, row) for command, table in TABLES.items() for row in table]
    places: set[str] = set()
    for code, command, row in sorted(found, key=itemgetter(0)):
        cell = f"`{code}`" if code in places else f"[`{code}`]{{#finding-{code}}}"
        places.add(code)
        rows.append(f"| {cell} | `kbtf {command}` | {_severities(row)} | {row.meaning} |")
    return "\n".join(rows)


def _findings(table: Table) -> str:
    rows = ["| code | severity | what it is about |", "|---|---|---|"]
    for row in table:
        rows.append(f"| `{row.code}` | {_severities(row)} | {row.meaning} |")
    return "\n".join(rows)


def _severities(row: Row) -> str:
    return ", ".join(severity.value for severity in row.severities)


def configuration() -> str:
    """A table of the keys of the configuration, with the commands that read them."""
    readers: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    safe: set[str] = set()
    for command in COMMANDS:
        for key, option in settings_of(command).items():
            text = option.kwargs.get("help", "-")
            if not option.flags or text == argparse.SUPPRESS:
                continue
            readers.setdefault(key, []).append(f"`{command}`")
            texts[key] = _prose(text)
            if option.safe:
                safe.add(key)
    rows = ["| key | what it is | read by | safe |", "|---|---|---|---|"]
    rows += [
        f"| `{key}` | {texts[key]} | {', '.join(readers[key])} | {'yes' if key in safe else ''} |"
        for key in texts
    ]
    return "\n".join(rows)


def phases() -> str:
    """A table of the phases."""
    titles = ("phase", "hook", "what is there", "inside Kbuild", "on other machines")
    rows = [f"| {' | '.join(titles)} |", "|---|---|---|---|---|"]
    for phase in PHASES:
        where = ("yes" if runs else "no" for runs in (phase.in_kbuild, phase.elsewhere))
        rows.append(f"| {phase.name} | `{phase.hook}` | {phase.uses} | {' | '.join(where)} |")
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
    """Help or a docstring as Markdown: names and commands become code, the rest is unchanged."""
    text = re.sub(r"``(.+?)``|(?<!\*)\*(\w+)\*(?!\*)|(?<!\w)'([^'\n]+)'(?!\w)", _as_code, text)
    parts = text.split("`")
    parts[::2] = [re.sub(r"[*<\[|]", r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def _as_code(found: re.Match[str]) -> str:
    return f"`{found[1] or found[2] or found[3]}`"


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```\n"


PARTS = {
    part.__name__: part
    for part in (
        commands,
        hooks,
        phases,
        error_classes,
        findings,
        deep_findings,
        kfunc_findings,
        kernel_findings,
        linking_findings,
        build_findings,
        boot_findings,
        finding_codes,
        kernel_changes,
        configuration,
        schemas,
    )
}


def fill_in(app: Any, page: str, source: list[str]) -> None:
    """Put what is generated in the place of its mark."""
    source[0] = _MARK.sub(lambda mark: PARTS[mark[1]](), source[0])


def setup(app: Any) -> dict[str, bool]:
    os.environ["KBTF_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
