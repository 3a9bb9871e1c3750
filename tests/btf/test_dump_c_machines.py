# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What compilers make of C on six machines: sizes, offsets and bits as the BTF has them."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from conftest import missing
from kbtf import Btf, BtfBuilder, BtfError, Kind
from kbtf.btf.dump.c.header import dump_c
from kbtf.elf.image import ElfImage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kbtf.btf.btf import BtfType, Member

pytestmark = pytest.mark.integration

STRUCTS = 60
SEEDS = 8
NAMES = ("a", "b", "value", "a.b", "a-b", "_a_b", "bool", "true", "__gap_1", "int", "typeof", "a b")
TAGS = ("user", "rcu", "percpu", 'a"b', "back\\slash", "umlaut ä")


class Machine(NamedTuple):
    pointer: int
    big: bool
    compilers: tuple[tuple[str, ...], ...]


def clang(target: str) -> tuple[str, ...]:
    return ("clang", f"--target={target}")


MACHINES = {
    "x86-64": Machine(8, False, (("gcc",), clang("x86_64-linux-gnu"))),
    "i386": Machine(4, False, (("gcc", "-m32"), clang("i686-linux-gnu"))),
    "arm": Machine(4, False, (("arm-linux-gnueabihf-gcc",), clang("armv7-linux-gnueabihf"))),
    "arm64": Machine(8, False, (("aarch64-linux-gnu-gcc",), clang("aarch64-linux-gnu"))),
    "s390x": Machine(8, True, (("s390x-linux-gnu-gcc",), clang("s390x-linux-gnu"))),
    "bpf": Machine(8, False, (("bpf-gcc",), clang("bpf"))),
}
COMPILED = [
    pytest.param(name, compiler, id=f"{name}-{compiler[0]}")
    for name, machine in MACHINES.items()
    for compiler in machine.compilers
]


class Maker:
    """Random BTF whose structs C can have, however odd they are."""

    def __init__(self, seed: int, machine: Machine) -> None:
        self.chosen = random.Random(seed)  # noqa: S311 - no secret
        self.b = BtfBuilder()
        self.machine = machine
        numbers = {"char": 1, "short int": 2, "int": 4, "long long unsigned int": 8}
        self.ints = {self.b.add_int(n, size, encoding=1): size for n, size in numbers.items()}
        self.ints[self.b.add_int("long int", machine.pointer, encoding=1)] = machine.pointer
        self.ints[self.b.add_int("__Poly16_t", 2)] = 2
        if machine.pointer == 8:
            self.ints[self.b.add_int("unsigned __int128", 16)] = 16
        for size, values in ((1, 200), (2, 60000), (4, 2**32 - 1), (8, 3)):
            add_enum = self.b.add_enum64 if size == 8 else self.b.add_enum
            self.ints[add_enum(f"e{size}", size, [(f"E{size}", values)])] = size
        self.sizes = dict(self.ints)
        for name, size in (("float", 4), ("double", 8), ("long double", 12), ("f16", 16)):
            self.sizes[self.b.add_float(name, size)] = size
        self.sizes[self.b.add_int("_Bool", 1, encoding=4)] = 1
        self.sizes[self.b.add_int("i24", 3)] = 3
        self.composites: list[int] = []

    def build(self) -> Btf:
        for number in range(STRUCTS):
            self.add(number)
        return self.b.build()

    def add(self, number: int) -> None:
        kind = Kind.UNION if self.chosen.random() < 0.2 else Kind.STRUCT
        name = "" if self.chosen.random() < 0.2 else f"s{number}"
        members, size = self.members(number, kind, name)
        type_id = self.b.add_composite(kind, name, size, members)
        self.sizes[type_id] = size
        self.composites.append(type_id)
        if not name:
            self.b.add_ref(Kind.TYPEDEF, type_id, f"t{number}")

    def members(
        self, number: int, kind: Kind, owner: str
    ) -> tuple[list[tuple[str, int, int, int]], int]:
        chosen = self.chosen
        members: list[tuple[str, int, int, int]] = []
        at = end = 0
        for place in range(chosen.randrange(1, 7)):
            type_id, size = self.type()
            anonymous = type_id in self.composites and owner and chosen.random() < 0.5
            name = chosen.choice(NAMES) if chosen.random() < 0.3 else f"m{number}_{place}"
            at = 0 if kind is Kind.UNION else at
            width = 0
            if type_id in self.ints and chosen.random() < 0.4:
                at += chosen.choice((0, 0, 0, 1, 5, 17, 64)) if kind is Kind.STRUCT else 0
                width = chosen.randrange(1, min(8 * size, 64) + 1)
            else:
                at = self.place(at, size)
            members.append(("" if anonymous else name, type_id, at, width))
            at += width or 8 * size
            end = max(end, at)
        if chosen.random() < 0.5:
            chosen.shuffle(members)
        size = -(-end // 8) + chosen.choice((0, 0, 1, 7, 60))
        unit = chosen.choice((1, 2, 4, 8, 16))
        return members, -(-size // unit) * unit

    def place(self, at: int, size: int) -> int:
        if not at:
            return 0
        unit = self.chosen.choice((1, 1, 2, 4, 8, min(size & -size, 16) or 1))
        return -(-at // (8 * unit)) * 8 * unit + 8 * unit * self.chosen.choice((0, 0, 0, 1, 3))

    def type(self) -> tuple[int, int]:
        chosen = self.chosen
        of = chosen.choice(list(self.sizes)[-20:] if chosen.random() < 0.5 else list(self.ints))
        size = self.sizes[of]
        roll = chosen.random()
        if roll < 0.1:
            count = chosen.randrange(4)
            return self.b.add_array(of, 1, count), size * count
        if roll < 0.2:
            for tag in chosen.sample(TAGS, chosen.randrange(3)):
                of = self.b.add_ref(Kind.TYPE_TAG, of, tag)
            return self.b.add_ref(Kind.PTR, of), self.machine.pointer
        if roll < 0.3:
            return self.b.add_ref(chosen.choice((Kind.CONST, Kind.VOLATILE)), of), size
        return of, size


def flat(btf: Btf, t: BtfType, start: int = 0) -> Iterator[Member]:
    """The members of a struct and of the anonymous ones in it, from the start of it all."""
    for member in t.members:
        inner = btf[member.type]
        if member.name:
            yield member._replace(offset=start + member.offset)
        elif inner.kind in (Kind.STRUCT, Kind.UNION):
            yield from flat(btf, inner, start + member.offset)


def probes(btf: Btf) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """C that names sizes and offsets, and that sets each bitfield; which bits these are."""
    lines: list[str] = []
    bits: dict[str, tuple[int, int]] = {}
    for t in btf:
        if t.kind not in (Kind.STRUCT, Kind.UNION) or not t.name:
            continue
        tag = f"{t.kind.name.lower()} {t.name}"
        lines.append(f'_Static_assert(sizeof({tag}) == {t.size}, "{t.name}");')
        counts = Counter(member.name for member in flat(btf, t))
        for member in flat(btf, t):
            if counts[member.name] > 1 or not re.fullmatch(r"m\d+_\d+", member.name):
                continue
            place = f"{t.name}_{member.name}"
            if member.bit_size:
                lines.append(f"{tag} {place} = {{ .{member.name} = -1 }};")
                bits[place] = (member.offset, member.bit_size)
            else:
                offset = f"__builtin_offsetof({tag}, {member.name})"
                lines.append(f'_Static_assert({offset} == {member.offset // 8}, "{place}");')
    return lines, bits


def found_bits(image: ElfImage) -> dict[str, tuple[int, int]]:
    """The first bit that is set in each variable, and how many are, in the order of memory."""
    found: dict[str, tuple[int, int]] = {}
    for symbol in image.symbols():
        if symbol.info & 15 != 1 or not symbol.shndx or symbol.shndx >= len(image.sections):
            continue
        section = image.sections[symbol.shndx]
        contents = bytes(image.contents(section))[symbol.value : symbol.value + symbol.size]
        order = 1 if image.byte_order == "big" else -1
        text = "".join(f"{byte:08b}"[::order] for byte in contents)
        found[symbol.name] = (text.find("1"), text.count("1"))
    return found


@pytest.mark.parametrize(("name", "compiler"), COMPILED)
def test_structs_of_all_sorts_are_laid_out_as_in_btf(
    name: str, compiler: tuple[str, ...], tmp_path: Path
) -> None:
    if not shutil.which(compiler[0]):
        missing(f"{compiler[0]} is not installed")
    source, made = tmp_path / "probe.c", tmp_path / "probe.o"
    for seed in range(SEEDS):
        btf = Maker(seed, MACHINES[name]).build()
        lines, bits = probes(btf)
        source.write_text("\n".join([dump_c(btf), *lines, ""]))
        command = [*compiler, "-std=gnu11", "-w", "-fno-zero-initialized-in-bss", "-c"]
        done = subprocess.run(
            [*command, source, "-o", made], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (seed, done.stderr[:2000])
        found = found_bits(ElfImage(made.read_bytes()))
        assert {place: found[place] for place in bits} == bits, seed


def damaged(seed: int, machine: Machine) -> Btf:
    """The same with offsets, widths and sizes that are moved by chance."""
    btf = Maker(seed, machine).build()
    chosen = random.Random(seed)  # noqa: S311 - no secret
    data = bytearray(btf.to_bytes())
    composites = [t for t in btf if t.kind in (Kind.STRUCT, Kind.UNION)]
    t = chosen.choice(composites)
    at = 24
    for before in btf:
        if before.id == t.id:
            break
        at += 12 + 4 * len(before.words)
    member = at + 12 + 12 * chosen.randrange(t.vlen) + 8
    place = member if chosen.random() < 0.8 else at + 8
    old = int.from_bytes(data[place : place + 4], "little")
    new = max(0, old + chosen.choice((-64, -32, -8, -3, 3, 8, 32, 64)))
    data[place : place + 4] = new.to_bytes(4, "little")
    return Btf.parse(bytes(data))


def test_what_c_cannot_lay_out_is_refused_and_all_else_is_right(tmp_path: Path) -> None:
    gcc = shutil.which("gcc") or missing("gcc is not installed")
    refused = 0
    source = tmp_path / "probe.c"
    for seed in range(120):
        btf = damaged(seed, MACHINES["x86-64"])
        try:
            text = dump_c(btf)
        except BtfError:
            refused += 1
            continue
        source.write_text("\n".join([text, *probes(btf)[0], ""]))
        done = subprocess.run(
            [gcc, "-w", "-fsyntax-only", source], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (seed, done.stderr[:2000])
    assert 30 < refused < 110
