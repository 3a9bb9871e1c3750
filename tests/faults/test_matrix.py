# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Every command that writes, under every fault: each file is the old or the new one, whole.

Each cell of the table in docs/robustness.md is a test here, and the other way round.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from faults import faults
from faults.commands import COMMANDS, Command, environment, key_and_certificate
from faults.faults import INJECTED, PROMISES, names_in, prepare, run, state

if TYPE_CHECKING:
    from faults.faults import Done

on_every_command = pytest.mark.parametrize("name", COMMANDS)
PAIRS = 5


@pytest.fixture(scope="session")
def signing() -> dict[str, bytes]:
    """A key and its certificate."""
    return key_and_certificate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of its own, so that everything in it is accounted for."""
    reason = faults.missing_tool()
    if reason:
        missing(reason)
    made = tmp_path / "folder"
    made.mkdir()
    return made


class Case:
    """A command, and what it makes of its files when nothing goes wrong."""

    def __init__(self, name: str, folder: Path, signing: dict[str, bytes]) -> None:
        command = COMMANDS[name]
        if "--sign" in command.args:
            command = command._replace(reads={**command.reads, **signing})
        self.command: Command = command
        self.folder = folder
        prepare(command, folder)
        self.old = state(folder, command)
        self.untouched = names_in(folder)
        self.clean()
        self.new = state(folder, command)
        self.names = names_in(folder)
        assert all(self.new.values())
        assert all(self.new[name] != self.old[name] for name in self.new)

    def clean(self) -> None:
        done = run(self.command, self.folder)
        assert done == (0, done.errors)

    def is_whole(self, where: str) -> None:
        for name, data in state(self.folder, self.command).items():
            assert data in (self.old[name], self.new[name]), f"{where}: {name}"

    def next_run_cleans_up(self, where: str) -> None:
        self.clean()
        assert state(self.folder, self.command) == self.new, where
        assert names_in(self.folder) == self.names, where

    def is_refused(self, done: Done, where: str) -> None:
        """In one line, and with nothing left behind."""
        lines = [line for line in done.errors if not line.startswith("  ")]
        assert done.code == self.command.failure, (where, done)
        assert "Traceback (most recent call last):" not in lines, where
        self.is_whole(where)
        assert set(names_in(self.folder)) <= set(self.names), where


@pytest.fixture
def case(name: str, folder: Path, signing: dict[str, bytes]) -> Case:
    return Case(name, folder, signing)


@pytest.mark.integration
@on_every_command
def test_killed(case: Case) -> None:
    for where, done in faults.hits(case.command, case.folder, INJECTED["kill -9"]):
        assert done.code == -signal.SIGKILL, where
        case.is_whole(where)
        case.next_run_cleans_up(where)


@pytest.mark.integration
@on_every_command
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
def test_failing_call(case: Case, fault: str) -> None:
    for where, done in faults.hits(case.command, case.folder, INJECTED[fault]):
        if done.code:
            case.is_refused(done, where)
        else:  # what does no harm, or comes too late for it
            assert state(case.folder, case.command) == case.new, (where, done)
        case.next_run_cleans_up(where)


@pytest.mark.integration
@on_every_command
def test_interrupted_call(case: Case) -> None:
    for where, done in faults.hits(case.command, case.folder, INJECTED["EINTR"]):
        assert done.code == 0, (where, done)
        assert state(case.folder, case.command) == case.new, where
        assert names_in(case.folder) == case.names, where


@pytest.mark.integration
@on_every_command
def test_no_permission_to_chown(case: Case) -> None:
    for where, done in faults.hits(case.command, case.folder, INJECTED["no chown"]):
        assert done.code == 0, (where, done)
        assert state(case.folder, case.command) == case.new, where


@pytest.mark.integration
@on_every_command
def test_read_only(case: Case) -> None:
    prepare(case.command, case.folder)

    done = run(case.command, case.folder, *faults.read_only(case.folder))

    if case.command.keeps:  # make itself cannot write
        assert done.code != 0
    else:
        case.is_refused(done, "read-only")
    assert state(case.folder, case.command) == case.old
    assert names_in(case.folder) == case.untouched


@pytest.mark.integration
@on_every_command
def test_two_at_once(case: Case) -> None:
    for _ in range(PAIRS):
        prepare(case.command, case.folder)
        both = [
            subprocess.Popen(
                faults.words_of(case.command),
                cwd=case.folder,
                env=environment(case.folder),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        errors = [process.communicate(timeout=60)[1] for process in both]
        assert [process.returncode for process in both] == [0, 0], errors
        assert state(case.folder, case.command) == case.new
        assert names_in(case.folder) == case.names


def test_the_table_in_the_documentation_has_every_cell(root: Path) -> None:
    text = (root / "docs/robustness.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    table = {row[0]: row[1:] for row in rows}

    assert table["command"] == list(PROMISES)
    wanted = {f"`{name}`": list(PROMISES.values()) for name in COMMANDS}
    assert {name: row for name, row in table.items() if name in wanted} == wanted
