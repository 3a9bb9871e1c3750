# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Why a module that dkms built has no BTF, as far as its make.log shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbtf.kbuild.dkms_builds import modules_without_btf
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


@pytest.mark.parametrize("case", LOGS)
def test_the_reason(run_dir: Path, case: str) -> None:
    text, reason = LOGS[case]
    build = Path("var/lib/dkms/odd/1.0/6.12.0/x86_64")
    for name in ("module", "log"):
        (build / name).mkdir(parents=True)
    (build / "module/odd-one.ko").write_bytes(make_module())
    (build / "log/make.log").write_text(text)

    (found,) = modules_without_btf(str(run_dir))

    assert found.reason.startswith(reason)
    assert found.remedy.startswith("dkms build --force odd/1.0 -k 6.12.0 && ")
