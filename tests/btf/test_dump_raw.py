# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Raw text: that of bpftool, line for line."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, BtfBuilder, Kind
from kbtf.btf.dump.raw import dump_raw

if TYPE_CHECKING:
    from pathlib import Path

BASES = ("6.12.117", "6.12.115", "6.12.117-cloud")


def raw(btf: Btf) -> str:
    return "".join(dump_raw(btf))


def bpftool_raw(bpftool: Path, file: Path, base: Path | None = None) -> str:
    on: list[str | Path] = ["-B", base] if base is not None else []
    command: list[str | Path] = [bpftool, *on, "btf", "dump", "file", file, "format", "raw"]
    done = subprocess.run(command, check=True, capture_output=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def every_kind(byte_order: str) -> Btf:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    b.add_int("_Bool", 1, encoding=4)
    b.add_int("char", 1, encoding=2)
    b.add_int("odd", 4, encoding=3, bits=7)
    pointer = b.add_ref(Kind.PTR, 0)
    b.add_array(integer, 2, 3)
    struct = b.add_composite(Kind.STRUCT, "s", 8, [("a", integer, 0), ("", pointer, 32)])
    b.add_composite(Kind.UNION, "", 4, [("low", integer, 0, 3), ("all", integer, 0)])
    b.add_enum("e", 4, [("A", 0), ("B", 0xFFFFFFFF)])
    b.add_enum("", 4, [("C", -1)], signed=True)
    b.add_fwd("f")
    b.add_fwd("g", union=True)
    for kind in (Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT):
        b.add_ref(kind, struct, "alias" if kind is Kind.TYPEDEF else "")
    proto = b.add_func_proto(integer, [("x", integer), ("", 0)])
    for linkage in range(4):
        b.add_func(f"fn{linkage}", proto, linkage)
    for linkage in range(4):
        variable = b.add_var(f"var{linkage}", integer, linkage)
    b.add_datasec(".data", 16, [(variable, 0, 4), (0, 8, 4)])
    b.add_float("double", 8)
    b.add_decl_tag("whole", struct)
    b.add_decl_tag("second", struct, 1)
    b.add_ref(Kind.TYPE_TAG, integer, "user")
    b.add_enum64("e64", 8, [("D", 1 << 63)])
    b.add_enum64("s64", 8, [("E", -(1 << 63)), ("F", 5)], signed=True)
    return b.build()


EVERY_KIND = """\
[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
[2] INT '_Bool' size=1 bits_offset=0 nr_bits=8 encoding=BOOL
[3] INT 'char' size=1 bits_offset=0 nr_bits=8 encoding=CHAR
[4] INT 'odd' size=4 bits_offset=0 nr_bits=7 encoding=UNKN
[5] PTR '(anon)' type_id=0
[6] ARRAY '(anon)' type_id=1 index_type_id=2 nr_elems=3
[7] STRUCT 's' size=8 vlen=2
	'a' type_id=1 bits_offset=0
	'(anon)' type_id=5 bits_offset=32
[8] UNION '(anon)' size=4 vlen=2
	'low' type_id=1 bits_offset=0 bitfield_size=3
	'all' type_id=1 bits_offset=0
[9] ENUM 'e' encoding=UNSIGNED size=4 vlen=2
	'A' val=0
	'B' val=4294967295
[10] ENUM '(anon)' encoding=SIGNED size=4 vlen=1
	'C' val=-1
[11] FWD 'f' fwd_kind=struct
[12] FWD 'g' fwd_kind=union
[13] TYPEDEF 'alias' type_id=7
[14] VOLATILE '(anon)' type_id=7
[15] CONST '(anon)' type_id=7
[16] RESTRICT '(anon)' type_id=7
[17] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
	'x' type_id=1
	'(anon)' type_id=0
[18] FUNC 'fn0' type_id=17 linkage=static
[19] FUNC 'fn1' type_id=17 linkage=global
[20] FUNC 'fn2' type_id=17 linkage=extern
[21] FUNC 'fn3' type_id=17 linkage=(unknown)
[22] VAR 'var0' type_id=1, linkage=static
[23] VAR 'var1' type_id=1, linkage=global
[24] VAR 'var2' type_id=1, linkage=extern
[25] VAR 'var3' type_id=1, linkage=(unknown)
[26] DATASEC '.data' size=16 vlen=2
	type_id=25 offset=0 size=4 (VAR 'var3')
	type_id=0 offset=8 size=4 (UNKNOWN '(anon)')
[27] FLOAT 'double' size=8
[28] DECL_TAG 'whole' type_id=7 component_idx=-1
[29] DECL_TAG 'second' type_id=7 component_idx=1
[30] TYPE_TAG 'user' type_id=1
[31] ENUM64 'e64' encoding=UNSIGNED size=8 vlen=1
	'D' val=9223372036854775808ULL
[32] ENUM64 's64' encoding=SIGNED size=8 vlen=2
	'E' val=-9223372036854775808LL
	'F' val=5LL
"""


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_every_kind_has_its_line(byte_order: str) -> None:
    assert raw(every_kind(byte_order)) == EVERY_KIND


def test_of_split_btf_only_its_own_types_are_printed() -> None:
    b = BtfBuilder()
    b.add_int("int", 4)
    s = BtfBuilder(b.build())
    s.add_ref(Kind.PTR, 1)

    assert raw(s.build()) == "[2] PTR '(anon)' type_id=1\n"


def test_btf_without_types_prints_nothing() -> None:
    assert raw(BtfBuilder().build()) == ""


def test_a_name_that_is_no_text_survives() -> None:
    b = BtfBuilder()
    b.add_fwd(b"\xff\xc3\xa9".decode("utf-8", "surrogateescape"))

    line = raw(b.build()).encode("utf-8", "surrogateescape")

    assert line == b"[1] FWD '\xff\xc3\xa9' fwd_kind=struct\n"


@pytest.mark.integration
@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_every_kind_is_printed_as_bpftool_does(
    byte_order: str, bpftool: Path, tmp_path: Path
) -> None:
    btf = every_kind(byte_order)
    file = tmp_path / "every.btf"
    file.write_bytes(btf.to_bytes())

    assert raw(btf) == bpftool_raw(bpftool, file)


@pytest.mark.integration
@pytest.mark.parametrize("name", BASES)
def test_a_kernel_is_printed_as_bpftool_does(
    name: str, corpus: Path, bpftool: Path, tmp_path: Path
) -> None:
    file = tmp_path / "vmlinux.btf"
    file.write_bytes((corpus / "base" / f"{name}.btf").read_bytes())

    lines = raw(Btf.parse(file.read_bytes())).splitlines()

    # lists, as pytest would look for the difference of two long strings for minutes
    assert (lines == bpftool_raw(bpftool, file).splitlines()) is True


@pytest.mark.integration
def test_modules_are_printed_as_bpftool_does(
    corpus: Path, corpus_base: Btf, bpftool: Path, tmp_path: Path
) -> None:
    vmlinux = tmp_path / "vmlinux.btf"
    vmlinux.write_bytes(corpus_base.to_bytes())
    paths = sorted((corpus / "split").glob("*.btf"))
    assert len(paths) == 35
    for path in paths:
        split = Btf.parse(path.read_bytes(), corpus_base)
        assert raw(split) == bpftool_raw(bpftool, path, vmlinux), path.stem


@pytest.mark.integration
def test_distilled_modules_are_printed_as_bpftool_does(corpus: Path, bpftool: Path) -> None:
    paths = sorted((corpus / "distilled").glob("*.split"))
    assert len(paths) == 35
    for path in paths:
        base = path.with_suffix(".base")
        split = Btf.parse(path.read_bytes(), Btf.parse(base.read_bytes()))
        assert raw(split) == bpftool_raw(bpftool, path, base), path.stem
        assert raw(Btf.parse(base.read_bytes())) == bpftool_raw(bpftool, base), path.stem
