"""``kbtf doctor``: what a build would do and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli._json import print_json
from kbtf.cli._options import load
from kbtf.cli.run import add_options
from kbtf.host.config import OptionGroup
from kbtf.kbuild.kdir import default_kdir

if TYPE_CHECKING:
    import argparse

    from kbtf.kbuild.doctor import Finding

DESCRIPTION = """\
Tell what 'kbtf build' would do with a kernel build directory and these options, what is missing
for it and for make alone, and the remedy for each.  Changes nothing.
Exit code 0: a build will do; 1: something will go wrong."""
EXAMPLE = """\
  kbtf doctor
  kbtf doctor -C /usr/src/linux-headers-6.12.0-amd64"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON document")


def run_with_plugins(parser: argparse.ArgumentParser, args: list[str]) -> int:
    from kbtf.kbuild.doctor import PROBLEM, Means, examine

    group = OptionGroup()
    add_options(group)
    group.options["kdir"] = group.options["kdir"]._replace(default=default_kdir())
    parsed, config, _ = load(parser, args, group)
    means = Means(config["base"], config.get("pahole", "pahole"), not config["no-cache"])
    findings = examine(config["kdir"], means)
    if parsed.json:
        rows = [finding._asdict() for finding in findings]
        print_json({"kdir": config["kdir"], "findings": rows})
    else:
        _print(findings)
    return int(any(finding.level == PROBLEM for finding in findings))


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        print(f"{finding.level:8} {finding.topic:{width}}  {finding.what}")
        if finding.remedy:
            print(f"{'':8} {'':{width}}  -> {finding.remedy}")
