# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``make -j`` with the stand-ins on one tree, also after it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from faults.commands import SCRIPTS

pytestmark = pytest.mark.integration
NAMES = [f"module_{n}" for n in range(6)]
SOURCE = """#include <linux/module.h>
struct shared { struct list_head head; int number; };
int do_%s(struct shared *s, struct module *m);
int do_%s(struct shared *s, struct module *m) { return s->number; }
MODULE_DESCRIPTION("one of several");
MODULE_LICENSE("GPL");
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The sources of several modules."""
    objects = " ".join(f"{name}.o" for name in NAMES)
    (tmp_path / "Makefile").write_text(f"obj-m := {objects}\n")
    for name in NAMES:
        (tmp_path / f"{name}.c").write_text(SOURCE % (name, name))
    return tmp_path


def make(tree: Path, headers: Path, *words: str) -> subprocess.Popen[bytes]:
    stand_ins = [
        f"PAHOLE={SCRIPTS}/kbtf-pahole",
        f"RESOLVE_BTFIDS={SCRIPTS}/kbtf-resolve-btfids",
    ]
    return subprocess.Popen(
        ["make", "-s", "-C", headers, f"M={tree}", *stand_ins, *words, "modules"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def built(tree: Path) -> dict[str, bytes]:
    return {name: (tree / f"{name}.ko").read_bytes() for name in NAMES}


def remove_modules(tree: Path) -> None:
    for name in NAMES:
        (tree / f"{name}.ko").unlink(missing_ok=True)


def test_the_number_of_jobs_does_not_show_and_a_killed_make_can_go_on(
    tree: Path, headers: Path
) -> None:
    assert make(tree, headers).wait() == 0
    serial = built(tree)
    assert all(b".BTF.base\0" in data for data in serial.values())

    remove_modules(tree)
    assert make(tree, headers, "-j6").wait() == 0
    assert built(tree) == serial

    for milliseconds in (1000, 2000, 3000):
        remove_modules(tree)
        running = make(tree, headers, "-j6")
        time.sleep(milliseconds / 1000)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        for path in tree.glob("*.ko"):  # as linked, or as processed
            data = path.read_bytes()
            assert b".BTF\0" not in data or data == serial[path.stem], path.name
        # make itself takes what it was interrupted at for done
        remove_modules(tree)
        assert make(tree, headers, "-j6").wait() == 0
        assert built(tree) == serial
        assert not list(tree.glob(".*.kbtf-*"))
