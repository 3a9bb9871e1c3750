# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The ways into a build give the same BTF, for 6.12 and for 7.x, and Kbuild's own where it is good.

What may differ from what Kbuild makes is in docs/kbuild.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbtf import Btf, Module, open_btf
from kbtf.btf.dump.raw import dump_raw

from .debian import WHICH
from .ways import WAYS, build_each_way

if TYPE_CHECKING:
    from pathlib import Path

    from .installed import Installed

pytestmark = pytest.mark.integration

BTF = (".BTF", ".BTF.base", ".BTF_ids")
NAMES_OF_SECTIONS = ".shstrtab"
PAHOLE = "pahole"
"""The way in which Debian's pahole encodes: strings are in another order."""


class Built(NamedTuple):
    """The module as each way made it, for one kernel."""

    which: str
    base: Btf
    modules: dict[str, Module]
    work: Path


@pytest.fixture(scope="module", params=WHICH)
def built(
    request: pytest.FixtureRequest,
    lab_kbtf: Installed,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """One of the kernels of the lab."""
    work = tmp_path_factory.mktemp("ways")
    made = build_each_way(lab_kbtf, request.param, root / "examples/kfunc_module", work)
    vmlinux = lab_kbtf.debian.vmlinux(lab_kbtf.debian.release(request.param))
    modules = {way: Module.open(str(path)) for way, path in made.items()}
    return Built(request.param, open_btf(str(vmlinux), cache=False), modules, work)


def text(btf: Btf | None) -> list[str]:
    """The types of BTF, with their ids."""
    assert btf is not None
    return list(dump_raw(btf))


@pytest.mark.parametrize("way", [way for way in (*WAYS, "modules_install") if way != "kbuild"])
def test_all_ways_end_at_the_same_btf(way: str, built: Built) -> None:
    made, run = built.modules[way], built.modules["run"]

    if way == PAHOLE:
        assert text(made.btf_base) == text(run.btf_base)
        assert text(made.btf) == text(run.btf)
    else:
        for name in BTF[:2]:
            assert made.image.data(name) == run.image.data(name)
    assert made.btf_ids == run.btf_ids


def test_kbuild_makes_the_same_but_for_types_that_it_repeats(built: Built) -> None:
    theirs, ours = built.modules["kbuild"], built.modules["run"]

    for section in theirs.image.sections[1:]:
        if section.name not in (*BTF, NAMES_OF_SECTIONS):
            assert ours.image.data(section.name) == theirs.image.data(section.name), section.name
    if copies(theirs, built.base):
        assert not copies(ours, built.base)
    else:
        assert text(ours.btf_base) == text(theirs.btf_base)
        assert text(ours.btf) == text(theirs.btf)
        assert ours.btf_ids == theirs.btf_ids


def copies(module: Module, base: Btf) -> set[str]:
    """The structs that a module has of its own, and that are in the kernel."""
    assert module.btf is not None
    return {t.name for t in module.btf if t.members and t.name and base.find(t.name, t.kind)}


def test_it_will_be_accepted(built: Built, lab_kbtf: Installed) -> None:
    kdir = lab_kbtf.headers(built.which)
    command = f"kbtf check --json --kernel {kdir}/vmlinux build/*.ko stand-ins/*.ko || true"
    results = json.loads(lab_kbtf.sh(command, built.work))["results"]

    assert len(results) == 2
    for one in results:
        assert (one["verdict"], one["btf"], one["loading"]) == ("ok", "accepted", "loads")
