# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Nothing that a stranger wrote steers a terminal or forges a line, whichever command prints it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kbtf import Btf, BtfBuilder, Kind
from kbtf.testing import make_base, make_ids, make_module

EVIL = "\x1b[2Jx\r\ny\a\u202e\u200b\udcff\nnot ok 1 - fake\nkbtf: error: fake"


class Files:
    """A module and a base all of whose names are hostile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = Btf.parse(evil_base().to_bytes())
        (folder / "vmlinux").write_bytes(self.base.to_bytes())
        (folder / "other").write_bytes(make_base().to_bytes())
        split = BtfBuilder(self.base)
        struct = self.base.find(EVIL)
        assert struct is not None
        own = split.add_composite(Kind.STRUCT, f"own{EVIL}", 8, [(EVIL, struct.id, 0)])
        proto = split.add_func_proto(own, [(EVIL, own)])
        split.add_func(EVIL, proto)
        split.add_ref(Kind.TYPEDEF, own, f"t{EVIL}")
        ids = make_ids(set8s={f"set{EVIL}": [("func", EVIL, 0)]})
        self.module = f"evil{EVIL}.ko".replace("/", "_")
        data = make_module(f"name{EVIL}", btf=split.build().to_bytes(), ids=ids)
        (folder / self.module).write_bytes(data)

    def kbtf(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        program = Path(sys.executable).with_name("kbtf")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KBTF_")}
        return subprocess.run(
            [program, *words], cwd=self.folder, env=environment, capture_output=True, check=False
        )


def evil_base() -> BtfBuilder:
    b = BtfBuilder()
    number = b.add_int("int", 4)
    b.add_composite(Kind.STRUCT, EVIL, 8, [(EVIL, number, 0)])
    b.add_enum(f"e{EVIL}", 4, [(EVIL, 1)])
    b.add_fwd(f"f{EVIL}")
    return b


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


COMMANDS = {
    "run": ["run", "-v", "--base", "vmlinux", "--dry-run", "MODULE"],
    "run, twice": ["run", "-v", "--base", "vmlinux", "--dry-run", "MODULE", f"absent{EVIL}"],
    "run on another base": ["run", "--base", "other", "MODULE"],
    "show": ["show", "MODULE"],
    "explain": ["explain", "--base", "vmlinux", "MODULE"],
    "explain one": ["explain", "--base", "vmlinux", "MODULE", EVIL],
    "dump raw": ["dump", "--base", "vmlinux", "MODULE"],
    "dump raw of a base": ["dump", "vmlinux"],
    "dump c": ["dump", "--format", "c", "vmlinux"],
    "base": ["base", "vmlinux"],
    "base diff": ["base", "diff", "vmlinux", "other"],
    "check": ["check", "--kernel", "vmlinux", "MODULE"],
    "check --deep": ["check", "--deep", "vmlinux", "--kernel", "other", "MODULE"],
    "check --tap": ["check", "--tap", "--kernel", "other", "MODULE"],
    "check --junit": ["check", "--junit", "--kernel", "other", "MODULE"],
    "kfuncs": ["kfuncs", "--base", "vmlinux", "MODULE"],
    "plugins --trace": ["plugins", "--base", "vmlinux", "--trace", "MODULE"],
    "ksyms": ["ksyms", "--base", "vmlinux", "MODULE"],
    "extract": ["extract", "MODULE", EVIL],
    "undistill": ["undistill", "MODULE"],
    "an option": ["run", f"--{EVIL}"],
    "a command": [EVIL],
    "no such file": ["show", EVIL],
    "debug": ["show", "--debug", EVIL],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_what_steers_a_terminal(command: str, files: Files) -> None:
    done = files.kbtf(*(files.module if w == "MODULE" else w for w in COMMANDS[command]))

    assert done.stdout + done.stderr, "or it is no test"
    for stream in (done.stdout, done.stderr):
        text = stream.decode()  # UTF-8, and no stray bytes
        for line in text.split("\n"):
            assert line.replace("\t", "").isprintable(), line
            assert not line.startswith(("not ok 1 - fake", "kbtf: error: fake"))


def test_a_dump_into_a_file_and_json_are_exact(files: Files) -> None:
    with open(files.folder / "out", "wb") as out:
        program = Path(sys.executable).with_name("kbtf")
        subprocess.run([program, "dump", "vmlinux"], cwd=files.folder, stdout=out, check=True)
    assert EVIL.encode("utf-8", "surrogateescape") in (files.folder / "out").read_bytes()

    shown = json.loads(files.kbtf("show", "--json", files.module).stdout)
    assert shown["modules"][0]["module"] == files.module
