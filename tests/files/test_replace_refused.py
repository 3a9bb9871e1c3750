# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replacing a file: what can be no output, and what the system refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from files.modules import (
    HELPER,
    NEW,
    OLD,
    REMNANT,
    UNCHANGED,
    as_nobody,
    names,
    require,
    require_root,
)
from kbtf.errors import KbtfError, MachineError
from kbtf.files.replace import replace_file

# What can be no output


def test_directory_is_an_error(folder: Path) -> None:
    with pytest.raises(KbtfError, match="folder: is not a regular file"):
        replace_file(str(folder), NEW)


def test_missing_directory_with_a_slash_is_an_error(folder: Path) -> None:
    with pytest.raises(KbtfError, match="is not the name of a file"):
        replace_file(f"{folder}/new/", NEW)


def test_fifo_is_an_error(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(KbtfError, match="pipe: is not a regular file"):
        replace_file(str(folder / "pipe"), NEW)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_device_is_an_error(device: str) -> None:
    with pytest.raises(KbtfError, match=f"{device}: is not a regular file"):
        replace_file(device, NEW)


def test_missing_folder_is_named(folder: Path) -> None:
    with pytest.raises(KbtfError, match=r"x\.ko: directory '.*/none' does not exist") as caught:
        replace_file(str(folder / "none" / "x.ko"), NEW)
    assert caught.value.exit_code == 3


def test_file_as_folder_is_an_error(module: Path) -> None:
    with pytest.raises(KbtfError, match="not a directory"):
        replace_file(str(module / "x.ko"), NEW)


# What the system refuses


def test_read_only_folder_is_named(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_root()
    monkeypatch.chdir(module.parent.parent)
    module.parent.chmod(0o755)
    Path().chmod(0o755)
    with as_nobody(), pytest.raises(MachineError) as caught:
        replace_file("folder/a.ko", NEW)
    assert str(caught.value) == "folder/a.ko: cannot write in directory 'folder': permission denied"
    assert caught.value.exit_code == 4
    assert module.read_bytes() == OLD
    assert names(module.parent) == ["a.ko"]


def test_same_content_in_a_read_only_folder_is_no_error(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_root()
    (module.parent / REMNANT).touch()
    monkeypatch.chdir(module.parent)
    with as_nobody():
        assert replace_file("a.ko", OLD) == UNCHANGED


def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    mount = 'mount -t tmpfs -o size=64k none "$0" && cd "$0"'
    possible = shutil.which("unshare") and not subprocess.call(
        [*unshare, "sh", "-c", mount, str(tmp_path)], stderr=subprocess.DEVNULL
    )
    require(possible, "no small disk can be mounted")
    script = f'{mount} && echo old >a.ko && "$@"; echo $?; cat a.ko; ls -A'
    done = subprocess.run(
        [*unshare, "sh", "-c", script, tmp_path, *HELPER, "a.ko", "n", "200000"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "4\nold\na.ko\n"
    assert done.stderr == "a.ko: cannot write in directory '.': no space left on device\n"


def test_file_size_limit_leaves_the_old_file(module: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 2; exec "$@"', "sh", *HELPER, module, "n", "5000"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4
    assert done.stderr.endswith(": file too large\n")
    assert module.read_bytes() == OLD
    assert names(module.parent) == ["a.ko"]
