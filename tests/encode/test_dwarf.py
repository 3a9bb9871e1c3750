# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Our encoder against pahole's, byte for byte, on small modules and on Debian's."""

from __future__ import annotations

from pathlib import Path

import pytest

import real
from kbtf import Btf, BtfError, DwarfError, ElfImage
from kbtf.encode.dwarf import PROFILES, Encoded, encode_dwarf
from kbtf.encode.features import DEFAULT
from oracles.build import run

CASES = real.encoding_cases()
NAMES = sorted(path.name for path in (CASES / "cases").iterdir())
REAL = sorted(path.stem for path in (CASES / "real").glob("*.ko"))


def case_base(name: str, profile: int) -> Btf:
    order = ".be" if name == "big-endian-s390x" else ""
    return Btf.parse((CASES / f"base{order}.{profile}.btf").read_bytes())


def encode_case(name: str, profile: int, *, strict: bool = True, jobs: int = 1) -> Encoded:
    folder = CASES / "cases" / name
    features = set(DEFAULT)
    if (folder / "features").exists():
        features |= set((folder / "features").read_text().split())
    image = ElfImage((folder / "m.ko").read_bytes())
    return encode_dwarf(
        image, case_base(name, profile), features=features, strict=strict, jobs=jobs
    )


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", NAMES)
def test_a_small_module_is_encoded_as_by_pahole(name: str, profile: int, jobs: int) -> None:
    expected = CASES / "cases" / name / f"expect.{profile}.btf"
    if not expected.exists():
        with pytest.raises(DwarfError):
            encode_case(name, profile, jobs=jobs)
        return
    encoded = encode_case(name, profile, jobs=jobs)
    assert encoded.profile == profile
    assert encoded.btf.to_bytes() == expected.read_bytes()


@pytest.mark.parametrize("profile", PROFILES)
def test_real_modules_are_encoded_as_by_pahole(profile: int, corpus: Path) -> None:
    flavour = "6.12.117-cloud-p132" if profile == 132 else "6.12.117-cloud"
    base = Btf.parse((corpus / "base" / f"{flavour}.btf").read_bytes())
    assert REAL
    for name in REAL:
        image = ElfImage((CASES / "real" / f"{name}.ko").read_bytes())
        expected = (CASES / "real" / f"{name}.{profile}.btf").read_bytes()
        for jobs in (1, 2, 5):
            encoded = encode_dwarf(image, base, features=DEFAULT, strict=True, jobs=jobs)
            assert encoded.btf.to_bytes() == expected, (name, jobs)


def test_what_is_left_out_is_noted_with_the_reason() -> None:
    notes = encode_case("by-value", 132).notes
    assert encode_case("by-value", 132, jobs=4).notes == notes
    left_out = {note.name: note.reasons for note in notes}
    assert left_out["v4"] == ("uncertain",)
    assert left_out["v7"] == ("unexpected-register",)
    (note,) = encode_case("inconsistent", 131).notes
    assert note.reasons == ("inconsistent", "ambiguous")
    (note,) = encode_case("optimized", 132).notes
    assert (note.name, note.reasons) == ("unused", ("reordered",))
    (note,) = encode_case("rust-excluded", 131).notes
    assert (note.kind, note.reasons) == ("language", ("Rust",))


@pytest.mark.parametrize("order", [1, -1], ids=["last", "first"])
@pytest.mark.parametrize("good", ["structs", "lto-note", "lto-clang"])
def test_a_unit_that_cannot_be_expressed_costs_itself_alone(
    good: str, order: int, tmp_path: Path
) -> None:
    """Of units linked together one has an `_Atomic`; also where all share one table of types."""
    fails, rest = (CASES / "cases" / name / "m.ko" for name in ("atomic-fails", good))
    both = tmp_path / "both.ko"
    run("ld", "-r", "-z", "muldefs", *[rest, fails][::order], "-o", both)
    base = case_base(good, 131)
    alone = encode_dwarf(ElfImage(rest.read_bytes()), base, features=DEFAULT)
    for jobs in (1, 2):
        with pytest.raises(DwarfError, match=r"^a\.c: an atomic type"):
            encode_dwarf(
                ElfImage(both.read_bytes()), base, features=DEFAULT, strict=True, jobs=jobs
            )
        encoded = encode_dwarf(ElfImage(both.read_bytes()), base, features=DEFAULT, jobs=jobs)
        assert [str(note)[:32] for note in encoded.notes if note.is_warning] == [
            "a unit is left out: a.c: an atom"
        ]
        assert encoded.btf.to_bytes() == alone.btf.to_bytes()
        assert encoded.units == alone.units
    with pytest.raises(DwarfError, match="no unit can be encoded"):
        encode_dwarf(ElfImage(fails.read_bytes()), base)


def test_the_base_must_not_be_split_btf() -> None:
    encoded = encode_case("structs", 131)
    image = ElfImage((CASES / "cases" / "structs" / "m.ko").read_bytes())
    with pytest.raises(BtfError):
        encode_dwarf(image, encoded.btf)
