# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The index of a base on disk: loaded instead of made, and never believed without a check."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kbtf import Btf, BtfBuilder, BtfError, Kind, deduplicate
from kbtf.btf.deduplicate import index_base
from kbtf.kernel import cache, index_cache
from kbtf.native import _native


def make_base(nr: int = 50, name: str = "s", first: int = 0) -> Btf:
    b = BtfBuilder()
    b.add_int("int", 4)
    for n in range(first):
        b.add_composite(Kind.STRUCT, f"first{n}", 4, [("a", 1, 0)])
    for n in range(nr):
        b.add_composite(Kind.STRUCT, f"{name}{n}", 4, [("a", 1, 0)])
    return b.build()


def own_types(base: Btf) -> int:
    """How many types stay of a copy of a struct of the base and one of our own."""
    s = BtfBuilder(base)
    s.add_composite(Kind.STRUCT, "s7", 4, [("a", 1, 0)])
    s.add_composite(Kind.STRUCT, "own", 4, [("a", 1, 0)])
    return len(deduplicate(s.build()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KBTF_CACHE_DIR", str(tmp_path / "cache"))
    found = cache.directory()
    assert found is not None
    return Path(found)


def kept(folder: Path) -> Path:
    (entry,) = folder.glob("index_*")
    return entry


def test_bases_that_differ_in_names_alone_have_an_index_each(folder: Path) -> None:
    for name in "ab":
        index_cache.load_index(make_base(name=name))
    assert len(list(folder.glob("index_*"))) == 2


def test_it_is_made_once_and_then_loaded(folder: Path) -> None:
    index_cache.load_index(make_base())
    os.utime(kept(folder), (1, 1))
    made = kept(folder).stat().st_ino

    base = make_base()
    index_cache.load_index(base)

    assert own_types(base) == 1
    assert kept(folder).stat().st_ino == made
    assert kept(folder).stat().st_mtime > 1  # used now


def test_one_base_has_one_index_however_often_it_is_asked_for(folder: Path) -> None:
    base = make_base()
    assert index_cache.load_index(base) is index_cache.load_index(base)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "empty", "other", "version"])
def test_a_damaged_file_is_replaced(damage: str, folder: Path) -> None:
    index_cache.load_index(make_base())
    path = kept(folder)
    data = bytearray(path.read_bytes())
    good = bytes(data)
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "grow":
        data += bytes(8)
    elif damage == "empty":
        data.clear()
    elif damage == "other":
        data[:] = _native.index_base(make_base(name="t").index, 1).image()
    elif damage == "version":
        data[32] += 1
    path.write_bytes(data)

    base = make_base()
    index_cache.load_index(base)

    assert own_types(base) == 1
    assert len(kept(folder).read_bytes()) == len(good)
    assert _native.open_base_index(base.index, kept(folder).read_bytes()) is not None


def test_a_base_of_the_same_name_is_told_apart(folder: Path) -> None:
    index_cache.load_index(make_base(first=500))
    name = kept(folder).name
    other = make_base(name="t", first=500)

    index_cache.load_index(other)

    assert own_types(other) == 2
    assert kept(folder).name == name


def test_a_file_of_another_user_is_not_used(folder: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can make another user's file")
    index_cache.load_index(make_base())
    os.chown(kept(folder), 65534, 65534)

    base = make_base()
    index_cache.load_index(base)

    assert own_types(base) == 1
    assert kept(folder).stat().st_uid == 0


@pytest.mark.parametrize("spoil", ["link", "directory", "fifo"])
def test_what_is_no_file_is_not_followed(spoil: str, folder: Path, tmp_path: Path) -> None:
    index_cache.load_index(make_base())
    path = kept(folder)
    image = path.read_bytes()
    path.unlink()
    if spoil == "link":
        (tmp_path / "elsewhere").write_bytes(image)
        path.symlink_to(tmp_path / "elsewhere")
    elif spoil == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)

    base = make_base()
    index_cache.load_index(base)

    assert own_types(base) == 1


@pytest.mark.parametrize("place", ["relative", "/dev/null/cache", "/proc/nowhere"])
def test_it_works_without_a_cache(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBTF_CACHE_DIR", place)
    base = make_base()
    index_cache.load_index(base)
    assert own_types(base) == 1


def test_nothing_is_kept_that_nobody_wants_kept(folder: Path) -> None:
    index_cache.load_index(make_base(), cache=False)
    assert not list(folder.iterdir())


def test_split_btf_is_refused(folder: Path) -> None:
    with pytest.raises(BtfError, match="is split BTF where a base is needed"):
        index_cache.load_index(BtfBuilder(make_base()).build())
    assert not list(folder.iterdir())


def test_the_files_are_bounded_like_all_others_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for nr in range(cache.MAX_ENTRIES + 5):
        index_cache.load_index(make_base(nr + 1))
    assert len(list(folder.iterdir())) == cache.MAX_ENTRIES
    monkeypatch.setattr(cache, "MAX_BYTES", 100)
    index_cache.load_index(make_base(200))
    assert len(list(folder.iterdir())) == cache.MAX_ENTRIES


def test_many_processes_at_once_load_or_make_it(folder: Path) -> None:
    program = textwrap.dedent("""
        from kbtf import Btf, BtfBuilder, Kind, deduplicate
        from kbtf.kernel.index_cache import load_index
        b = BtfBuilder()
        b.add_int("int", 4)
        for n in range(3000):
            b.add_composite(Kind.STRUCT, f"s{n}", 4, [("a", 1, 0)])
        base = b.build()
        load_index(base)
        s = BtfBuilder(base)
        s.add_composite(Kind.STRUCT, "s7", 4, [("a", 1, 0)])
        print(len(deduplicate(s.build())))
    """)
    command = [sys.executable, "-P", "-c", program]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    assert [process.communicate()[0] for process in running] == ["0\n"] * 8
    assert [path.name for path in folder.iterdir()] == [kept(folder).name]


STRINGS = {
    "whole": (b"\0int\0same\0", (1, 5)),
    "repeated": (b"\0same\0same\0", (1, 6)),
    "within another": (b"\0notsame\0same\0", (4, 9)),
    "only within another": (b"\0notsame\0", (4, 1)),
}


@pytest.mark.parametrize("how", STRINGS)
def test_names_are_found_as_in_the_btf_itself(how: str) -> None:
    strings, names = STRINGS[how]
    types = b"".join(
        struct.pack("<4I", name, Kind.INT << 24, 4, 32) for _ in range(40) for name in names
    )
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    plain, indexed = (Btf.parse(header + types + strings) for _ in range(2))
    index_base(indexed)

    for name in ("int", "same", "notsame", "other", "sam", "", "same\0", "int\0same"):
        found = [each.id for each in indexed.find_all(name)]
        assert found == [each.id for each in plain.find_all(name)]
        assert found == [t.id for t in plain if t.name == name and name], (
            "and as a walk over all types does"
        )


def test_names_of_a_large_base_are_found() -> None:
    b = BtfBuilder()
    for n in range(30_000):
        b.add_fwd(f"name_{n * 7919 % 10_007}")
    base = b.build()
    index_base(base)

    for n in (0, 1, 2_047, 2_048, 10_006):
        expected = [t.id for t in base if t.name == f"name_{n}"]
        assert [t.id for t in base.find_all(f"name_{n}")] == expected
        assert len(expected) > 1
