# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A copy of /sys/kernel/btf in place of modules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bpf.objects import Function, compile_c, make_kmod, make_vmlinux
from kbtf import BtfBuilder, Kind
from kbtf.btf.split import is_split_btf
from kbtf.program import main
from kbtf.testing import make_base

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS = (Function("a_one"), Function("a_two"))


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    base = make_vmlinux([Function("kernel_plain")])
    (folder / "vmlinux").write_bytes(base.btf.to_bytes())
    for name in ("first", "second_one"):
        module = make_kmod(name, base, FUNCTIONS[: 1 + (name == "first")], plain=True)
        (folder / name).write_bytes(module.image.data(".BTF") or b"")
    return folder


def test_the_strings_tell_what_is_split(snapshot: Path) -> None:
    found = {path.name for path in snapshot.iterdir() if is_split_btf(path.read_bytes())}

    assert found == {"first", "second_one"}
    assert not is_split_btf(b"\x9f\xeb")
    assert not is_split_btf(b"\x7fELF" + bytes(60))


def test_commands_that_read_modules_take_it(
    snapshot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = str(snapshot / "vmlinux")
    commands = {
        "show": ("show", str(snapshot)),
        "check": ("check", "--kernel", base, str(snapshot)),
        "kfuncs": ("kfuncs", "--base", base, str(snapshot)),
        "stats": ("stats", str(snapshot)),
    }
    said = {}
    for name, command in commands.items():
        assert main([*command, "--json"]) == 0, name
        said[name] = json.loads(capsys.readouterr().out)

    assert [row["name"] for row in said["show"]["modules"]] == ["first", "second_one"]
    assert {row["btf"] for row in said["show"]["modules"]} == {"plain"}
    assert {result["btf"] for result in said["check"]["results"]} == {"accepted"}
    assert said["stats"]["with_btf"] == 2
    for document in (said["check"]["results"], said["kfuncs"]["modules"]):
        for one in document:
            assert "raw-btf" in [f["code"] for f in one["findings"]]


def test_kfuncs_lists_what_has_a_tag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = make_base().build()
    split = BtfBuilder(base)
    prototype = split.add_func_proto(0)
    for name in ("tagged", "plain"):
        func = split.add_func(name, prototype)
        if name == "tagged":
            split.add_decl_tag("bpf_kfunc", func)
    (tmp_path / "vmlinux").write_bytes(base.to_bytes())
    (tmp_path / "mine").write_bytes(split.build().to_bytes())
    command = ["kfuncs", "--base", str(tmp_path / "vmlinux"), str(tmp_path / "mine")]

    assert main(command) == 0
    _, _, row, warning = capsys.readouterr().out.splitlines()
    assert row.split()[-3:] == ["?", "void", "tagged(void)"]
    assert "sets and flags are only in the .ko" in warning

    assert main([*command, "--json"]) == 0
    (module,) = json.loads(capsys.readouterr().out)["modules"]
    (found,) = module["sets"]
    assert (found["name"], found["kind"]) == ("", "bpf_kfunc tags")
    assert [entry["name"] for entry in found["entries"]] == ["tagged"]
    assert "flags" not in found["entries"][0]


def test_kfuncs_compares_it_by_tags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = make_base().build()
    (tmp_path / "vmlinux").write_bytes(base.to_bytes())
    for side, names in (("old", ("kept", "lost")), ("new", ("kept", "added"))):
        split = BtfBuilder(base)
        for name in names:
            split.add_decl_tag("bpf_kfunc", split.add_func(name, split.add_func_proto(0)))
        (tmp_path / side).mkdir()
        (tmp_path / side / "mine").write_bytes(split.build().to_bytes())
    sides = [str(tmp_path / side) for side in ("old", "new")]

    assert main(["kfuncs", "--base", str(tmp_path / "vmlinux"), "--compare", *sides, "--json"]) == 1
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert [(c["kfunc"], c["kind"]) for c in changes] == [("added", "added"), ("lost", "removed")]


def test_ksyms_links_against_it(
    snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = compile_c(
        'extern u32 a_two(u32 a) KSYM;\nSEC("syscall") int prog(void *ctx) { return a_two(1); }\n',
        tmp_path / "prog.o",
    )

    code = main(
        ["ksyms", "--base", str(snapshot / "vmlinux"), "--module", str(snapshot), str(program)]
    )

    shown = capsys.readouterr()
    assert code == 0
    assert shown.out.splitlines()[1].split()[:3] == ["a_two", Kind.FUNC.name, "first"]
    assert "module first is raw BTF without kfunc tags" in shown.err


def test_commands_that_write_modules_do_not(
    snapshot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--base", str(snapshot / "vmlinux"), str(snapshot / "first")]) == 3
    assert "is raw BTF, not a kernel module" in capsys.readouterr().err
