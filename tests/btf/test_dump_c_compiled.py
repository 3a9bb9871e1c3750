# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What compilers make of C: the sizes and offsets that the BTF has."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from conftest import missing
from kbtf import Btf, BtfBuilder, Kind, open_btf
from kbtf.btf.dump.c.header import dump_c

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kbtf.btf.btf import BtfType

pytestmark = pytest.mark.integration

COMPOSITES = (Kind.STRUCT, Kind.UNION)
KEYWORDS = {
    Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum"
}  # fmt: skip
BASES = ("6.12.117", "6.12.115", "6.12.117-cloud")


@pytest.fixture(scope="session")
def gcc() -> str:
    return shutil.which("gcc") or missing("gcc is not installed")


def compile_c(gcc: str, text: str, folder: Path) -> None:
    file = folder / "dump.c"
    file.write_text(text, errors="surrogateescape")
    command = [gcc, "-fsyntax-only", "-std=gnu11", "-w"]
    done = subprocess.run([*command, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]


def flat(btf: Btf, t: BtfType, start: int = 0) -> Iterator[tuple[str, int, int]]:
    """Name, bit offset and width of a struct's members and of those of anonymous ones in it."""
    for member in t.members:
        if member.name:
            yield member.name, start + member.offset, member.bit_size
        elif btf[member.type].kind in COMPOSITES:
            yield from flat(btf, btf[member.type], start + member.offset)


def assertions(btf: Btf) -> list[str]:
    """Sizes and offsets of what has a name that nothing else in *btf* has."""
    named = [t for t in btf if t.name and t.kind in KEYWORDS]
    counts = Counter(t.name for t in named)
    lines = []
    for t in named:
        if counts[t.name] > 1:
            continue
        tag = f"{KEYWORDS[t.kind]} {t.name}"
        lines.append(f'_Static_assert(sizeof({tag}) == {t.size}, "{t.name}");')
        lines += [
            f'_Static_assert(__builtin_offsetof({tag}, {name}) == {offset // 8}, "{tag}.{name}");'
            for name, offset, bit_size in flat(btf, t)
            if not bit_size
        ]
    return lines


def check(btf: Btf, gcc: str, folder: Path) -> int:
    lines = assertions(btf)
    compile_c(gcc, dump_c(btf) + "\n".join(lines) + "\n", folder)
    return len(lines)


@pytest.mark.parametrize("name", BASES)
def test_a_kernel_compiles_to_its_sizes_and_offsets(
    name: str, corpus: Path, gcc: str, tmp_path: Path
) -> None:
    base = Btf.parse((corpus / "base" / f"{name}.btf").read_bytes())

    assert check(base, gcc, tmp_path) > 60_000


def test_modules_compile_to_their_sizes_and_offsets(
    corpus: Path, corpus_base: Btf, gcc: str, tmp_path: Path
) -> None:
    paths = sorted((corpus / "split").glob("*.btf"))
    assert len(paths) == 35
    for path in paths:
        check(Btf.parse(path.read_bytes(), corpus_base), gcc, tmp_path)
        distilled = corpus / "distilled" / path.stem
        base = Btf.parse(distilled.with_name(path.stem + ".base").read_bytes())
        check(base, gcc, tmp_path)
        split = distilled.with_name(path.stem + ".split").read_bytes()
        check(Btf.parse(split, base), gcc, tmp_path)


def shape(btf: Btf, t: BtfType) -> tuple[object, ...]:
    """Everything of a struct's layout, padding left out."""
    while t.kind in (Kind.CONST, Kind.VOLATILE):
        t = btf[t.size_or_type]
    members = [
        (m.name, m.offset, m.bit_size, None if m.name else shape(btf, btf[m.type]))
        for m in t.members
        if not m.name.startswith("__gap_")
    ]
    return t.kind, t.size, tuple(members)


def shapes(btf: Btf) -> Counter[object]:
    return Counter(
        (t.name.partition("___")[0], shape(btf, t)) for t in btf if t.name and t.kind in COMPOSITES
    )


def test_what_pahole_finds_in_the_compiled_header_is_the_kernels_btf(
    corpus_base: Btf, gcc: str, tmp_path: Path
) -> None:
    """Bitfields and types of one name included."""
    if not shutil.which("pahole"):
        missing("pahole is not installed")
    source = tmp_path / "vmlinux.c"
    source.write_text(dump_c(corpus_base))
    unused = ("-fno-eliminate-unused-debug-types", "-fno-eliminate-unused-debug-symbols")
    made = tmp_path / "vmlinux.o"
    subprocess.run([gcc, "-std=gnu11", "-w", "-g", "-c", *unused, source, "-o", made], check=True)
    subprocess.run(["pahole", "-J", made], check=True, capture_output=True)

    found, expected = shapes(open_btf(str(made))), shapes(corpus_base)

    assert sum(found.values()) > 8000
    assert (list((found - expected).elements()), list((expected - found).elements())) == ([], [])


class RandomStruct(NamedTuple):
    id: int
    members: list[tuple[str, int, int, int]]


def random_structs(seed: int, count: int) -> tuple[Btf, list[RandomStruct]]:
    """Structs with members of all sorts anywhere, as long as they do not overlap."""
    chosen = random.Random(seed)  # noqa: S311 - no secret
    b = BtfBuilder()
    for name, size in (("int", 4), ("char", 1), ("long int", 8)):
        b.add_int(name, size, encoding=1)
    ints = [1, 2, 3, b.add_int("short int", 2, encoding=1), b.add_int("unsigned __int128", 16)]
    sizes = dict(zip(ints, (4, 1, 8, 2, 16), strict=True))
    made = []
    for number in range(count):
        members: list[tuple[str, int, int, int]] = []
        at = 0
        for member in range(chosen.randrange(1, 6)):
            type_id = chosen.choice(list(sizes)[-12:] if chosen.random() < 0.4 else ints)
            size = sizes[type_id]
            name = f"m{member}"
            if type_id in ints and chosen.random() < 0.5:
                at += chosen.choice((0, 0, 0, 1, 5, 17, 64))
                width = chosen.randrange(1, min(8 * size, 64) + 1)
                members.append((name, type_id, at, width))
                at += width
                continue
            at = -(-at // 8) * 8 + 8 * chosen.choice((0, 0, 0, 1, 3, 9, 40))
            if chosen.random() < 0.6:
                unit = 8 * min(size & -size, 16)
                at = -(-at // unit) * unit
            members.append((name, type_id, at, 0))
            at += 8 * size
        size = -(-at // 8) + chosen.choice((0, 0, 1, 7, 60))
        if chosen.random() < 0.7:
            size = -(-size // 16) * 16
        type_id = b.add_composite(Kind.STRUCT, f"s{number}", size, members)
        sizes[type_id] = size
        made.append(RandomStruct(type_id, members))
    return b.build(), made


PROBE = """
#include <stdio.h>
#include <string.h>
#define PROBE(s, m, set) do { \\
    static struct s value; \\
    const unsigned char *bytes = (const unsigned char *)&value; \\
    long first = -1, last = -1; \\
    memset(&value, 0, sizeof(value)); \\
    set; \\
    for (long bit = 0; bit < 8 * (long)sizeof(value); bit++) \\
        if (bytes[bit / 8] >> bit % 8 & 1) { if (first < 0) first = bit; last = bit; } \\
    printf("%ld %ld\\n", first, last); \\
} while (0)
int main(void) {
"""


def test_members_anywhere_are_where_a_compiled_program_finds_them(gcc: str, tmp_path: Path) -> None:
    btf, structs = random_structs(seed=6, count=400)
    lines = [dump_c(btf).replace("#pragma clang", "//"), *assertions(btf), PROBE]
    expected = []
    for struct in structs:
        name = btf[struct.id].name
        for member, type_id, offset, width in struct.members:
            whole = f"memset(&value.{member}, 255, sizeof(value.{member}))"
            setting = f"value.{member} = -1" if width else whole
            lines.append(f"PROBE({name}, {member}, {setting});")
            bits = width or 8 * (btf[type_id].size or 0)
            expected.append(f"{offset} {offset + bits - 1}")
    source = tmp_path / "probe.c"
    source.write_text("\n".join([*lines, "return 0; }", ""]))
    program = tmp_path / "probe"

    subprocess.run([gcc, "-std=gnu11", "-w", "-O0", "-o", program, source], check=True)

    found = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert found.splitlines() == expected
