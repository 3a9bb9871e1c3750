"""The options of a command that runs no pass, but may run on what a plugin offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli._inputs import add_jobs
from kbtf.cli._options import load_plugins
from kbtf.cli.run import add_options
from kbtf.host.config import Config, OptionGroup, merge

if TYPE_CHECKING:
    import argparse

    from kbtf.host.manager import Manager


def load_executors(
    parser: argparse.ArgumentParser, args: list[str]
) -> tuple[argparse.Namespace, Config, Manager]:
    """Load the plugins, and read the options of those that have an executor.

    The configuration may hold those of the passes too.
    """
    manager, table, file = load_plugins(
        parser, args, "use an installed plugin or a Python file that runs the work elsewhere"
    )
    others = [p.module for p in manager.plugins if "kbtf_executor" not in manager.hooks_of(p)]
    shown, known = OptionGroup(), OptionGroup()
    add_jobs(shown)
    manager.pluggy.subset_hook_caller("kbtf_add_options", others)(group=shown)
    shown.add_to(parser)
    parsed = parser.parse_intermixed_args(args)
    add_options(known)
    manager.call("kbtf_add_options", group=known)
    config = merge(known, table, file, vars(parsed))
    manager.pluggy.subset_hook_caller("kbtf_configure", others)(config=config)
    return parsed, config, manager
