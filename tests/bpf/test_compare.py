# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf kfuncs --compare, and the audit of a kernel's own kfuncs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from kbtf import BtfBuilder, Kind, Module, distill, read_ids, resolve_ids
from kbtf.ids import kfunc_flags as kf
from kbtf.testing import make_base, make_ids, make_module
from shown import block, sh

if TYPE_CHECKING:
    from collections.abc import Callable

KBTF = str(Path(sys.executable).with_name("kbtf"))


class Kfunc:
    """A kfunc int NAME(PARAMS), each parameter a name and a struct that it points to, or none."""

    def __init__(self, name: str, *params: tuple[str, str | None], flags: int = 0) -> None:
        self.name = name
        self.params = params
        self.flags = flags


def module(path: Path, *kfuncs: Kfunc) -> Path:
    """A module with .BTF.base that offers *kfuncs*."""
    base = make_base()
    for name in ("a", "b"):
        base.add_composite(Kind.STRUCT, name, 8)
    vmlinux = base.build()
    split = BtfBuilder(vmlinux)
    integer = vmlinux.find("int", Kind.INT)
    assert integer is not None
    for kfunc in kfuncs:
        params = []
        for name, struct in kfunc.params:
            found = vmlinux.find(struct, Kind.STRUCT) if struct else None
            type_id = split.add_ref(Kind.PTR, found.id) if found else integer.id
            params.append((name, type_id))
        split.add_func(kfunc.name, split.add_func_proto(integer.id, params))
    made = distill(split.build())
    ids = make_ids(set8s={"ids": [("func", kfunc.name, kfunc.flags) for kfunc in kfuncs]})
    read = read_ids(Module(make_module(ids=ids)).image)
    assert read is not None
    ids = ids._replace(data=resolve_ids(read, made.split).ids.to_bytes())
    data = make_module(btf=made.split.to_bytes(), btf_base=made.base.to_bytes(), ids=ids)
    path.write_bytes(data)
    return path


def kfuncs(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KBTF, "kfuncs", *args], capture_output=True, text=True, check=False)


def compare(tmp_path: Path, old: list[Kfunc], new: list[Kfunc]) -> tuple[int, dict[str, Any]]:
    before, after = module(tmp_path / "old.ko", *old), module(tmp_path / "new.ko", *new)
    done = kfuncs("--json", "--compare", before, after)
    assert not done.stderr
    return done.returncode, json.loads(done.stdout)


F = Kfunc("f", ("it", "a"), ("size", None))

BREAKING: dict[str, tuple[list[Kfunc], str, str]] = {
    "removed": ([], "removed", "do not load"),
    "fewer arguments": ([Kfunc("f", ("it", "a"))], "prototype", "2 arguments before, 1 argument"),
    "another kind": ([Kfunc("f", ("it", None), ("size", None))], "prototype", "argument 1"),
    "another struct": (
        [Kfunc("f", ("it", "b"), ("size", None))],
        "prototype",
        "argument 1 is now a pointer to struct b, it was one to struct a",
    ),
    "sleepable": ([Kfunc("f", *F.params, flags=kf.SLEEPABLE)], "flags", "only sleepable programs"),
    "may return NULL": ([Kfunc("f", *F.params, flags=kf.RET_NULL)], "flags", "test the result"),
    "a capability": ([Kfunc("f", *F.params, flags=kf.PERFMON)], "flags", "requires CAP_PERFMON"),
    "a size": ([Kfunc("f", ("it", "a"), ("it__sz", None))], "suffix", "__sz"),
}


@pytest.mark.parametrize("case", BREAKING)
def test_what_breaks_programs_is_told_with_its_consequence(case: str, tmp_path: Path) -> None:
    new, kind, said = BREAKING[case]
    code, document = compare(tmp_path, [F], new)
    assert (code, document["verdict"]) == (1, "breaking")
    (change,) = [c for c in document["changes"] if c["effect"] == "breaking"]
    assert (change["kfunc"], change["kind"]) == ("f", kind)
    assert said in change["text"]


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ([F], [F], "compatible"),
        ([F], [F, Kfunc("g", ("it", "b"))], "additions"),
        ([Kfunc("f", *F.params, flags=kf.SLEEPABLE)], [F], "compatible"),
        ([Kfunc("f", ("it__k", None))], [Kfunc("f", ("it", None))], "compatible"),
        (
            [Kfunc("f", *F.params, flags=kf.TRUSTED_ARGS), Kfunc("g", flags=kf.TRUSTED_ARGS)],
            [Kfunc("f", *F.params, flags=kf.RCU), Kfunc("g", flags=kf.TRUSTED_ARGS)],
            "compatible",
        ),
        # bpf_dynptr_slice() of 6.12 and of 7.3
        ([Kfunc("f", ("buffer__opt", "a"))], [Kfunc("f", ("buffer__nullable", "a"))], "compatible"),
        ([F], [Kfunc("f", *F.params, flags=kf.SPINLOCK_SAFE)], "compatible"),
    ],
    ids=[
        "nothing",
        "one more",
        "a flag gone",
        "a suffix gone",
        "weaker trust",
        "NULL as before",
        "with a lock",
    ],
)
def test_what_breaks_nothing_is_no_failure(
    old: list[Kfunc], new: list[Kfunc], verdict: str, tmp_path: Path
) -> None:
    code, document = compare(tmp_path, old, new)
    assert (code, document["verdict"]) == (0, verdict)


def test_a_directory_is_all_of_its_modules(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    module(folder / "one.ko", F)
    module(folder / "two.ko", Kfunc("g"))
    done = kfuncs("--compare", module(tmp_path / "old.ko", F), folder)
    assert done.returncode == 0
    assert done.stdout == "additions (1 change: 1 additions)\n"


def test_tap_and_junit_have_a_test_for_each_kfunc(tmp_path: Path) -> None:
    old = module(tmp_path / "old.ko", F, Kfunc("g"))
    new = module(tmp_path / "new.ko", Kfunc("g"), Kfunc("h"))
    tap = kfuncs("--tap", "--compare", old, new)
    assert tap.returncode == 1
    assert tap.stdout.splitlines()[:3] == ["TAP version 13", "1..2", "not ok 1 - f"]
    said = kfuncs("--junit", "--compare", old, new).stdout
    junit = ElementTree.fromstring(said)  # noqa: S314 - our own output
    assert (junit.get("tests"), junit.get("failures")) == ("2", "1")
    assert [case.get("name") for case in junit.iter("testcase")] == ["f", "h"]


@pytest.mark.parametrize(
    "args", [["--compare", "a.ko", "b.ko", "c.ko"], ["--tap", "a.ko"], [], ["--compare", "a.ko"]]
)
def test_calls_that_make_no_sense_are_usage_errors(args: list[str]) -> None:
    done = kfuncs(*args)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def kernel(path: Path, change: Callable[[BtfBuilder, int, int], None]) -> Path:
    """Raw BTF of a kernel with the kfunc f, tagged, and what *change* adds."""
    b = make_base()
    proto = b.add_func_proto(1, [])
    func = b.add_func("f", proto)
    b.add_decl_tag("bpf_kfunc", func, -1)
    change(b, proto, func)
    path.write_bytes(b.to_bytes())
    return path


def nothing(b: BtfBuilder, proto: int, func: int) -> None:
    """Add nothing."""


def one_more(b: BtfBuilder, proto: int, func: int) -> None:
    b.add_decl_tag("bpf_kfunc", b.add_func("g", proto), -1)


def test_a_kernel_is_audited_by_its_tags_where_it_has_no_sets(tmp_path: Path) -> None:
    done = kfuncs(kernel(tmp_path / "vmlinux.btf", nothing))
    assert done.returncode == 0
    assert done.stdout.endswith("vmlinux.btf: 1 kfunc by their tags, without flags\n")


def test_what_a_kernel_lost_is_an_error(tmp_path: Path) -> None:
    old, new = kernel(tmp_path / "old.btf", one_more), kernel(tmp_path / "new.btf", nothing)
    done = kfuncs("--against", old, new)
    assert done.returncode == 1
    assert "error [kernel-lost]: kfunc g was removed" in done.stdout
    assert "lost 1 function of the old kernel" in done.stdout
    assert kfuncs("--against", new, old).returncode == 0


@pytest.mark.integration
def test_debians_kernel_is_sound_but_for_its_tags(vmlinux: Path) -> None:
    """Debian 12's pahole 1.24 writes no tags; everything else is there."""
    done = kfuncs("--json", vmlinux)
    (document,) = json.loads(done.stdout)["kernels"]
    assert document["has_sets"]
    assert {finding["code"] for finding in document["findings"]} <= {"kernel-no-tags"}
    assert {"bpf_cpumask_create", "bpf_task_acquire"} <= {k["name"] for k in document["kfuncs"]}
    assert kfuncs("--compare", vmlinux, vmlinux).stdout == "compatible (no changes)\n"


def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    for side in ("old", "new"):
        (tmp_path / side).mkdir()
        kernel(tmp_path / side / "vmlinux", one_more)
        module(tmp_path / side / "mymodule.ko", F)
    sh(block("docs/kfuncs.md", "compare"), tmp_path)
    headers = {"/usr/src/linux-headers-6.12.0/vmlinux": "old/vmlinux"}
    sh(block("docs/kfuncs.md", "kernel audit", headers), tmp_path)
