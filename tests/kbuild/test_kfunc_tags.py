# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf run --kfunc-tags``: tags for kfuncs that an old pahole left without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kbtf import Btf, BtfBuilder, Kind, Module
from kbtf.program import main
from kbtf.testing import make_base, make_ids, make_module


def tags(btf: Btf | None) -> list[tuple[str, str]]:
    assert btf is not None
    return [(t.name, btf[t.type or 0].name) for t in btf if t.kind is Kind.DECL_TAG]


@pytest.fixture
def split(run_dir: Path) -> BtfBuilder:
    """Functions a, b, c; b is tagged."""
    base = make_base().build()
    Path("vmlinux").write_bytes(base.to_bytes())
    split = BtfBuilder(base)
    proto = split.add_func_proto(1)
    split.add_func("a", proto)
    split.add_decl_tag("bpf_kfunc", split.add_func("b", proto))
    split.add_func("c", proto)
    return split


def run(*options: str) -> Module:
    assert main(["run", "--base", "vmlinux", "--distill", "never", *options, "m.ko"]) == 0
    return Module.open("m.ko", find_base=None)


def own(split: BtfBuilder) -> Btf:
    return Btf.parse(Module.open("m.ko").image.data(".BTF") or b"", split.base)


def test_missing_tags_are_added_behind_all_types(split: BtfBuilder) -> None:
    ids = make_ids(set8s={"kfuncs": [("func", name, 0) for name in ("c", "b", "a")]})
    Path("m.ko").write_bytes(make_module(btf=split.to_bytes(), ids=ids))
    before = split.build()

    run("--kfunc-tags")

    made = own(split)
    assert [str(t) for t in made][: len(before)] == [str(t) for t in before]
    assert tags(made) == [("bpf_kfunc", "b"), ("bpf_kfunc", "a"), ("bpf_kfunc", "c")]
    first = Path("m.ko").read_bytes()
    run("--kfunc-tags")
    assert Path("m.ko").read_bytes() == first


def test_without_the_option_and_for_other_sets_nothing_is_added(split: BtfBuilder) -> None:
    kfuncs = make_ids(set8s={"kfuncs": [("func", "a", 0)]})
    Path("m.ko").write_bytes(make_module(btf=split.to_bytes(), ids=kfuncs))
    run()
    assert tags(own(split)) == [("bpf_kfunc", "b")]

    others = make_ids(lists={"l": [("func", "c")]}, sets={"s": [("func", "a")]})
    Path("m.ko").write_bytes(make_module(btf=split.to_bytes(), ids=others))
    run("--kfunc-tags")
    assert tags(own(split)) == [("bpf_kfunc", "b")]


def test_a_set8_without_the_flag_is_none_of_kfuncs(split: BtfBuilder) -> None:
    made = make_ids(set8s={"hooks": [("func", "a", 0)]})
    unflagged = made._replace(data=bytes(len(made.data)))
    Path("m.ko").write_bytes(make_module(btf=split.to_bytes(), ids=unflagged))
    run("--kfunc-tags")
    assert tags(own(split)) == [("bpf_kfunc", "b")]


def test_ids_that_are_resolved_stay_right(split: BtfBuilder) -> None:
    ids = make_ids(set8s={"kfuncs": [("func", name, 0) for name in ("c", "a")]})
    Path("m.ko").write_bytes(make_module(btf=split.to_bytes(), ids=ids))
    resolved = run().btf_ids

    assert run("--kfunc-tags").btf_ids == resolved
    assert len(tags(own(split))) == 3


def test_the_configuration_may_ask_for_them(split: BtfBuilder) -> None:
    ids = make_ids(set8s={"kfuncs": [("func", "a", 0)]})
    Path("m.ko").write_bytes(make_module(btf=split.to_bytes(), ids=ids))
    Path("kbtf.toml").write_text("kfunc-tags = true\n")
    run()
    assert ("bpf_kfunc", "a") in tags(own(split))


@pytest.mark.integration
def test_a_real_module_shows_its_kfuncs_to_bpftool(
    kfunc_module: Path, vmlinux: Path, run_dir: Path, bpftool: Path
) -> None:
    shutil.copy(kfunc_module, "m.ko")
    assert main(["run", "--base", str(vmlinux), "--kfunc-tags", "m.ko"]) == 0
    command = [str(bpftool), "btf", "dump", "file", "m.ko"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert listed.count("DECL_TAG 'bpf_kfunc'") == 6
