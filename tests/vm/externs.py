# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Objects with externs in booted kernels: what must happen, what happened, and both compared."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from oracles import build as oracles
from real import BUILD_PRODUCTS
from vm.predicted import told
from vm.test_modules import WHICH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vm import machine

NO_BTF = ("PAHOLE=true", "RESOLVE_BTFIDS=true")
RESOLVED = re.compile(
    r"extern \((func|var) ksym\) '(\S+)': resolved to (?:\[(\d+)\]|(\S+) \[(\d+)\])"
)
CALLED = re.compile(r"^\d+: \(85\) call ([A-Za-z_]\w*)#(\d+)", re.MULTILINE)
FIRST_HELPER_OF_LIBBPF = 2001000000


class Case(NamedTuple):
    """An object, the modules that are loaded before it, in order, and what must come of it."""

    name: str
    object: str
    modules: tuple[str, ...]
    loads: bool
    light_loads: bool
    returned: int | None = None
    said: str = ""
    """By libbpf or the verifier."""
    light_said: str = ""
    flags: tuple[str, ...] = ()
    """For the compiler."""
    unpredicted: tuple[str, ...] = ()
    """The loaders with which it is up to what the verifier finds reachable, or takes."""


TWINS = ("twin_a", "twin_b")
NOT_FOUND = "not found in kernel or module BTFs"
# The pages that the guest follows. An emulated machine has less to send; customers come twice.
FOLLOWED = {
    "tcp": ("examples/tcp_congestion/README.md", "load", {"10000000": "300000"}),
    "customers": (
        "examples/kfunc_module/README.md",
        "load",
        {"./customers 3": "./customers 3\n./customers 4"},
    ),
}
INCOMPATIBLE = "incompatible with kfunc_module"
CASES = (
    # The id is of the module that was loaded first; the address, which the kernel looks up by name
    # alone, of the one that was loaded last.
    Case("twins", "which", TWINS, True, True, 2 + 11 + 102),
    Case("twins-reversed", "which", TWINS[::-1], True, True, 1 + 11 + 102),
    Case("weak-off", "weak", ("kfunc_module",), True, True, None),
    Case(
        "weak-on",
        "weak",
        ("kfunc_module",),
        False,
        False,
        said="kfunc 'kfunc_module_absent' is referenced but wasn't resolved",
        light_said="(85) call #0",
        flags=("-DWANTED=1",),
        unpredicted=("libbpf", "light"),
    ),
    Case("strong", "strong", ("kfunc_module",), False, False, said=NOT_FOUND),
    Case("no-module", "weak", (), False, False, said=NOT_FOUND),
    Case("many", "many", ("many", "kfunc_module"), True, True, 512),
    Case("many-behind", "many", ("twin_b", "many"), True, True, 512),
    Case(
        "one-too-many",
        "many",
        ("many", "kfunc_module"),
        False,
        False,
        said="too many different kernel function calls",
        light_said="too many different",
        flags=("-DONE_MORE",),
    ),
    # A light skeleton does not compare prototypes, and the verifier has but the kernel's.
    Case("mismatch", "mismatch", ("kfunc_module",), False, True, said=INCOMPATIBLE),
    Case(
        "weak-mismatch",
        "weak_mismatch",
        ("kfunc_module",),
        True,
        False,
        7,
        light_said="R1 is not a scalar",
        unpredicted=("light",),
    ),
    Case("weak-variable", "weak_variable", (), False, True, said="incompatible types"),
    Case("flavour", "flavour", ("twin_a", "kfunc_module"), True, True),
    Case(
        "not-a-kfunc",
        "not_kfunc",
        (),
        False,
        False,
        said="is not allowed",
        light_said="is not allowed",
    ),
    Case("plain", "weak", ("plain_kfunc_module",), True, True),
)
EACH = pytest.mark.parametrize("which", WHICH)


class Parts(NamedTuple):
    """What is loaded and what is asked about, by name."""

    modules: dict[str, Path]
    objects: dict[str, Path]
    eager: Path
    bases: dict[str, Path]
    """Of both kernels: the vmlinux of the headers has kfunc sets, a vmlinuz only BTF."""
    tools: dict[str, Path]


class Seen(NamedTuple):
    """What came of one case with one loader on one kernel."""

    verdict: str
    insns: dict[tuple[str, int], tuple[int, ...]]
    """src_reg, imm, off of calls, by program and number."""
    addresses: dict[tuple[str, int], tuple[int, ...]]
    """src_reg, imm, next imm."""
    offs: dict[str, list[int]]
    """Of the calls of kfuncs that the verifier left, in order, by program."""
    returned: list[int]
    log: str


def make(source: Path, into: Path, headers: Path, *words: str) -> list[Path]:
    """The modules of a folder, as the linker leaves them."""
    shutil.copytree(source, into, ignore=BUILD_PRODUCTS)
    oracles.run("make", "-j2", "-C", headers, f"M={into}", "modules", *NO_BTF, *words)
    return sorted(into.glob("*.ko"))


def compile_bpf(source: Path, folder: Path, libbpf: Path, flags: tuple[str, ...]) -> Path:
    """As machine.compile_bpf, with further flags."""
    oracles.need("clang", "gcc")
    folder.mkdir(parents=True)
    compiled = folder / "case.bpf.o"
    multiarch = oracles.run("gcc", "-print-multiarch").strip()
    options = ["-mcpu=v3", "-O2", "-g", "-Wall", "-Werror", *flags]
    options += [f"-I{libbpf}/include", f"-I/usr/include/{multiarch}"]
    oracles.run("clang", "-target", "bpf", *options, "-c", source, "-o", compiled)
    return compiled


def seen(run: machine.Run, name: str) -> Seen:
    """Reads what guest/ksyms.sh wrote of a case."""
    folder = run.out / name
    insns: dict[tuple[str, int], tuple[int, ...]] = {}
    addresses: dict[tuple[str, int], tuple[int, ...]] = {}
    offs: dict[str, list[int]] = {}
    returned: list[int] = []
    verdict = ""
    for line in (folder / "result").read_text().splitlines():
        what, *words = line.split()
        if what in ("insn", "address"):
            numbers = tuple(int(word) for word in words[2:])
            (insns if what == "insn" else addresses)[words[0], int(words[1])] = numbers
        elif what == "kfunc":
            offs.setdefault(words[0], []).append(int(words[1]))
        elif what == "returned":
            returned.append(int(words[1]))
        elif what in ("loaded", "refused") and not (words and ".ko" in words[0]):
            verdict = what
    return Seen(verdict, insns, addresses, offs, returned, (folder / "log").read_text())


def predict(parts: Parts, case: Case, loader: str, which: str) -> dict[str, Any]:
    """What `kbtf ksyms` says."""
    modules = [f"--module={parts.modules[name]}" for name in case.modules]
    words = ("--loader", loader, "--base", parts.bases[which], parts.objects[case.name])
    return told("ksyms", *words, *modules)


def functions(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The externs that were resolved to functions."""
    return (e for e in said["externs"] if e["status"] == "resolved" and e["kind"] == "FUNC")


def expected(case: Case, which: str, loader: str) -> tuple[bool, str]:
    """Whether it loads, and what is said if not.

    Plain split BTF is for the kernel that it was built for: the other one drops it.
    """
    if case.name == "plain" and which == "other":
        return False, NOT_FOUND if loader == "libbpf" else ""
    if loader == "light":
        return case.light_loads, case.light_said
    return case.loads, case.said


def compare_externs(said: dict[str, Any], was: Seen) -> None:
    """Where libbpf found each extern; it stops at the first that fails."""
    found = {}
    for _, name, variable, provider, function in RESOLVED.findall(was.log):
        # of a variable, libbpf does not say where it was found
        found[name] = (provider, int(variable or function))
    failed = [e["name"] for e in said["externs"] if e["status"] == "failed"]
    for extern in said["externs"]:
        name = extern["name"]
        if failed and name >= failed[0]:
            assert name not in found
        elif extern["status"] == "resolved":
            provider, type_id = found[name]
            assert provider in ("", extern["found_in"])
            assert type_id == extern["type_id"]
        elif extern["status"] == "typeless":
            assert re.search(rf"ksym\) '{name}': set to 0x|'{name}' \(weak\): not", was.log)
        else:
            assert f"extern '{name}' (weak): not resolved" in was.log or failed
    if failed:
        assert re.search(rf"ksym\) '{failed[0]}': (not found|func_proto|incompatible)", was.log)


def compare_insns(said: dict[str, Any], was: Seen) -> None:
    """Each instruction that uses an extern, as bpf_program__insns() has it."""
    calls = {}
    for extern in said["externs"]:
        for row in extern["instructions"]:
            at = (row["program"], row["insn"])
            if row["is_call"]:
                calls[at] = (row["src_reg"], row["imm"], row["off"])
            else:
                src_reg, imm, fd = was.addresses[at]
                assert (src_reg, imm) == (row["src_reg"], row["imm"])
                assert fd == row["next_imm"] if row["next_imm"] is not None else fd > 0
    assert calls == {
        at: fields
        for at, fields in was.insns.items()
        if fields[0] == 2 or fields[1] >= FIRST_HELPER_OF_LIBBPF
    }


def compare_calls(said: dict[str, Any], was: Seen) -> None:
    """The calls that the verifier came to, and the offsets in what it loaded."""
    ids = {}
    for extern in functions(said):
        ids[extern["looked_for"]] = extern["type_id"]
    for name, number in CALLED.findall(was.log):
        if name in ids:
            assert ids[name] == int(number)
    if was.verdict == "loaded":
        rows = [
            (row["program"], row["insn"], row["off"])
            for extern in functions(said)
            for row in extern["instructions"]
            if row["is_call"]
        ]
        for program, left in was.offs.items():
            # what is never reached is gone, the rest is in order
            offs = iter([off for name, _, off in sorted(rows) if name == program])
            assert all(off in offs for off in left)
