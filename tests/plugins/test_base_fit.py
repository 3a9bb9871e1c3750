# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A base that is another kernel's is refused where the module itself shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kbtf import BtfBuilder, Kind
from kbtf.kernel.release import path_release
from kbtf.program import main
from kbtf.testing import make_base, make_module

BASE = "vmlinux.btf"


@pytest.fixture
def size(run_dir: Path) -> int:
    """Raw BTF of a kernel, which does not say its release; the size of its struct module."""
    base = make_base()
    Path(BASE).write_bytes(base.to_bytes())
    module = base.build().find("module", Kind.STRUCT)
    assert module is not None
    return module.size or 0


def write_module(reserved: int, own_modules: int = 0) -> None:
    """A module with BTF, linked with *reserved* bytes for its ``struct module``."""
    split = BtfBuilder(make_base().build())
    for n in range(own_modules):
        split.add_composite(Kind.STRUCT, "module", reserved, [(f"own_{n}", 1, 0)])
    split.add_func("mine", split.add_func_proto(0))
    sections = {".gnu.linkonce.this_module": bytes(reserved)}
    Path("mine.ko").write_bytes(make_module(btf=split.to_bytes(), sections=sections))


def test_the_right_base_is_taken(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    write_module(size)

    assert main(["run", "-v", "--base", BASE, "mine.ko"]) == 0

    assert f"the release of the base {BASE} is not known" in capsys.readouterr().out


def test_another_size_of_struct_module_is_refused(
    size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write_module(size + 64)
    before = Path("mine.ko").read_bytes()

    assert main(["run", "--base", BASE, "mine.ko"]) == 3

    said = capsys.readouterr().err
    assert f"its struct module has {size + 64} bytes, the base's {size}" in said
    assert "--base" in said
    assert Path("mine.ko").read_bytes() == before


def test_a_struct_module_of_its_own_is_refused_but_on_demand(
    size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the same size: then encoding found it to differ from the base's."""
    write_module(size, own_modules=1)

    assert main(["run", "--base", BASE, "mine.ko"]) == 3
    assert "its struct module differs from the base's" in capsys.readouterr().err
    assert main(["run", "--base", BASE, "--allow-other-release", "mine.ko"]) == 0
    assert "its struct module differs from the base's" in capsys.readouterr().err


def test_units_that_disagree_on_struct_module_say_nothing_of_the_base(
    size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in Debian's cxgb4, which has a struct sched_class that is not the kernel's."""
    write_module(size, own_modules=2)

    assert main(["run", "--base", BASE, "mine.ko"]) == 0
    assert "struct module" not in capsys.readouterr().err


def test_a_link_to_the_running_kernels_btf_is_of_that_release(run_dir: Path) -> None:
    """Whatever headers it is put into, as forums and container images have it."""
    link = run_dir / "usr/src/linux-headers-9.9.9-test/vmlinux"
    link.parent.mkdir(parents=True)
    assert path_release(str(link)) == "9.9.9-test"

    link.symlink_to("/sys/kernel/btf/vmlinux")

    assert path_release(str(link)) == os.uname().release
