"""The options of commands that run passes: kbtf's own and those that plugins add."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.host.config import Config, OptionGroup, merge, read_table
from kbtf.host.manager import Manager, make_manager, require_known

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def add_base_options(group: OptionGroup) -> None:
    """Where the base BTF comes from."""
    group.add(
        "--base",
        metavar="FILE",
        help="the vmlinux that the modules were built for: ELF, compressed kernel or raw BTF "
        "(default: $KBTF_BASE, else what is found for their release)",
    )
    group.add(
        "-C", "--kdir", metavar="DIR", help="a kernel build directory, whose vmlinux comes first"
    )
    group.add(
        "--allow-other-release",
        action="store_true",
        default=False,
        help="take a base of another kernel release than the module's",
    )
    group.add(
        "--no-cache",
        action="store_true",
        default=False,
        help="do not keep what is unpacked from compressed kernels",
    )


def load(
    parser: argparse.ArgumentParser,
    args: list[str],
    group: OptionGroup,
    prepare: Callable[[Manager], None] | None = None,
) -> tuple[argparse.Namespace, Config, Manager]:
    """Load the plugins that *args* and the configuration name, and read all options.

    *prepare* is given the manager before the first hook is called.
    """
    manager, table, file = load_plugins(
        parser, args, "use an installed plugin or a Python file; no:NAME leaves one out"
    )
    if prepare:
        prepare(manager)
    group.add_to(parser)
    manager.call("kbtf_add_options", group=group)
    parsed = parser.parse_intermixed_args(args)
    given: dict[str, Any] = dict(vars(parsed))
    base_option = group.options.get("base")
    if base_option is not None and os.environ.get("KBTF_BASE"):
        given.setdefault(base_option.dest, os.environ["KBTF_BASE"])
    config = merge(group, table, file, given)
    config.files = [name for name in (file,) if name]
    config.files += [plugin.origin for plugin in manager.plugins if os.path.isfile(plugin.origin)]
    manager.call("kbtf_configure", config=config)
    return parsed, config, manager


def load_plugins(
    parser: argparse.ArgumentParser, args: list[str], purpose: str
) -> tuple[Manager, dict[str, Any], str | None]:
    """The plugins that *args* and the configuration name, that configuration, and its file.

    Adds the options ``-p``, which is for this *purpose*, and ``--config``.
    """
    parser.add_argument(
        "-p", dest="plugins", action="append", default=[], metavar="PLUGIN", help=purpose
    )
    parser.add_argument("--config", metavar="FILE", help="configuration (default: ./kbtf.toml)")
    plugins, config_file = _early_options(args)
    table, file = read_table(config_file)
    manager = make_manager([*_plugins_named_in(table, config_file, file), *plugins])
    return manager, table, file


def _early_options(args: list[str]) -> tuple[list[str], str | None]:
    """What decides which plugins add options, before these are known to the parser."""
    plugins, config = [], None
    for at, arg in enumerate(args):
        following = args[at + 1] if at + 1 < len(args) else ""
        if arg == "--":
            break
        if arg == "-p":
            plugins.append(following)
        elif arg.startswith("-p") and not arg.startswith("--"):
            plugins.append(arg[2:])
        elif arg == "--config":
            config = following
        elif arg.startswith("--config="):
            config = arg.partition("=")[2]
    return plugins, config


def _plugins_named_in(table: dict[str, Any], asked_for: str | None, file: str | None) -> list[str]:
    """The plugins that the configuration names: files only if the user named the configuration."""
    from kbtf.errors import UsageError

    plugins = table.get("plugins", [])
    if not plugins:
        return []
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise UsageError("plugins is not a list of names", file=file)
    for name in plugins:
        if asked_for is None and (name.endswith(".py") or "/" in name):
            raise UsageError(
                f"plugin {name}: a file of the current directory cannot name other files",
                file=file,
                hint=f"use -p {name} or --config {file}",
            )
    try:
        require_known(plugins)
    except UsageError as error:
        error.file = file
        raise
    return plugins
