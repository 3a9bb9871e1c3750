# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf stats``: what .BTF.base adds to a tree, against sizes that are known."""

from __future__ import annotations

import json
import lzma
import statistics
from typing import TYPE_CHECKING

import pytest

from kbtf.program import main
from kbtf.testing import make_module

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def distilled(corpus: Path) -> dict[str, tuple[bytes, bytes]]:
    """Distilled base and split BTF as libbpf made them, by module."""
    bases = sorted((corpus / "distilled").glob("*.base"))
    return {p.stem: (p.read_bytes(), p.with_suffix(".split").read_bytes()) for p in bases}


@pytest.fixture
def tree(run_dir: Path, distilled: dict[str, tuple[bytes, bytes]]) -> Path:
    """Modules with what libbpf made, every third compressed, and one without BTF."""
    tree = run_dir / "tree"
    for number, (name, (base, split)) in enumerate(distilled.items()):
        folder = tree / f"{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        data = make_module(name.replace("-", "_"), btf=split, btf_base=base)
        if number % 3:
            (folder / f"{name}.ko").write_bytes(data)
        else:
            (folder / f"{name}.ko.xz").write_bytes(lzma.compress(data, preset=0))
    (tree / "plain.ko").write_bytes(make_module("plain"))
    (tree / "notes.txt").write_text("no module")
    return tree


def test_the_numbers_are_those_of_the_sections(
    tree: Path, distilled: dict[str, tuple[bytes, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", "--json", str(tree)]) == 0

    found = json.loads(capsys.readouterr().out)
    sizes = [len(base) for base, _ in distilled.values() if base]
    assert found["modules"] == len(distilled) + 1
    assert found["with_btf"] == len(distilled)
    assert found["with_btf_base"] == len(sizes)
    assert found["total"] == sum(sizes)
    assert found["mean"] == pytest.approx(statistics.mean(sizes))
    assert found["deviation"] == pytest.approx(statistics.pstdev(sizes))
    assert found["largest"]["btf_base"] == max(sizes)
    for each in found["histogram"]:
        count = sum(each["least"] <= size <= each["most"] for size in sizes)
        assert each["modules"] == count
    assert sum(each["modules"] for each in found["histogram"]) == len(sizes)


def test_the_table_and_the_page_tell_the_same(
    tree: Path, distilled: dict[str, tuple[bytes, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", "--html", "page.html", str(tree)]) == 0

    total = f"{sum(len(base) for base, _ in distilled.values()):,} bytes"
    page = (tree.parent / "page.html").read_text()
    assert total in capsys.readouterr().out
    assert total in page
    assert "<script" not in page
    assert page.count("<rect") > 2


def test_a_tree_without_distilled_bases_has_no_histogram(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "plain.ko").write_bytes(make_module("plain"))

    assert main(["stats", "--html", "page.html", "."]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["modules", "1"],
        ["with", ".BTF", "0"],
        ["with", ".BTF.base", "0"],
    ]
    assert "Sizes" not in (run_dir / "page.html").read_text()


def test_a_broken_module_is_told_and_the_others_are_counted(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "broken.ko").write_bytes(b"\x7fELF")

    assert main(["stats", str(tree)]) == 3

    said = capsys.readouterr()
    assert "broken.ko: the ELF header is truncated" in said.err
    assert said.out.startswith("modules ")


def test_a_directory_without_modules_is_bad_input(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", "."]) == 3

    assert "no modules in this directory" in capsys.readouterr().err


def test_compression_does_not_change_the_numbers(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_module(btf=bytes(1000), btf_base=bytes(2000))
    found = []
    for name, content in (("plain.ko", data), ("packed.ko.xz", lzma.compress(data))):
        (run_dir / name).write_bytes(content)
        assert main(["stats", "--json", name]) == 0
        found.append(json.loads(capsys.readouterr().out))
        assert found[-1]["largest"].pop("module") == name

    assert found[0] == found[1]
    assert found[0]["files"] == len(data)
