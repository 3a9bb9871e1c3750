# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""docs/plugins.md: its hooks are those that kbtf calls, and what it shows happens."""

from __future__ import annotations

import inspect
import lzma
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kbtf
from kbtf.hooks import specs as hookspecs
from kbtf.hooks.specs import HOOKS
from kbtf.program import main
from shown import ROOT, block, run_session, sh

if TYPE_CHECKING:
    from hooks.plugin_files import Files

pytest_plugins = ["hooks.plugin_files"]

PAGE = "docs/plugins.md"
DEMO = Path(kbtf.__file__).parent / "demo"


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / PAGE).read_text()


def test_the_reference_has_all_hooks_with_their_exact_signatures(text: str) -> None:
    rows = re.findall(r"^\| `(kbtf_\w+)\((.*?)\)` \| `(.*?)` \|", text, re.M)
    documented = [(name, names.split(", "), result) for name, names, result in rows]
    signatures = {name: inspect.signature(getattr(hookspecs, name)) for name in HOOKS}
    assert documented == [
        (name, list(signature.parameters), signature.return_annotation.replace("|", r"\|"))
        for name, signature in signatures.items()
    ]
    types = dict(re.findall(r"^\| `(\w+)` \| `(\w+)`:", text, re.M))
    assert types == {
        argument.name: argument.annotation
        for signature in signatures.values()
        for argument in signature.parameters.values()
    }
    assert set(types.values()) - {"Any"} <= set(kbtf.__all__)


def test_the_trace_shows_what_happens(tmp_path: Path) -> None:
    (tmp_path / "mark.py").write_text(block(PAGE, "plugin"))
    shutil.copy(DEMO / "kfunc_module.ko", tmp_path)
    (tmp_path / "vmlinux.btf").write_bytes(lzma.decompress((DEMO / "vmlinux.btf.xz").read_bytes()))

    run_session(block(PAGE, "trace"), tmp_path)


def test_the_test_of_a_plugin_passes(tmp_path: Path) -> None:
    (tmp_path / "budget.py").write_text(block(PAGE, "budget"))
    (tmp_path / "test_budget.py").write_text(block(PAGE, "fixtures"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    run_session(block(PAGE, "fixtures session"), tmp_path)


def test_the_error_of_a_plugin_has_its_exit_code(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    (files.module.parent / "strict.py").write_text(block(PAGE, "policy"))

    assert main(["run", "-p", "./strict.py", str(files.module)]) == 0
    image = kbtf.Module.open(str(files.module)).image
    image.set_section(".debug_info", b"DWARF")
    files.module.write_bytes(image.to_bytes())
    assert main(["run", "-p", "./strict.py", str(files.module)]) == 1
    assert ".debug_info: not stripped; run strip -g after kbtf" in capsys.readouterr().err


def set_up(page: str, plugin: str, folder: Path) -> str:
    """A run of a module of that folder with an example's plugin, set as its README has it."""
    shutil.copy(DEMO / "kfunc_module.ko", folder)
    (folder / "kbtf.toml").write_text(block(page, "configuration"))
    plugin = str((ROOT / page).with_name(plugin))
    return f"kbtf run --config kbtf.toml --base {DEMO}/vmlinux.btf.xz -p {plugin} kfunc_module.ko"


def test_the_level_that_the_example_sets(tmp_path: Path) -> None:
    run = set_up("examples/plugins/kbtf-compress/README.md", "kbtf_compress.py", tmp_path)
    for output in ("set", "9", "3"):
        level = "" if output == "set" else f"--compress-level {output}"
        sh(f"{run} -o {output}.ko.zst {level}", tmp_path)

    made = {path.name: path.read_bytes() for path in tmp_path.glob("*.zst")}
    assert made["set.ko.zst"] == made["9.ko.zst"] != made["3.ko.zst"]


def test_the_policy_that_the_example_sets(tmp_path: Path) -> None:
    run = set_up("examples/plugins/kbtf-policy/README.md", "kbtf_policy.py", tmp_path)
    sh(f"{run} -o out.ko --record-baseline", tmp_path)
    sh(f"{run} -o out.ko", tmp_path)
    (recorded,) = (tmp_path / "kfuncs").iterdir()
    recorded.write_text(recorded.read_text().replace('"kfunc_module_queue"', '"gone"'))
    with pytest.raises(AssertionError, match="gone is gone from kfunc_module_ids"):
        sh(run, tmp_path)
    settings = tmp_path / "kbtf.toml"
    settings.write_text(settings.read_text().replace("= 4096", "= 20"))
    with pytest.raises(AssertionError, match="bytes are over the budget of 20"):
        sh(run, tmp_path)
