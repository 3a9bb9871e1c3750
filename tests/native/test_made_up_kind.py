# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""No operation takes a kind of type that it has no rule for.

A kind that does not exist is added to the tables, and to nothing else, of a copy of kbtf.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kbtf
from kbtf import Kind
from native.build import EXTENSION_FLAGS, INCLUDE, NATIVE, output_of

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")

ROW = r'\t[KIND_MADE_UP] = {"MADE_UP", 0, 0, NO_WORD, 0, NO_WORD, 1, REF | TYPE},\n'
SCRIPT = """
import json

from kbtf import Btf, BtfBuilder, Kind, distill, relocate, verify
from kbtf.btf.dump.c.header import dump_c
from kbtf.btf.dump.json import dump_json
from kbtf.btf.dump.raw import dump_raw
from kbtf.btf.equivalence import Same
from kbtf.errors import BtfError

b = BtfBuilder()
b.add_int("int", 4)
made_up = b.add(Kind.MADE_UP, "m", size_or_type=1, words=(7,))
b.add_composite(Kind.STRUCT, "s", 8, [("m", made_up, 0)])
base = b.build()
s = BtfBuilder(base)
s.add_composite(Kind.STRUCT, "own", 8, [("m", made_up, 0)])
split = s.build()
f = BtfBuilder(base)
f.add_func("f", made_up)

print(*dump_raw(base), sep="", end="")
print(json.loads("".join(dump_json(base)))["types"][1])
print(*verify(base), sep="\\n")
for operation in (
    lambda: distill(split),
    lambda: relocate(split, BtfBuilder().build()),
    lambda: f.build().check_fit(),
    lambda: dump_c(base),
    lambda: Same(base, base)(made_up, made_up),
):
    try:
        operation()
    except BtfError as error:
        print(error)
    else:
        print("no error")
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with kbtf, whose tables of kinds have one more."""
    folder = tmp_path_factory.mktemp("made-up")
    shutil.copytree(Path(kbtf.__file__).parent, folder / "kbtf")
    shutil.copytree(NATIVE, folder / "native")
    change(folder / "native/btf/kinds.h", r"\tNR_KINDS", "\tKIND_MADE_UP,\n\tNR_KINDS")
    change(folder / "native/btf/kinds.c", r"(\t\[NR_KINDS)", rf"{ROW}\1")
    change(folder / "kbtf/btf/kinds.py", r"(    LOCSEC = \d+\n)", rf"\1    MADE_UP = {len(Kind)}\n")
    for built in (folder / "kbtf/native").glob("_native*.so"):
        built.unlink()
    include = [flag.replace(str(NATIVE), str(folder / "native")) for flag in INCLUDE]
    sources = sorted((folder / "native").glob("*/*.c"))
    output = folder / "kbtf/native/_native.abi3.so"
    output_of("gcc", "-shared", *EXTENSION_FLAGS, *include, *sources, "-o", output)
    return folder


def change(path: Path, pattern: str, by: str) -> None:
    text, count = re.subn(pattern, by, path.read_text())
    assert count == 1
    path.write_text(text)


def test_each_operation_refuses_a_kind_it_does_not_know(copy: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT],
        env={"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    shown, refused = done.stdout.splitlines()[:5], done.stdout.splitlines()[5:]
    assert "[2] MADE_UP 'm' kind=23 vlen=0 size_or_type=1" in shown
    assert "'kind_number': 23" in shown[-1]
    assert refused == [
        "type [2]: MADE_UP is of a kind that this kernel does not know",
        "type [2]: MADE_UP is of a kind whose rules kbtf does not know",
        "type [2]: refers to MADE_UP of the base, which cannot be distilled",
        "type [2]: the base is not a distilled one: it has MADE_UP",
        "type [4]: FUNC refers to a MADE_UP of the base",
        "a dump as C does not know MADE_UP",
        "a comparison of types does not know MADE_UP",
    ]
