# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replacing a file under faults and signals at every call that changes something."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from files.modules import CHANGING_CALLS, HELPER, NEW, NOBODY, OLD, names, require
from kbtf.files.replace import Written, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Hit:
    """One run of HELPER, one of its system calls hit by strace."""

    def __init__(self, module: Path, call: str, fault: str, when: int) -> None:
        log = module.parents[1] / "strace.log"
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}"]
        if call == "openat":  # Python opens many files; those in the folder are ours
            inject += ["-P", str(module.parent)]
        elif fault.startswith("error"):  # faster, but delivers no signals
            inject += ["-f", "--seccomp-bpf"]
        self.done = subprocess.run(
            ["strace", "-o", log, *inject, *HELPER, module, "n", str(len(NEW))],
            capture_output=True,
            text=True,
        )
        report = log.read_text()
        self.happened = "INJECTED" in report or "--- SIG" in report or "+++ killed" in report


def prepare(module: Path) -> None:
    """Make all of CHANGING_CALLS happen."""
    module.write_bytes(OLD)
    os.setxattr(module, "user.origin", b"here")
    if os.geteuid() == 0:
        os.chown(module, NOBODY, NOBODY)


def hits(module: Path, call: str, fault: str) -> Iterator[Hit]:
    """Run HELPER again and again, *fault* at each *call* in turn; must be hit at least once."""
    require(shutil.which("strace"), "strace is missing")
    require(call != "fchown" or os.geteuid() == 0, "only root may change owners")
    for when in range(1, 20):
        prepare(module)
        hit = Hit(module, call, fault, when)
        if not hit.happened:
            assert when > 1, f"no {call} was hit"
            assert hit.done.returncode == 0
            return
        yield hit
    pytest.fail(f"{call} never ends")


@pytest.mark.parametrize("call", CHANGING_CALLS)
def test_killed_run_leaves_a_whole_file_and_the_next_one_cleans_up(module: Path, call: str) -> None:
    for hit in hits(module, call, "signal=KILL"):
        assert hit.done.returncode == -signal.SIGKILL
        assert module.read_bytes() in (OLD, NEW)
        assert len(names(module.parent)) <= 2
        replace_file(str(module), NEW)
        assert module.read_bytes() == NEW
        assert names(module.parent) == ["a.ko"]
        assert os.getxattr(module, "user.origin") == b"here"


@pytest.mark.parametrize(
    ("name", "call"), [*(("TERM", call) for call in CHANGING_CALLS), ("INT", "write")]
)
def test_interrupted_run_leaves_nothing_behind(module: Path, name: str, call: str) -> None:
    for hit in hits(module, call, f"signal={name}"):
        assert hit.done.returncode == 128 + signal.Signals[f"SIG{name}"]
        assert module.read_bytes() in (OLD, NEW)
        assert names(module.parent) == ["a.ko"]


@pytest.mark.parametrize(
    ("error", "call"),
    [
        *(("EIO", call) for call in CHANGING_CALLS),
        *(("ENOSPC", call) for call in CHANGING_CALLS),
        ("EDQUOT", "write"),
        ("EROFS", "openat"),
    ],
)
def test_failing_call_leaves_the_old_file(module: Path, error: str, call: str) -> None:
    for hit in hits(module, call, f"error={error}"):
        if hit.done.returncode:
            assert hit.done.returncode == 4
            assert hit.done.stderr.splitlines()[-1].startswith(f"{module}: cannot ")
            assert "Traceback" not in hit.done.stderr
            assert module.read_bytes() == OLD
        else:  # the folder could not be flushed, after the file was replaced
            assert call == "fsync"
            assert module.read_bytes() == NEW
        assert names(module.parent) == ["a.ko"]


@pytest.mark.parametrize("call", ["openat", "write", "fchown", "fchmod", "fsync", "flock"])
def test_interrupted_call_is_repeated(module: Path, call: str) -> None:
    for hit in hits(module, call, "error=EINTR"):
        assert hit.done.returncode == 0
        assert module.read_bytes() == NEW
        assert names(module.parent) == ["a.ko"]


def test_interrupted_rename_fails_whole(module: Path) -> None:
    for hit in hits(module, "/^rename", "error=EINTR"):
        assert hit.done.returncode == 4
        assert module.read_bytes() == OLD
        assert names(module.parent) == ["a.ko"]


@pytest.mark.parametrize("call", ["fchown", "fsetxattr", "fchmod"])
def test_forbidden_attribute_is_no_failure(module: Path, call: str) -> None:
    for hit in hits(module, call, "error=EPERM"):
        assert hit.done.returncode == 0
        assert module.read_bytes() == NEW


@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_file_system_without_locks(module: Path, error: str) -> None:
    for hit in hits(module, "flock", f"error={error}"):
        assert hit.done.returncode == 0
        assert module.read_bytes() == NEW
        assert names(module.parent) == ["a.ko"]


def test_content_is_on_the_disk_before_it_gets_the_name(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync = os.fsync

    def note_state(file: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file"
        order.append(f"{kind} flushed, {'new' if module.read_bytes() == NEW else 'old'}")
        fsync(file)

    monkeypatch.setattr(os, "fsync", note_state)
    replace_file(str(module), NEW)
    assert order == ["file flushed, old", "folder flushed, new"]


@pytest.mark.parametrize(
    ("error", "notes"),
    [
        (errno.EIO, ["may not survive a power failure: input/output error"]),
        (errno.EINVAL, []),  # this file system flushes no folders
    ],
)
def test_folder_that_cannot_be_flushed_is_noted(
    module: Path, monkeypatch: pytest.MonkeyPatch, error: int, notes: list[str]
) -> None:
    fsync = os.fsync

    def fail_for_folders(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(error, os.strerror(error))
        fsync(file)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    assert replace_file(str(module), NEW) == Written(True, notes)
