# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each command that only reads passes over a kind that it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from btf.of_tomorrow import first_of_new_kind
from kbtf import BtfBuilder, Kind
from kbtf.program import main
from kbtf.testing import make_base, make_ids, make_module

if TYPE_CHECKING:
    from kbtf import Btf

RELEASE = "6.12.0-test"


def with_new_kind(base: Btf | None = None) -> bytes:
    """A type of the new kind, types that refer to it, and a layout that gives its size."""
    made = BtfBuilder(base)
    strange = made.add_ref(Kind.TYPEDEF, 0, "strange")
    pointer = made.add_ref(Kind.PTR, strange)
    members = [("inside", strange, 0), ("behind", pointer, 64)]
    made.add_composite(Kind.STRUCT, "holder", 16, members)
    func = made.add_func("taker", made.add_func_proto(pointer, [("it", pointer)]))
    made.add_decl_tag("bpf_kfunc", func)
    known = base.find("int", Kind.INT) if base is not None else None
    integer = known.id if known is not None else made.add_int("int", 4, encoding=1)
    made.add_composite(Kind.STRUCT, "own", 4, [("number", integer, 0)])
    return first_of_new_kind(made)


@pytest.fixture
def inputs(run_dir: Path) -> None:
    """A kernel, one with the new kind, and modules with it: plain and distilled."""
    base = make_base().build()
    ids = make_ids(set8s={"kfuncs": [("func", "taker", 0)]})
    Path("vmlinux").write_bytes(base.to_bytes())
    Path("new").write_bytes(with_new_kind())
    own = with_new_kind(base)
    Path("plain.ko").write_bytes(make_module(btf=own, ids=ids, release=RELEASE))
    Path("distilled.ko").write_bytes(make_module(btf=own, btf_base=base.to_bytes(), ids=ids))
    Path("split").write_bytes(own)


DONE = {
    "dump new": "UNKNOWN 'strange' kind=23 vlen=0",
    "dump distilled.ko": "UNKNOWN 'strange' kind=23 vlen=0",
    "dump --base vmlinux split": "STRUCT 'holder' size=16 vlen=2",
    "dump --format json new": '"kind_number":23',
    "dump --format c new": " * member inside of struct holder",
    "dump --format c --base vmlinux plain.ko": "void *behind;",
    "explain --base vmlinux plain.ko int": "int (4 bytes, size always compared): struct own",
    "explain distilled.ko int": "int (4 bytes, size always compared): struct own",
    "show plain.ko distilled.ko": "distilled.ko",
    "stats plain.ko distilled.ko": "with .BTF           2",
    "base new": "new",
    "kfuncs new": "1 kfunc",
}
JUDGED = {
    "check --kernel vmlinux plain.ko distilled.ko": "cannot judge kind 23",
    "base diff new vmlinux": "holder",
    "base diff vmlinux new": "holder",
    "kfuncs --base vmlinux plain.ko distilled.ko": "taker",
    "kfuncs --compare new vmlinux": "taker",
}


@pytest.mark.parametrize("command", [*DONE, *JUDGED])
def test_a_kind_that_is_not_known_is_passed_over(
    command: str, inputs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(command.split())
    said = capsys.readouterr()

    assert code == (0 if command in DONE else 1), said.err
    assert {**DONE, **JUDGED}[command] in said.out


def test_what_has_to_understand_it_says_so(
    inputs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--base", "vmlinux", "-o", "out.ko", "plain.ko"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "kind 23" in line
    assert not Path("out.ko").exists()


@pytest.mark.parametrize("module", ["plain.ko", "distilled.ko"])
def test_a_type_of_such_a_kind_is_not_explained(
    module: str, inputs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--base", "vmlinux", module, "strange"]) == 1
    said = capsys.readouterr()
    assert said.out == (
        "'strange' is not in .BTF.base: it is in the module's .BTF itself, as kind 23\n"
    )
    assert said.err.startswith(f"kbtf: warning: {module}: .BTF: kbtf does not know kind 23; ")
