# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Why a module that dkms built has no BTF, as far as its make.log shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbtf.kbuild.dkms_builds import modules_without_btf, unfinished_modules
from kbtf.program import main
from kbtf.testing import make_module

TAKEN_OVER = "kbtf: odd-one.ko: Kbuild's own BTF step takes over\n"
LOGS = {
    "nothing of kbtf": ("make: Nothing to be done\n", "was built without kbtf"),
    "an error of the module": (
        f"kbtf: error: /b/odd-one.ko: has no DWARF\n{TAKEN_OVER}",
        "has no DWARF",
    ),
    "an error of another module": (
        "kbtf: error: /b/one.ko: has no DWARF\nkbtf: one.ko: Kbuild's own BTF step takes over\n",
        "was built without kbtf",
    ),
    "an error of another module, and no kbtf": (
        f"kbtf: error: /b/one.ko: has no DWARF\n{TAKEN_OVER}",
        "kbtf could not be run, see ",
    ),
    "an error of all": (
        f"kbtf: error: plugin a (a 1.0): cannot be loaded\n{TAKEN_OVER}kbtf: error: later\n",
        "plugin a (a 1.0): cannot be loaded",
    ),
    "no kbtf": (f"sh: 1: exec: /gone/kbtf: not found\n{TAKEN_OVER}", "kbtf could not be run, see "),
}


def add_build(module: bytes, log: str) -> None:
    """The last build of the package odd 1.0, below the current directory."""
    build = Path("var/lib/dkms/odd/1.0/6.12.0/x86_64")
    for name in ("module", "log"):
        (build / name).mkdir(parents=True)
    (build / "module/odd-one.ko").write_bytes(module)
    (build / "log/make.log").write_text(log)


@pytest.mark.parametrize("case", LOGS)
def test_the_reason(run_dir: Path, case: str) -> None:
    text, reason = LOGS[case]
    add_build(make_module(), text)

    ((found, has_btf),) = unfinished_modules(str(run_dir))

    assert not has_btf
    assert found.reason.startswith(reason)
    assert found.remedy.startswith("dkms build --force odd/1.0 -k 6.12.0 && ")


def test_btf_of_kbuild_alone_is_told_from_that_of_kbtf(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a failed step the module has Kbuild's BTF, and nothing else would say so."""
    add_build(make_module(btf=b"types"), f"kbtf: error: no base\n{TAKEN_OVER}")

    assert main(["dkms", "status", "--root", str(run_dir)]) == 1

    said = capsys.readouterr().out
    assert "/odd-one.ko: only Kbuild's BTF: no base\n" in said
    assert "  build it again: dkms build --force odd/1.0 -k 6.12.0 && " in said
    assert not list(modules_without_btf(str(run_dir)))


def test_a_module_that_was_linked_again_is_judged_by_its_last_step(run_dir: Path) -> None:
    done = "/b/odd-one.ko: .BTF 12 types, 257 bytes\n"
    add_build(make_module(btf=b"types"), f"kbtf: error: no base\n{TAKEN_OVER}{done}")

    assert not list(unfinished_modules(str(run_dir)))
