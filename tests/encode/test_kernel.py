# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The BTF of a linked kernel: what pahole 1.32 makes of the same file.

`tests/data/linked` has a small one, compiled with gcc 12 (``-g -O2 -mcmodel=kernel -fno-pie
-ffreestanding``) and linked with ``ld -T link.ld``, and what pahole 1.32 made of it.
"""

from __future__ import annotations

import json
import lzma
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import real
from hostile import dwarf
from kbtf import Btf, DwarfError, ElfImage
from kbtf.elf.files import map_linked
from kbtf.encode.dwarf import encode_kernel
from kbtf.program import main
from oracles.build import run

CASES = real.encoding_cases()
DATA = Path(__file__).parents[1] / "data" / "linked"
EXPECTED = (DATA / "vmlinux.132.btf").read_bytes()


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(lzma.decompress((DATA / "vmlinux.xz").read_bytes()))
    return path


def test_a_linked_file_is_encoded_as_by_pahole(linked: Path) -> None:
    image = ElfImage(linked.read_bytes())
    encoded = encode_kernel(image, strict=True)
    assert encoded.btf.to_bytes() == EXPECTED
    assert {note.name: note.reasons for note in encoded.notes} == {
        "constant": ("reordered", "optimized"),
        "removed": ("unexpected-register", "reordered", "optimized"),
        "twice": ("inconsistent", "ambiguous"),
    }


def test_the_result_does_not_depend_on_the_number_of_threads(linked: Path, tmp_path: Path) -> None:
    """Also where a unit in the middle cannot be expressed."""
    for jobs in (0, 2, 100):
        encoded = encode_kernel(ElfImage(linked.read_bytes()), jobs=jobs)
        assert encoded.btf.to_bytes() == EXPECTED

    cases = (CASES / "cases" / name / "m.ko" for name in ("structs", "atomic-fails", "percpu"))
    options = ("-z", "muldefs", "--unresolved-symbols=ignore-all", "-e", "0")
    run("ld", *options, *cases, "-o", tmp_path / "more")
    image = ElfImage((tmp_path / "more").read_bytes())
    one = encode_kernel(image)
    assert [note.kind for note in one.notes if note.is_warning] == ["unit"]
    several = encode_kernel(image, jobs=3)
    assert (several.btf.to_bytes(), several.notes) == (one.btf.to_bytes(), one.notes)
    for jobs in (1, 3):
        with pytest.raises(DwarfError, match="an atomic type"):
            encode_kernel(image, strict=True, jobs=jobs)


@pytest.mark.parametrize("name", ["alike", "alike.twins"])
def test_types_that_many_units_share_are_encoded_as_by_pahole(name: str) -> None:
    """Also where units have different types of one name; in the twins, one that others declare."""
    image = ElfImage(lzma.decompress((DATA / f"{name}.xz").read_bytes()))
    for jobs in (1, 3):
        encoded = encode_kernel(image, strict=True, jobs=jobs)
        assert encoded.btf.to_bytes() == (DATA / f"{name}.132.btf").read_bytes()


def test_units_of_a_kernel_that_refer_to_one_another_are_encoded_together(tmp_path: Path) -> None:
    run("ld", "-e", "0", CASES / "cases/lto-clang/m.ko", "-o", tmp_path / "vmlinux")
    image = ElfImage((tmp_path / "vmlinux").read_bytes())
    for jobs in (1, 2):
        encoded = encode_kernel(image, strict=True, jobs=jobs)
        assert encoded.btf.to_bytes() == (DATA / "lto-clang.132.btf").read_bytes()


@pytest.mark.parametrize("jobs", [1, 2, 64])
def test_all_threads_together_have_one_limit_on_work(jobs: int) -> None:
    """No part of the file would exceed it alone: each of some hundred gives its name 700 times."""
    table = dwarf.ROOT + dwarf.INT
    table += dwarf.abbreviation(3, dwarf.TYPEDEF, dwarf.NAME, dwarf.LINE_STRP)
    units = dwarf.unit(dwarf.INT_DIE) + dwarf.unit(b"\3\0\0\0\0" * 700) * 250
    file = dwarf.linked(dwarf.dwarf(table, units, line_str=b"a" * 60_000 + b"\0"))

    with pytest.raises(DwarfError, match="too much work for its size"):
        encode_kernel(ElfImage(file), jobs=jobs)


def test_without_threads_a_kernel_is_encoded_by_one(linked: Path, tmp_path: Path) -> None:
    """The stack of a thread would need more memory than there may be."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "kbtf",
        "encode",
        "-j2",
        f"-o{tmp_path}/out",
        str(linked),
    ]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 36, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))

    subprocess.run(command, preexec_fn=limit, check=True)

    assert (tmp_path / "out").read_bytes() == EXPECTED


def test_without_consistent_func_prototypes_may_differ_between_units(linked: Path) -> None:
    features = ("var", "float", "decl_tag", "type_tag", "enum64")
    encoded = encode_kernel(ElfImage(linked.read_bytes()), features=features)
    assert encoded.btf.to_bytes() == (DATA / "vmlinux.single.132.btf").read_bytes()


def test_the_command_encodes_a_kernel_without_a_base(
    linked: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out.btf"
    monkeypatch.setenv("KBTF_BASE", "of-modules")
    assert main(["encode", str(linked), "-o", str(out), "--json"]) == 0
    assert out.read_bytes() == EXPECTED
    said = json.loads(capsys.readouterr().out)
    assert (said["profile"], said["units"], said["types"]) == (132, 2, 31)

    assert main(["encode", "--base", str(out), str(linked), "-o", "other.btf"]) == 2
    assert capsys.readouterr().err.count(f"{linked}: is a kernel, which has no base") == 1
    assert main(["encode", str(linked), "--profile", "131", "-o", str(out)]) == 0
    flat = Btf.parse(out.read_bytes())
    assert [(t.array.nelems) for t in flat if t.array] == [6]


def test_a_kernel_without_dwarf_is_an_error(
    linked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("strip", "--strip-debug", linked)
    assert main(["encode", str(linked)]) == 3
    assert "has no debug information" in capsys.readouterr().err


@pytest.mark.tree
def test_the_kernel_of_a_distribution_is_encoded_as_by_pahole(corpus: Path) -> None:
    """`$KBTF_DEBUG_VMLINUX`: that of Debian's linux-image-6.12.117+deb12-cloud-amd64-dbg."""
    path = os.environ.get("KBTF_DEBUG_VMLINUX")
    if not path:
        pytest.skip("$KBTF_DEBUG_VMLINUX names no vmlinux with DWARF")
    image = map_linked(path)
    assert image is not None
    expected = (corpus / "base" / "6.12.117-cloud-p132.btf").read_bytes()
    one = encode_kernel(image, strict=True)
    assert one.btf.to_bytes() == expected
    for jobs in (2, 5):
        several = encode_kernel(image, strict=True, jobs=jobs)
        assert several.btf.to_bytes() == expected
        assert several.notes == one.notes
