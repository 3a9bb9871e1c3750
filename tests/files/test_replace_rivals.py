# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replacing a file beside other runs, living and dead, and what they leave."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from files.modules import (
    HELPER,
    NEW,
    NOBODY,
    OLD,
    REMNANT,
    as_nobody,
    names,
    open_files,
    require_root,
)
from kbtf.errors import KbtfError
from kbtf.files.replace import Replacement, remove_file, replace_file

if TYPE_CHECKING:
    from pathlib import Path


def test_temporary_is_private_and_locked_until_committed(module: Path) -> None:
    replacement = Replacement(str(module))
    assert replacement.stage(NEW)
    temporary = module.parent / names(module.parent)[0]
    assert temporary.name.startswith(".a.ko.kbtf-")
    with temporary.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert module.read_bytes() == OLD
    replacement.close()
    assert names(module.parent) == ["a.ko"]


def test_temporary_is_born_private(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    write = os.write

    def note_mode(file: int, data: bytes) -> int:
        modes.append(stat.S_IMODE(os.fstat(file).st_mode))
        return write(file, data)

    monkeypatch.setattr(os, "write", note_mode)
    module.chmod(0o666)
    replace_file(str(module), NEW)
    assert modes == [0o600]


def test_closing_twice_is_harmless(module: Path) -> None:
    replacement = Replacement(str(module))
    replacement.stage(NEW)
    replacement.commit()
    replacement.close()
    replacement.close()
    assert module.read_bytes() == NEW


def test_no_file_stays_open(module: Path) -> None:
    before = open_files()
    replace_file(str(module), NEW)
    replace_file(str(module), NEW)
    with pytest.raises(KbtfError):
        replace_file(str(module.parent), NEW)
    with pytest.raises(KbtfError):
        replace_file(str(module.parent / "new.ko"), NEW, like="/none")
    assert open_files() == before


@pytest.mark.parametrize("content", [OLD, NEW], ids=["unchanged", "replaced"])
def test_unlocked_remnant_is_removed(module: Path, content: bytes) -> None:
    (module.parent / REMNANT).write_bytes(b"part")
    (module.parent / REMNANT).chmod(0o400)
    replace_file(str(module), content)
    assert names(module.parent) == ["a.ko"]


def test_read_only_remnant_of_an_ordinary_user_is_removed(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_root()
    remnant = module.parent / REMNANT
    remnant.touch(0o400)
    for path in (module, remnant, module.parent):
        os.chown(path, NOBODY, NOBODY)
    monkeypatch.chdir(module.parent)
    with as_nobody():
        replace_file("a.ko", NEW)
    assert names(module.parent) == ["a.ko"]


def test_locked_temporary_of_a_living_run_stays(module: Path) -> None:
    with (module.parent / REMNANT).open("w") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        replace_file(str(module), NEW)
        assert names(module.parent) == [REMNANT, "a.ko"]
    replace_file(str(module), NEW)
    assert names(module.parent) == ["a.ko"]


@pytest.mark.parametrize(
    "name",
    [
        ".a.ko.kbtf-notes",
        ".a.ko.kbtf-0123456789abcdeg",
        ".a.ko.kbtf-0123456789abcdef0",
        ".b.ko.kbtf-0123456789abcdef",
        "a.ko.kbtf-0123456789abcdef",
        ".a.ko.kbtf-0123456789abcdef.kbtf-0123456789abcdef",
    ],
)
def test_file_with_a_similar_name_stays(module: Path, name: str) -> None:
    (module.parent / name).touch()
    replace_file(str(module), NEW)
    assert (module.parent / name).exists()


def test_removed_file_takes_its_remnants_along(module: Path) -> None:
    """Also those that a killed run had given to the owner of the file."""
    require_root()
    remnant = module.parent / REMNANT
    remnant.touch(0o600)
    for path in (module, remnant):
        os.chown(path, NOBODY, NOBODY)

    remove_file(str(module))
    remove_file(str(module))  # nothing is there any more

    assert names(module.parent) == []


def test_a_missing_file_is_rid_of_its_remnants_too(module: Path) -> None:
    (module.parent / REMNANT).touch(0o600)
    module.unlink()

    remove_file(str(module))

    assert names(module.parent) == []


def test_removed_link_leaves_its_target(module: Path) -> None:
    link = module.parent / "link.ko"
    link.symlink_to(module)

    remove_file(str(link))

    assert names(module.parent) == [module.name]


def test_symbolic_link_named_like_a_remnant_stays(module: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    (module.parent / REMNANT).symlink_to(tmp_path / "precious")
    replace_file(str(module), NEW)
    assert (module.parent / REMNANT).is_symlink()
    assert (tmp_path / "precious").exists()


def test_folder_and_fifo_named_like_remnants_stay(module: Path) -> None:
    (module.parent / REMNANT).mkdir()
    fifo = module.parent / REMNANT.replace("0", "f")
    os.mkfifo(fifo)
    replace_file(str(module), NEW)
    assert names(module.parent) == sorted([REMNANT, fifo.name, "a.ko"])


def test_remnant_of_another_user_stays(module: Path) -> None:
    require_root()
    (module.parent / REMNANT).touch()
    os.chown(module.parent / REMNANT, 4321, 4321)
    replace_file(str(module), NEW)
    assert (module.parent / REMNANT).exists()


def test_temporary_removed_before_it_was_locked_is_made_anew(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    flock = fcntl.flock

    def remove_first(file: int, operation: int) -> None:
        (temporary,) = set(names(module.parent)) - {"a.ko"}
        if not seen:
            (module.parent / temporary).unlink()
        seen.append(temporary)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    assert replace_file(str(module), NEW).replaced
    assert len(set(seen)) == 2
    assert module.read_bytes() == NEW
    assert names(module.parent) == ["a.ko"]


def test_temporary_locked_by_another_run_first_is_made_anew(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rivals: list[int] = []
    flock = fcntl.flock

    def lock_first(file: int, operation: int) -> None:
        if not rivals:
            (temporary,) = set(names(module.parent)) - {"a.ko"}
            rivals.append(os.open(module.parent / temporary, os.O_RDWR))
            flock(rivals[0], fcntl.LOCK_EX)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_first)
    assert replace_file(str(module), NEW).replaced
    assert os.fstat(rivals[0]).st_ino != module.stat().st_ino
    os.close(rivals[0])
    assert module.read_bytes() == NEW
    assert names(module.parent) == ["a.ko"]


def test_runs_at_once_each_replace_the_whole_file(module: Path) -> None:
    size, letters = 300_000, "xyz"
    module.write_bytes(b"x" * size)
    runs = [subprocess.Popen([*HELPER, module, letter, str(size), "40"]) for letter in letters]
    whole = {letter.encode() * size for letter in letters}
    seen = set()
    while any(run.poll() is None for run in runs):
        seen.add(module.read_bytes())
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert seen <= whole
    assert len(seen) > 1
    assert module.read_bytes() in whole
    assert names(module.parent) == ["a.ko"]


def test_start_up_does_without_heavy_modules() -> None:
    heavy = "{'tempfile', 'pathlib', 'shutil', 'secrets', 'subprocess', 'logging', 'dataclasses'}"
    script = f"import sys, kbtf.files.replace; print({heavy} & set(sys.modules))"
    # without site, which imports what other packages ask for
    search = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-S", "-c", script]
    assert subprocess.check_output(command, env=search, text=True) == "set()\n"
