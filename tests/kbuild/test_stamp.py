# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the modules of a directory were made with, when a build between two others went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.runs import kfuncs_on, make_kernel, run, write_module
from kbtf import Module

from . import kdirs
from .builds import build

if TYPE_CHECKING:
    from pathlib import Path

# Links modules that have split BTF already, with the step on them, and then fails if asked to.
MAKEFILE = """\
modules: tiny.ko other.ko
\t@cd $(M) && echo tiny.o other.o > modules.order && test ! -e broken
%.ko: FORCE
\t@cd $(M) && rm -f modules.order && if [ ! -e $@ ]; then cp linked $@; : > .$@.cmd; \
\t\tif [ -n "$$KBTF_STEP" ]; then ( eval "$$KBTF_STEP $$PWD/$@" ) || true; fi; fi
FORCE:
"""


@pytest.fixture
def project(run_dir: Path) -> Path:
    folder = run_dir / "m"
    folder.mkdir()
    (folder / "Makefile").touch()
    kernel = make_kernel(run_dir)
    write_module(run_dir, kfuncs_on(kernel.btf)).rename(folder / "linked")
    (kdirs.small_kdir(run_dir / "kdir") / "Makefile").write_text(MAKEFILE)
    return folder


def make(project: Path, *options: str) -> int:
    root = project.parent
    return build("-C", root / "kdir", "--base", root / "vmlinux.btf", project, *options)


def has_base(project: Path, name: str = "tiny.ko") -> bool:
    return Module.open(str(project / name)).has_btf_base


def test_a_build_that_failed_does_not_pass_for_the_one_before(project: Path) -> None:
    assert make(project, "--distill", "never") == 0
    assert not has_base(project)
    (project / "broken").touch()
    assert make(project, "--distill", "always") == 2
    assert has_base(project)
    (project / "broken").unlink()

    assert make(project, "--distill", "never") == 0

    assert not has_base(project)


def test_a_step_that_failed_in_a_build_that_failed_is_made_up_for(project: Path) -> None:
    assert make(project) == 0
    module, linked = project / "tiny.ko", project / "linked"
    made, good = module.read_bytes(), linked.read_bytes()
    module.unlink()
    linked.write_bytes(b"not linked")
    (project / "broken").touch()
    assert make(project) == 2
    assert module.read_bytes() == b"not linked"
    linked.write_bytes(good)
    (project / "broken").unlink()

    assert make(project) == 0

    assert module.read_bytes() == made


def test_a_build_of_one_module_does_not_vouch_for_the_others(project: Path) -> None:
    assert make(project) == 0
    assert make(project, "--distill", "never", "tiny.ko") == 0
    assert (has_base(project), has_base(project, "other.ko")) == (False, True)

    assert make(project, "--distill", "never") == 0

    assert (has_base(project), has_base(project, "other.ko")) == (False, False)
    before = kdirs.states(project)
    assert make(project, "--distill", "never") == 0
    assert make(project, "--distill", "never", "tiny.ko") == 0
    after = kdirs.states(project)
    assert [name for name in after if after[name] != before.get(name)] == []


def test_what_becomes_of_modules_left_as_linked_is_not_vouched_for(project: Path) -> None:
    assert make(project, "--distill", "never") == 0
    assert make(project, "--raw") == 0
    assert run("--base", project.parent / "vmlinux.btf", project / "tiny.ko") == 0
    assert has_base(project)

    assert make(project, "--distill", "never") == 0

    assert not has_base(project)
