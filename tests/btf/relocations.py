# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Small cases of relocation, and how kbtf and libbpf relocate them."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbtf import Btf, BtfBuilder, Kind, RelocationError, relocate
from kbtf.btf.deduplicate import index_base

if TYPE_CHECKING:
    from collections.abc import Callable
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
    """What `relocate` makes of it, with hashed names and with those of an index."""
    outcome = _outcome(split, target)
    assert _outcome(split, _indexed(target)) == outcome
    return outcome


@lru_cache(maxsize=4)
def _indexed(target: Btf) -> Btf:
    copy = Btf.parse(target.to_bytes())
    index_base(copy)
    return copy


def _outcome(split: Btf, target: Btf) -> Outcome:
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
