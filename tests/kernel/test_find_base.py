# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Finding a base on a machine: of which release, and where."""

from __future__ import annotations

import lzma
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.errors import BaseError, BaseNotFoundError, ElfError, KbtfError
from kbtf.files.compression import compress
from kbtf.kernel.base import open_base
from kbtf.kernel.find import find_base
from kbtf.kernel.release import path_release
from kbtf.testing import make_module
from kernel.images import BLOB, RELEASE, bzimage, elf

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("cache_folder")


@pytest.mark.parametrize(
    ("path", "release"),
    [
        ("/lib/modules/6.1.0-1-amd64/build/vmlinux", "6.1.0-1-amd64"),
        ("/usr/lib/modules/6.9.1-arch1/vmlinuz", "6.9.1-arch1"),
        ("/usr/lib/debug/lib/modules/5.14.0-70.el9.x86_64/vmlinux", "5.14.0-70.el9.x86_64"),
        ("/boot/vmlinuz-6.12.1+deb13-amd64", "6.12.1+deb13-amd64"),
        ("/boot/vmlinuz-6.12.1.old", "6.12.1"),
        ("/boot/vmlinux-6.4.0-suse.xz", "6.4.0-suse"),
        ("/usr/lib/debug/boot/vmlinux-6.1.0-1-amd64", "6.1.0-1-amd64"),
        ("/usr/src/linux-headers-6.1.0-1-amd64/vmlinux", "6.1.0-1-amd64"),
        ("/usr/src/kernels/6.9.4-200.fc40.x86_64/vmlinux", "6.9.4-200.fc40.x86_64"),
        ("/sys/kernel/btf/vmlinux", os.uname().release),
        ("/boot/vmlinuz", None),
        ("/boot/vmlinuz-rescue", None),
        ("/boot/initrd.img-6.1.0", None),
        ("/home/me/vmlinuz-6.1.0", None),
        ("/home/me/linux/vmlinux", None),
        ("/etc/modules/6.1.0/x", None),
    ],
)
def test_release_of_a_path(path: str, release: str | None) -> None:
    assert path_release(path) == release


def test_release_of_what_a_link_leads_to(tmp_path: Path, save: Callable[..., str]) -> None:
    save(BLOB, "boot/vmlinux-6.1.0-1")
    link = tmp_path / "vmlinux"
    link.symlink_to("boot/vmlinux-6.1.0-1")

    assert open_base(str(link)).release == "6.1.0-1"


PLACES = [
    f"lib/modules/{RELEASE}/build/vmlinux",
    f"boot/vmlinuz-{RELEASE}",
    f"boot/vmlinux-{RELEASE}",
    f"usr/lib/debug/boot/vmlinux-{RELEASE}",
    f"usr/lib/debug/lib/modules/{RELEASE}/vmlinux",
    f"lib/modules/{RELEASE}/vmlinux",
    f"lib/modules/{RELEASE}/vmlinuz",
]


def test_the_order_of_the_places(tmp_path: Path, save: Callable[..., str]) -> None:
    kdir = str(tmp_path / "build")
    paths = [
        save(elf(), "build/vmlinux"),
        *(save(bzimage(compress(elf(), "gz")), p) for p in PLACES),
    ]
    for path in paths:
        found = find_base(RELEASE, kdir=kdir, root=str(tmp_path))
        assert (found.source, found.release, found.notes) == (path, RELEASE, ())
        Path(path).unlink()
    with pytest.raises(BaseNotFoundError) as info:
        find_base(RELEASE, kdir=kdir, root=str(tmp_path))
    for path in paths:
        assert path in str(info.value)
    assert "raw BTF with --base" in str(info.value)


@pytest.mark.parametrize(
    "place",
    [
        "build/vmlinux.unstripped",
        f"lib/modules/{RELEASE}/build/vmlinux.unstripped",
        f"lib/modules/{RELEASE}/vmlinux.unstripped",
        f"lib/modules/{RELEASE}/kernel/kernel/bpf/btf_vmlinux.ko",
        f"lib/modules/{RELEASE}/kernel/kernel/bpf/btf_vmlinux.ko.xz",
    ],
)
def test_where_newer_kernels_keep_their_btf(
    place: str, tmp_path: Path, save: Callable[..., str]
) -> None:
    content = make_module(name="btf_vmlinux", btf=BLOB, release=RELEASE)
    path = save(lzma.compress(content) if place.endswith(".xz") else content, place)

    (tmp_path / "build").mkdir(exist_ok=True)
    found = find_base(RELEASE, kdir=str(tmp_path / "build"), root=str(tmp_path))

    assert found.source == path
    assert found.btf.to_bytes() == BLOB


def test_the_running_kernels_btf_is_its_own_only(tmp_path: Path, save: Callable[..., str]) -> None:
    path = save(BLOB, "sys/kernel/btf/vmlinux")

    assert find_base(os.uname().release, root=str(tmp_path)).source == path
    with pytest.raises(BaseNotFoundError):
        find_base(RELEASE, root=str(tmp_path))


def test_a_broken_one_is_passed_over_and_noted(tmp_path: Path, save: Callable[..., str]) -> None:
    broken = save(elf()[:6000], PLACES[0])
    with pytest.raises(ElfError, match="reaches past the end") as info:
        find_base(RELEASE, root=str(tmp_path))
    assert info.value.file == broken
    good = save(elf(), PLACES[3])
    found = find_base(RELEASE, root=str(tmp_path))

    assert found.source == good
    assert len(found.notes) == 1
    assert broken in found.notes[0]


def test_one_of_another_release_is_passed_over(tmp_path: Path, save: Callable[..., str]) -> None:
    wrong = save(bzimage(compress(elf(), "gz"), "6.1.0-8-test"), PLACES[1])
    with pytest.raises(BaseError, match=r"is of kernel 6.1.0-8-test, not 6.1.0-9-test"):
        find_base(RELEASE, root=str(tmp_path))
    good = save(BLOB, PLACES[2])
    found = find_base(RELEASE, root=str(tmp_path))

    assert found.source == good
    assert wrong in found.notes[0]


def test_the_build_directory_is_taken_at_its_word(tmp_path: Path, save: Callable[..., str]) -> None:
    path = save(elf(), "build/vmlinux")
    found = find_base("6.1.0-other", kdir=str(tmp_path / "build"), root=str(tmp_path))

    assert (found.source, found.release) == (path, RELEASE)


def test_a_build_directory_that_is_none_is_an_error(
    tmp_path: Path, save: Callable[..., str]
) -> None:
    save(elf(), PLACES[1])
    file = save(b"", "file")
    for kdir, why in ((str(tmp_path / "absent"), "no such file"), (file, "is not a directory")):
        with pytest.raises(KbtfError, match=why):
            find_base(RELEASE, kdir=kdir, root=str(tmp_path))


def test_a_file_with_two_names_is_opened_once(tmp_path: Path, save: Callable[..., str]) -> None:
    broken = save(b"\x7fELF", "build/vmlinux")
    build = tmp_path / "lib" / "modules" / RELEASE / "build"
    build.parent.mkdir(parents=True)
    build.symlink_to(tmp_path / "build")
    save(elf(), PLACES[1])
    found = find_base(RELEASE, kdir=str(tmp_path / "build"), root=str(tmp_path))

    assert len(found.notes) == 1
    assert broken in found.notes[0]


@pytest.mark.parametrize("release", ["", "../../etc", "6.1/..", "6.1 x", "six.one"])
def test_what_is_no_release_is_not_looked_for(release: str, tmp_path: Path) -> None:
    with pytest.raises(BaseNotFoundError, match="is not a kernel release"):
        find_base(release, root=str(tmp_path))
