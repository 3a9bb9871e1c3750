# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replacing a mapped file, most of which is written while its new content is being made."""

from __future__ import annotations

import _thread
import errno
import fcntl
import mmap
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from files.modules import NOBODY, REPLACED, UNCHANGED, names, open_files, require_root
from kbtf.files.ahead import Ahead
from kbtf.files.pieces import Pieces
from kbtf.files.replace import Replacement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = (3 << 20) + 1000


def mapped(path: Path, size: int = SIZE) -> mmap.mmap:
    """A file of that size, without repetitions, mapped."""
    path.write_bytes(b"".join(at.to_bytes(4, "little") for at in range(size // 4)))
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)


def until_written(path: Path) -> None:
    """Wait until a temporary next to *path* has as many bytes."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        sizes = [other.stat().st_size for other in path.parent.iterdir() if other != path]
        if sizes == [path.stat().st_size]:
            return
        time.sleep(0.001)
    pytest.fail("nothing is written")


def cut(source: mmap.mmap, cuts: list[tuple[int, int]]) -> Pieces:
    """New bytes, and views of *source*: of each, where it starts, and its length."""
    whole = memoryview(source)
    parts: list[bytes | memoryview] = []
    for start, length in cuts:
        parts += [whole[start : start + length], b"new"]
    return Pieces(parts)


CHANGES: dict[str, Callable[[mmap.mmap], Pieces]] = {
    "patched": lambda old: Pieces([b"head", memoryview(old)[4:2000], b"!", memoryview(old)[2001:]]),
    "appended": lambda old: Pieces([memoryview(old), b"tail"]),
    "moved": lambda old: Pieces([memoryview(old)[:70], b"more", memoryview(old)[70:]]),
    "shorter": lambda old: Pieces([memoryview(old)[: 2 << 20]]),
    "shorter and moved": lambda old: Pieces([memoryview(old)[4096:], memoryview(old)[:9]]),
    "all new": lambda old: Pieces([bytes(len(old) // 2)]),
    "empty": lambda old: Pieces([]),
}


@pytest.mark.parametrize("wait", [True, False], ids=["written", "stopped"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_new_content_is_whole(change: str, wait: bool, tmp_path: Path) -> None:
    module = tmp_path / "a.ko"
    old = mapped(module)
    content = CHANGES[change](old)
    expected = content.to_bytes()
    with closing(Replacement(str(module))) as replacement:
        replacement.begin(old)
        if wait:
            until_written(module)
        assert replacement.write(content) == REPLACED
    assert module.read_bytes() == expected
    assert names(tmp_path) == ["a.ko"]


@settings(max_examples=25, deadline=None)  # each waits for the disk
@given(st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=4))
def test_any_views_of_the_old_content(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, int]]
) -> None:
    module = tmp_path_factory.mktemp("ahead") / "a.ko"
    old = mapped(module, 1 << 16)
    content = cut(old, [(start % (1 << 16), length % (1 << 16)) for start, length in cuts])
    expected = content.to_bytes()
    with closing(Replacement(str(module))) as replacement:
        replacement.begin(old)
        replacement.write(content)
    assert module.read_bytes() == expected


def written_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what is written from now on."""
    sizes: list[int] = []
    write = os.write

    def note_size(file: int, data: memoryview) -> int:
        sizes.append(len(data))
        return write(file, data)

    monkeypatch.setattr(os, "write", note_size)
    return sizes


def test_what_stays_in_place_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "a.ko"
    old = mapped(module)
    content = CHANGES["patched"](old)
    with closing(Replacement(str(module))) as replacement:
        replacement.begin(old)
        until_written(module)
        sizes = written_sizes(monkeypatch)
        replacement.write(content)
    assert sizes == [len(b"head"), len(b"!")]


def test_nothing_changes_unless_it_is_written(tmp_path: Path) -> None:
    module = tmp_path / "a.ko"
    old = mapped(module)
    before = open_files()
    with closing(Replacement(str(module))) as replacement:
        replacement.begin(old)
    assert names(tmp_path) == ["a.ko"]
    assert module.read_bytes() == old[:]
    assert open_files() == before


def test_the_same_content_is_not_written(tmp_path: Path) -> None:
    module = tmp_path / "a.ko"
    old = mapped(module)
    inode = module.stat().st_ino
    with closing(Replacement(str(module))) as replacement:
        replacement.begin(old)
        assert replacement.write(Pieces([old])) == UNCHANGED
    assert module.stat().st_ino == inode
    assert names(tmp_path) == ["a.ko"]


def test_a_new_file_takes_its_attributes_from_the_model(tmp_path: Path) -> None:
    module, new = tmp_path / "a.ko", tmp_path / "new.ko"
    old = mapped(module)
    module.chmod(0o640)
    with closing(Replacement(str(new))) as replacement:
        replacement.begin(old)
        assert replacement.write(Pieces([old, b"tail"]), like=str(module)) == REPLACED
    assert new.read_bytes() == old[:] + b"tail"
    assert new.stat().st_mode & 0o777 == 0o640


def test_a_new_file_without_a_model_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    new = tmp_path / "new.ko"
    old = mapped(tmp_path / "a.ko")
    umask = os.umask(0o027)
    try:
        with closing(Replacement(str(new))) as replacement:
            replacement.begin(old)
            assert replacement.write(Pieces([old, b"tail"])) == REPLACED
    finally:
        os.umask(umask)
    assert new.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["a.ko", "new.ko"]


def test_a_folder_that_does_not_exist_is_reported_when_it_is_needed(tmp_path: Path) -> None:
    old = mapped(tmp_path / "a.ko")
    with closing(Replacement(str(tmp_path / "none" / "new.ko"))) as replacement:
        replacement.begin(old)


@pytest.mark.parametrize("failing", ["write", "fsync"])
def test_what_may_not_have_reached_the_disk_is_written_again(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux reports a failed writeback once, to the first fsync."""
    file = os.open(tmp_path / "new", os.O_RDWR | os.O_CREAT)
    old = mapped(tmp_path / "a.ko")
    tried = []

    def fail(*_: object) -> int:
        tried.append(True)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    ahead = Ahead(old, file)
    with monkeypatch.context() as patched:
        patched.setattr(os, failing, fail)
        ahead.start()
        limit = time.monotonic() + 30
        while not tried and time.monotonic() < limit:
            time.sleep(0.001)
        ahead.stop()
    assert tried
    sizes = written_sizes(monkeypatch)
    ahead.write_rest(Pieces([old]))
    os.close(file)
    assert sum(sizes) == len(old)
    assert (tmp_path / "new").read_bytes() == old[:]


def test_a_system_that_allows_no_more_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    module = tmp_path / "a.ko"
    old = mapped(module)
    with closing(Replacement(str(module))) as replacement:
        replacement.begin(old)
        assert replacement.write(Pieces([old, b"tail"])) == REPLACED
    assert module.read_bytes() == old[:] + b"tail"


@pytest.mark.parametrize("started", [True, False])
def test_a_signal_when_the_thread_starts(
    started: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread must not go on with a descriptor that has become another file's."""
    start = _thread.start_new_thread

    def interrupted(function: Callable[[], object], args: tuple[()]) -> int:
        if started:
            start(function, args)
        raise KeyboardInterrupt

    monkeypatch.setattr(_thread, "start_new_thread", interrupted)
    module = tmp_path / "a.ko"
    old = mapped(module)
    with pytest.raises(KeyboardInterrupt), closing(Replacement(str(module))) as replacement:
        replacement.begin(old)
    others = [os.open(tmp_path / f"other{at}", os.O_RDWR | os.O_CREAT) for at in range(4)]
    time.sleep(0.1)
    assert [os.fstat(other).st_size for other in others] == [0] * 4
    for other in others:
        os.close(other)
    assert [name for name in names(tmp_path) if "kbtf" in name] == []


def test_another_users_link_leads_nowhere_before_it_is_judged(tmp_path: Path) -> None:
    require_root()
    old = mapped(tmp_path / "a.ko")
    (tmp_path / "victim").mkdir()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / "out.ko"
    link.symlink_to(tmp_path / "victim" / "new.ko")
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with closing(Replacement(str(link))) as replacement:
        replacement.begin(old)
        assert names(tmp_path / "victim") == []


def test_its_own_temporary_is_no_remnant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a file system that grants every lock."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    module = tmp_path / "a.ko"
    old = mapped(module)
    with closing(Replacement(str(module))) as replacement:
        replacement.begin(old)
        assert replacement.write(Pieces([old, b"tail"])) == REPLACED


def test_only_views_of_the_source_in_their_place_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = os.open(tmp_path / "new", os.O_RDWR | os.O_CREAT)
    old, other = mapped(tmp_path / "a.ko"), mapped(tmp_path / "b.ko")
    ahead = Ahead(old, file)
    ahead.start()
    limit = time.monotonic() + 30
    while os.fstat(file).st_size < len(old) and time.monotonic() < limit:
        time.sleep(0.001)
    ahead.stop()
    view = memoryview(old)
    cases: list[tuple[list[bytes | memoryview], int]] = [
        ([view], 0),
        ([view[:100], b"x" * 50, view[150:]], 50),
        ([view[:100], memoryview(other)[100:200], view[200:]], 100),
        ([view[:100], old[100:200], view[200:300]], 100),
        ([b"x", view[:9]], 10),
    ]
    for parts, written in cases:
        with monkeypatch.context() as patched:
            sizes = written_sizes(patched)
            ahead.write_rest(Pieces(parts))
        assert sum(sizes) == written
        assert (tmp_path / "new").read_bytes() == Pieces(parts).to_bytes()
        os.pwrite(file, old, 0)
    os.close(file)


def test_a_source_that_was_truncated_is_an_error(tmp_path: Path) -> None:
    """Not the end of the process by a signal."""
    module = tmp_path / "a.ko"
    old = mapped(module)
    os.truncate(module, 0)
    with pytest.raises(OSError, match="Bad address"), (tmp_path / "new").open("wb") as new:
        Pieces([old]).write_to(new.fileno())
