# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf doctor``: report what a build would do and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli.common import as_typed
from kbtf.cli.terminal.as_json import print_json
from kbtf.errors import UsageError
from kbtf.kbuild.kdir import default_kdir
from kbtf.kbuild.make import object_directory
from kbtf.run.options import add_run_options, hide
from kbtf.say import say, say_text, visible

if TYPE_CHECKING:
    import argparse

    from kbtf.cli.session import Session
    from kbtf.findings.finding import Finding
    from kbtf.hooks.options import OptionGroup

DESCRIPTION = """\
Report what 'kbtf build' would do with a kernel build directory and these options, what is missing
for it and for make alone, and how to fix each problem.  Changes nothing.  Exit code 0: a build
will work; 1: something will go wrong."""
EXAMPLE = """\
  kbtf doctor
  kbtf doctor -C /usr/src/linux-headers-6.12.0-amd64"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "variables",
        nargs="*",
        type=as_typed,
        metavar="VARIABLE",
        help="a variable for make: O=DIR names the directory of the kernel's build products",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")


def settings(group: OptionGroup) -> None:
    add_run_options(group)
    hide(group, "jobs", "strip-signature", "dry-run")
    group.options["kdir"] = group.options["kdir"]._replace(default=default_kdir())


def run(parsed: argparse.Namespace, session: Session) -> int:
    from kbtf.findings.finding import Severity
    from kbtf.kbuild.doctor import Means, examine

    config = session.config
    means = Means(
        config["base"],
        config.get("pahole", "pahole"),
        config.get("encoder", "kbtf"),
        not config["no-cache"],
    )
    for word in parsed.variables:
        if "=" not in word:
            raise UsageError(f"{word} is not a variable for make", hint="name a directory with -C")
    objects = object_directory(config["kdir"], parsed.variables)
    findings = examine(config["kdir"], means, objects=objects)
    if parsed.json:
        print_json(
            {"kdir": config["kdir"], "findings": [finding.as_dict() for finding in findings]}
        )
    else:
        _print(findings)
    return int(any(finding.severity is Severity.ERROR for finding in findings))


def _print(findings: list[Finding]) -> None:
    from kbtf.report.colour import painted, wants_colour

    width = max(len(finding.code) for finding in findings)
    for finding in findings:
        severity = finding.severity.value
        gap = " " * (8 - len(severity))
        what = f" {finding.code:{width}}  {visible(finding.text)}\n"
        say_text(painted(severity, colour=wants_colour()) + gap + what)
        if finding.hint:
            say(f"{'':8} {'':{width}}  -> {finding.hint}")
