# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf explain``: what it reads, what it prints, its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, BtfBuilder, Kind, distill
from kbtf.elf.format import EM_BPF
from kbtf.program import main
from kbtf.testing import make_base, make_module, write_elf

if TYPE_CHECKING:
    from pathlib import Path

DEVICE = (
    "struct device (16 bytes, size pinned): struct priv -> member 'dev' -> struct device\n"
    "    pinned by member 'dev' of struct priv\n"
)


def kernel() -> Btf:
    b = make_base()
    b.add_composite(Kind.STRUCT, "device", 16)
    return b.build()


def split_on(base: Btf, members: int = 1) -> Btf:
    device = base.find("device", Kind.STRUCT)
    assert device is not None
    s = BtfBuilder(base)
    names = ["dev", *(f"dev{at}" for at in range(1, members))]
    fields = [(name, device.id, 128 * at) for at, name in enumerate(names)]
    s.add_composite(Kind.STRUCT, "priv", 16 * members, fields)
    return s.build()


def write_plain(folder: Path, base: Btf, members: int = 1) -> Path:
    path = folder / "plain.ko"
    path.write_bytes(make_module(btf=split_on(base, members).to_bytes()))
    return path


def write_distilled(folder: Path) -> Path:
    made = distill(split_on(kernel()))
    path = folder / "distilled.ko"
    path.write_bytes(make_module(btf=made.split.to_bytes(), btf_base=made.base.to_bytes()))
    return path


def test_a_module_with_a_distilled_base_needs_no_other(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(write_distilled(run_dir))]) == 0
    assert capsys.readouterr().out == DEVICE


@pytest.mark.parametrize("form", ["module", "raw", "raw distilled"])
def test_plain_split_btf_is_distilled_in_memory(
    form: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = kernel()
    path, base_path = run_dir / "split.btf", run_dir / "base.btf"
    split = split_on(base)
    if form == "raw distilled":
        made = distill(split)
        base, split = made.base, made.split
    base_path.write_bytes(base.to_bytes())
    path.write_bytes(split.to_bytes())
    if form == "module":
        path = write_plain(run_dir, base)
    before = path.read_bytes()

    assert main(["explain", str(path), "device", "--base", str(base_path)]) == 0

    assert capsys.readouterr().out == DEVICE
    assert path.read_bytes() == before


def test_a_type_that_is_not_there_is_a_negative_answer(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_distilled(run_dir))

    assert main(["explain", path, "struct priv"]) == 1
    assert capsys.readouterr().out == (
        "'struct priv' is not in .BTF.base: it is in the module's .BTF itself, as STRUCT\n"
    )
    assert main(["explain", path, "sk_buff", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["types"] == []
    assert document["absent"].startswith("the module does not refer to it")


def test_json_says_the_same(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_distilled(run_dir))

    assert main(["explain", path, "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == {
        "module": path,
        "types": [
            {
                "id": 1,
                "kind": "STRUCT",
                "name": "device",
                "size": 16,
                "pinned": True,
                "pins": [{"owner": "struct priv", "member": "dev"}],
                "chain": ["struct priv", "member 'dev'", "struct device"],
            }
        ],
    }


def test_many_members_are_counted(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = kernel()
    (run_dir / "base.btf").write_bytes(base.to_bytes())
    path = write_plain(run_dir, base, members=7)

    assert main(["explain", str(path), "--base", "base.btf"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "    and by 3 more"


def test_without_a_base_the_release_is_looked_for(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_plain(run_dir, kernel())

    assert main(["explain", str(path)]) == 4
    assert "no BTF of kernel 6.12.0-test was found" in capsys.readouterr().err


def test_input_without_split_btf_is_bad(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "base.btf").write_bytes(kernel().to_bytes())
    (run_dir / "none.ko").write_bytes(make_module())

    assert main(["explain", "base.btf"]) == 3
    assert "is raw BTF of a kernel" in capsys.readouterr().err
    assert main(["explain", "none.ko"]) == 3
    assert "has no section .BTF" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["option", "environment"])
def test_raw_split_btf_of_another_base_is_refused(
    by: str, run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "base.btf").write_bytes(make_base().to_bytes())
    (run_dir / "split.btf").write_bytes(split_on(kernel()).to_bytes())
    if by == "environment":
        monkeypatch.setenv("KBTF_BASE", "base.btf")

    assert main(["explain", "split.btf", *(["--base", "base.btf"] if by == "option" else [])]) == 3

    said = capsys.readouterr()
    assert said.out == ""
    assert "split.btf: .BTF: does not fit the base base.btf" in said.err


def test_a_bpf_object_is_not_explained(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(write_elf({".BTF": kernel().to_bytes()}))
    data[18:20] = EM_BPF.to_bytes(2, "little")
    (run_dir / "prog.bpf.o").write_bytes(data)

    assert main(["explain", "prog.bpf.o"]) == 3
    assert "is a BPF object, not a kernel module" in capsys.readouterr().err


def test_a_type_after_two_dashes_is_shown_as_it_was_typed(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_distilled(run_dir)
    weird = path.rename(path.with_name("-weird.ko"))

    assert main(["explain", "--", weird.name, "-x"]) == 1

    assert capsys.readouterr().out.startswith("'-x' is not in .BTF.base: ")


@pytest.mark.parametrize("command", ["doctor", "schema"])
def test_so_is_any_word_that_is_not_a_file(
    run_dir: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "--", "-x"]) == 2

    error = capsys.readouterr().err
    assert "-x" in error
    assert "./-x" not in error
