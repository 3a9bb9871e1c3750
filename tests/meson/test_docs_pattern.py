# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What docs/meson.md shows is a project that builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import missing
from shown import block

from . import projects

PAGE = "docs/meson.md"
# The oldest that works with an installed kbtf.
OLDEST = "0.60.3"

PROJECT = """
project('hello', meson_version: '>=0.60')
kdir = '{kdir}'
{find}
krel = run_command(make, '-sC', kdir, 'kernelrelease', check: true).stdout().strip()
{steps}
{depmod}
"""
SOURCE = """
#include <linux/module.h>
#include <linux/sched.h>
int hello_prio(struct task_struct *task);
int hello_prio(struct task_struct *task) { return task->prio; }
EXPORT_SYMBOL_GPL(hello_prio);
MODULE_DESCRIPTION("hello");
MODULE_LICENSE("GPL");
"""


def test_the_second_module_is_that_of_the_example() -> None:
    queue = block(PAGE, "symvers")
    assert queue in (projects.EXAMPLES / "meson_project/kernel/queue/meson.build").read_text()


@pytest.mark.integration
@pytest.mark.parametrize("which", ["newest", OLDEST])
def test_the_pattern_builds(which: str, headers: Path, tmp_path: Path) -> None:
    find, steps, depmod = (block(PAGE, name) for name in ("find", "two steps", "depmod"))
    text = PROJECT.format(kdir=headers, find=find, steps=steps, depmod=depmod)
    (tmp_path / "meson.build").write_text(text)
    (tmp_path / "hello.c").write_text(SOURCE)
    (tmp_path / "Kbuild").write_text("obj-m := hello.o\n")
    (tmp_path / "kbtf.toml").touch()
    try:
        meson = None if which == "newest" else projects.old_meson(which, tmp_path)
        project = projects.consumer(tmp_path, meson)
    except projects.Missing as error:
        missing(error)
    project.run("setup", "out")

    assert project.compile() == ["hello-kbuild", "hello.ko"]
    assert "hello.ko" in project.run("test", "-C", "out")
    (installed,) = project.install("--tags", "kmod")
    assert installed.endswith("/updates/hello.ko")
    assert project.compile() == []
