# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What `kbtf ksyms` predicts is what libbpf, light skeletons and the verifier do in a kernel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from bpf.examples import make_congestion_control, make_customers
from oracles import build as oracles
from real import BUILD_PRODUCTS
from shown import block
from vm import kernels, machine
from vm.test_modules import WHICH, or_missing
from vm.variants import KBTF

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.vm

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
    offs: list[int]
    """Of the calls of kfuncs that the verifier left, in order."""
    returned: list[int]
    log: str


def make(source: Path, into: Path, headers: Path, *words: str) -> list[Path]:
    """The modules of a folder, as the linker leaves them."""
    shutil.copytree(source, into, ignore=BUILD_PRODUCTS)
    oracles.run("make", "-j2", "-C", headers, f"M={into}", "modules", *NO_BTF, *words)
    return sorted(into.glob("*.ko"))


@pytest.fixture(scope="session")
def both(headers: Path) -> dict[str, kernels.Kernel]:
    """The kernels to boot."""
    with or_missing():
        own = kernels.own_kernel(headers, Path("/boot"))
        return {"own": own, "other": kernels.other_kernel(own)}


@pytest.fixture(scope="session")
def parts(
    both: dict[str, kernels.Kernel],
    headers: Path,
    kfunc_module: Path,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Parts:
    """Modules with BTF, objects, and the programs for the guest."""
    work = tmp_path_factory.mktemp("ksyms")
    with or_missing():
        libbpf = oracles.libbpf()
        linked = make(root / "tests/modules/twins", work / "twins", headers)
        modules = {path.stem: path for path in linked}
        modules["kfunc_module"] = Path(shutil.copy(kfunc_module, work))
        plain = work / "plain_kfunc_module.ko"
        modules[plain.stem] = Path(shutil.copy(kfunc_module, plain))
        example = make_congestion_control(root, work / "tcp", headers)
        modules["steady"] = example / "steady.ko"
        base: list[str | Path] = ["--base", headers / "vmlinux"]
        for name, path in modules.items():
            if name != "steady":
                how = "never" if path == plain else "auto"
                oracles.run(KBTF, "run", "-q", "--distill", how, *base, path)
        objects = {}
        for case in CASES:
            source = machine.GUEST / "ksyms" / f"{case.object}.bpf.c"
            objects[case.name] = compile_bpf(source, work / "o" / case.name, libbpf, case.flags)
        tools = {
            name: machine.compile_tool(machine.GUEST / f"{name}.c", work, libbpf)
            for name in ("load", "ksyms")
        }
        tools["transfer"] = example / "transfer"
        tools["customers"] = make_customers(root, work / "c") / "customers"
    bases = {"own": headers / "vmlinux", "other": both["other"].image}
    return Parts(modules, objects, example / "eager.bpf.o", bases, tools)


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


@pytest.fixture(scope="session")
def runs(
    both: dict[str, kernels.Kernel], parts: Parts, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, machine.Run]:
    """Both kernels with all cases and both loaders, one after the other."""
    work = tmp_path_factory.mktemp("ksyms-guest")
    listed = work / "cases"
    lines = [
        f"{case.name}-{loader} {loader} {case.name}.bpf.o "
        + " ".join(f"/{name}.ko" for name in case.modules)
        for case in CASES
        for loader in ("libbpf", "light")
    ]
    listed.write_text("".join(f"{line}\n" for line in lines))
    files = {"cases": listed, "eager.bpf.o": parts.eager, **parts.tools}
    files |= {f"{name}.ko": path for name, path in parts.modules.items()}
    files |= {f"{name}.bpf.o": path for name, path in parts.objects.items()}
    for name, (page, mark, here) in FOLLOWED.items():
        files[f"{name}.sh"] = work / f"{name}.sh"
        files[f"{name}.sh"].write_text(block(page, mark, here))
    script = machine.GUEST / "ksyms.sh"
    with or_missing():
        return {
            which: machine.run_in(kernel, script, files, work / which)
            for which, kernel in both.items()
        }


def seen(run: machine.Run, name: str) -> Seen:
    """Reads what guest/ksyms.sh wrote of a case."""
    folder = run.out / name
    insns: dict[tuple[str, int], tuple[int, ...]] = {}
    addresses: dict[tuple[str, int], tuple[int, ...]] = {}
    offs: list[int] = []
    returned: list[int] = []
    verdict = ""
    for line in (folder / "result").read_text().splitlines():
        what, *words = line.split()
        if what in ("insn", "address"):
            numbers = tuple(int(word) for word in words[2:])
            (insns if what == "insn" else addresses)[words[0], int(words[1])] = numbers
        elif what == "kfunc":
            offs.append(int(words[1]))
        elif what == "returned":
            returned.append(int(words[1]))
        elif what in ("loaded", "refused") and not (words and ".ko" in words[0]):
            verdict = what
    return Seen(verdict, insns, addresses, offs, returned, (folder / "log").read_text())


def predict(parts: Parts, case: Case, loader: str, which: str) -> dict[str, Any]:
    """What `kbtf ksyms` says."""
    command: list[str | Path] = [KBTF, "ksyms", "--no-cache", "--json", "--loader", loader]
    command += ["--base", parts.bases[which], parts.objects[case.name]]
    for name in case.modules:
        command += ["--module", parts.modules[name]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["loads"] == (done.returncode == 0)
    return said


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


def compare_externs(said: dict[str, Any], was: Seen) -> None:
    """Where libbpf found each extern; it stops at the first that fails."""
    found = {}
    for kind, name, variable, provider, function in RESOLVED.findall(was.log):
        found[name] = ("vmlinux", int(variable)) if kind == "var" else (provider, int(function))
    failed = [e["name"] for e in said["externs"] if e["status"] == "failed"]
    for extern in said["externs"]:
        name = extern["name"]
        if failed and name >= failed[0]:
            assert name not in found
        elif extern["status"] == "resolved":
            provider = extern["found_in"]
            assert found[name] == (provider, extern["type_id"])
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
            (row["insn"], row["off"])
            for extern in functions(said)
            for row in extern["instructions"]
            if row["is_call"]
        ]
        # what is never reached is gone, the rest is in order
        offs = iter([off for _, off in sorted(rows)])
        assert all(off in offs for off in was.offs)


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
    command: list[str | Path] = [KBTF, "ksyms", "--no-cache", "--json", "--module", module]
    command += ["--base", parts.bases[which], parts.eager]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    externs = json.loads(done.stdout)["externs"]
    missing = {extern["name"] for extern in externs if extern["status"] == "missing"}
    assert missing == {"steady_pace"}


@EACH
def test_a_name_in_two_modules_is_warned_of(parts: Parts, which: str) -> None:
    for name in ("twins", "twins-reversed"):
        case = next(case for case in CASES if case.name == name)
        (warning,) = predict(parts, case, "libbpf", which)["warnings"]

        first, last = case.modules
        assert warning.startswith(f"twin_which is in {first} and {last}: ")
        assert warning.endswith(f"calls that of {last}")


@EACH
def test_the_light_skeleton_of_the_example_runs(runs: dict[str, machine.Run], which: str) -> None:
    said = (runs[which].out / "customers").read_text()

    assert said.endswith("exit 0\n"), said
    assert "ticket 0, served 3\nticket 0, served 7\n" in said
