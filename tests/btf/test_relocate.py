"""Relocating: the bytes and the refusals of libbpf, on real modules and on small cases."""

from __future__ import annotations

import hashlib
import lzma
import pickle
import re
import struct
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbtf import (
    Btf,
    BtfBuilder,
    BtfError,
    Kind,
    RelocationError,
    distill,
    relocate,
    relocate_with_ids,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Refusal(NamedTuple):
    """What libbpf says of a failure: the distilled type, and the two that fit if there are two."""

    name: str
    type_id: int
    fitting: tuple[int, ...] = ()


Outcome = bytes | Refusal | None
"""The relocated blob; what is in the way; None for what libbpf does not name a type for."""

UNMAPPED = re.compile(r"distilled base BTF type '(.*)' \[(\d+)\] is not mapped")
AMBIGUOUS = re.compile(
    r"distilled base BTF type '(.*)' \[(\d+)\], size \d+ has multiple candidates of the same size "
    r"\(ids \[(\d+), (\d+)\]\)"
)


def refusal_of(message: str) -> Refusal | None:
    if match := UNMAPPED.search(message):
        return Refusal(match[1], int(match[2]))
    if match := AMBIGUOUS.search(message):
        return Refusal(match[1], int(match[2]), (int(match[4]), int(match[3])))
    return None


def ours(split: Btf, target: Btf) -> Outcome:
    try:
        return relocate(split, target).to_bytes()
    except RelocationError as error:
        if error.reason == "string":
            return None
        fitting = error.candidates if error.reason == "ambiguous" else ()
        return Refusal(error.name, error.type_id, fitting)


def theirs(tool: Path, folder: Path, split: Btf, target: Btf) -> Outcome:
    assert split.base is not None
    for name, btf in (("target", target), ("base", split.base), ("split", split)):
        (folder / name).write_bytes(btf.to_bytes())
    names = [folder / name for name in ("target", "base", "split", "out")]
    done = subprocess.run([tool, "relocate", *names], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return (folder / "out").read_bytes()
    assert "btf__relocate" in done.stderr, done.stderr
    return refusal_of(done.stderr)


@pytest.fixture(scope="module")
def targets(corpus: Path, corpus_base: Btf) -> list[Btf]:
    others = [corpus / "base" / f"{name}.btf.xz" for name in ("6.12.115", "6.12.117-cloud")]
    return [corpus_base, *(Btf.parse(lzma.decompress(path.read_bytes())) for path in others)]


def test_every_module_of_the_corpus_is_relocated_or_refused_as_libbpf_does(
    corpus: Path, targets: list[Btf]
) -> None:
    rows = [line.split("\t") for line in (corpus / "golden.tsv").read_text().splitlines()[1:]]
    assert len(rows) == 35
    for name, _, _, _, *goldens in rows:
        path = corpus / "distilled" / name
        base = Btf.parse(path.with_name(name + ".base").read_bytes())
        split = Btf.parse(path.with_name(name + ".split").read_bytes(), base)
        for target, golden in zip(targets, goldens, strict=True):
            outcome = ours(split, target)
            if isinstance(outcome, bytes):
                assert hashlib.sha256(outcome).hexdigest() == golden, name
            else:
                assert outcome == refusal_of(golden), name


def test_every_synthetic_case_is_relocated_or_refused_as_libbpf_does(corpus: Path) -> None:
    rows = (line.split("\t") for line in (corpus / "synth/results.tsv").read_text().splitlines())
    steps = [row for row in rows if row[1].startswith("relocate")]
    assert len(steps) == 120
    for case, step, err, message in steps:
        folder = corpus / "synth" / case
        base = Btf.parse((folder / "dist.base").read_bytes())
        split = Btf.parse((folder / "dist.split").read_bytes(), base)
        which, golden = {
            "relocate-same": ("base.btf", "reloc-same.btf"),
            "relocate-new": ("newbase.btf", "reloc-new.btf"),
        }[step]
        expected = (folder / golden).read_bytes() if err == "0" else refusal_of(message)
        assert ours(split, Btf.parse((folder / which).read_bytes())) == expected, (case, step)


# Small cases: types as "KIND [name] size [flag]", where the name is foo, and one way to use all.


def add_types(b: BtfBuilder, types: str) -> None:
    for line in filter(str.strip, types.split(",")):
        kind, *rest = line.split()
        name = "foo" if rest[0].isdigit() else rest.pop(0)
        size, flag = int(rest[0]), int(rest[1]) if rest[1:] else 0
        if kind == "INT":
            b.add_int(name, size, encoding=flag)
        else:
            b.add(Kind[kind], name, kind_flag=bool(flag), size_or_type=size)


def base_of(types: str, byte_order: str = "little") -> Btf:
    b = BtfBuilder(byte_order=byte_order)
    add_types(b, types)
    return b.build()


def member(s: BtfBuilder, type_id: int) -> None:
    s.add_composite(Kind.STRUCT, "holder", 64, [("member", type_id, 0)])


def deep_member(s: BtfBuilder, type_id: int) -> None:
    for kind in (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT):
        type_id = s.add_ref(kind, type_id)
    for kind in (Kind.TYPEDEF, Kind.TYPE_TAG):
        type_id = s.add_ref(kind, type_id, "alias")
    s.add_composite(Kind.UNION, "", 64, [("member", s.add_array(type_id, 1, 2), 0)])


def pointer_member(s: BtfBuilder, type_id: int) -> None:
    member(s, s.add_ref(Kind.TYPEDEF, s.add_ref(Kind.PTR, type_id), "alias"))


USES: dict[str, Callable[[BtfBuilder, int], object]] = {
    "pointer": lambda s, t: s.add_ref(Kind.PTR, t),
    "member": member,
    "deep member": deep_member,
    "pointer member": pointer_member,
    "typedef": lambda s, t: s.add_ref(Kind.TYPEDEF, t, "alias"),
    "array": lambda s, t: s.add_array(t, t, 2),
    "returned": lambda s, t: s.add_func_proto(t),
    "argument": lambda s, t: s.add_func_proto(0, [("argument", t)]),
    "variable": lambda s, t: s.add_var("variable", t),
}


class Case(NamedTuple):
    """A distilled base, how the split uses its types, a target, and what comes of it."""

    distilled: str
    use: str
    target: str
    outcome: str
    """The target's ids by distilled type, or the reason, the culprit, and its candidates."""

    def inputs(self, byte_order: str) -> tuple[Btf, Btf]:
        base = base_of(self.distilled, byte_order)
        s = BtfBuilder(base)
        for type_id in range(1, base.end_id):
            USES[self.use](s, type_id)
        return s.build(), base_of(self.target, byte_order)


def read_cases(table: str) -> dict[str, Case]:
    lines = [line for line in table.splitlines() if "|" in line]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    assert len({row[0] for row in rows}) == len(rows)
    return {name: Case(*cells) for name, *cells in rows}


# A refusal reads "reason culprit: candidates".
CASES = read_cases(
    f"""
    What surprises in libbpf and the kernel.

FWD union, union               | FWD 0 1  | pointer  | UNION 8    | kind 1: 1
FWD union, union with bitfields| FWD 0 1  | pointer  | UNION 8 1  | 1
FWD union, struct              | FWD 0 1  | pointer  | STRUCT 8   | 1
FWD struct, struct             | FWD 0    | pointer  | STRUCT 8   | 1
FWD, struct with bitfields     | FWD 0    | pointer  | STRUCT 8 1 | kind 1: 1
FWD, union with bitfields      | FWD 0    | pointer  | UNION 8 1  | 1
FWD, FWD union                 | FWD 0    | pointer  | FWD 0 1    | kind 1: 1
FWD, FWD and struct            | FWD 0    | pointer  | FWD 0, STRUCT 8 | ambiguous 1: 1 2
FWD, two structs               | FWD 0    | pointer  | STRUCT 8, STRUCT 4 | size 1: 1 2
FWD, two structs and FWD       | FWD 0    | pointer  | STRUCT 8, STRUCT 4, FWD 0 | 3
FWD, two structs, one empty    | FWD 0    | pointer  | STRUCT 8, STRUCT 0 | 2
struct, union                  | STRUCT 8 | pointer  | UNION 8    | 1
struct, FWD                    | STRUCT 8 | pointer  | FWD 0      | 1
struct, FWD union              | STRUCT 8 | pointer  | FWD 0 1    | 1
struct, enum of that size      | STRUCT 8 | pointer  | ENUM 8     | 1
struct, int of that size       | STRUCT 8 | pointer  | INT 8      | 1
struct, int of another size    | STRUCT 8 | pointer  | INT 4      | size 1: 1
struct, struct and enum        | STRUCT 8 | pointer  | STRUCT 8, ENUM 8 | ambiguous 1: 1 2
struct, struct and union       | STRUCT 8 | pointer  | STRUCT 8, UNION 8 | ambiguous 1: 1 2
struct, struct and FWD         | STRUCT 8 | pointer  | STRUCT 8, FWD 0 | ambiguous 1: 1 2
embedded struct, FWD and struct| STRUCT 8 | member   | FWD 0, STRUCT 8 | 2
embedded struct, struct and FWD| STRUCT 8 | member   | STRUCT 8, FWD 0 | ambiguous 1: 1 2
resized by pointer             | STRUCT 8 | pointer  | STRUCT 16  | 1
resized, there twice           | STRUCT 8 | pointer  | STRUCT 16, STRUCT 4 | size 1: 1 2
resized, in a typedef          | STRUCT 8 | typedef  | STRUCT 16  | 1
resized, in an array           | STRUCT 8 | array    | STRUCT 16  | 1
resized, a return value        | STRUCT 8 | returned | STRUCT 16  | 1
resized, an argument           | STRUCT 8 | argument | STRUCT 16  | 1
resized, a variable            | STRUCT 8 | variable | STRUCT 16  | 1
resized, a pointer as member   | STRUCT 8 | pointer member | STRUCT 16  | 1
enum, resized                  | ENUM 4   | pointer  | ENUM 8     | size 1: 1
two sizes, one there           | STRUCT 8, STRUCT 16 | pointer  | INT int 4, STRUCT 4 | 2 2

    What else decides.

other kinds, other order       | INT int 4 1, STRUCT 8, FLOAT double 8, FWD bar 0 1, UNION 4 \
    | member | UNION 4, FWD bar 0 1, STRUCT 8, FLOAT double 8, TYPEDEF int 3, INT int 4 1 \
    | 6 3 4 2 1
no such name                   | STRUCT 8 | pointer  | STRUCT bar 8 | missing 1:
only a typedef of that name    | STRUCT 8 | pointer  | INT int 4, TYPEDEF 1 | missing 1:
name that begins alike         | STRUCT 8 | pointer  | STRUCT foo_bar 8 | missing 1:
two sizes, both there          | STRUCT 8, STRUCT 4 | member   | STRUCT 4, STRUCT 8 | 2 1
two equal distilled, one there | STRUCT 8, STRUCT 8 | pointer  | STRUCT 8   | 1 1
two equal distilled, two there | STRUCT 8, STRUCT 8 \
    | pointer | STRUCT 8, STRUCT 8 | ambiguous 1: 1 2
two equal in the target        | STRUCT 8 | pointer  | STRUCT 8, STRUCT 8 | ambiguous 1: 1 2
embedded, resized              | STRUCT 8 | member   | STRUCT 16  | embedded 1: 1
embedded deeply, resized       | STRUCT 8 | deep member | STRUCT 16  | embedded 1: 1
embedded, FWD                  | STRUCT 8 | member   | FWD 0      | embedded 1: 1
embedded and empty, FWD        | STRUCT 0 | member   | FWD 0      | 1
enum, enum64                   | ENUM 8   | member   | ENUM64 8   | 1
enum, int                      | ENUM 4   | member   | INT 4      | kind 1: 1
enum, enum64 and enum          | ENUM 8   | member   | ENUM64 8, ENUM 8 | ambiguous 1: 1 2
int, other sign                | INT 4 1  | member   | INT 4      | encoding 1: 1
int, both signs                | INT 4 1  | member   | INT 4, INT 4 1 | 2
int, struct                    | INT 4    | member   | STRUCT 4   | kind 1: 1
float, resized                 | FLOAT 4  | pointer  | FLOAT 8    | size 1: 1
float, int                     | FLOAT 4  | pointer  | INT 4      | kind 1: 1
sizes equal in 31 bits         | ENUM 4   | pointer  | ENUM {4 + (1 << 31)} | 1
the same, embedded             | STRUCT 4 | member   | STRUCT {4 + (1 << 31)} | embedded 1: 1
empty distilled base           |          | pointer  | INT int 4  |

    Which of several failures is told.

ambiguous, then unmapped       | STRUCT gone 8, STRUCT 8 \
    | pointer | STRUCT 8, UNION 8 | ambiguous 2: 1 2
the lowest unmapped            | STRUCT b 8, STRUCT a 8 | pointer  | INT int 4  | missing 1:
the lowest second candidate    | STRUCT 8, STRUCT bar 8 \
    | pointer | STRUCT 8, STRUCT bar 8, UNION bar 8, UNION 8 | ambiguous 2: 2 3
the largest at one candidate   | STRUCT 8, STRUCT 16, STRUCT 4, STRUCT 16 \
    | pointer | STRUCT 8, FWD 0 | ambiguous 2: 1 2
"""
)
on_every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
in_both_orders = pytest.mark.parametrize("byte_order", ["little", "big"])


@in_both_orders
@on_every_case
def test_a_distilled_type_is_found_or_named_as_the_culprit(case: Case, byte_order: str) -> None:
    split, target = case.inputs(byte_order)
    if ":" not in case.outcome:
        result = relocate_with_ids(split, target)
        assert " ".join(map(str, result.ids.values())) == case.outcome
        assert list(result.ids) == list(range(1, split.start_id))
        assert result.split.byte_order == byte_order
        return
    with pytest.raises(RelocationError) as raised:
        relocate(split, target)
    error = raised.value
    candidates = " ".join(map(str, error.candidates))
    assert f"{error.reason} {error.type_id}: {candidates}".strip() == case.outcome
    wanted = split[error.type_id]
    assert (error.kind, error.name, error.size) == (wanted.kind.name, wanted.name, wanted.size)


@pytest.mark.integration
@in_both_orders
@on_every_case
def test_libbpf_agrees(case: Case, byte_order: str, libbpf: Path, tmp_path: Path) -> None:
    split, target = case.inputs(byte_order)
    assert ours(split, target) == theirs(libbpf, tmp_path, split, target)


# The whole way: what is distilled comes back.


def base_of_17_types(byte_order: str) -> BtfBuilder:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    b.add_ref(Kind.PTR, integer)
    inner = b.add_composite(Kind.STRUCT, "inner", 8, [("a", integer, 0)])
    nameless = b.add_composite(Kind.UNION, "", 8, [("inner", inner, 0)])
    b.add_ref(Kind.CONST, inner)
    b.add_ref(Kind.TYPEDEF, nameless, "alias")
    b.add_enum("unused", 4, [("UNUSED", 0)])
    enum = b.add_enum("enum", 4, [("ONE", 1)])
    b.add_enum64("enum64", 8, [("BIG", 1 << 40)])
    b.add_fwd("fwd")
    b.add_float("double", 8)
    proto = b.add_func_proto(integer, [("x", enum)])
    b.add_func("function", proto)
    b.add_ref(Kind.PTR, proto)
    b.add_array(inner, integer, 4)
    b.add_var("variable", integer)
    b.add_composite(Kind.UNION, "unused_too", 4)
    return b


@in_both_orders
def test_what_was_distilled_comes_back_on_a_base_in_another_order(byte_order: str) -> None:
    base = base_of_17_types(byte_order).build()
    assert len(base) == 17
    s = BtfBuilder(base)
    own = s.add_composite(
        Kind.STRUCT, "own", 64, [("alias", 6, 0), ("e", 9, 64), ("inner", 15, 128)]
    )
    s.add_func("fn", s.add_func_proto(11, [("callback", 14), ("enum", own)]))
    distilled = distill(s.build())
    shifted = BtfBuilder(byte_order=byte_order)
    shifted.add_fwd("new")
    for old in base:
        shifted.add_copy(old, {i: i + 1 for i in range(1, base.end_id)})

    result = relocate_with_ids(distilled.split, shifted.build())

    names = [(t.kind, t.name) for t in distilled.base]
    assert names == [(base[i].kind, base[i].name) for i in (1, 3, 8)] + [
        (Kind.ENUM, "enum64"),
        (Kind.FLOAT, "double"),
    ]
    assert [result.new_id(distilled.new_id(i)) for i in (0, 1, 3, 8, 9, 11)] == [0, 2, 4, 9, 10, 12]
    new_own = result.split[result.new_id(distilled.new_id(own))]
    assert (new_own.id, new_own.name, new_own.kind) == (own + 1, "own", Kind.STRUCT)
    assert [m.name for m in new_own.members] == ["alias", "e", "inner"]
    alias, enum64, array = (result.split[m.type] for m in new_own.members)
    assert (alias.kind, alias.name, enum64.id) == (Kind.TYPEDEF, "alias", 10)
    assert array.array is not None
    assert (array.array.type, array.array.index_type, array.array.nelems) == (4, 2, 4)
    assert result.split.base is not None
    assert result.split.to_bytes()[:24] == distilled.split.to_bytes()[:24]


def test_three_types_of_a_real_kernel_come_back(corpus_base: Btf) -> None:
    wanted = [corpus_base.find(*at) for at in (("int", Kind.INT), ("list_head", Kind.STRUCT))]
    ids = [t.id for t in wanted if t]
    s = BtfBuilder(corpus_base)
    own = s.add_composite(
        Kind.STRUCT,
        "own",
        24,
        [("n", ids[0], 0), ("list", ids[1], 64), ("own", s.next_id + 1, 192)],
    )
    s.add_ref(Kind.PTR, own)
    original = s.build()

    back = relocate(distill(original).split, corpus_base)

    assert [t._replace(btf=original, words=()) for t in back] == [
        t._replace(words=()) for t in original
    ]
    assert [m for t in back for m in t.members] == [m for t in original for m in t.members]


@in_both_orders
def test_a_target_may_have_the_other_byte_order(byte_order: str) -> None:
    case = CASES["other kinds, other order"]
    split, target = case.inputs(byte_order)
    other = case.inputs("big" if byte_order == "little" else "little")[1]

    assert relocate(split, other).to_bytes() == relocate(split, target).to_bytes()


# Strings and the parts of a blob


def with_duplicate_string(types: str) -> Btf:
    """A base with the name `foo` in its strings twice, of which `fop` names the second."""
    return Btf.parse(base_of(types).to_bytes().replace(b"\0fop\0", b"\0foo\0"))


DUPLICATE_STRINGS = {
    # Two of a name are counted by the offset of their name.
    "counted apart": ("STRUCT foo 8, STRUCT foo 4", "STRUCT foo 8, STRUCT fop 8"),
    "the last one names": ("STRUCT foo 8, INT foo 4", "STRUCT fop 8, INT foo 4"),
    "two of three": ("STRUCT foo 8", "STRUCT foo 4, STRUCT fop 8, UNION foo 4"),
}
on_duplicate_strings = pytest.mark.parametrize(
    ("distilled", "types"), DUPLICATE_STRINGS.values(), ids=DUPLICATE_STRINGS.keys()
)


@pytest.mark.integration
@on_duplicate_strings
def test_a_target_that_repeats_strings_is_used_as_libbpf_does(
    distilled: str, types: str, libbpf: Path, tmp_path: Path
) -> None:
    split, _ = Case(distilled, "typedef", "", "").inputs("little")
    target = with_duplicate_string(types)
    assert ours(split, target) == theirs(libbpf, tmp_path, split, target)


def test_names_that_the_split_shares_with_its_base_are_those_of_the_target() -> None:
    base = base_of("STRUCT foo 8")
    s = BtfBuilder(base)
    s.add_ref(Kind.TYPEDEF, 1, "foo")
    s.add_composite(Kind.STRUCT, "own", 8, [("foo", 1, 0), ("own", 1, 0)])

    back = relocate(s.build(), base_of("INT something_else 4, STRUCT foo 8"))

    assert [t.name for t in back] == ["foo", "own"]
    assert [m.name for t in back for m in t.members] == ["foo", "own"]
    assert back.index.strings() == b"own\0"


def test_a_string_that_only_the_distilled_base_has_is_refused() -> None:
    b = BtfBuilder()
    b.add_string("unborne")
    b.add_composite(Kind.STRUCT, "foo", 8)
    s = BtfBuilder(b.build())
    s.add_ref(Kind.PTR, 1)
    own = s.add_composite(Kind.STRUCT, "own", 8, [("unborne", 1, 0)])

    with pytest.raises(RelocationError, match="type \\[3\\] 'unborne': STRUCT") as raised:
        relocate(s.build(), base_of("STRUCT foo 8, STRUCT unborne 8"))

    assert (raised.value.reason, raised.value.type_id) == ("string", own)


@pytest.mark.integration
@pytest.mark.parametrize("layout", [b"", b"LAYOUT.."], ids=["empty", "8 bytes"])
def test_a_longer_header_and_what_it_points_to_stay(
    layout: bytes, libbpf: Path, tmp_path: Path
) -> None:
    plain, target = CASES["other kinds, other order"].inputs("little")
    fields = struct.unpack("<HBBIIIII", plain.to_bytes()[:24])
    type_len, str_len = fields[5], fields[7]
    header = struct.pack(
        "<HBB7I",
        0xEB9F,
        1,
        0,
        32,
        0,
        type_len,
        type_len + len(layout),
        str_len,
        type_len,
        len(layout),
    )
    body = plain.to_bytes()[24:]
    split = Btf.parse(header + body[:type_len] + layout + body[type_len:], plain.base)

    back = relocate(split, target).to_bytes()

    assert back[:32] == header
    assert layout in back
    assert back == theirs(libbpf, tmp_path, split, target)


# What is refused before any type is looked at


def test_base_btf_cannot_be_relocated() -> None:
    with pytest.raises(BtfError, match="only split BTF"):
        relocate(base_of("INT int 4"), base_of("INT int 4"))


def test_split_btf_on_the_target_already_is_refused() -> None:
    split, _ = CASES["other kinds, other order"].inputs("little")
    assert split.base is not None
    with pytest.raises(BtfError, match="on that base already"):
        relocate(split, split.base)


def test_split_btf_is_no_target() -> None:
    split, target = CASES["other kinds, other order"].inputs("little")
    with pytest.raises(BtfError, match="cannot be split BTF"):
        relocate(split, BtfBuilder(target).build())


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("PTR foo 0", "it has PTR"),
        ("TYPEDEF foo 0", "it has TYPEDEF"),
        ("ENUM64 foo 8", "it has ENUM64"),
        ("CONST foo 0", "it has CONST"),
    ],
)
def test_a_base_that_is_not_distilled_is_refused(bad: str, what: str) -> None:
    s = BtfBuilder(base_of(f"INT int 4, {bad}"))

    with pytest.raises(BtfError, match=what) as raised:
        relocate(s.build(), base_of("INT int 4"))

    assert raised.value.where == "type [2]"
    assert not isinstance(raised.value, RelocationError)


def test_a_nameless_type_in_a_distilled_base_is_refused() -> None:
    b = BtfBuilder()
    b.add_composite(Kind.STRUCT, "", 8)

    with pytest.raises(BtfError, match="nameless STRUCT"):
        relocate(BtfBuilder(b.build()).build(), base_of("INT int 4"))


def test_members_that_end_nowhere_do_not_stop_it() -> None:
    base = base_of("STRUCT foo 8")
    s = BtfBuilder(base)
    s.add_ref(Kind.CONST, s.next_id + 1)
    s.add_ref(Kind.TYPEDEF, s.next_id - 1, "loop")
    s.add_composite(Kind.STRUCT, "own", 8, [("a", base.end_id, 0), ("b", 1, 0)])

    with pytest.raises(RelocationError, match="embedded by value in 'own'"):
        relocate(s.build(), base_of("STRUCT foo 4"))


def test_100000_members_of_one_deep_type_take_no_time() -> None:
    s = BtfBuilder(base_of("STRUCT foo 8"))
    last = 1
    for _ in range(65_000):
        last = s.add_ref(Kind.CONST, last)
    s.add_composite(Kind.STRUCT, "own", 8, [("m", last, 0)] * 100_000)

    assert len(relocate(s.build(), base_of("INT int 4, STRUCT foo 8"))) == 65_001


# What the author of a module reads


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (
            "embedded, resized",
            "type [1] 'foo': the module needs STRUCT of 8 bytes, embedded by value in 'holder', "
            "the target has [1] STRUCT of 16 bytes; build the module for that kernel",
        ),
        (
            "embedded deeply, resized",
            "type [1] 'foo': the module needs STRUCT of 8 bytes, embedded by value in a nameless "
            "UNION, the target has [1] STRUCT of 16 bytes; build the module for that kernel",
        ),
        (
            "no such name",
            "type [1] 'foo': the module needs STRUCT of 8 bytes, the target has no type of that "
            "name; build the module for that kernel",
        ),
        (
            "resized, there twice",
            "type [1] 'foo': the module needs STRUCT of 8 bytes, the target has several of that "
            "name and none that fits: [1] STRUCT of 16 bytes and [2] STRUCT of 4 bytes; build the "
            "module for that kernel",
        ),
        (
            "FWD, FWD and struct",
            "type [1] 'foo': the module needs FWD of a struct, the target has two that fit: [1] "
            "FWD of a struct and [2] STRUCT of 8 bytes; the kernel cannot tell which is meant, use "
            "split BTF that is not distilled",
        ),
        (
            "int, other sign",
            "type [1] 'foo': the module needs INT of 4 bytes, the target has [1] INT of 4 bytes "
            "of another encoding; build the module for that kernel",
        ),
        (
            "FWD union, union",
            "type [1] 'foo': the module needs FWD of a union, the target has [1] UNION of 8 bytes; "
            "the kernel does not match these, use split BTF that is not distilled",
        ),
    ],
)
def test_the_message_names_the_type_and_what_the_target_has_instead(case: str, text: str) -> None:
    with pytest.raises(RelocationError) as raised:
        relocate(*CASES[case].inputs("little"))
    assert str(raised.value) == text


def test_an_error_survives_the_way_between_processes() -> None:
    with pytest.raises(RelocationError) as raised:
        relocate(*CASES["enum, resized"].inputs("little"))
    copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - made here
    assert (str(copy), vars(copy)) == (str(raised.value), vars(raised.value))


# At random, against libbpf

Spec = tuple[Kind, str, int, bool]
NAMED = (Kind.INT, Kind.FLOAT, Kind.ENUM, Kind.ENUM64, Kind.FWD, Kind.STRUCT, Kind.UNION)
MODIFIERS = (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPEDEF, Kind.TYPE_TAG, Kind.PTR)
USED = (*MODIFIERS, Kind.ARRAY, Kind.STRUCT, Kind.UNION, Kind.FUNC_PROTO)
SIZES = st.sampled_from((4, 8, 1))
SPECS = st.tuples(st.sampled_from(NAMED), st.sampled_from("ab"), SIZES, st.booleans())
LINKS = st.lists(st.tuples(st.sampled_from(USED), st.integers(1, 30), st.integers(1, 30)))


def add_specs(b: BtfBuilder, specs: Sequence[Spec]) -> None:
    for kind, name, size, flag in specs:
        if kind is Kind.INT:
            b.add_int(name, size, encoding=int(flag), bits=8)
        elif kind is Kind.FWD:
            b.add_fwd(name, union=flag)
        else:
            b.add(kind, name, kind_flag=flag, size_or_type=size)


def add_links(b: BtfBuilder, links: Sequence[tuple[Kind, int, int]], names: str) -> None:
    """Types that refer to lower ones: libbpf never ends with a cycle."""
    for nth, (kind, one, two) in enumerate(links):
        first, second = (1 + at % (b.next_id - 1) for at in (one, two))
        name = names[nth % len(names)]
        if kind in (Kind.TYPEDEF, Kind.TYPE_TAG):
            b.add_ref(kind, first, name)
        elif kind in MODIFIERS:
            b.add_ref(kind, first)
        elif kind is Kind.ARRAY:
            b.add_array(first, second, 2)
        elif kind is Kind.FUNC_PROTO:
            b.add_func_proto(first, [(name, second)])
        else:
            own = name if nth % 2 else ""
            b.add_composite(kind, own, 64, [(name, first, 0), ("b", second, 0)])


@st.composite
def changed(draw: st.DrawFn, specs: Sequence[Spec]) -> list[Spec]:
    """The types of another kernel: some gone, new, twice, of another size or kind, in disorder."""
    result: list[Spec] = []
    for spec in specs:
        kind, name, size, flag = spec
        result += draw(
            st.sampled_from(
                [
                    [spec],
                    [spec],
                    [spec],
                    [spec, spec],
                    [],
                    [(kind, name, size ^ 12, flag)],
                    [(kind, name, size | 1 << 31, flag)],
                    [(kind, name, size, not flag)],
                    [(draw(st.sampled_from(NAMED)), name, size, flag)],
                    [(kind, "c", size, flag)],
                ]
            )
        )
    result += draw(st.lists(SPECS, max_size=2))
    return draw(st.permutations(result))


@st.composite
def relocations(draw: st.DrawFn) -> tuple[Btf, Btf]:
    byte_order = draw(st.sampled_from(("little", "big")))
    specs = draw(st.lists(SPECS, min_size=1, max_size=5))
    b = BtfBuilder(byte_order=byte_order)
    add_specs(b, specs)
    add_links(b, draw(LINKS), "ab")
    s = BtfBuilder(b.build())
    add_links(s, draw(LINKS), "bcd")
    t = BtfBuilder(byte_order=byte_order)
    t.add_ref(Kind.TYPEDEF, 0, "a")
    add_specs(t, draw(changed(specs)))
    target = t.to_bytes()
    if draw(st.booleans()):
        target = target.replace(b"\0c\0", b"\0a\0")  # the same string twice
    return distill(s.build()).split, Btf.parse(target)


@pytest.mark.integration
@settings(max_examples=300, deadline=None)
@given(inputs=relocations())
def test_any_relocation_ends_as_with_libbpf(
    inputs: tuple[Btf, Btf], libbpf: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any_relocation"
    folder.mkdir(exist_ok=True)
    assert ours(*inputs) == theirs(libbpf, folder, *inputs)
