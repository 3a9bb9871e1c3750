# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What commands of kbtf predict, and a kernel that then saw the modules."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf import Btf, open_btf
from vm.variants import KBTF

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vm import kernels, machine


class Booted(NamedTuple):
    """One kernel that saw modules, and what `kbtf check` had said of each, by name."""

    base: Btf
    modules: Mapping[str, Path]
    run: machine.Run
    predicted: dict[str, dict[str, Any]]


def told(*words: str | Path) -> dict[str, Any]:
    """The JSON that a command prints, whether or not it finds errors."""
    command = [KBTF, words[0], "--no-cache", "--json", *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def booted(kernel: kernels.Kernel, modules: Mapping[str, Path], run: machine.Run) -> Booted:
    """The kernel after a *run* with the modules."""
    checked = told("check", "--kernel", kernel.image, *modules.values())["results"]
    results = {result["module"]: result for result in checked}
    predicted = {name: results[str(path)] for name, path in modules.items()}
    return Booted(open_btf(str(kernel.image), cache=False), modules, run, predicted)
