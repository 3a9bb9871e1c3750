# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Implicit arguments, lists of tracepoints and names that are taken, on 7.x kernels."""

from __future__ import annotations

import errno
import re
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from conftest import or_missing
from kbtf import Btf, Kind, Module, open_btf, relocate
from lab import kernels
from oracles import build as oracles
from real import BUILD_PRODUCTS
from vm import machine
from vm.predicted import told

if TYPE_CHECKING:
    from pathlib import Path

    from lab.debian import Debian
    from lab.installed import Installed

pytestmark = pytest.mark.vm

SEVEN = ("7.x", "7.x before")
NO_BTF = "PAHOLE=true RESOLVE_BTFIDS=true cmd_btf_ko= quiet_cmd_btf_ko="
VARIANTS = {
    "kbuild": "make -s -C $KDIR M=$PWD modules",
    "built": "kbtf build -q -C $KDIR .",
    "no-impl": f"make -s -C $KDIR M=$PWD {NO_BTF} modules"
    "; kbtf run -q -p no:btf2btf --base $KDIR/vmlinux *.ko",
}
"""How the modules are built; in the last way nobody takes care of implicit arguments."""
TAKEN = {
    "of_vmlinux": ("do_epoll_create", ["name-taken"]),
    "of_module": ("seven_shared", ["name-shared"]),
    "of_nobody": ("seven_own", []),
}
"""The one kfunc of each set of seven_again, and what `kbtf kfuncs` says of its name."""


class Kernel(NamedTuple):
    """One kernel that saw all variants."""

    base: Btf
    work: Path
    """Where each variant is, in a directory of its name."""
    run: machine.Run
    checked: dict[str, Any]
    """What `kbtf check` says, by module."""
    audited: dict[str, Any]
    """What `kbtf kfuncs` says, by module; of seven_again beside seven."""


@pytest.fixture(scope="module", params=SEVEN)
def kernel(
    request: pytest.FixtureRequest,
    lab: Debian,
    lab_kbtf: Installed,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Kernel:
    """One of the 7.x kernels."""
    work = tmp_path_factory.mktemp("seven-new")
    with or_missing():
        target = kernels.kernel(lab, lab.release(request.param))
        files = {}
        for name, script in VARIANTS.items():
            shutil.copytree(root / "tests/modules/seven", work / name, ignore=BUILD_PRODUCTS)
            lab_kbtf.sh(script, work / name, KDIR=str(lab_kbtf.headers(request.param)))
            for module in (work / name).glob("*.ko"):
                files[f"variants/{name}/{module.name}"] = module
        libbpf = oracles.libbpf()
        for tool in ("load", "programs"):
            files[tool] = machine.compile_tool(machine.GUEST / f"{tool}.c", work, libbpf)
        for source in sorted(machine.GUEST.glob("seven*.bpf.c")):
            files[f"{source.stem}.o"] = machine.compile_bpf(source, work, libbpf)
        run = machine.run_in(target, machine.GUEST / "seven.sh", files, work / "guest")
    modules = [path for path in files.values() if path.suffix == ".ko"]
    checked = told("check", "--kernel", target.image, *modules)["results"]
    audited = []
    for name in VARIANTS:
        seven, again = (work / name / f"{module}.ko" for module in ("seven", "seven_again"))
        words: list[str | Path] = ["kfuncs", "--base", target.image]
        audited += told(*words, seven)["modules"]
        audited += told(*words, "--with", seven, again)["modules"]
    return Kernel(
        open_btf(str(target.image), cache=False),
        work,
        run,
        {one["module"]: one for one in checked},
        {one["module"]: one for one in audited},
    )


def relocated(kernel: Kernel, module: Path) -> Btf:
    """The BTF of a module on that of the kernel."""
    split = Module.open(str(module)).btf
    assert split is not None
    return relocate(split, kernel.base)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_kfunc_with_an_implicit_argument(variant: str, kernel: Kernel) -> None:
    module, out = kernel.work / variant / "seven.ko", kernel.run.out / variant
    one, found = kernel.checked[str(module)], kernel.audited[str(module)]["findings"]
    errors = {f["code"]: f["type"] for f in found if f["severity"] == "error"}
    how, *lines = (out / "result").read_text().splitlines()
    came = {name: rest for _, name, *rest in map(str.split, lines[1:])}

    assert (one["btf"], one["loading"], how.split()[0]) == ("accepted", "loads", "loaded")
    if variant == "no-impl":
        assert errors == {"implicit-args": "seven_hidden"}
        assert came["plain_there"] == ["2"]
        said = (out / "programs/whole").read_text()
        assert "cannot find function seven_hidden_impl in BTF" in said
    else:
        assert errors == {}
        assert (came["plain"], came["hidden"]) == (["2"], ["101"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_kernel_shows_the_btf_that_relocating_gives(variant: str, kernel: Kernel) -> None:
    for module, shown in (("seven.ko", "btf"), ("seven_again.ko", "btf_again")):
        made = relocated(kernel, kernel.work / variant / module)
        assert (kernel.run.out / variant / shown).read_bytes() == made.to_bytes()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_list_of_a_tracepoint_is_relocated(variant: str, kernel: Kernel) -> None:
    said = (kernel.run.out / variant / "ids").read_text()
    ids = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", said)}
    btf = relocated(kernel, kernel.work / variant / "seven.ko")
    called = btf.find("__bpf_trace_seven_called", Kind.FUNC)
    record = btf.find("trace_event_raw_seven_called", Kind.STRUCT)
    assert called is not None
    assert record is not None

    assert bool(ids) == shows_ids(kernel.base)
    if ids:
        assert (ids["raw_btf_id"], ids["tp_btf_id"]) == (called.type, record.id)


def shows_ids(base: Btf) -> bool:
    """Whether the kernel has lists of tracepoints."""
    (event,) = base.find_all("trace_event_class", Kind.STRUCT)
    return any(member.name == "btf_ids" for member in event.members)


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_name_that_is_taken(variant: str, name: str, kernel: Kernel) -> None:
    kfunc, errors = TAKEN[name]
    module = str(kernel.work / variant / "seven_again.ko")
    found = kernel.audited[module]["findings"]
    named = [f["code"] for f in found if f["type"] == kfunc and f["code"].startswith("name-")]
    dmesg = (kernel.run.out / variant / "dmesg").read_text()
    (code,) = re.findall(rf"seven_again: {name} (-?\d+)", dmesg)

    assert named == errors
    assert int(code) == (-errno.EINVAL if errors else 0)
    refused = [f["type"] for f in kernel.checked[module]["findings"] if f["code"] == "name-taken"]
    assert refused == ["do_epoll_create"]
