# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf-pahole``: what it encodes itself, and what it leaves to a real pahole."""

from __future__ import annotations

import lzma
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, ElfImage, Module, encode_dwarf
from kbtf.encode.features import DEFAULT
from kbtf.program import main
from kbtf.testing import make_base, make_ids, make_module
from oracles.build import run

from .paholes import CASES, LIST, encode, fake_encoder, words
from .standins import PAHOLE, RESOLVE_BTFIDS, Said, call

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def case(run_dir: Path) -> str:
    """A small module with DWARF, ``m.ko`` marked as external, and its base ``vmlinux``."""
    shutil.copy(CASES / "base.131.btf", "vmlinux")
    image = ElfImage((CASES / "cases/kfuncs/m.ko").read_bytes())
    image.set_section(".modinfo", b"license=GPL\0")
    Path("m.ko").write_bytes(image.to_bytes())
    return "vmlinux"


def expected_btf(features: tuple[str, ...] = DEFAULT) -> bytes:
    base = Btf.parse(Path("vmlinux").read_bytes())
    image = ElfImage(Path("m.ko").read_bytes())
    return encode_dwarf(image, base, features=features).btf.to_bytes()


def test_an_external_module_is_encoded_and_distilled_without_a_pahole(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBTF_PAHOLE", "no-such-pahole")
    image = ElfImage((CASES / "cases/structs/m.ko").read_bytes())
    image.set_section(".modinfo", b"license=GPL\0")
    for name in ("m.ko", "run.ko"):
        Path(name).write_bytes(image.to_bytes())
    assert main(["run", "-q", "--base", case, "run.ko"]) == 0
    said = encode("--btf_base", case, "m.ko")
    assert said.code == 0
    # The small base is of a kernel whose struct module has no place for BTF.
    assert all("this kernel accepts no module BTF" in line for line in said.err)
    made, expected = Module.open("m.ko"), Module.open("run.ko")
    for section in (".BTF", ".BTF.base"):
        assert made.image.data(section) == expected.image.data(section), section


def test_a_module_is_encoded_into_a_file_with_the_features_asked_for(case: str) -> None:
    before = Path("m.ko").read_bytes()
    asked = ("var", "float", "enum64", "decl_tag", "type_tag", "consistent_func")
    listed = f"--btf_features={','.join(asked)}"
    said = encode(listed, "--btf_base", case, "--btf_encode_detached=m.BTF.1", "m.ko")
    assert said == Said(0, "", [])
    assert Path("m.BTF.1").read_bytes() == expected_btf(asked)
    assert expected_btf(asked) != expected_btf()
    assert Path("m.ko").read_bytes() == before


def test_a_module_of_the_kernel_tree_gets_plain_btf(case: str) -> None:
    image = ElfImage(Path("m.ko").read_bytes())
    image.set_section(".modinfo", b"license=GPL\0intree=Y\0")
    Path("m.ko").write_bytes(image.to_bytes())
    expected = expected_btf()
    assert encode(f"--btf_features={','.join(DEFAULT)}", "--btf_base", case, "m.ko").code == 0
    made = Module.open("m.ko")
    assert made.image.data(".BTF") == expected
    assert not made.has_btf_base


def test_a_module_without_dwarf_is_left_alone_and_that_is_said(run_dir: Path) -> None:
    """As by pahole since 1.31, but for the words."""
    Path("vmlinux").write_bytes(make_base().to_bytes())
    Path("m.ko").write_bytes(make_module())
    said = encode("--btf_base", "vmlinux", "m.ko")
    line = "kbtf-pahole: m.ko: has no debug information (DWARF), and gets no BTF"
    assert said == Said(0, "", [line])
    assert Path("m.ko").read_bytes() == make_module()


def test_what_is_no_encoding_is_paholes_own(run_dir: Path) -> None:
    pahole = shutil.which("pahole") or pytest.skip("no pahole")
    for args in (["--version"], ["--numeric_version"], ["--no-such-option"], ["no-such-file"]):
        assert call(PAHOLE, *args) == call(pahole, *args)


@pytest.mark.integration
def test_kbuilds_own_script_reads_its_version(headers: Path) -> None:
    script = headers / "scripts" / "pahole-version.sh"
    assert call(script, PAHOLE).out == call(script, "pahole").out


@pytest.mark.parametrize(
    "args",
    [
        ["--btf_gen_floats", "vmlinux"],
        ["--btf_features=var,float", "--btf_base", "vmlinux", "in-tree.ko"],
        ["-j2", "--btf_base", "vmlinux", "--btf_encode_detached=m.ko.BTF.1", "m.ko"],
    ],
)
def test_vmlinux_in_tree_modules_and_detached_btf_pass_through(
    args: list[str], fake: Callable[..., Path], run_dir: Path
) -> None:
    fake("v1.31", "exit 7")
    Path("in-tree.ko").write_bytes(make_module(intree=True))
    Path("m.ko").write_bytes(make_module())
    said = encode(*args)
    assert (said.code, said.err) == (7, [])
    assert words(Path("args").read_text()) == words(" ".join(["-J", *args]))


def test_that_vmlinux_is_left_to_a_real_pahole_is_said(
    fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = fake("v1.31", "exit 7")
    monkeypatch.delenv("KBTF_ENCODER")
    Path("vmlinux").write_bytes(make_module())
    said = encode("--btf_features=var", "vmlinux")
    reason = "not a module with a base, nor a vmlinux with DWARF"
    assert said.code == 7
    assert said.err == [f"kbtf-pahole: vmlinux: {reason}; encoded by {program}"]


def test_an_encoder_that_does_not_exist_is_refused(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Path("m.ko").read_bytes()
    monkeypatch.setenv("KBTF_ENCODER", "Pahole")

    said = encode("--btf_base", case, "m.ko")

    assert said.code == 2
    assert Path("m.ko").read_bytes() == before
    assert said.err == ["kbtf-pahole: error: unknown KBTF_ENCODER Pahole; known are kbtf, pahole"]


LINKED = Path(__file__).parents[1] / "data" / "linked"


@pytest.fixture
def linked_vmlinux(run_dir: Path) -> None:
    """A small ``vmlinux`` with DWARF."""
    Path("vmlinux").write_bytes(lzma.decompress((LINKED / "vmlinux.xz").read_bytes()))


@pytest.mark.usefixtures("linked_vmlinux")
def test_vmlinux_is_encoded_as_by_pahole_in_place_and_detached() -> None:
    """In place twice: Kbuild links vmlinux again and again."""
    expected = (LINKED / "vmlinux.132.btf").read_bytes()
    features = f"--btf_features={LIST},decl_tag_kfuncs"
    detached = encode(
        "-j2", features, "--lang_exclude=rust", "--btf_encode_detached=out", "vmlinux"
    )
    assert detached == Said(0, "", [])
    assert Path("out").read_bytes() == expected
    for _ in range(2):
        assert encode("-j", features, "--lang_exclude=rust", "vmlinux") == Said(0, "", [])
        assert ElfImage(Path("vmlinux").read_bytes()).data(".BTF") == expected


@pytest.mark.usefixtures("linked_vmlinux")
def test_vmlinux_gets_the_layout_that_linux_7_1_and_later_request() -> None:
    features = (f"--btf_features={LIST},decl_tag_kfuncs", "--btf_features=layout")
    said = encode("-j2", *features, "--btf_encode_detached=out", "vmlinux")
    assert said == Said(0, "", [])
    assert Path("out").read_bytes() == (LINKED / "vmlinux.layout.132.btf").read_bytes()


def test_vmlinux_gets_the_attributes_of_arena_kfuncs(run_dir: Path) -> None:
    run("ld", "-e", "0", CASES / "cases/kfuncs-arena/m.ko", "-o", "vmlinux")
    said = encode(
        f"--btf_features={LIST},decl_tag_kfuncs",
        "--btf_features=attributes",
        *("--btf_encode_detached=out", "vmlinux"),
    )
    assert said == Said(0, "", [])
    assert Path("out").read_bytes() == (LINKED / "kfuncs-arena.132.btf").read_bytes()


@pytest.mark.usefixtures("linked_vmlinux")
@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--btf_features=default,global_var", "asks for global_var"),
        ("--lang=c11", "asks for more than kbtf knows of a vmlinux"),
    ],
)
def test_a_vmlinux_of_which_more_is_asked_is_left_to_a_real_pahole(
    option: str, reason: str, fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = fake("v1.32", "exit 7")
    monkeypatch.delenv("KBTF_ENCODER")
    said = encode(option, "vmlinux")
    assert (said.code, said.err) == (7, [f"kbtf-pahole: vmlinux: {reason}; encoded by {program}"])


def test_what_pahole_cannot_do_is_said_once(fake: Callable[..., Path], run_dir: Path) -> None:
    fake("v1.24")
    said = encode("--btf_features=var,float,optimized_func", "--btf_features=layout", "vmlinux")
    assert said.code == 0
    assert said.err == [
        "kbtf-pahole: omitted options that pahole 1.24 does not have: layout, optimized_func"
    ]


@pytest.mark.parametrize(("then", "code"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_paholes_failures_are_ours_and_leave_the_module_as_it_was(
    then: str, code: int, fake: Callable[..., Path], run_dir: Path
) -> None:
    fake("v1.31", then)
    Path("m.ko").write_bytes(make_module())
    assert encode("--btf_base", "vmlinux", "m.ko").code == code
    assert Path("m.ko").read_bytes() == make_module()


def test_no_btf_at_all_is_said_though_pahole_calls_it_success(
    fake: Callable[..., Path], run_dir: Path
) -> None:
    fake("v1.31")
    Path("m.ko").write_bytes(make_module())
    said = encode("--btf_base", "vmlinux", "m.ko")
    assert said == Said(0, "", ["kbtf-pahole: m.ko: pahole wrote no BTF"])


def test_a_module_with_an_empty_kfunc_set_is_embedded(
    fake: Callable[..., Path], run_dir: Path
) -> None:
    fake_encoder(fake)
    Path("m.ko").write_bytes(make_module(ids=make_ids(set8s={"k": []})))
    assert encode("--btf_base", "vmlinux", "m.ko") == Said(0, "", [])
    made = Module.open("m.ko")
    assert made.btf_base is not None
    assert [t.name for t in made.btf_base] == ["int"]
    assert call(RESOLVE_BTFIDS, "-b", "vmlinux", "m.ko") == Said(0, "", [])


def test_btf_that_does_not_fit_its_base_is_an_error_and_nothing_is_written(
    fake: Callable[..., Path], run_dir: Path
) -> None:
    fake("v1.31", 'for a; do case $a in --btf_encode_detached=*) cp junk "${a#*=}";; esac; done')
    Path("junk").write_bytes(b"junk")
    Path("vmlinux").write_bytes(make_base().to_bytes())
    Path("m.ko").write_bytes(make_module())
    said = encode("--btf_base", "vmlinux", "m.ko")
    assert said.code == 3
    assert said.err[0].startswith("kbtf-pahole: error: m.ko: ")
    assert Path("m.ko").read_bytes() == make_module()


def test_it_does_not_call_itself(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which("pahole") or pytest.skip("no pahole")
    Path("pahole").symlink_to(PAHOLE)
    monkeypatch.setenv("PATH", f"{run_dir}:{os.environ['PATH']}")
    assert call("pahole", "--version") == call(real, "--version")

    wrapper = run_dir / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {PAHOLE} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("KBTF_PAHOLE", str(wrapper))
    said = call(PAHOLE, "--version")
    assert said.code == 127
    assert "called by itself" in said.err[0]


def test_a_missing_pahole_is_named(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBTF_PAHOLE", "no-such-pahole")
    said = call(PAHOLE, "--version")
    assert said.code == 127
    assert "no-such-pahole is not installed" in said.err[0]
