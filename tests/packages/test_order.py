# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What docs/packaging.md says of programs that come before and after kbtf."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf import Module
from kbtf.program import main
from oracles.build import Missing, need
from shown import block, sh
from signing import make_pair, modinfo, openssl

if TYPE_CHECKING:
    from signing import Pair

pytestmark = pytest.mark.integration

PAGE = "docs/packaging.md"

SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")
ALL = set(SECTIONS)
KEEP = ["--keep-section", ".BTF", "--keep-section", ".BTF.base"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("pair"), "kbtf tests")


@pytest.fixture
def signed(run_dir: Path, kfunc_module: Path, vmlinux: Path, pair: Pair) -> Path:
    module = Path(shutil.copy(kfunc_module, run_dir))
    assert main(["run", "--base", str(vmlinux), "--sign", *map(str, pair), str(module)]) == 0
    return module


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (["strip", "-g"], ALL),
        (["strip", "--strip-unneeded"], ALL),
        (["llvm-strip", "-g"], ALL),
        (["eu-strip", "-g"], ALL),
        (["eu-strip"], {".BTF_ids"}),
        (["eu-strip", *KEEP], ALL),
    ],
    ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value),
)
def test_what_strip_leaves(signed: Path, command: list[str], left: set[str]) -> None:
    programs = [command[0], *(f"{command[0]}-{number}" for number in range(14, 22))]
    program = next(filter(None, map(shutil.which, programs)), None)
    if program is None:
        missing(f"{command[0]} is not installed")

    subprocess.run([program, *command[1:], signed], check=True)

    module = Module.open(str(signed))
    assert {name for name in SECTIONS if module.image.data(name)} == left
    assert module.image.data(".debug_info") is None
    assert module.signature is None


def test_the_signing_of_the_documentation(run_dir: Path, kfunc_module: Path) -> None:
    shutil.copy(kfunc_module, "mymodule.ko")

    assert sh(block(PAGE, "sign"), run_dir).endswith("\nmy modules\n")
    sh(block(PAGE, "sign DER"), run_dir)
    assert "CN = my modules" in openssl("x509", "-inform", "DER", "-in", "mok.der", "-text")
    Path("kbtf.toml").write_text(block(PAGE, "sign configuration"))
    sh(block(PAGE, "sign configured"), run_dir)
    assert modinfo(Path("mymodule.ko"))["sig_hashalgo"] == "sha512"


def test_depmod_sees_no_difference(run_dir: Path, kfunc_module: Path, pair: Pair) -> None:
    try:
        need("depmod")
    except Missing as error:
        missing(error)
    folder = run_dir / "lib/modules/6.12.0"
    (folder / "updates").mkdir(parents=True)
    for name in ("modules.order", "modules.builtin"):
        (folder / name).touch()
    module = shutil.copy(kfunc_module, folder / "updates")

    def depmod() -> dict[str, bytes]:
        subprocess.run(["depmod", "-b", run_dir, "6.12.0"], check=True)
        return {path.name: path.read_bytes() for path in folder.glob("modules.*")}

    before = depmod()
    assert b"kfunc_module" in before["modules.dep"]
    assert main(["run", "--sign", *map(str, pair), str(module)]) == 0
    assert depmod() == before
