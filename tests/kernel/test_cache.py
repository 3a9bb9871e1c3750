# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The cache of unpacked BTF: what it gives is what was stored, and no failure of it is one."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from kbtf.kernel import cache

BLOB = memoryview(bytes(range(256)) * 20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KBTF_CACHE_DIR", str(tmp_path / "deep" / "cache"))
    found = cache.directory()
    assert found is not None
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "vmlinuz"
    file.write_bytes(b"some kernel")
    return file


def entries(folder: str) -> list[Path]:
    return sorted(Path(folder).iterdir())


def test_the_folder_is_ours_alone(folder: str) -> None:
    assert Path(folder).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("spoil", ["open", "link", "file", "relative", "below a file", "nowhere"])
def test_a_folder_that_others_may_reach_is_not_used(
    spoil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cache"
    if spoil == "open":
        path.mkdir()
        path.chmod(0o750)
    elif spoil == "link":
        (tmp_path / "real").mkdir(mode=0o700)
        path.symlink_to("real")
    elif spoil == "file":
        path.touch()
    elif spoil == "relative":
        monkeypatch.chdir(tmp_path)
        path = Path("cache")
    elif spoil == "below a file":
        path.touch()
        path = path / "cache"
    elif spoil == "nowhere":
        path = Path("/proc/nothing/here")
    monkeypatch.setenv("KBTF_CACHE_DIR", str(path))

    assert cache.directory() is None


def test_root_does_not_use_the_folder_of_whoever_called_sudo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KBTF_CACHE_DIR", raising=False)

    assert cache.directory() == "/var/cache/kbtf"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("xdg", "used"), [("mine", "mine/kbtf"), ("roots", "home/.cache/kbtf")])
def test_others_do_not_use_a_folder_of_someone_else(xdg: str, used: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root, who can change to another user")
    nobody = 65534
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - the other user must get through
        for name, owner in (("mine", nobody), ("home", nobody), ("roots", 0)):
            path = Path(folder) / name
            path.mkdir()
            os.chown(path, owner, owner)
        env = {"HOME": f"{folder}/home", "XDG_CACHE_HOME": f"{folder}/{xdg}"}
        code = (
            f"import os; from kbtf.kernel import cache; os.seteuid({nobody}); "
            "print(cache.directory())"
        )
        words = [sys.executable, "-c", code]
        said = subprocess.check_output(words, env=env, text=True, cwd="/")

        assert said.strip() == f"{folder}/{used}"


def test_what_is_stored_is_found(folder: str, source: Path) -> None:
    assert cache.look_up(source.stat(), folder) is None
    assert cache.store(source.stat(), BLOB, "6.1.0_rc-1", folder)
    found = cache.look_up(source.stat(), folder)

    assert found is not None
    assert found.data[:] == BLOB
    assert found.release == "6.1.0_rc-1"
    assert Path(found.path).read_bytes() == BLOB
    assert Path(found.path).stat().st_mode & 0o777 == 0o600
    assert len(entries(folder)) == 1


def test_a_release_may_be_unknown(folder: str, source: Path) -> None:
    cache.store(source.stat(), BLOB, None, folder)
    found = cache.look_up(source.stat(), folder)

    assert found is not None
    assert found.release is None


@pytest.mark.parametrize("change", ["grown", "touched", "replaced", "mode"])
def test_a_changed_source_is_another(change: str, folder: str, source: Path) -> None:
    cache.store(source.stat(), BLOB, None, folder)
    before = source.stat()
    if change == "grown":
        source.write_bytes(b"some other kernel")
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "touched":
        os.utime(source, ns=(0, before.st_mtime_ns + 1))
    elif change == "replaced":
        other = source.with_name("other")
        other.write_bytes(source.read_bytes())
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(source)
    else:
        source.chmod(0o600)  # nothing of the contents: it costs time only

    assert cache.look_up(source.stat(), folder) is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "link", "folder"])
def test_a_damaged_entry_is_not_used(damage: str, folder: str, source: Path) -> None:
    cache.store(source.stat(), BLOB, None, folder)
    (entry,) = entries(folder)
    if damage == "flipped":
        entry.write_bytes(bytes(BLOB[:-1]) + b"\0")
    elif damage in ("cut", "empty"):
        os.truncate(entry, 100 if damage == "cut" else 0)
    else:
        entry.rename(source.with_name("moved"))
        if damage == "link":
            entry.symlink_to(source.with_name("moved"))
        else:
            entry.mkdir()

    assert cache.look_up(source.stat(), folder) is None
    assert damage == "folder" or not entries(folder)
    if damage != "folder":
        assert cache.store(source.stat(), BLOB, None, folder)
        assert cache.look_up(source.stat(), folder) is not None


def test_the_oldest_use_goes_first(folder: str, source: Path, tmp_path: Path) -> None:
    sources = [tmp_path / str(number) for number in range(4)]
    for age, file in enumerate(sources):
        file.touch()
        cache.store(file.stat(), BLOB, str(age), folder)
    for entry in entries(folder):
        when = 1_000_000 - int(entry.name.rpartition("_")[2].removesuffix(".btf"))
        os.utime(entry, (when, when))
    assert cache.look_up(sources[3].stat(), folder)  # the oldest, and used now

    cache.prune(folder, max_entries=2)
    assert [bool(cache.look_up(file.stat(), folder)) for file in sources] == [1, 0, 0, 1]
    cache.prune(folder, max_bytes=len(BLOB) * 2 - 1)
    assert len(entries(folder)) == 1


@pytest.mark.parametrize(("age", "recorded"), [(20, False), (90, True), (-1000, True)])
def test_a_use_is_recorded_once_a_minute(
    age: int, recorded: bool, folder: str, source: Path
) -> None:
    cache.store(source.stat(), BLOB, None, folder)
    (entry,) = entries(folder)
    when = int(time.time()) - age
    os.utime(entry, (when, when))

    assert cache.look_up(source.stat(), folder)

    assert (entry.stat().st_mtime != when) == recorded


def test_storing_keeps_the_bounds(folder: str, tmp_path: Path) -> None:
    for number in range(cache.MAX_ENTRIES + 3):
        file = tmp_path / str(number)
        file.touch()
        assert cache.store(file.stat(), BLOB[:100], None, folder)

    assert len(entries(folder)) == cache.MAX_ENTRIES
    assert cache.look_up(file.stat(), folder)


def test_what_a_killed_run_left_goes_in_time(folder: str, source: Path) -> None:
    old, young = Path(folder) / ".1-dead", Path(folder) / ".2-live"
    for file, age in ((old, 7200), (young, 10)):
        file.touch()
        when = source.stat().st_mtime - age
        os.utime(file, (when, when))
    cache.store(source.stat(), BLOB, None, folder)

    assert not old.exists()
    assert young.exists()


def test_no_folder_no_entry_no_error(source: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")

    assert not cache.store(source.stat(), BLOB, None, nowhere)
    assert cache.look_up(source.stat(), nowhere) is None
    cache.prune(nowhere)


def test_a_full_disk_leaves_nothing_behind(folder: str, source: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        assert not cache.store(source.stat(), BLOB, None, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert entries(folder) == []
