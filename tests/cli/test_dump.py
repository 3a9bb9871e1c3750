# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf dump``: which files it reads on which base, and what it prints."""

from __future__ import annotations

import json
import lzma
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from kbtf import Btf, BtfBuilder, Kind, distill, open_btf
from kbtf.program import main
from kbtf.testing import make_base, make_module, write_elf

KBTF = str(Path(sys.executable).with_name("kbtf"))


class Files(NamedTuple):
    """A kernel, a module in several forms, and what is printed of it."""

    base: Btf
    on_vmlinux: str
    on_distilled: str
    vmlinux: str = "vmlinux.btf"
    plain: str = "plain.ko"
    distilled: str = "distilled.ko"
    split: str = "split.btf"


@pytest.fixture
def files(run_dir: Path) -> Files:
    b = make_base()
    struct = b.add_composite(Kind.STRUCT, "list_head", 16)
    base = b.build()
    s = BtfBuilder(base)
    own = s.add_ref(Kind.PTR, struct)
    split = s.build()
    small = distill(split)
    made = Files(base, f"[{own}] PTR '(anon)' type_id={struct}\n", "[2] PTR '(anon)' type_id=1\n")
    for name, data in {
        made.vmlinux: base.to_bytes(),
        made.plain: make_module(btf=split.to_bytes()),
        made.distilled: make_module(btf=small.split.to_bytes(), btf_base=small.base.to_bytes()),
        made.split: split.to_bytes(),
    }.items():
        (run_dir / name).write_bytes(data)
    return made


class Dumped(NamedTuple):
    code: int
    out: str
    err: str


class Dump:
    """Runs the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: str) -> Dumped:
        code = main(["dump", *args])
        return Dumped(code, *self._capsys.readouterr())


@pytest.fixture
def dump(capsys: pytest.CaptureFixture[str]) -> Dump:
    return Dump(capsys)


def test_a_distilled_module_is_read_on_its_own_base(files: Files, dump: Dump) -> None:
    assert dump(files.distilled) == (0, files.on_distilled, "")


def test_with_a_base_a_distilled_module_is_relocated(files: Files, dump: Dump) -> None:
    assert dump("--base", files.vmlinux, files.distilled) == (0, files.on_vmlinux, "")


def test_what_cannot_be_relocated_is_named(files: Files, dump: Dump, run_dir: Path) -> None:
    other = BtfBuilder()
    other.add_int("int", 4)
    (run_dir / "other.btf").write_bytes(other.to_bytes())

    code, out, err = dump("--base", "other.btf", files.distilled)

    assert (code, out) == (3, "")
    assert "distilled.ko" in err
    assert "list_head" in err


@pytest.mark.parametrize("form", ["plain", "split"])
def test_split_btf_is_read_on_the_base_that_is_named(form: str, files: Files, dump: Dump) -> None:
    file = files.plain if form == "plain" else files.split

    assert dump("--base", files.vmlinux, file) == (0, files.on_vmlinux, "")


def test_the_base_of_a_plain_module_is_looked_for(
    headers: Path, vmlinux: Path, run_dir: Path, dump: Dump
) -> None:
    base = open_btf(str(vmlinux))
    split = BtfBuilder(base)
    split.add_ref(Kind.PTR, len(base) - 1)
    module = make_module(
        btf=split.build().to_bytes(), release=headers.name.removeprefix("linux-headers-")
    )
    (run_dir / "installed.ko").write_bytes(module)

    found = dump("installed.ko")

    assert found.code == 0
    assert found == dump("--base", str(vmlinux), "installed.ko")


def test_where_there_is_no_base_for_a_module_that_is_said(files: Files, dump: Dump) -> None:
    code, out, err = dump(files.plain)

    assert (code, out) == (4, "")
    assert "no BTF of kernel 6.12.0-test" in err


def test_raw_split_btf_without_a_base_is_refused(files: Files, dump: Dump) -> None:
    code, out, err = dump(files.split)

    assert (code, out) == (3, "")
    assert "if this is the split BTF of a module, name the base" in err


def test_split_btf_on_a_base_that_is_not_its_own_is_warned_of(
    dump: Dump, files: Files, run_dir: Path
) -> None:
    b = BtfBuilder()
    func = b.add_func("function_with_a_long_name", b.add_func_proto(0))
    base = b.build()
    s = BtfBuilder(base)
    s.add_ref(Kind.TYPEDEF, func, "t")
    (run_dir / "other.btf").write_bytes(base.to_bytes())
    (run_dir / "bad.btf").write_bytes(s.to_bytes())

    code, out, err = dump("--base", "other.btf", "bad.btf")

    assert (code, out) == (0, f"[3] TYPEDEF 't' type_id={func}\n")
    assert "bad.btf: was made for another base" in err


@pytest.mark.parametrize("form", ["raw", "elf", "xz"])
def test_a_kernel_needs_no_base(form: str, files: Files, dump: Dump, run_dir: Path) -> None:
    data = files.base.to_bytes()
    if form == "elf":
        data = write_elf({".BTF": data})
    elif form == "xz":
        data = lzma.compress(data)
    (run_dir / "kernel").write_bytes(data)

    code, out, err = dump("--no-cache", "kernel")

    assert (code, err) == (0, "")
    assert "STRUCT 'list_head' size=16 vlen=0\n" in out


def test_a_compressed_module_is_unpacked(files: Files, dump: Dump) -> None:
    packed = Path(files.distilled + ".xz")
    packed.write_bytes(lzma.compress(Path(files.distilled).read_bytes()))

    assert dump(str(packed)).out == files.on_distilled


def test_json_is_one_document(files: Files, dump: Dump) -> None:
    out = dump("--format", "json", files.distilled).out

    assert json.loads(out) == {"types": [{"id": 2, "kind": "PTR", "name": "(anon)", "type_id": 1}]}


def test_c_is_a_header(files: Files, dump: Dump) -> None:
    out = dump("--format", "c", files.vmlinux).out

    assert out.startswith("#ifndef __VMLINUX_H__\n")
    assert "struct list_head {" in out


def test_what_a_file_is_does_not_depend_on_its_name(
    files: Files, dump: Dump, run_dir: Path
) -> None:
    """Kbuild 7.x leaves raw BTF in M.ko.BTF."""
    raw, packed = run_dir / "tiny.ko.BTF", run_dir / "tiny.ko.BTF.xz"
    raw.write_bytes((run_dir / files.split).read_bytes())
    packed.write_bytes(lzma.compress(raw.read_bytes()))
    (run_dir / "tiny").write_bytes(lzma.compress((run_dir / files.plain).read_bytes()))

    for file in (raw, packed, run_dir / "tiny"):
        code, out, err = dump("--format", "c", "--base", files.vmlinux, str(file))
        assert (code, err) == (0, "")
        assert "#ifndef __TINY_H__" in out


def test_what_c_cannot_say_is_an_error_and_nothing_is_printed(dump: Dump, run_dir: Path) -> None:
    b = BtfBuilder()
    b.add_ref(Kind.TYPEDEF, 1, "ring")
    (run_dir / "ring.btf").write_bytes(b.to_bytes())

    code, out, err = dump("--format", "c", "ring.btf")

    assert (code, out) == (3, "")
    assert "ring.btf: type [1] 'ring': contains itself" in err


def test_names_leave_as_they_are(run_dir: Path) -> None:
    b = BtfBuilder()
    b.add_fwd(b"\xff\xc3\xa9".decode("utf-8", "surrogateescape"))
    (run_dir / "names.btf").write_bytes(b.to_bytes())

    with open("out", "wb") as out:
        subprocess.run([KBTF, "dump", "names.btf"], env={"LC_ALL": "C"}, check=True, stdout=out)

    assert Path("out").read_bytes() == b"[1] FWD '\xff\xc3\xa9' fwd_kind=struct\n"


def test_a_format_that_is_none_is_refused(files: Files) -> None:
    command = [KBTF, "dump", "--format", "yaml", files.vmlinux]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "yaml" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(files: Files, run_dir: Path) -> None:
    b = BtfBuilder()
    for _ in range(20_000):
        b.add_ref(Kind.PTR, 0)
    (run_dir / "large.btf").write_bytes(b.to_bytes())
    shell = shutil.which("bash") or "/bin/bash"

    done = subprocess.run(
        [shell, "-c", f"{KBTF} dump large.btf | head -n 1; echo ${{PIPESTATUS[0]}}"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert (done.stdout, done.stderr) == ("[1] PTR '(anon)' type_id=0\n0\n", "")


@pytest.mark.integration
def test_distilled_modules_are_printed_as_bpftool_does(
    corpus: Path, bpftool: Path, dump: Dump, run_dir: Path
) -> None:
    bases = [None, *map(str, sorted((corpus / "base").glob("*.btf")))]
    modules = sorted((corpus / "btf_ids").glob("*.distilled.ko"))
    assert (len(bases), len(modules)) == (5, 3)
    for module in modules:
        for base in bases:
            on = ["-B", base] if base else []
            command = [str(bpftool), *on, "btf", "dump", "file", str(module)]
            expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            assert expected.count("\n") > 10
            found = dump(*(["--base", base] if base else []), str(module))
            assert (found.code, found.out == expected) == (0, True), (module.name, base)
