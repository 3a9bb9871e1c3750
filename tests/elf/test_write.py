"""Replacing a file whole or not at all: with what it keeps, under faults, signals and rivals."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.elf.write import Replacement, Written, replace_file
from kbtf.errors import KbtfError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

HELPER = [sys.executable, str(Path(__file__).parents[1] / "faults" / "replace.py")]
NOBODY = 65534
REPLACED = Written(True, [])
UNCHANGED = Written(False, [])
OLD = b"old " * 1000
NEW = b"n" * 5000  # what HELPER writes for ("n", "5000")
REMNANT = ".a.ko.kbtf-0123456789abcdef"
CHANGING_CALLS = ["openat", "flock", "write", "fchown", "fsetxattr", "fchmod", "fsync", "/^rename"]


def require(condition: object, reason: str) -> None:
    """Skip without *condition*, or fail where nothing may be skipped."""
    if not condition:
        (pytest.fail if os.environ.get("KBTF_REQUIRE_ALL") == "1" else pytest.skip)(reason)


def require_root() -> None:
    require(os.geteuid() == 0, "only root may change owners")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Run without privileges; only paths relative to the current directory are within reach."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of its own, so that everything in it is accounted for."""
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def module(folder: Path) -> Path:
    """A module with its old content, alone in its folder."""
    path = folder / "a.ko"
    path.write_bytes(OLD)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An access control list as extended attributes hold it: tag, permissions, id."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ACL_FOR_NOBODY = acl(
    (0x01, 6, 0xFFFFFFFF),  # owner
    (0x02, 6, NOBODY),
    (0x04, 4, 0xFFFFFFFF),  # group
    (0x10, 6, 0xFFFFFFFF),  # mask
    (0x20, 4, 0xFFFFFFFF),  # others
)


# What replacing keeps


def test_other_content_replaces_the_file(module: Path) -> None:
    inode = module.stat().st_ino
    assert replace_file(str(module), NEW) == REPLACED
    assert module.read_bytes() == NEW
    assert module.stat().st_ino != inode
    assert names(module.parent) == ["a.ko"]


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_same_content_leaves_the_file_untouched(module: Path, size: int) -> None:
    content = bytes(size)
    module.write_bytes(content)
    os.utime(module, (1, 1))
    os.utime(module.parent, (1, 1))
    before = module.stat()
    assert replace_file(str(module), content) == UNCHANGED
    after = module.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert module.parent.stat().st_mtime == 1


def test_last_byte_beyond_a_chunk_differs(module: Path) -> None:
    module.write_bytes(bytes(1 << 20) + b"a")
    assert replace_file(str(module), bytes(1 << 20) + b"b").replaced
    assert module.read_bytes()[-1:] == b"b"


def test_same_beginning_of_other_length_differs(module: Path) -> None:
    assert replace_file(str(module), OLD[:-1]).replaced
    assert module.read_bytes() == OLD[:-1]


def test_empty_content(module: Path) -> None:
    assert replace_file(str(module), b"").replaced
    assert module.read_bytes() == b""


def test_memoryview_of_wide_items(module: Path) -> None:
    replace_file(str(module), memoryview(struct.pack("=4I", 1, 2, 3, 4)).cast("I"))
    assert module.read_bytes() == struct.pack("=4I", 1, 2, 3, 4)


def test_short_writes_are_continued(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    replace_file(str(module), NEW)
    assert module.read_bytes() == NEW


@pytest.mark.parametrize("bits", [0o644, 0o600, 0o444, 0o4755, 0o666])
def test_mode_is_kept(module: Path, bits: int) -> None:
    module.chmod(bits)
    assert replace_file(str(module), NEW).notes == []
    assert mode(module) == bits


def test_owner_and_group_are_kept(module: Path) -> None:
    require_root()
    os.chown(module, 1234, 5678)
    module.chmod(0o6755)
    assert replace_file(str(module), NEW).notes == []
    assert (module.stat().st_uid, module.stat().st_gid) == (1234, 5678)
    assert mode(module) == 0o6755


def test_extended_attributes_are_kept(module: Path) -> None:
    wanted = {"user.origin": b"here \0\xff"}
    if os.geteuid() == 0:
        wanted["security.selinux"] = b"system_u:object_r:modules_object_t:s0"
        wanted["trusted.kbtf"] = b"1"
    for name, value in wanted.items():
        os.setxattr(module, name, value)
    assert replace_file(str(module), NEW).notes == []
    assert {name: os.getxattr(module, name) for name in os.listxattr(module)} == wanted


def test_access_control_list_is_kept(module: Path) -> None:
    os.setxattr(module, "system.posix_acl_access", ACL_FOR_NOBODY)
    assert replace_file(str(module), NEW).notes == []
    assert os.getxattr(module, "system.posix_acl_access") == ACL_FOR_NOBODY


def test_default_access_control_list_of_the_folder_gives_nobody_more(module: Path) -> None:
    os.setxattr(module.parent, "system.posix_acl_default", ACL_FOR_NOBODY)
    module.chmod(0o640)
    assert replace_file(str(module), NEW).notes == []
    assert os.listxattr(module) == []
    assert mode(module) == 0o640


def test_signature_of_the_old_content_is_not_kept(module: Path) -> None:
    require_root()
    os.setxattr(module, "security.ima", b"\x03\x02")
    assert replace_file(str(module), NEW).notes == [
        "security.ima not kept: it vouches for the old content"
    ]
    assert os.listxattr(module) == []


def test_owner_that_may_not_be_kept_is_noted(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_root()
    module.chmod(0o4755)
    os.setxattr(module, "user.origin", b"here")
    module.parent.chmod(0o777)
    monkeypatch.chdir(module.parent)
    with as_nobody():
        written = replace_file("a.ko", NEW)
    assert written.replaced
    assert written.notes == [
        "group 0 not kept: operation not permitted",
        "owner 0 not kept: operation not permitted",
    ]
    assert module.read_bytes() == NEW
    assert module.stat().st_uid == NOBODY
    assert mode(module) == 0o755  # set-user-id would be somebody else's
    assert os.getxattr(module, "user.origin") == b"here"


def test_read_only_file_of_an_ordinary_user_keeps_its_attributes(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_root()
    os.setxattr(module, "user.origin", b"here")
    module.chmod(0o444)
    for path in (module, module.parent):
        os.chown(path, NOBODY, NOBODY)
    monkeypatch.chdir(module.parent)
    with as_nobody():
        assert replace_file("a.ko", NEW) == REPLACED
    assert mode(module) == 0o444
    assert os.getxattr(module, "user.origin") == b"here"


# New files


def test_new_file_obeys_the_umask(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        assert replace_file(str(folder / "new.ko"), NEW) == REPLACED
    finally:
        os.umask(before)
    assert (folder / "new.ko").read_bytes() == NEW
    assert mode(folder / "new.ko") == 0o640
    assert names(folder) == ["new.ko"]


def test_new_file_takes_the_attributes_of_its_like(module: Path) -> None:
    module.chmod(0o604)
    os.setxattr(module, "user.origin", b"here")
    new = module.parent / "new.ko"
    assert replace_file(str(new), NEW, like=str(module)) == REPLACED
    assert mode(new) == 0o604
    assert os.getxattr(new, "user.origin") == b"here"
    assert module.read_bytes() == OLD


def test_new_file_of_an_ordinary_user_is_his_without_a_word(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_root()
    module.chmod(0o4755)
    module.parent.chmod(0o777)
    monkeypatch.chdir(module.parent)
    with as_nobody():
        assert replace_file("new.ko", NEW, like="a.ko") == REPLACED
    new = module.parent / "new.ko"
    assert new.stat().st_uid == NOBODY
    assert mode(new) == 0o755


def test_existing_file_keeps_its_own_attributes_whatever_its_like(module: Path) -> None:
    other = module.parent / "other.ko"
    other.write_bytes(OLD)
    other.chmod(0o600)
    module.chmod(0o755)
    replace_file(str(module), NEW, like=str(other))
    assert mode(module) == 0o755


def test_like_that_is_a_device_is_no_model(folder: Path) -> None:
    assert replace_file(str(folder / "new.ko"), NEW, like="/dev/null").notes == []
    assert mode(folder / "new.ko") & 0o7000 == 0


def test_like_that_is_missing_is_bad_input(folder: Path) -> None:
    with pytest.raises(KbtfError, match=r"none\.ko: no such file") as caught:
        replace_file(str(folder / "new.ko"), NEW, like=str(folder / "none.ko"))
    assert caught.value.exit_code == 3
    assert names(folder) == []


# Links and names


def test_symbolic_link_stays_and_its_target_is_replaced(module: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.ko"
    link.symlink_to("folder/a.ko")
    assert replace_file(str(link), NEW) == REPLACED
    assert link.readlink() == Path("folder/a.ko")
    assert module.read_bytes() == NEW
    assert names(tmp_path) == ["folder", "link.ko"]
    assert names(module.parent) == ["a.ko"]


def test_symbolic_link_to_nothing_yet_creates_its_target(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.ko"
    link.symlink_to(folder / "new.ko")
    replace_file(str(link), NEW)
    assert link.is_symlink()
    assert (folder / "new.ko").read_bytes() == NEW


def test_symbolic_link_to_itself_is_an_error(folder: Path) -> None:
    (folder / "a.ko").symlink_to("a.ko")
    with pytest.raises(MachineError, match="symbolic links"):
        replace_file(str(folder / "a.ko"), NEW)
    assert names(folder) == ["a.ko"]


def test_hard_link_is_broken_and_noted(module: Path) -> None:
    other = module.parent / "other.ko"
    other.hardlink_to(module)
    assert replace_file(str(module), NEW) == Written(
        True, ["hard link broken: the old content stays under another name"]
    )
    assert module.read_bytes() == NEW
    assert other.read_bytes() == OLD


def test_unchanged_hard_link_stays(module: Path) -> None:
    (module.parent / "other.ko").hardlink_to(module)
    assert replace_file(str(module), OLD) == UNCHANGED
    assert module.stat().st_nlink == 2


@pytest.mark.parametrize(
    "name",
    [
        "with space.ko",
        "new\nline.ko",
        "modül-模块.ko",
        "-n",
        os.fsdecode(b"latin1-\xfc.ko"),
        "a" * 252 + ".ko",
        "模" * 85,  # 255 bytes
        "a" * 233,
    ],
)
def test_unusual_name(folder: Path, name: str) -> None:
    target = folder / name
    target.write_bytes(OLD)
    assert replace_file(str(target), NEW) == REPLACED
    assert target.read_bytes() == NEW
    assert names(folder) == [name]


def test_remnant_of_a_long_name_is_removed(folder: Path) -> None:
    target = folder / ("模" * 85)
    replacement = Replacement(str(target))
    replacement.stage(NEW)
    (remnant,) = names(folder)
    assert len(os.fsencode(remnant)) <= 255
    replacement.close()
    (folder / remnant).write_bytes(b"part")
    replace_file(str(target), NEW)
    assert names(folder) == [target.name]


def test_name_in_the_current_directory(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(module.parent)
    replace_file("a.ko", NEW)
    assert module.read_bytes() == NEW


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


# Faults and signals at every call that changes something


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


# Other runs, living and dead


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
    script = f"import sys, kbtf.elf.write; print({heavy} & set(sys.modules))"
    # without site, which imports what other packages ask for
    search = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-S", "-c", script]
    assert subprocess.check_output(command, env=search, text=True) == "set()\n"
