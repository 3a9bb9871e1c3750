# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Generates the installed manual pages and completions: ``terminal.py FOLDER NATIVE``.

Meson runs it, with the C core that it has just built; the rest is imported from the sources.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.cli.inventory import Argument, Command

ROOT = Path(__file__).resolve().parent.parent
COMPLETIONS = {"bash": "kbtf", "zsh": "_kbtf", "fish": "kbtf.fish"}
EXIT_STATUS = {
    "0": "Done.",
    "1": "A negative verdict, such as a kernel that rejects a module's BTF.",
    "2": "Options or configuration that make no sense.",
    "3": "Bad input.",
    "4": "The environment: a missing tool, a permission, a full disk.",
}
ENVIRONMENT = {
    "KBTF_BASE": "The base, where --base is not given.",
    "KBTF_DISABLE_PLUGIN_AUTOLOAD": "If set, only the plugins of kbtf and those given by -p run.",
    "KBUILD_SIGN_PIN": "The passphrase of the key for --sign, or the PIN of its token.",
    "NO_COLOR": "If set, nothing is printed in colour.",
    "COLUMNS": "The width that help is printed in.",
    "XDG_CACHE_HOME": "Where the BTF of compressed kernels is kept, for users other than root.",
}
FILES = {
    "kbtf.toml, pyproject.toml": "The configuration, in the current directory: safe options only.",
    "/var/cache/kbtf, ~/.cache/kbtf": "The BTF of compressed kernels.",
}


def main(folder: str, native: str) -> None:
    """Write all files to *folder*."""
    load_sources(native)
    os.environ["KBTF_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    from kbtf.cli.commands.completion import script
    from kbtf.cli.inventory import inventory

    commands = inventory()
    write(folder, "kbtf.1", overview(commands))
    for command in commands:
        write(folder, f"kbtf-{command.name}.1", page(command))
    for shell, name in COMPLETIONS.items():
        write(folder, name, script(shell))


def load_sources(native: str) -> None:
    """Make kbtf importable from the sources, with the C core at *native*."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(ROOT))
    name = "kbtf.native._native"
    core = ModuleSpec(name, ExtensionFileLoader(name, native), origin=native)
    # A source distribution has no symbolic link kbtf/plugins.
    folder = ROOT / "plugins"
    passes = spec_from_file_location("kbtf.plugins", folder / "__init__.py")
    for spec in (core, passes):
        if spec is not None and spec.loader is not None:
            sys.modules[spec.name] = module = module_from_spec(spec)
            spec.loader.exec_module(module)


def write(folder: str, name: str, text: str) -> None:
    Path(folder, name).write_text(text, encoding="utf-8")


def overview(commands: list[Command]) -> str:
    """kbtf(1)."""
    pages = [f"kbtf-{command.name}" for command in commands]
    return "".join(
        line + "\n"
        for line in (
            *head("kbtf", "resilient split BTF for out-of-tree Linux kernel modules"),
            *section("SYNOPSIS", "kbtf COMMAND ..."),
            *section("COMMANDS"),
            *listed({f"kbtf {command.name}": command.summary for command in commands}),
            *section("EXIT STATUS"),
            *listed(EXIT_STATUS),
            *section("ENVIRONMENT"),
            *listed(ENVIRONMENT),
            *section("FILES"),
            *listed(FILES),
            *section("SEE ALSO"),
            *references([*((name, 1) for name in pages), ("pahole", 1), ("bpftool", 8)]),
        )
    )


def page(command: Command) -> str:
    """The page of one command."""
    return "".join(
        line + "\n"
        for line in (
            *head(f"kbtf-{command.name}", command.summary),
            *section("SYNOPSIS", *command.usage.split("\n")),
            *section("DESCRIPTION"),
            *paragraphs(command.description),
            *section("OPTIONS"),
            *arguments(command.arguments),
            *section("EXAMPLE"),
            *example(command.example),
            *section("SEE ALSO"),
            *references([("kbtf", 1), *([("kbtf-schema", 1)] if command.json else [])]),
        )
    )


def head(name: str, summary: str) -> Iterator[str]:
    from kbtf.version import VERSION

    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    day = time.strftime("%Y-%m-%d", time.gmtime(int(stamp) if stamp else None))
    yield f'.TH {name.upper()} 1 {day} "kbtf {VERSION}" "User Commands"'
    yield from (".nh", ".ad l")  # no hyphens are added to text that users copy
    yield ".SH NAME"
    yield f"{roff(name)} \\- {roff(summary)}"


def section(title: str, *lines: str) -> Iterator[str]:
    yield f'.SH "{title}"'
    for at, line in enumerate(lines):
        if at:
            yield ".br"
        yield roff(line)


def paragraphs(text: str) -> Iterator[str]:
    for at, paragraph in enumerate(text.split("\n\n")):
        if at:
            yield ".PP"
        yield from map(roff, " ".join(paragraph.split()).replace(". ", ".\n").split("\n"))


def listed(terms: dict[str, str]) -> Iterator[str]:
    for term, text in terms.items():
        yield ".TP"
        yield f"\\fB{roff(term)}\\fR"
        yield roff(text)


def arguments(found: tuple[Argument, ...]) -> Iterator[str]:
    """The arguments of a command, then its options."""
    for argument in sorted(found, key=lambda argument: bool(argument.flags)):
        flags = ", ".join(f"\\fB{roff(flag)}\\fR" for flag in argument.flags)
        values = f"\\fI{roff(argument.metavar)}\\fR" if argument.metavar else ""
        choices = f"One of {', '.join(argument.choices)}." if argument.choices else ""
        yield ".TP"
        yield f"{flags} {values}".strip()
        yield roff(argument.help or choices or "See above.")


def example(text: str) -> Iterator[str]:
    yield from (".nf", *(roff(line.removeprefix("  ")) for line in text.split("\n")), ".fi")


def references(pages: list[tuple[str, int]]) -> Iterator[str]:
    last = len(pages) - 1
    for at, (name, number) in enumerate(pages):
        yield f".BR {roff(name)} ({number}){',' if at < last else ''}"


def roff(text: str) -> str:
    """Literal text, whatever characters it contains."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    main(*sys.argv[1:])
