# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Plugins and the configuration, for commands that use them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard

from kbtf.cli.common import base_from_environment
from kbtf.errors import UsageError
from kbtf.hooks.manager import Manager, make_manager, require_known
from kbtf.hooks.options import OptionGroup
from kbtf.run.config import merge, read_table
from kbtf.run.options import add_run_options

if TYPE_CHECKING:
    import argparse

    from kbtf.hooks.options import Config

_PASSES = "use an installed plugin or a Python file; no:NAME leaves one out"
_EXECUTORS = "use a plugin (installed, or a Python file) that provides an executor"


class Session(NamedTuple):
    """What a command runs with in addition to its arguments."""

    config: Config
    manager: Manager
    settings: OptionGroup
    """Its own settings and those of plugins."""
    words: list[str]
    """The parsed command line."""
    rest: list[str]
    """The arguments after ``--``, if the command takes them."""
    prepared: Any
    """The result of its function ``prepare``, which is called before any hook."""


class ConfiguredCommand(Protocol):
    """A command that plugins can extend and whose settings may be in a configuration.

    ``ONLY_WITH`` names a hook if only plugins that implement it apply.  With ``TAKES_REST``, the
    command handles the arguments after ``--`` itself.
    """

    DESCRIPTION: str
    EXAMPLE: str

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add to *parser* the arguments that only the command line has."""

    def settings(self, group: OptionGroup) -> None:
        """Add to *group* the settings that a configuration may also have."""

    def run(self, args: argparse.Namespace, session: Session) -> int:
        """Run with *args* and the configuration; return the exit code."""


class Declared(NamedTuple):
    """A command whose parser has all its options."""

    manager: Manager
    asked: Manager
    """Including the options of the plugins that apply."""
    settings: OptionGroup
    table: dict[str, Any]
    file: str | None
    prepared: Any


def is_configured(command: object) -> TypeGuard[ConfiguredCommand]:
    """Whether plugins can extend a command."""
    return hasattr(command, "settings")


def run_configured(
    command: ConfiguredCommand, parser: argparse.ArgumentParser, words: list[str]
) -> int:
    """Run *command* with the command line *words*; the exit code."""
    rest: list[str] = []
    if getattr(command, "TAKES_REST", False):
        at = words.index("--") if "--" in words else len(words)
        words, rest = words[:at], words[at + 1 :]
    declared = declare(command, parser, words)
    args = parser.parse_intermixed_args(words)
    config = _configured(declared, args)
    session = Session(config, declared.manager, declared.settings, words, rest, declared.prepared)
    return command.run(args, session)


def declare(
    command: ConfiguredCommand, parser: argparse.ArgumentParser, words: list[str]
) -> Declared:
    """Load the plugins that *words* and the configuration name, and add all options to *parser*."""
    hook = getattr(command, "ONLY_WITH", None)
    purpose = _EXECUTORS if hook else _PASSES
    plugins, config_file = _early_options(words)

    def loaded(name: str) -> str:
        if name not in plugins:  # only argparse sees it in -qp NAME
            raise UsageError(
                "-p cannot be joined to another option", hint="separate them, as in -q -p PLUGIN"
            )
        return name

    parser.add_argument(
        "-p",
        dest="plugins",
        type=loaded,
        action="append",
        default=[],
        metavar="PLUGIN",
        help=purpose,
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="read this configuration file (default: ./kbtf.toml, else [tool.kbtf] in "
        "./pyproject.toml)",
    )
    if "" in plugins or config_file == "":
        parser.error("-p is empty" if "" in plugins else "--config is empty")
    table, file = read_table(config_file)
    manager = make_manager([*_plugins_named_in(table, config_file, file), *plugins])
    prepare = getattr(command, "prepare", None)
    prepared = prepare(words, manager) if prepare else None
    settings = OptionGroup()
    command.settings(settings)
    asked = manager.those_with(hook) if hook else manager
    settings.add_to(parser)
    asked.call("kbtf_add_options", group=settings)
    return Declared(manager, asked, settings, table, file, prepared)


def _configured(declared: Declared, args: argparse.Namespace) -> Config:
    """The values of all settings, after plugins have checked theirs."""
    manager, known = declared.manager, declared.settings
    if declared.asked is not manager:
        # a configuration may also contain the options of passes
        known = OptionGroup()
        add_run_options(known)
        manager.call("kbtf_add_options", group=known)
    given: dict[str, Any] = dict(vars(args))
    base_option = known.options.get("base")
    if base_option is not None and (base := base_from_environment()):
        given.setdefault(base_option.dest, base)
    trusted = args.config is not None
    config = merge(known, declared.table, declared.file, given, trusted=trusted)
    config.files = [declared.file] if declared.file else []
    config.files += [plugin.origin for plugin in manager.plugins if os.path.isfile(plugin.origin)]
    declared.asked.call("kbtf_configure", config=config)
    return config


def _early_options(args: list[str]) -> tuple[list[str], str | None]:
    """The options that decide which plugins are loaded, parsed before the plugins add theirs."""
    plugins, config = [], None
    for at, arg in enumerate(args):
        following = args[at + 1 : at + 2]
        if arg == "--":
            break
        if arg == "-p":
            plugins += following
        elif arg.startswith("-p") and not arg.startswith("--"):
            plugins.append(arg[2:])
        elif arg == "--config":
            config = following[0] if following else None
        elif arg.startswith("--config="):
            config = arg.partition("=")[2]
    return plugins, config


def _plugins_named_in(table: dict[str, Any], asked_for: str | None, file: str | None) -> list[str]:
    """The plugins that the configuration names; allowed only in one that the user named."""
    plugins = table.get("plugins", [])
    if not plugins:
        return []
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise UsageError("plugins is not a list of names", file=file)
    if asked_for is None:
        raise UsageError(
            "names plugins, which needs a configuration that you name",
            file=file,
            hint=f"use -p {plugins[0]}, or --config {file} if you trust all of it",
        )
    try:
        require_known(plugins)
    except UsageError as error:
        error.file = file
        raise
    return plugins
