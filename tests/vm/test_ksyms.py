# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What `kbtf ksyms` predicts is what libbpf, light skeletons and the verifier do in a kernel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from vm.externs import (
    CASES,
    EACH,
    compare_calls,
    compare_externs,
    compare_insns,
    expected,
    functions,
    predict,
    seen,
)
from vm.predicted import told
from vm.test_modules import WHICH

if TYPE_CHECKING:
    from vm import machine
    from vm.externs import Case, Parts

pytestmark = pytest.mark.vm

EVERY = pytest.mark.parametrize(
    ("case", "loader", "which"),
    [
        pytest.param(case, loader, which, id=f"{case.name}-{loader}-{which}")
        for case in CASES
        for loader in ("libbpf", "light")
        for which in WHICH
    ],
)


@EVERY
def test_the_object_loads_or_is_refused_as_it_must(
    runs: dict[str, machine.Run], case: Case, loader: str, which: str
) -> None:
    was = seen(runs[which], f"{case.name}-{loader}")
    loads, said = expected(case, which, loader)

    assert was.verdict == ("loaded" if loads else "refused"), was.log[-3000:]
    assert said in was.log
    if loads and case.returned is not None:
        assert was.returned == [case.returned]


@EVERY
def test_ksyms_has_predicted_it(
    runs: dict[str, machine.Run], parts: Parts, case: Case, loader: str, which: str
) -> None:
    was = seen(runs[which], f"{case.name}-{loader}")
    said = predict(parts, case, loader, which)

    if loader not in case.unpredicted and all(e["kfunc"] is not None for e in functions(said)):
        assert said["loads"] == (was.verdict == "loaded"), was.log[-2000:]
    if loader == "libbpf":
        compare_externs(said, was)
        if not any(extern["status"] == "failed" for extern in said["externs"]):
            compare_insns(said, was)
    compare_calls(said, was)


@EACH
def test_a_transfer_runs_under_both_congestion_controls(
    runs: dict[str, machine.Run], which: str
) -> None:
    said = (runs[which].out / "tcp").read_text()

    assert said.endswith("exit 0\n"), said
    assert "steady: 300000 bytes\n" in said
    assert "eager: 300000 bytes\n" in said
    counted = re.search(r"connections (\d+), acks (\d+), last gain 2", said)
    assert counted, said
    assert int(counted[1]) >= 2
    assert int(counted[2]) > 0


@EACH
def test_the_congestion_control_finds_its_kfuncs(parts: Parts, which: str) -> None:
    module = parts.modules["steady"]
    words = ("--module", module, "--base", parts.bases[which], parts.eager)
    externs = told("ksyms", *words)["externs"]
    missing = {extern["name"] for extern in externs if extern["status"] == "missing"}
    assert missing == {"steady_pace"}


@EACH
def test_a_name_in_two_modules_is_warned_of(parts: Parts, which: str) -> None:
    for name in ("twins", "twins-reversed"):
        case = next(case for case in CASES if case.name == name)
        (finding,) = predict(parts, case, "libbpf", which)["findings"]

        first, last = case.modules
        assert finding["text"].startswith(f"twin_which is in {first} and {last}: ")
        assert finding["text"].endswith(f"calls that of {last}")


@EACH
def test_the_light_skeleton_of_the_example_runs(runs: dict[str, machine.Run], which: str) -> None:
    said = (runs[which].out / "customers").read_text()

    assert said.endswith("exit 0\n"), said
    assert "ticket 0, served 3\nticket 0, served 7\n" in said
