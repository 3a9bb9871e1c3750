# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What may go wrong while a command writes, and how to make it happen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from faults.commands import SCRIPTS, Command, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITING = (
    *("openat", "flock", "write", "pwrite64", "ftruncate", "fchmod", "fchown", "fsetxattr"),
    *("fsync", "fdatasync", "syncfs", "rename", "renameat", "renameat2", "unlink", "unlinkat"),
    *("mkdir", "link", "linkat", "symlinkat"),
)
"""System calls that change files."""
NOBODY = 65534


class Fault(NamedTuple):
    """What strace does at each of the calls in turn."""

    inject: str
    calls: tuple[str, ...] = WRITING


INJECTED = {
    "kill -9": Fault("signal=KILL"),
    "EIO": Fault("error=EIO"),
    "ENOSPC": Fault("error=ENOSPC"),
    # Python repeats these calls
    "EINTR": Fault("error=EINTR", ("openat", "write", "fchmod", "fchown", "fsync", "flock")),
    "no chown": Fault("error=EPERM", ("fchown", "fsetxattr")),
}
PROMISES = {
    "kill -9": "whole",
    "EIO": "whole",
    "ENOSPC": "whole",
    "EINTR": "done",
    "no chown": "done",
    "read-only": "refused",
    "two at once": "done",
}
"""What holds of each fault, in a word of docs/robustness.md."""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    errors: list[str]


def words_of(command: Command) -> list[str]:
    return [str(SCRIPTS / command.program), *command.args]


def run(command: Command, folder: Path, *before: str | Path) -> Done:
    """Run a command in its folder, behind the words *before*."""
    done = subprocess.run(
        [*before, *words_of(command)],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stderr.splitlines())


def prepare(command: Command, folder: Path) -> None:
    """Set up, with owners and attributes that are to be kept."""
    command.set_up(folder)
    for name, data in command.writes.items():
        if data is not None:
            os.setxattr(folder / name, "user.origin", b"here")
            os.chown(folder / name, NOBODY, NOBODY)


def state(folder: Path, command: Command) -> dict[str, bytes | None]:
    """The files that a command writes."""
    found = {}
    for name in command.writes:
        path = folder / name
        found[name] = path.read_bytes() if path.exists() else None
    return found


def folders_of(command: Command, folder: Path) -> list[Path]:
    """Where a command writes."""
    return sorted({(folder / name).parent for name in command.writes})


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def traced(log: Path, command: Command, folder: Path, call: str, *inject: str) -> list[str]:
    """strace in front of a command, for one system call."""
    paths = [word for place in folders_of(command, folder) for word in ("-P", str(place))]
    only = paths if call == "openat" else []  # Python opens many files; those there are ours
    follow = ["-f"] if command.has_threads else []
    return ["strace", *follow, "-o", str(log), "-e", f"trace={call}", *inject, *only]


def calls_of(command: Command, folder: Path, calls: tuple[str, ...]) -> Counter[str]:
    """How often an undisturbed command makes each of the calls, or the busiest of its threads."""
    log = folder.parent / "strace.log"
    prepare(command, folder)
    before = traced(log, command, folder, ",".join(c for c in calls if c != "openat"))
    done = run(command, folder, *before)
    assert done.code == 0, done
    counts = _count(log)
    if "openat" in calls:
        prepare(command, folder)
        run(command, folder, *traced(log, command, folder, "openat"))
        counts |= _count(log)
    return counts


def _count(log: Path) -> Counter[str]:
    """The calls in a log of strace, by name; those of the thread that has most of them."""
    each = Counter(re.findall(r"^(\d* *)(\w+)\(", log.read_text(), re.M))
    most: Counter[str] = Counter()
    for (_, call), count in each.items():
        most[call] = max(most[call], count)
    return most


def hits(command: Command, folder: Path, fault: Fault) -> Iterator[tuple[str, Done]]:
    """Runs of a command, each with the fault at another of its calls."""
    for call, count in sorted(calls_of(command, folder, fault.calls).items()):
        for when in range(1, count + 1):
            prepare(command, folder)
            inject = ("-e", f"inject={call}:{fault.inject}:when={when}")
            log = folder.parent / "strace.log"
            done = run(command, folder, *traced(log, command, folder, call, *inject))
            # how threads share the calls differs each time
            if not command.has_threads or re.search("INJECTED|killed by", log.read_text()):
                yield f"{call} {when} of {count}", done


def read_only(folder: Path) -> list[str]:
    """What mounts *folder* read-only, for one command."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mount, str(folder)]


def missing_tool() -> str | None:
    """Why faults cannot be made here."""
    if os.geteuid() != 0:
        return "only root may change owners and mount"
    for program in ("strace", "unshare", "openssl"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None
