# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Where results are written if other users can make symbolic links on the way there."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.errors import KbtfError, MachineError
from kbtf.files.place import open_place
from kbtf.files.replace import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file of root's."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    path = tmp_path / "roots" / "precious"
    path.parent.mkdir()
    path.write_bytes(b"precious")
    return path


@pytest.fixture
def sticky(tmp_path: Path) -> Path:
    """A directory as /tmp is one."""
    path = tmp_path / "sticky"
    path.mkdir()
    path.chmod(0o1777)
    return path


def link_of(owner: int, path: Path, target: Path | str) -> Path:
    path.symlink_to(target)
    os.lchown(path, owner, owner)
    return path


def test_a_link_of_another_user_in_a_sticky_directory_is_not_followed(
    precious: Path, sticky: Path
) -> None:
    link = link_of(NOBODY, sticky / "r.html", precious)
    new = link_of(NOBODY, sticky / "new.html", precious.parent / "new")
    folder = link_of(NOBODY, sticky / "folder", precious.parent)

    for path in (link, new, folder / "precious", folder / "new"):
        with pytest.raises(MachineError, match=f"belongs to user {NOBODY}"):
            replace_file(str(path), b"new")

    assert precious.read_bytes() == b"precious"
    assert os.listdir(precious.parent) == ["precious"]


@pytest.mark.parametrize("behind", ["link", "folder", "link behind a link of root's"])
def test_a_link_leads_only_to_what_belongs_to_its_owner(
    behind: str, precious: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "own").write_bytes(b"own")
    for path in (theirs, theirs / "own"):
        os.chown(path, NOBODY, NOBODY)
    if behind == "folder":
        bad = link_of(NOBODY, theirs / "f", precious.parent) / "precious"
        good = link_of(NOBODY, theirs / "g", theirs) / "own"
    else:
        bad = link_of(NOBODY, theirs / "f", precious)
        good = link_of(NOBODY, theirs / "g", "own")
    if "root" in behind:
        bad, good = (link_of(0, tmp_path / path.name, path) for path in (bad, good))

    with pytest.raises(MachineError, match=f"a symbolic link of user {NOBODY} leads to"):
        replace_file(str(bad), b"new")
    replace_file(str(good), b"new")

    assert precious.read_bytes() == b"precious"
    assert (theirs / "own").read_bytes() == b"new"


def test_links_of_the_caller_and_of_root_are_followed(precious: Path, sticky: Path) -> None:
    replace_file(str(link_of(0, sticky / "r.html", precious)), b"new")
    assert precious.read_bytes() == b"new"


@contextmanager
def swapping(path: Path, target: Path) -> Iterator[None]:
    """Another user, who makes *path* a file and a link to *target* in turn, as fast as possible."""
    child = os.fork()
    if not child:
        with suppress(BaseException):
            os.chdir(path.parent)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            while os.getppid() != 1:
                Path("next").touch()
                os.rename("next", path.name)
                os.symlink(target, "next")
                os.rename("next", path.name)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("mode", [0o1777, 0o777])
def test_a_race_with_links_is_never_won(mode: int, precious: Path, sticky: Path) -> None:
    sticky.chmod(mode)
    path = sticky / "r.html"
    done = 0
    with swapping(path, precious):
        for _ in range(500):
            with suppress(KbtfError):
                replace_file(str(path), b"new")
                done += 1

    assert precious.read_bytes() == b"precious"
    assert done


def test_the_name_and_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a/b").mkdir(parents=True)
    Path("link").symlink_to("a/../a/b")
    for path, name in {
        "new": "new",
        "./a//b/new": "new",
        "link/new": "new",
        "a/b/../new": "new",
        str(tmp_path / "link" / "x"): "x",
    }.items():
        place = open_place(path)
        assert place.name == name
        assert os.path.samestat(os.fstat(place.folder), os.stat(os.path.dirname(path) or "."))
        os.close(place.folder)


@pytest.mark.parametrize("path", ["", "/", ".", "..", "new/", "a/"])
def test_what_is_not_the_name_of_a_file(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    with pytest.raises(KbtfError, match="is not"):
        open_place(path)


def test_no_file_stays_open(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("absent/absent")
    before = os.listdir("/proc/self/fd")
    for name in ("loop", "link", "absent/x", "file/x"):
        with pytest.raises(KbtfError):
            open_place(str(tmp_path / name))
    assert os.listdir("/proc/self/fd") == before


def test_a_result_that_stays_with_another_user_is_told(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    path = tmp_path / "a.ko"
    path.write_bytes(b"old")
    os.chown(path, NOBODY, NOBODY)

    assert replace_file(str(path), b"new").warnings == (
        f"still belongs to user {NOBODY}, who can change it",
    )
    os.chown(path, 0, 0)
    assert replace_file(str(path), b"newer").warnings == ()
