# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A small vmlinux whose BTF is encoded anew, as some packages do it: kbtf kfuncs finds out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import or_missing
from kbtf import BtfBuilder, Kind, open_btf
from oracles import build as oracles

if TYPE_CHECKING:
    from collections.abc import Sequence

KBTF = Path(sys.executable).with_name("kbtf")
KFUNCS = ("kfunc_one", "kfunc_two")
SLOT = """
.local {symbol}
.type {symbol}, STT_OBJECT
.size {symbol}, 4
{symbol}: .long 0, 0
"""
SET = """
.pushsection .BTF_ids,"a"
.local __BTF_ID__set8__the_set
__BTF_ID__set8__the_set: .long 0, 1
{slots}
.size __BTF_ID__set8__the_set, .-__BTF_ID__set8__the_set
.popsection
"""
SOURCE = """\
struct thing { int a; long b; };
int kfunc_one(struct thing *it) { return it->a; }
long kfunc_two(long x) { return x + 1; }
int other(int x) { return x; }
"""


@pytest.fixture
def vmlinux(tmp_path: Path) -> Path:
    """Linked, with BTF of Debian's pahole and a set that is not resolved."""
    with or_missing():
        oracles.need("gcc", "ld", "pahole")
    slots = "".join(
        SLOT.format(symbol=f"__BTF_ID__func__{name}__{at}") for at, name in enumerate(KFUNCS)
    )
    (tmp_path / "kernel.c").write_text(f"{SOURCE}asm({json.dumps(SET.format(slots=slots))});\n")
    path = tmp_path / "vmlinux"
    subprocess.run(["gcc", "-g", "-O1", "-c", "kernel.c"], cwd=tmp_path, check=True)
    command: list[str | Path] = ["ld", "-e", "0", "-Ttext=0x100000", "kernel.o", "-o", path]
    subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run(["pahole", "-J", path], check=True)
    return path


def tag(vmlinux: Path, names: Sequence[str]) -> None:
    """Give it BTF as a newer pahole would: other ids, and tags on the kfuncs *names*."""
    btf = open_btf(str(vmlinux), cache=False)
    newer = BtfBuilder()
    newer.add_int("first", 1)
    ids = {0: 0, **{each.id: each.id + 1 for each in btf}}
    for each in btf:
        newer.add_copy(each, ids)
    for name in names:
        func = btf.find(name, Kind.FUNC)
        assert func is not None
        newer.add_decl_tag("bpf_kfunc", ids[func.id])
    (vmlinux.parent / "btf").write_bytes(newer.to_bytes())
    subprocess.run(["objcopy", "--update-section", ".BTF=btf", vmlinux.name], cwd=vmlinux.parent)


def audit(path: Path) -> tuple[int, list[tuple[str, str]], list[Any]]:
    """The exit code, severities and codes of findings, and the kfuncs."""
    command: list[str | Path] = [KBTF, "kfuncs", "--json", "--no-cache", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (kernel,) = json.loads(done.stdout)["kernels"]
    findings = [(finding["severity"], finding["code"]) for finding in kernel["findings"]]
    return done.returncode, findings, kernel["kfuncs"]


def test_one_that_is_encoded_and_then_resolved_is_sound(
    vmlinux: Path, resolve_btfids: Path
) -> None:
    tag(vmlinux, KFUNCS)
    subprocess.run([resolve_btfids, vmlinux], check=True)
    code, findings, kfuncs = audit(vmlinux)
    assert (code, findings) == (0, [])
    assert sorted(kfunc["name"] for kfunc in kfuncs) == sorted(KFUNCS)


def test_one_that_an_old_pahole_encodes_anew_is_caught(vmlinux: Path, resolve_btfids: Path) -> None:
    tag(vmlinux, KFUNCS)
    subprocess.run([resolve_btfids, vmlinux], check=True)
    subprocess.run(["pahole", "-J", vmlinux], check=True)
    assert audit(vmlinux)[:2] == (1, [("error", "kernel-ids")])


def test_one_that_an_old_pahole_encoded_before_has_no_tags(
    vmlinux: Path, resolve_btfids: Path
) -> None:
    subprocess.run([resolve_btfids, vmlinux], check=True)
    assert audit(vmlinux)[:2] == (0, [("warning", "kernel-no-tags")])


def test_tags_on_some_kfuncs_only_are_an_error(vmlinux: Path, resolve_btfids: Path) -> None:
    tag(vmlinux, KFUNCS[:1])
    subprocess.run([resolve_btfids, vmlinux], check=True)
    assert audit(vmlinux)[:2] == (1, [("error", "kernel-untagged")])
