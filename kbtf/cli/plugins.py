"""``kbtf plugins``: what is loaded, from where, and in which order it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.cli._json import print_json
from kbtf.cli._options import load
from kbtf.cli._table import print_table
from kbtf.errors import UsageError
from kbtf.host.config import OptionGroup

if TYPE_CHECKING:
    import argparse

    from kbtf.host.config import Config
    from kbtf.host.manager import Manager
    from kbtf.host.pipeline import Outcome
    from kbtf.host.trace import Trace

DESCRIPTION = """\
List the plugins with their version, origin and hooks, in the order in which they run.

With --trace, take modules through all phases without writing them, and list which hook of which
plugin was called, how long it took (without the hooks that it had called itself), and which
sections or options it changed, added (+) or removed (-)."""
EXAMPLE = """\
  kbtf plugins
  kbtf plugins -p ./mypass.py --json
  kbtf plugins --trace mymodule.ko"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument(
        "--trace", nargs="*", metavar="MODULE", help="list the calls of hooks on these modules"
    )


def run_with_plugins(parser: argparse.ArgumentParser, args: list[str]) -> int:
    from kbtf.cli.run import add_options

    group = OptionGroup()
    add_options(group)
    if any(arg.partition("=")[0] == "--trace" for arg in args):
        return _run_traced(parser, args, group)
    parsed, _, manager = load(parser, args, group)
    _print_plugins(manager, as_json=parsed.json)
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


def _run_traced(parser: argparse.ArgumentParser, args: list[str], group: OptionGroup) -> int:
    from kbtf.cli._outcomes import print_outcome
    from kbtf.host.trace import Trace

    trace = Trace()
    parsed, config, manager = load(parser, ["--dry-run", *args], group, prepare=trace.watch)
    if not parsed.trace:
        raise UsageError(
            "--trace needs a module to take through the phases",
            hint="kbtf plugins --trace mymodule.ko; 'kbtf demo -o DIR' leaves one in DIR",
        )
    outcomes = _outcomes(parsed.trace, manager, config, debug=parsed.debug)
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
    from kbtf.cli._outcomes import run_one
    from kbtf.host.bases import BaseFinder

    bases = BaseFinder(config)
    return [run_one(path, path, manager, config, bases, debug=debug) for path in modules]


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
