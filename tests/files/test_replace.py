# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replacing a file whole or not at all: what it keeps, links, and names."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from files.modules import (
    ACL_FOR_NOBODY,
    NEW,
    NOBODY,
    OLD,
    REPLACED,
    UNCHANGED,
    as_nobody,
    mode,
    names,
    require_root,
)
from kbtf.errors import KbtfError, MachineError
from kbtf.files.replace import Replacement, Written, replace_file

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
