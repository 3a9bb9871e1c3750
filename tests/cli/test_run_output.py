# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf run``: where the output goes, compressed and signed modules, what is told of them."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from cli.runs import RELEASE, kfuncs_on, run, write_module
from kbtf import Module
from kbtf.program import main

if TYPE_CHECKING:
    from pathlib import Path

    from cli.runs import Kernel


def test_output_goes_to_a_file_or_folder_and_the_module_stays(
    kernel: Kernel, run_dir: Path
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    before = path.read_bytes()
    (run_dir / "out").mkdir()

    assert run("--base", kernel.path, "-o", "new.ko", path) == 0
    assert run("--base", kernel.path, "-o", "out", path) == 0

    assert path.read_bytes() == before
    assert Module.open("new.ko").has_btf_base
    assert (run_dir / "out/tiny.ko").read_bytes() == (run_dir / "new.ko").read_bytes()


@pytest.mark.parametrize(
    ("output", "modules"),
    [("new", ["in"]), ("new", ["in/sub"]), ("new", ["tiny.ko", "in"]), ("new/", ["tiny.ko"])],
)
def test_a_directory_for_the_output_is_made(
    kernel: Kernel, run_dir: Path, output: str, modules: list[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    (run_dir / "in/sub").mkdir(parents=True)
    shutil.copy(path, "in/sub/other.ko")
    before = {str(each) for each in run_dir.rglob("*")}

    assert run("--base", kernel.path, "--dry-run", "-o", output, *modules) == 0
    assert {str(each) for each in run_dir.rglob("*")} == before
    assert run("--base", kernel.path, "-o", output, *modules) == 0

    made = list(run_dir.joinpath("new").rglob("*.ko"))
    assert len(made) == len(modules)
    assert all(Module.open(str(each)).has_btf_base for each in made)


def test_the_output_of_an_earlier_run_is_no_input(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    command = ("--base", kernel.path, "-o", "out/", ".")
    assert run(*command) == 0
    before = {each: each.stat() for each in run_dir.rglob("*")}
    capsys.readouterr()

    assert run(*command) == 0

    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"out/{path.name}: ")
    assert line.endswith(" (unchanged)")
    assert {each: each.stat() for each in run_dir.rglob("*")} == before
    assert run("--base", kernel.path, "-o", "out", "out") == 0, "it is the input here"


@pytest.mark.parametrize(
    "command", ["run -o tiny.ko/ tiny.ko", "demo -o tiny.ko", "demo -o tiny.ko/"]
)
def test_a_file_is_no_directory_for_the_output(
    command: str, kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_module(run_dir, kfuncs_on(kernel.btf))

    assert main(command.split()) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("kbtf: error: tiny.ko: is not a directory")


def test_a_refused_run_makes_no_directory(kernel: Kernel, run_dir: Path) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    before = set(run_dir.rglob("*"))

    assert run("--base", kernel.path, "-o", "out/", "--depfile", path, path) == 2

    assert set(run_dir.rglob("*")) == before


def test_several_modules_do_not_go_where_a_file_is(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    (run_dir / "file").write_text("mine")

    assert run("--base", kernel.path, "-o", "file", path, path) == 2

    assert "file: is not a directory" in capsys.readouterr().err
    (run_dir / "in").mkdir()
    path.rename(run_dir / "in" / path.name)
    assert run("--base", kernel.path, "-o", "file", "in") == 2
    assert "1 modules" not in capsys.readouterr().err
    assert (run_dir / "file").read_text() == "mine"


def test_two_modules_do_not_go_to_one_file(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))

    assert run("--base", kernel.path, "-o", "one.ko", path, path) == 2
    assert run("--base", kernel.path, "-o", f"{run_dir}/", path, path) == 2
    assert "one file" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    before = path.read_bytes()

    assert run("--base", kernel.path, "--dry-run", path) == 0

    assert path.read_bytes() == before
    out = capsys.readouterr().out
    assert ".BTF.base" in out
    assert out.endswith(" (not written)\n")


def test_a_depfile_names_what_the_output_depends_on(kernel: Kernel, run_dir: Path) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    spaced = path.rename(run_dir / "a b$c#d.ko")
    (run_dir / "kbtf.toml").write_text("distill = 'always'\n")
    (run_dir / "pass.py").write_text("")

    args = ("--base", kernel.path, "-p", "./pass.py", "--depfile", "out.d", "-o", "out.ko")
    assert run(*args, spaced.name) == 0

    rule = (run_dir / "out.d").read_text()
    escaped = "a\\ b$$c\\#d.ko"
    assert rule == f"out.ko: {escaped} {kernel.path} kbtf.toml ./pass.py\n"
    (run_dir / "Makefile").write_text("include out.d\nout.ko:\n\t@echo $(notdir $^)\n")
    os.utime(spaced, (2**31, 2**31))
    made = subprocess.run(["make", "out.ko"], capture_output=True, text=True, check=True)
    assert made.stdout.split()[-3:] == ["vmlinux.btf", "kbtf.toml", "pass.py"]


def test_json_tells_what_was_done(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))

    assert run("--base", kernel.path, "--json", path, "missing.ko") == 3

    done, missing = json.loads(capsys.readouterr().out)["modules"]
    assert done["module"] == str(path)
    assert done["status"] == "done"
    assert done["release"] == RELEASE
    assert done["base"] == str(kernel.path)
    assert done["btf"]["types"] == 4
    assert done["btf_base"]["types"] == 2
    assert (done["ids"], done["sets"]) == (2, 1)
    assert missing["status"] == "failed"
    assert "missing.ko" in missing["reason"]


def test_a_signed_module_is_refused_unless_its_signature_may_go(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    # struct module_signature: algo, hash, id_type, two lengths, padding, sig_len
    info = struct.pack(">5B3xI", 0, 0, 2, 0, 0, 7)
    signed = path.read_bytes() + b"PKCS#7!" + info + b"~Module signature appended~\n"
    path.write_bytes(signed)

    assert run("--base", kernel.path, path) == 3
    assert "signed" in capsys.readouterr().err
    assert path.read_bytes() == signed

    assert run("--base", kernel.path, "--strip-signature", path) == 0
    assert b"PKCS#7!" not in path.read_bytes()
    assert Module.open(str(path)).has_btf_base


@pytest.mark.parametrize(
    ("suffix", "pack", "unpack"),
    [
        (".gz", ["gzip", "-n"], ["gzip", "-dc"]),
        (".xz", ["xz", "--check=crc32"], ["xz", "-dc"]),
        (".zst", ["zstd", "-q", "--rm"], ["zstd", "-qdc"]),
    ],
)
def test_a_compressed_module_is_written_back_in_its_compression(
    suffix: str, pack: list[str], unpack: list[str], kernel: Kernel, run_dir: Path
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    subprocess.run([*pack, path], check=True)
    packed = path.with_name(path.name + suffix)
    again = write_module(run_dir, kfuncs_on(kernel.btf))
    run("--base", kernel.path, again)

    assert run("--base", kernel.path, packed) == 0

    unpacked = subprocess.run([*unpack, packed], check=True, capture_output=True).stdout
    assert unpacked == again.read_bytes()
    first = packed.read_bytes()
    assert run("--base", kernel.path, packed) == 0
    assert packed.read_bytes() == first


def test_a_module_signed_after_it_was_compressed_is_said(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = write_module(run_dir, kfuncs_on(kernel.btf))
    path = run_dir / "tiny.ko.xz"
    signature = bytes(12) + b"~Module signature appended~\n"
    path.write_bytes(lzma.compress(module.read_bytes(), lzma.FORMAT_XZ) + signature)

    assert run("--base", kernel.path, path) == 3

    said = capsys.readouterr().err
    assert "a module signature follows the compressed data, which no kernel accepts" in said
    assert "sign the module first" in said


def test_a_finished_signed_module_stays_as_it_is(kernel: Kernel, run_dir: Path) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    assert run("--base", kernel.path, path) == 0
    signed = path.read_bytes() + bytes(12) + b"~Module signature appended~\n"
    path.write_bytes(signed)

    assert run("--base", kernel.path, path) == 0
    assert path.read_bytes() == signed
    assert run("--base", kernel.path, "--distill", "never", path) == 0, "it is distilled already"


def test_the_output_is_compressed_as_its_name_says(kernel: Kernel, run_dir: Path) -> None:
    module = write_module(run_dir, kfuncs_on(kernel.btf))
    packed = run_dir / "tiny.ko.xz"
    packed.write_bytes(lzma.compress(module.read_bytes()))

    assert run("--base", kernel.path, "-o", "out.ko", packed) == 0
    assert run("--base", kernel.path, "-o", "out.ko.gz", module) == 0

    plain = (run_dir / "out.ko").read_bytes()
    assert plain.startswith(b"\x7fELF")
    assert gzip.decompress((run_dir / "out.ko.gz").read_bytes()) == plain
