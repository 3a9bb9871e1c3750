# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf-pahole`` in Kbuild's hands."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import Kind, Module
from kbtf.program import main
from kbtf.testing import make_module
from real import BUILD_PRODUCTS, build_module
from shown import block, sh

from .paholes import LIST, SECTIONS, encode, fake_encoder
from .standins import PAHOLE, RESOLVE_BTFIDS, Said, call

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def expected(kfunc_module: Path, vmlinux: Path, run_dir: Path) -> Module:
    """The example as kbtf run makes it of what the linker left."""
    path = shutil.copy(kfunc_module, run_dir / "expected.ko")
    assert main(["run", "--base", str(vmlinux), "-q", str(path)]) == 0
    return Module.open(str(path))


FLAGS = {
    "of the kernel": [],
    "of 6.12 for pahole 1.26 and later": [
        f"PAHOLE_FLAGS=-j --btf_features={LIST},decl_tag_kfuncs --lang_exclude=rust",
        "MODULE_PAHOLE_FLAGS=--btf_features=distilled_base",
    ],
    "of 6.18": [f"PAHOLE_FLAGS=-j --btf_features={LIST},decl_tag_kfuncs,attributes"],
}


@pytest.mark.integration
@pytest.mark.parametrize("resolver", ["ours", "Debian's"])
@pytest.mark.parametrize("asked", FLAGS)
def test_kbuild_with_the_stand_ins_gives_what_kbtf_run_gives(
    asked: str, resolver: str, expected: Module, root: Path, headers: Path, run_dir: Path
) -> None:
    stand_ins = [f"PAHOLE={PAHOLE}"]
    stand_ins += [f"RESOLVE_BTFIDS={RESOLVE_BTFIDS}"] if resolver == "ours" else []
    # Configuration of wherever make runs, or of the module, does not count.
    (run_dir / "kbtf.toml").write_text("nonsense = 1\n")

    built = build_module(
        root / "examples" / "kfunc_module", run_dir / "m", headers, *stand_ins, *FLAGS[asked]
    )

    made = Module.open(str(built))
    for section in SECTIONS:
        assert made.image.data(section), section
        assert made.image.data(section) == expected.image.data(section), section


@pytest.mark.integration
def test_the_command_of_the_documentation(
    expected: Module, root: Path, headers: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(root / "examples/kfunc_module", folder, ignore=BUILD_PRODUCTS)

    sh(block("docs/kbuild.md", "stand-ins", {"KDIR": headers}), folder)

    made = Module.open(str(folder / "kfunc_module.ko"))
    for section in SECTIONS:
        assert made.image.data(section) == expected.image.data(section), section


@pytest.mark.integration
@pytest.mark.parametrize("asked", ["1", "0"])
def test_the_environment_may_ask_for_kfunc_tags(
    asked: str, kfunc_module: Path, vmlinux: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``kbtf run --kfunc-tags``; Kbuild's own command line has no place for it."""
    for name in ("m.ko", "expected.ko"):
        shutil.copy(kfunc_module, name)
    tags = ["--kfunc-tags"] if asked == "1" else []
    assert main(["run", "-q", "--base", str(vmlinux), *tags, "expected.ko"]) == 0
    monkeypatch.setenv("KBTF_KFUNC_TAGS", asked)

    said = encode("--btf_gen_floats", "--btf_base", vmlinux, "m.ko")
    assert (said.code, said.err) == (0, [])
    assert call(RESOLVE_BTFIDS, "-b", vmlinux, "m.ko").code == 0

    made, expected = Module.open("m.ko"), Module.open("expected.ko")
    for section in SECTIONS:
        assert made.image.data(section) == expected.image.data(section)
    assert made.btf is not None
    tagged = [t for t in made.btf if t.kind is Kind.DECL_TAG and t.name == "bpf_kfunc"]
    assert len(tagged) == 6


PLUGIN = """\
from kbtf import hookimpl

@hookimpl
def kbtf_embed_sections(module, config):
    module.set_section(".mark", b"mark")

@hookimpl
def kbtf_finish(output, config):
    output.data += b"never here"
"""


def test_installed_plugins_join_but_for_what_comes_after_kbuild(
    fake: Callable[..., Path], run_dir: Path
) -> None:
    """The file is not finished yet: resolve_btfids is still to come."""
    fake_encoder(fake)
    Path("m.ko").write_bytes(make_module())
    site = run_dir / "site"
    (site / "kbtf_mark-1.0.dist-info").mkdir(parents=True)
    (site / "kbtf_mark-1.0.dist-info/entry_points.txt").write_text("[kbtf.plugins]\nmark = mark\n")
    (site / "mark.py").write_text(PLUGIN)

    said = call(
        PAHOLE,
        *("-J", "--btf_base", "vmlinux", "m.ko"),
        env={**os.environ, "PYTHONPATH": str(site)},
    )

    assert said == Said(
        0,
        "",
        ["kbtf-pahole: plugin mark: kbtf_finish runs only in 'kbtf build' and 'kbtf run'"],
    )
    assert Module.open("m.ko").image.data(".mark") == b"mark"
    assert not Path("m.ko").read_bytes().endswith(b"never here")


@pytest.mark.integration
def test_a_module_that_was_resolved_is_refused_for_the_next_resolver(
    expected: Module, vmlinux: Path, run_dir: Path
) -> None:
    before = Path(expected.path).read_bytes()
    said = encode("--btf_base", vmlinux, expected.path)
    assert said.code == 3
    assert "remove the module and run make again" in said.err[-1]
    assert Path(expected.path).read_bytes() == before


@pytest.mark.integration
def test_an_in_tree_module_is_encoded_by_pahole_alone_if_asked(
    kfunc_module: Path, vmlinux: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBTF_ENCODER", "pahole")
    pahole = shutil.which("pahole") or pytest.skip("no pahole")
    # As modpost marks its own; the license makes room for it.
    elf = kfunc_module.read_bytes()
    assert elf.count(b"license=GPL\0") == 1
    Path("ours.ko").write_bytes(elf.replace(b"license=GPL\0", b"intree=Y\0GP\0"))
    shutil.copy("ours.ko", "theirs.ko")
    arguments = ["-J", "--btf_gen_floats", "--btf_base", str(vmlinux)]
    subprocess.run([pahole, *arguments, "theirs.ko"], check=True)

    assert call(PAHOLE, *arguments, "ours.ko") == Said(0, "", [])
    assert Path("ours.ko").read_bytes() == Path("theirs.ko").read_bytes()
