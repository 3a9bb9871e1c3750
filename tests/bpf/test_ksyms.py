# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`kbtf ksyms`, offline, beside libbpf's own code, which is made to run without a kernel."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from bpf.externs import (
    A_FUNCTIONS,
    BAD,
    GOOD,
    LINKED,
    SIMPLE,
    VMLINUX_FUNCTIONS,
    ask_libbpf,
    libbpf_lines,
    link_c,
    target_of,
)
from bpf.objects import compile_c, make_kmod, make_vmlinux
from kbtf.bpf.kernel import make_target
from kbtf.bpf.ksyms import link
from kbtf.bpf.object import read_object
from kbtf.bpf.resolve import Loader, Status
from oracles import build as oracles

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("needs_clang")


@pytest.mark.parametrize("order", ["a b", "b a"])
@pytest.mark.parametrize("name", GOOD)
def test_the_instructions_are_those_of_libbpf(
    oracle: Path, tmp_path: Path, name: str, order: str
) -> None:
    target = target_of(*order.split())
    linking = link_c(GOOD[name], tmp_path / "o", target, Loader.LIBBPF)
    status, lines = ask_libbpf(oracle, tmp_path / "o", target)

    assert status == 0, lines
    expected = [line for line in lines if line.startswith("insn ")]
    assert sorted(libbpf_lines(linking, target)) == sorted(expected)
    assert bool(expected) == (name != "no-externs")


@pytest.mark.parametrize("name", BAD)
def test_what_libbpf_refuses_fails(oracle: Path, tmp_path: Path, name: str) -> None:
    target = target_of("a", "b")
    linking = link_c(BAD[name], tmp_path / "o", target, Loader.LIBBPF)
    status, lines = ask_libbpf(oracle, tmp_path / "o", target)

    (found,) = linking.resolutions
    assert found.status is Status.FAILED
    assert linking.is_refused_somewhere
    assert status == 1
    assert any(f"ksym) '{found.extern.name}': " in line for line in lines)


@pytest.mark.parametrize("name", GOOD)
def test_the_slots_are_those_of_the_light_skeletons_maker(
    oracle: Path, tmp_path: Path, name: str
) -> None:
    linking = link_c(GOOD[name], tmp_path / "o", target_of("a", "b"), Loader.LIGHT)
    done = subprocess.run([oracle, "light", tmp_path / "o"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

    wanted = [int(line.split()[1]) for line in done.stdout.splitlines() if line[:4] == "slot"]
    names = {found.number: found.extern.name for found in linking.resolutions}
    assert wanted == [
        slot
        for program in linking.programs
        for slot in sorted(
            {
                row.slot
                for number in names
                for row in linking.written[number]
                if row.program == program.name and row.slot is not None
            }
        )
    ]
    relocated = re.findall(r"emit_relo \(\d+\): (\S+) at (\d+) (call|ld64)", done.stdout)
    assert sorted(relocated) == sorted(
        (names[number], str(row.insn), "call" if row.is_call else "ld64")
        for number, rows in linking.written.items()
        for row in rows
    )


@pytest.mark.parametrize("loader", Loader)
@pytest.mark.parametrize("name", GOOD)
def test_the_byte_order_of_the_object_makes_no_difference(
    tmp_path: Path, name: str, loader: Loader
) -> None:
    target = target_of("a", "b")
    little = link_c(GOOD[name], tmp_path / "le", target, loader, "bpfel")
    big = link_c(GOOD[name], tmp_path / "be", target, loader, "bpfeb")

    assert big._replace(findings=[]) == little._replace(findings=[])
    assert "the object is big-endian" in big.findings[0].text


def test_plain_split_btf_gives_the_same_as_distilled(tmp_path: Path) -> None:
    plain = link_c(SIMPLE, tmp_path / "o", target_of("a", "b", plain=True), Loader.LIBBPF)
    distilled = link_c(SIMPLE, tmp_path / "o", target_of("a", "b"), Loader.LIBBPF)

    assert plain.written == distilled.written


def test_a_statically_linked_object(oracle: Path, bpftool: Path, tmp_path: Path) -> None:
    target = target_of("a", "b")
    for name in LINKED:
        compile_c(LINKED[name], tmp_path / f"{name}.o")
    linked = tmp_path / "linked.o"
    oracles.run(bpftool, "gen", "object", linked, *(tmp_path / f"{name}.o" for name in LINKED))
    linking = link(read_object(linked.read_bytes()), target, Loader.LIBBPF)
    status, lines = ask_libbpf(oracle, linked, target)

    assert status == 0, lines
    expected = [line for line in lines if line.startswith("insn ")]
    assert sorted(libbpf_lines(linking, target)) == sorted(expected)
    assert [f.extern.name for f in linking.resolutions] == ["a_one", "b_one", "nowhere"]


def test_a_variable_of_two_modules_is_warned_of(tmp_path: Path) -> None:
    base = make_vmlinux(VMLINUX_FUNCTIONS)
    twins = [make_kmod(name, base, A_FUNCTIONS[:1], variables=["a_counter"]) for name in "ab"]
    linking = link_c(ONE_VARIABLE, tmp_path / "o", make_target(base, twins), Loader.LIBBPF)

    (finding,) = linking.findings
    assert (finding.code, finding.type) == ("name-shared", "a_counter")
    assert finding.text.startswith("a_counter is a variable of a and b: ")
    assert finding.text.endswith("programs read that of b")


ONE_VARIABLE = """
extern const u32 a_counter KSYM;
SEC("syscall") int one_variable(void *ctx) { return a_counter; }
"""


def test_a_variable_without_a_type_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    base = make_vmlinux(VMLINUX_FUNCTIONS)
    target = make_target(base, [make_kmod("a", base, A_FUNCTIONS[:1])])
    (module,) = target.modules
    with_symbol = module._replace(variables=lambda: frozenset({"a_counter"}))
    for provider, text in (
        (with_symbol, "a_counter is a variable of a without a type in BTF"),
        (module, "no variable a_counter in vmlinux or a"),
    ):
        target = target._replace(modules=(provider,))
        (found,) = link_c(ONE_VARIABLE, tmp_path / "o", target, Loader.LIBBPF).resolutions
        assert found.reason.startswith(text)
        assert "'extern const void a_counter __ksym'" in found.reason
