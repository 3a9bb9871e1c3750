# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Kernels load modules with BTF that kbtf made; `kbtf check` has said before what they will do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import real
from conftest import or_missing
from kbtf import Btf, Module, open_btf, relocate
from kbuild.kdirs import compiler_arguments
from oracles import build as oracles
from vm import kernels, machine
from vm.predicted import told
from vm.variants import ITERATOR, RIGHT, VARIANTS, Parts, Variant, tagged_kfuncs

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.vm

MISMATCH = "Kernel module BTF mismatch detected"
WHICH = ("own", "other")
CASES = [
    pytest.param(variant, which, id=f"{variant.name}-{which}")
    for variant in VARIANTS
    for which in WHICH
]
each_case = pytest.mark.parametrize(("variant", "which"), CASES)


class Seen(NamedTuple):
    """What came of one module on one kernel."""

    how: str
    """``loaded``, ``forced`` (without regard to the build that it is for) or ``failed``."""
    btf: str
    """In the words of `kbtf check`."""
    dump: bytes | None
    """``/sys/kernel/btf/MODULE``."""
    programs: dict[str, int | str]
    """What each returned, or what was said when it was refused; none if it did not load."""
    dmesg: str

    @property
    def loading(self) -> str:
        """In the words of `kbtf check`."""
        if self.how == "failed":
            # That of the example does.
            accepted = self.btf != "refused"
            return "fails if its init passes the error on" if accepted else "fails"
        if self.btf == "refused":
            return "loads without BTF"
        by_force = "loads if the kernel has its symbols in the same versions"
        return by_force if self.how == "forced" else "loads"


@pytest.fixture(scope="session")
def bases(both: dict[str, kernels.Kernel]) -> dict[str, Btf]:
    """Their BTF."""
    return {which: open_btf(str(kernel.image), cache=False) for which, kernel in both.items()}


@pytest.fixture(scope="session")
def modules(
    both: dict[str, kernels.Kernel],
    headers: Path,
    kfunc_module: Path,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """The variants by name."""
    work = tmp_path_factory.mktemp("modules")
    example = root / "examples" / "kfunc_module"
    no_btf = ("PAHOLE=true", "RESOLVE_BTFIDS=true")
    intree = work / "intree-source"
    intree.mkdir()
    source = (example / "kfunc_module.c").read_text()
    (intree / "kfunc_module.c").write_text(f'{source}MODULE_INFO(intree, "Y");\n')
    (intree / "Makefile").write_bytes((example / "Makefile").read_bytes())
    own_types = root / "tests" / "modules" / "own_types"
    with or_missing():
        oracles.need("pahole")
        by_clang = compiler_arguments("clang")
        parts = Parts(
            linked=kfunc_module,
            kbuild=real.build_module(example, work / "kbuild", headers),
            intree=real.build_module(intree, work / "intree", headers, *no_btf),
            own_types=real.build_module(
                own_types, work / "own_types", headers, *no_btf, "KCFLAGS=-g0"
            ),
            iter_percpu=real.build_module(
                root / "tests" / "modules" / "iter_percpu", work / "iter_percpu", headers, *no_btf
            ),
            clang=real.build_module(example, work / "clang", headers, *no_btf, *by_clang),
            clang_kbuild=real.build_module(example, work / "clang_kbuild", headers, *by_clang),
            own=headers / "vmlinux",
            other=both["other"].image,
        )
    made = {variant.name: work / f"{variant.name}.ko" for variant in VARIANTS}
    for variant in VARIANTS:
        variant.make(parts, made[variant.name])
    return made


@pytest.fixture(scope="session")
def runs(
    both: dict[str, kernels.Kernel],
    modules: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, machine.Run]:
    """Both kernels with all modules, one after the other."""
    work = tmp_path_factory.mktemp("guest")
    listed = work / "modules"
    listed.write_text("".join(f"{v.name} {v.module} {v.module}.bpf.o\n" for v in VARIANTS))
    with or_missing():
        libbpf = oracles.libbpf()
        files = {
            "modules": listed,
            "load": machine.compile_tool(machine.GUEST / "load.c", work, libbpf),
            "programs": machine.compile_tool(machine.GUEST / "programs.c", work, libbpf),
        }
        for name in RIGHT:
            source = machine.GUEST / f"{name}.bpf.c"
            files[f"{name}.bpf.o"] = machine.compile_bpf(source, work, libbpf)
        files |= {f"variants/{name}": path for name, path in modules.items()}
        script = machine.GUEST / "modules.sh"
        return {
            which: machine.run_in(kernel, script, files, work / which)
            for which, kernel in both.items()
        }


@pytest.fixture(scope="session")
def predicted(
    both: dict[str, kernels.Kernel],
    modules: dict[str, Path],
) -> dict[tuple[str, str], dict[str, Any]]:
    """What `kbtf check` says, by variant and kernel."""
    names = [f"--kernel={kernel.image}" for kernel in both.values()]
    which = {str(kernel.image): name for name, kernel in both.items()}
    results = told("check", *names, *modules.values())["results"]
    return {(Path(r["module"]).stem, which[r["source"]]): r for r in results}


def seen(run: machine.Run, variant: Variant, module: Path) -> Seen:
    """Reads what guest/modules.sh wrote.

    What did not load has left sysfs: the kernel took its BTF, if it has any, unless it said no.
    """
    folder = run.out / variant.name
    (how, *_), *lines = [line.split() for line in (folder / "result").read_text().splitlines()]
    programs: dict[str, int | str] = {}
    for what, name, *value in lines:
        said = (folder / "programs" / name).read_text()
        programs[name] = int(value[0]) if what == "returned" else f"{what}: {said}"
    dmesg = (folder / "dmesg").read_text()
    dump = (folder / "btf").read_bytes() if (folder / "btf").exists() else None
    if MISMATCH in dmesg:
        btf = "refused"
    elif how == "failed":
        btf = "accepted" if Module.open(str(module)).has_btf else "none"
    else:
        btf = "none" if dump is None else "accepted"
    return Seen(how, btf, dump, programs, dmesg)


def fits(got: int | str, wanted: int | str) -> bool:
    """A program returned what it must, or was refused for the right reason."""
    if isinstance(wanted, int) or isinstance(got, int):
        return got == wanted
    return got.startswith("refused") and wanted in got


def kfuncs_work(was: Seen, variant: Variant) -> bool:
    """All kfuncs could be called, and their flags counted."""
    right = RIGHT[variant.module]
    return all(fits(was.programs.get(name, ""), wanted) for name, wanted in right.items())


@pytest.fixture
def was(
    runs: dict[str, machine.Run], modules: dict[str, Path], variant: Variant, which: str
) -> Seen:
    """What came of the variant on that kernel."""
    return seen(runs[which], variant, modules[variant.name])


@each_case
def test_the_kernel_does_what_it_must(was: Seen, variant: Variant, which: str) -> None:
    expected = variant.own if which == "own" else variant.other

    if expected.btf is not None:
        assert was.btf == expected.btf, was.dmesg
    if expected.loads is not None:
        good = "loaded" if which == "own" else "forced"
        assert was.how == (good if expected.loads else "failed"), was.dmesg
    if was.how == "failed":
        assert not was.programs
    else:
        for name, wanted in expected.programs.items():
            assert fits(was.programs[name], wanted), f"{name}: {was.programs[name]}, not {wanted}"
    assert "Call Trace" not in was.dmesg, was.dmesg


@each_case
def test_check_has_predicted_it(
    was: Seen, predicted: dict[tuple[str, str], dict[str, Any]], variant: Variant, which: str
) -> None:
    said = predicted[variant.name, which]

    assert (said["btf"], said["loading"]) == (was.btf, was.loading), said["findings"]
    if said["verdict"] == "ok":
        assert kfuncs_work(was, variant), was.programs
    if said["verdict"] == "rejected":
        assert not kfuncs_work(was, variant), said["findings"]


@each_case
def test_the_kernel_shows_the_btf_that_relocating_gives(
    was: Seen, modules: dict[str, Path], bases: dict[str, Btf], variant: Variant, which: str
) -> None:
    module = Module.open(str(modules[variant.name]))
    if was.dump is None:
        assert was.how == "failed" or was.btf != "accepted"
    elif module.btf_base is not None and module.btf is not None:
        assert was.dump == relocate(module.btf, bases[which]).to_bytes()
    else:
        assert was.dump == module.image.data(".BTF")


@pytest.mark.parametrize("which", WHICH)
def test_the_kernel_shows_the_kfuncs_that_were_tagged(
    runs: dict[str, machine.Run], bases: dict[str, Btf], which: str
) -> None:
    shown = (runs[which].out / "encoded" / "btf").read_bytes()

    assert tagged_kfuncs(Btf.parse(shown, bases[which])) == ITERATOR


@pytest.mark.parametrize("which", WHICH)
def test_the_kernel_has_the_btf_that_is_read_from_its_image(
    runs: dict[str, machine.Run], bases: dict[str, Btf], which: str
) -> None:
    shown = (runs[which].out / "vmlinux.sha256").read_text().split()[0]

    assert shown == hashlib.sha256(bases[which].to_bytes()).hexdigest()


def test_the_variants_are_what_they_are_called(modules: dict[str, Path]) -> None:
    made = {name: Module.open(str(path)) for name, path in modules.items()}

    assert made["twice"].to_bytes() == made["distilled"].to_bytes()
    pinned = made["pinned"].btf_base
    assert pinned is not None
    assert [t.name for t in pinned] == ["int"]
    assert made["plain"].btf_ids != made["after-kbuild"].btf_ids
    assert made["intree"].intree
    for name, module in made.items():
        has_base = name not in ("linked", "plain", "intree", "stale", "undistilled")
        assert module.has_btf_base == has_base, name
        assert module.has_btf == (name != "linked"), name


def test_relocating_made_a_difference(
    runs: dict[str, machine.Run], modules: dict[str, Path]
) -> None:
    distilled = next(v for v in VARIANTS if v.name == "distilled")
    own, other = (seen(runs[which], distilled, modules["distilled"]).dump for which in WHICH)

    assert own != other
