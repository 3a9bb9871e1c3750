# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf plugins``: list the plugins, where they come from, and the order of their hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.cli.terminal.as_json import print_json
from kbtf.cli.terminal.table import print_table
from kbtf.errors import UsageError
from kbtf.run.options import add_run_options, hide

if TYPE_CHECKING:
    import argparse

    from kbtf.cli.session import Session
    from kbtf.hooks.manager import Manager
    from kbtf.hooks.options import Config, OptionGroup
    from kbtf.run.outcome import Outcome
    from kbtf.run.trace import Trace

DESCRIPTION = """\
List the plugins with their version, origin and hooks, in the order in which they run.

With --trace, take modules through all phases without writing them, and list which hook of which
plugin was called, how long it took (without the hooks it called itself), and which sections or
options it changed, added (+) or removed (-)."""
EXAMPLE = """\
  kbtf plugins
  kbtf plugins -p ./mypass.py --json
  kbtf plugins --trace mymodule.ko"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument(
        "--trace", nargs="*", metavar="MODULE", help="list the calls of hooks on these modules"
    )


def settings(group: OptionGroup) -> None:
    add_run_options(group)
    hide(group, "jobs", "dry-run")


def prepare(words: list[str], manager: Manager) -> Trace | None:
    """The trace of every call by *manager*, if the command line asks for one."""
    if not any(word.partition("=")[0] == "--trace" for word in words):
        return None
    from kbtf.run.trace import Trace

    trace = Trace()
    trace.watch(manager)
    return trace


def run(args: argparse.Namespace, session: Session) -> int:
    if session.prepared is not None:
        return _run_traced(args, session)
    _print_plugins(session.manager, as_json=args.json)
    return 0


def _print_plugins(manager: Manager, *, as_json: bool) -> None:
    rows = [
        {
            "name": plugin.name,
            "version": plugin.version,
            "origin": plugin.origin,
            "hooks": manager.hooks_of(plugin),
        }
        for plugin in reversed(manager.plugins)
    ]
    if as_json:
        order = {hook: manager.order_of(hook) for row in rows for hook in row["hooks"]}
        print_json({"plugins": rows, "order": order})
        return
    print_table(
        ("PLUGIN", "VERSION", "ORIGIN", "HOOKS"),
        [(row["name"], row["version"], row["origin"], ", ".join(row["hooks"])) for row in rows],
    )


def _run_traced(parsed: argparse.Namespace, session: Session) -> int:
    from kbtf.cli.terminal.outcomes import print_outcome

    trace: Trace = session.prepared
    config = session.config.changed("dry-run", True)
    if not parsed.trace:
        raise UsageError(
            "--trace needs a module to take through the phases",
            hint="kbtf plugins --trace mymodule.ko; 'kbtf demo -o DIR' leaves one in DIR",
        )
    outcomes = _outcomes(parsed.trace, session.manager, config, debug=parsed.debug)
    if parsed.json:
        print_json(_as_json(trace, outcomes))
    else:
        _print_steps(trace)
        for outcome in outcomes:
            print_outcome(outcome, quiet=True, verbose=False)
    return max(outcome.exit_code for outcome in outcomes)


def _outcomes(
    modules: list[str], manager: Manager, config: Config, *, debug: bool
) -> list[Outcome]:
    from kbtf.run.base_finder import BaseFinder
    from kbtf.run.pipeline import run_one
    from kbtf.say import complain_of_traceback

    bases = BaseFinder(config)
    on_error = complain_of_traceback if debug else None
    return [run_one(path, path, manager, config, bases, on_error) for path in modules]


def _print_steps(trace: Trace) -> None:
    print_table(
        ("MODULE", "HOOK", "PLUGIN", "MS", "CHANGED"),
        [
            (
                step.module or "-",
                step.hook,
                f"{step.plugin}, {step.part}" if step.part else step.plugin,
                f"{step.ms:.2f}",
                step.error or " ".join(step.changed) or "-",
            )
            for step in trace.steps
        ],
    )


def _as_json(trace: Trace, outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "steps": [step._asdict() for step in trace.steps],
        "modules": [
            {"module": outcome.module, "status": outcome.status, "reason": outcome.reason}
            for outcome in outcomes
        ],
    }
