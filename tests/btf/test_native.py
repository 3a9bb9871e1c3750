# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The C core where no real BTF leads: sizes that do not fit, odd headers, wrong arguments."""

from __future__ import annotations

import mmap
import struct
import sys
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from kbtf import (
    Btf,
    BtfBuilder,
    BtfError,
    Kind,
    RelocationError,
    Severity,
    distill,
    relocate,
    verify,
)
from kbtf.btf.rules import OLDEST
from kbtf.errors import MisfitError
from kbtf.native import _native
from kbtf.testing import make_base

if TYPE_CHECKING:
    from collections.abc import Callable

INT = struct.pack("<4I", 1, Kind.INT << 24, 4, 32)
MOST_BYTES = (1 << 31) - 1  # INT32_MAX
NOW = OLDEST._replace(max_kind=Kind.ENUM64, name_len=512)


def blob(
    types: bytes, strings: bytes = b"\0int\0", *, type_off: int = 0, extra: bytes = b""
) -> bytes:
    sizes = (24 + len(extra), type_off, len(types), type_off + len(types), len(strings))
    header = struct.pack("<HBB5I", 0xEB9F, 1, 0, *sizes)
    return header + extra + bytes(type_off) + types + strings


def vast(str_len: int) -> memoryview:
    """A blob without types whose strings are zeros, in memory of which little is touched."""
    data = mmap.mmap(-1, 24 + str_len)
    data[:24] = struct.pack("<HBB5I", 0xEB9F, 1, 0, 24, 0, 0, 0, str_len)
    return memoryview(data).toreadonly()


# What cannot be BTF


def test_a_blob_of_2_gigabytes_is_refused() -> None:
    with pytest.raises(BtfError, match="2147483648 bytes are too many"):
        _native.Index(memoryview(mmap.mmap(-1, MOST_BYTES + 1)).toreadonly())


def test_strings_that_32_bits_cannot_count_are_refused() -> None:
    base = _native.Index(vast(MOST_BYTES - 24))
    split = _native.Index(vast(MOST_BYTES - 24), base)

    with pytest.raises(BtfError, match="too many bytes of strings"):
        _native.Index(vast(MOST_BYTES - 24), split)


def test_a_string_of_65_535_bytes_is_taken_and_a_longer_one_is_refused() -> None:
    for longest in (b"\0int\0" + b"x" * 65_535 + b"\0", b"\0" + b"x" * 65_535 + b"\0y\0"):
        assert len(Btf.parse(blob(INT, longest))) == 1
    for too_long in (b"\0int\0" + b"x" * 65_536 + b"\0", b"\0" + b"x" * 65_536 + b"\0y\0"):
        with pytest.raises(BtfError, match="longer than 65535 bytes"):
            Btf.parse(blob(INT, too_long))


UNALIGNED = {"length": blob(INT + b"\0"), "offset": blob(INT, type_off=2)}


@pytest.mark.parametrize("case", UNALIGNED)
def test_types_that_are_not_aligned_are_refused(case: str) -> None:
    with pytest.raises(BtfError, match="not aligned to 4"):
        Btf.parse(UNALIGNED[case])


LAYOUTS = {
    "none": ((0, 0), None),
    "none, far out": ((999, 0), None),
    "inside the types": ((12, 4), "types and layout overlap"),
    "inside the strings": ((16, 4), "strings and layout overlap"),
    "past all bounds": ((16, 0xFFFFFFFF), "reach past the end"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_lies_beside_types_and_strings_or_is_refused(case: str) -> None:
    place, why_not = LAYOUTS[case]
    data = blob(INT, extra=struct.pack("<2I", *place))

    if why_not is None:
        assert Btf.parse(data).index.layout_len == 0
    else:
        with pytest.raises(BtfError, match=why_not):
            Btf.parse(data)


# References into a base that make no sense


def base_of_every_target() -> Btf:
    """1 INT, 2 FUNC_PROTO, 3 FUNC, 4 VAR, 5 DATASEC, 6 DECL_TAG."""
    b = BtfBuilder(byte_order="little")
    b.add_int("int", 4)
    b.add_func("f", b.add_func_proto(1))
    b.add_datasec(".data", 4, [(b.add_var("v", 1), 0, 4)])
    b.add_decl_tag("tag", 3)
    return b.build()


REFERENCES: dict[str, tuple[Callable[[BtfBuilder], object], str]] = {
    "func of a prototype": (lambda s: s.add_func("g", 2), ""),
    "func of an int": (lambda s: s.add_func("g", 1), "FUNC refers to a INT"),
    "tag of a func": (lambda s: s.add_decl_tag("t", 3), ""),
    "tag of a variable": (lambda s: s.add_decl_tag("t", 4), ""),
    "tag of a section": (lambda s: s.add_decl_tag("t", 5), "DECL_TAG refers to a DATASEC"),
    "pointer to a func": (lambda s: s.add_ref(Kind.PTR, 3), "PTR refers to a FUNC"),
    "pointer to a variable": (lambda s: s.add_ref(Kind.PTR, 4), "PTR refers to a VAR"),
    "pointer to a tag": (lambda s: s.add_ref(Kind.PTR, 6), "PTR refers to a DECL_TAG"),
    "pointer to void": (lambda s: s.add_ref(Kind.PTR, 0), ""),
    "pointer to a type of its own": (lambda s: s.add_ref(Kind.PTR, 7), ""),
    "name of the base": (lambda s: s.add_fwd("int"), ""),
    "end of a name of the base": (
        lambda s: s.add_fwd("data"),
        "",  # has a string of its own
    ),
}


@pytest.mark.parametrize("case", REFERENCES)
def test_a_reference_into_the_base_fits_or_is_refused(case: str) -> None:
    add, words = REFERENCES[case]
    s = BtfBuilder(base_of_every_target())
    add(s)
    split = s.build().index

    if words:
        with pytest.raises(MisfitError, match=words):
            _native.check_fit(split)
    else:
        assert _native.check_fit(split) is None  # type: ignore[func-returns-value]


def test_a_name_that_is_the_end_of_another_of_the_base_is_refused() -> None:
    base = base_of_every_target()
    middle = base.all_strings().index(b"data\0")
    fwd = struct.pack("<3I", middle, Kind.FWD << 24, 0)

    with pytest.raises(MisfitError, match="FWD has a name offset into the middle"):
        _native.check_fit(Btf.parse(blob(fwd, b""), base).index)


def test_a_name_of_split_btf_below_is_whole_after_any_byte() -> None:
    """The byte in front of the strings of split BTF belongs to its types."""
    middle = BtfBuilder(base_of_every_target())
    middle.add_composite(Kind.STRUCT, "s1", 1 << 24)
    s = BtfBuilder(middle.build())
    s.add_fwd("s1")

    assert _native.check_fit(s.build().index) is None  # type: ignore[func-returns-value]


# Distilling and relocating


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_an_enum_keeps_its_size_in_a_distilled_base(size: int) -> None:
    b = BtfBuilder(byte_order="little")
    s = BtfBuilder(b.build() if b.add_enum("e", size) else None)
    s.add_var("v", 1)

    assert distill(s.build()).base[1].size == size


def test_a_nameless_int_is_distilled_without_a_name() -> None:
    b = BtfBuilder(byte_order="little")
    b.add_int("", 4)
    s = BtfBuilder(b.build())
    s.add_var("v", 1)

    assert distill(s.build()).base[1].name == ""


def test_a_function_behind_a_pointer_of_the_base_cannot_be_distilled() -> None:
    b = BtfBuilder(byte_order="little")
    pointer = b.add_ref(Kind.PTR, b.add_func("f", b.add_func_proto(0)))
    s = BtfBuilder(b.build())
    s.add_var("v", pointer)

    with pytest.raises(BtfError, match="refers to FUNC of the base"):
        distill(s.build())


def relocation(dist: Callable[[BtfBuilder], object], target: Callable[[BtfBuilder], object]) -> Btf:
    bases = []
    for add in (dist, target):
        b = BtfBuilder(byte_order="little")
        add(b)
        bases.append(b.build())
    s = BtfBuilder(bases[0])
    for type_id in range(1, bases[0].end_id):
        s.add_ref(Kind.PTR, type_id)
    return relocate(s.build(), bases[1])


def structs(*sizes: int) -> Callable[[BtfBuilder], object]:
    return lambda b: [b.add_composite(Kind.STRUCT, "s", size) for size in sizes]


def test_a_forward_declaration_is_no_int() -> None:
    with pytest.raises(RelocationError) as caught:
        relocation(lambda b: b.add_fwd("x"), lambda b: b.add_int("x", 4))
    assert caught.value.reason == "kind"


def test_eight_candidates_are_enough_to_name() -> None:
    with pytest.raises(RelocationError) as caught:
        relocation(structs(4), structs(*range(100, 120)))
    assert caught.value.candidates == tuple(range(1, 9))


def test_of_several_ambiguous_types_that_of_the_first_rival_is_named() -> None:
    def dist(b: BtfBuilder) -> None:
        for name in ("late", "early"):
            b.add_composite(Kind.STRUCT, name, 4)

    def target(b: BtfBuilder) -> None:
        for name in ("early", "early", "late", "late"):
            b.add_composite(Kind.STRUCT, name, 4)

    def swapped(b: BtfBuilder) -> None:
        for name in ("late", "late", "early", "early"):
            b.add_composite(Kind.STRUCT, name, 4)

    for add, name in ((target, "early"), (swapped, "late")):
        with pytest.raises(RelocationError) as caught:
            relocation(dist, add)
        assert (caught.value.reason, caught.value.name) == ("ambiguous", name)


def test_split_btf_on_split_btf_cannot_be_relocated() -> None:
    base = make_base().build()
    s = BtfBuilder(base)
    s.add_fwd("x")
    t = BtfBuilder(s.build())
    t.add_fwd("y")

    with pytest.raises(BtfError, match="cannot be split BTF themselves"):
        relocate(t.build(), make_base().build())


def test_ten_thousands_of_types_of_one_name_are_not_all_compared() -> None:
    with pytest.raises(BtfError, match="too many types have the same name"):
        relocation(structs(*range(4, 20_000)), structs(*range(40_000, 60_000)))


@pytest.mark.parametrize("nr", [800, 20_000], ids=["too many to name", "too many to compare"])
def test_many_offsets_of_one_name_are_not_all_compared(nr: int) -> None:
    """One distilled type: of each candidate it is asked whether others share its offset."""
    types = b"".join(struct.pack("<3I", 1 + 2 * n, Kind.STRUCT << 24, 9 + n) for n in range(nr))
    target = Btf.parse(blob(types, b"\0" + b"s\0" * nr))
    b = BtfBuilder(byte_order="little")
    b.add_composite(Kind.STRUCT, "s", 4)
    s = BtfBuilder(b.build())
    s.add_composite(Kind.STRUCT, "own", 4, [("embedded", 1, 0)])

    with pytest.raises(BtfError, match="too many types have the same name"):
        relocate(s.build(), target)


# Bytes that others may change


def test_bytes_that_change_after_they_were_checked_do_no_harm() -> None:
    target = make_base().build()
    s = BtfBuilder(make_base().build())
    s.add_ref(Kind.PTR, 2)
    distilled = distill(s.build())
    data = bytearray(distilled.split.data)
    index = _native.Index(data, distilled.base.index)

    data[8:12] = struct.pack("<I", 0x7FFFFFF0)  # type_off

    relocated = _native.relocate(index, target.index)
    assert relocated.split == relocate(distilled.split, target).data


def runs_beside(operation: Callable[[], object]) -> bool:
    """Whether another thread runs in the middle of an operation."""
    inside = beside = False

    def work() -> None:
        nonlocal inside
        for _ in range(500):
            inside = True
            operation()
            inside = False
            if beside:
                break

    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)  # no thread runs unless another lets it
    try:
        thread = threading.Thread(target=work)
        thread.start()
        while thread.is_alive():
            beside = beside or inside
            time.sleep(0)
    finally:
        sys.setswitchinterval(interval)
    return beside


class Large(NamedTuple):
    """Indexes of which each operation takes a while."""

    data: bytes
    base: _native.Index
    names: _native.BaseIndex
    split: _native.Index
    """On its distilled base."""


@cache
def large() -> Large:
    b = make_base()
    for n in range(50_000):
        b.add_composite(Kind.STRUCT, f"struct_{n}", 8)
    base = b.build()
    s = BtfBuilder(base)
    for n in range(50_000):
        s.add_ref(Kind.PTR, 3 + n)
    split = distill(s.build()).split
    return Large(b.to_bytes(), base.index, _native.index_base(base.index, 1), split.index)


LONG: dict[str, Callable[[], object]] = {
    "index": lambda: _native.Index(large().data),
    "fit": lambda: _native.check_fit(large().split),
    "distill": lambda: _native.distill(large().split),
    "verify": lambda: _native.verify(large().split, 0xFFFFFFFF, 19, 512, True, True),
    "relocate": lambda: _native.relocate(large().split, large().base),
    "relocate by an index": lambda: _native.relocate(large().split, large().base, large().names),
}


@pytest.mark.parametrize("case", LONG)
def test_other_threads_run_beside_what_takes_long(case: str) -> None:
    large()
    assert runs_beside(LONG[case])


# Findings


def test_the_first_64_findings_are_kept() -> None:
    b = BtfBuilder(byte_order="little")
    for _ in range(100):
        b.add_fwd("")

    findings = verify(b.build(), NOW)

    assert [finding.type_id for finding in findings[:64]] == list(range(1, 65))


def test_a_refusal_is_kept_rather_than_a_warning() -> None:
    b = BtfBuilder(byte_order="little")
    for _ in range(100):
        b.add_func_proto(0, [("x", 0), ("y", 0)])
        b.add_func_proto(0, [("x", 0), ("y", 0)])
        b.add_fwd("")

    findings = verify(b.build(), NOW)

    assert [finding.type_id for finding in findings] == [3 * n for n in range(1, 65)]
    assert {finding.severity for finding in findings} == {Severity.ERROR}


def test_findings_stay_in_order_when_one_makes_room() -> None:
    b = BtfBuilder(byte_order="little")
    for _ in range(70):
        b.add_func_proto(0, [("x", 0), ("y", 0)])
    b.add_fwd("")

    findings = verify(b.build(), NOW)

    assert [finding.type_id for finding in findings] == [*range(1, 64), 71]


# Checksums


@pytest.mark.parametrize("size", [0, 1, 15, 16, 63, 64, 200])
def test_any_damage_changes_the_checksum(size: int) -> None:
    data = bytes(range(size))
    damaged = [bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]]) for at in range(size)]
    sums = {_native.checksum(each) for each in (data, data + b"\0", *damaged)}

    assert len(sums) == size + 2
    assert _native.checksum(memoryview(data)) in sums


# Arguments of another kind

INDEX = _native.Index(blob(INT))
anything: Any = object()


def unchecked(function: Any, *args: object) -> object:
    return function(*args)


WRONG: dict[str, Callable[[], object]] = {
    "no data": lambda: unchecked(_native.Index),
    "data that are no bytes": lambda: _native.Index(anything),
    "a base that is no index": lambda: _native.Index(blob(INT), anything),
    "a type id that is no number": lambda: INDEX.record(anything),
    "an offset that is no number": lambda: INDEX.string(anything),
    "a name that is no bytes": lambda: INDEX.find(anything),
    "nothing to fit": lambda: _native.check_fit(anything),
    "nothing to sum up": lambda: _native.checksum(anything),
    "nothing to distill": lambda: _native.distill(anything),
    "nothing to relocate": lambda: _native.relocate(anything, INDEX),
    "nothing to relocate to": lambda: _native.relocate(INDEX, anything),
    "an index of names that is none": lambda: _native.relocate(INDEX, INDEX, anything),
    "one argument of relocate": lambda: unchecked(_native.relocate, INDEX),
    "nothing to verify": lambda: _native.verify(anything, 0, 0, 0, False, False),
    "rules that are no numbers": lambda: _native.verify(INDEX, anything, 0, 0, False, False),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_argument_of_another_kind_is_a_type_error(case: str) -> None:
    with pytest.raises(TypeError):
        WRONG[case]()


def test_what_is_not_there_is_an_index_error() -> None:
    for get in (INDEX.record, INDEX.string):
        for number in (99, 2**64 - 1):
            with pytest.raises(IndexError):
                get(number)
    with pytest.raises(IndexError):
        INDEX.record(0)


def test_a_name_with_a_nul_is_no_name() -> None:
    assert INDEX.find(b"in\0t") == []
