# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Sources in odd places and in several languages: the parts in C get their BTF all the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import Module
from kbtf.program import main

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")
RUST = 0x1C
"""DW_LANG_Rust, DWARF 5, section 7.12."""
OTHER = """\
struct other_thing { long a; char b; };
int other_get(struct other_thing *t);
int other_get(struct other_thing *t) { return t->b; }
"""
KBUILD = """\
obj-m := kfunc_module.o
kfunc_module-y := part.o other.o
$(obj)/other.o: $(obj)/other.o_shipped
\tcp $< $@; touch $(dir $@).other.o.cmd
"""


def build(headers: Path, folder: str | Path) -> int:
    return main(["build", "-v", "-C", str(headers), str(folder)])


def sources(root: Path, folder: str | Path, kbuild: str = "obj-m := kfunc_module.o\n") -> Path:
    os.makedirs(folder)
    shutil.copy(root / "examples/kfunc_module/kfunc_module.c", folder)
    made = Path(folder)
    (made / "Kbuild").write_text(kbuild)
    return made


@pytest.fixture
def elsewhere(run_dir: Path) -> Iterator[Path]:
    """The current directory; it is left when the test ends."""
    yield run_dir
    os.chdir(run_dir)


@pytest.mark.parametrize(
    ("name", "inside"),
    [(b"caf\xe9", True), (b"caf\xe9", False), (b"no\xc2\xa0break", False)],
    ids=["Latin-1, in it", "Latin-1", "a no-break space"],
)
def test_names_of_directories_are_bytes(
    name: bytes, inside: bool, headers: Path, root: Path, elsewhere: Path
) -> None:
    folder = sources(root, os.fsdecode(name))
    if inside:
        os.chdir(folder)

    assert build(headers, "." if inside else folder) == 0

    image = Module.open(str(elsewhere / folder / "kfunc_module.ko")).image
    assert all(image.data(section) for section in SECTIONS)


def test_a_unit_in_rust_is_left_out(
    headers: Path, root: Path, run_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What matters of its compiler is what it says in its DWARF."""
    folder = sources(root, run_dir / "m", KBUILD)
    (folder / "kfunc_module.c").rename(folder / "part.c")
    command = ["gcc", "-xc", "-", "-S", "-g", "-gdwarf-5", "-dA", "-fno-pic", "-o-"]
    made = subprocess.run(command, input=OTHER, capture_output=True, text=True, check=True).stdout
    made, count = re.subn(r"0x\w+(\s*# DW_AT_language)", rf"{RUST:#x}\1", made)
    assert count == 1
    assemble = ["gcc", "-xassembler", "-", "-c", "-o", str(folder / "other.o_shipped")]
    subprocess.run(assemble, input=made, text=True, check=True)

    assert build(headers, folder) == 0

    module = Module.open(str(folder / "kfunc_module.ko"))
    assert all(module.image.data(section) for section in SECTIONS)
    assert module.btf is not None
    names = {found.name for found in module.btf}
    assert "kfunc_module_counter" in names
    assert "other_thing" not in names
    assert "Rust" in capfd.readouterr().out
