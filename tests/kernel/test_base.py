# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Opening the base of real kernels, and the cache of bases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import real
from conftest import missing, or_missing
from kbtf import BtfError, Kind
from kbtf.btf.base import base_file
from kbtf.errors import KbtfError
from kbtf.files.compression import compress
from kbtf.kernel.base import open_base, open_btf
from kernel.images import BLOB, elf, make_btf, read_with_pyelftools

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("cache_folder")


# The real ones


@pytest.fixture(scope="module")
def vmlinuz() -> Path:
    found = sorted(Path("/boot").glob("vmlinuz-6.12.*"))
    if not found:
        missing("no /boot/vmlinuz-6.12.*")
    return found[-1]


@pytest.fixture(scope="module")
def vmlinux_btf(vmlinux: Path) -> bytes:
    return read_with_pyelftools(vmlinux.read_bytes())


def test_vmlinuz_gives_the_btf_of_its_vmlinux(
    vmlinuz: Path, vmlinux: Path, vmlinux_btf: bytes
) -> None:
    release = vmlinuz.name.removeprefix("vmlinuz-")
    if release not in str(vmlinux):
        missing(f"no headers of {release}")
    cold = open_base(str(vmlinuz))
    hit = open_base(str(vmlinuz))

    assert cold.btf.to_bytes() == hit.btf.to_bytes() == vmlinux_btf
    assert cold.path == hit.path
    assert cold.path is not None
    assert Path(cold.path).read_bytes() == vmlinux_btf
    assert cold.release == hit.release == release


def test_vmlinux_is_used_where_it_is(vmlinux: Path, vmlinux_btf: bytes, cache_folder: Path) -> None:
    base = open_base(str(vmlinux))

    assert base.btf.to_bytes() == vmlinux_btf
    assert base.path == str(vmlinux)
    assert base.release == vmlinux.parent.name.removeprefix("linux-headers-")
    assert not cache_folder.exists()


def test_the_running_kernel() -> None:
    file = Path("/sys/kernel/btf/vmlinux")
    if not file.exists():
        missing("the running kernel has no BTF")
    base = open_base(str(file))

    assert base.btf.to_bytes() == file.read_bytes()
    assert base.release == os.uname().release


@pytest.fixture(scope="module")
def foreign() -> Callable[[str], Path]:
    def get(arch: str) -> Path:
        with or_missing():
            return real.foreign_modules(arch)

    return get


@pytest.mark.integration
def test_the_flat_image_of_arm64_is_what_its_modules_continue(
    foreign: Callable[[str], Path],
) -> None:
    folder = foreign("arm64")
    (image,) = (folder / "boot").glob("vmlinuz-*")
    base = open_base(str(image))
    modules = [open_btf(str(file), base.btf) for file in sorted(folder.rglob("*.ko"))[:20]]

    assert base.release == image.name.removeprefix("vmlinuz-")
    assert base.btf.find("task_struct", Kind.STRUCT)
    assert modules
    assert all(btf.find("module", Kind.STRUCT) for btf in modules)


@pytest.mark.integration
@pytest.mark.parametrize("arch", ["i386", "s390x"])
def test_kernels_that_have_no_btf(arch: str, foreign: Callable[[str], Path]) -> None:
    (image,) = (foreign(arch) / "boot").glob("vmlinuz-*")
    with pytest.raises(KbtfError, match=r"no (section \.)?BTF.*CONFIG_DEBUG_INFO_BTF") as info:
        open_base(str(image))
    assert "decoded" not in str(info.value)


MEASURE = """
import sys
before = set(sys.modules)
from kbtf.kernel.base import open_base
assert open_base(sys.argv[1]).btf.end_id > 50000
# not getrusage: its peak is that of whoever started us
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak, *set(sys.modules) - before)
"""
HEAVY = {"pathlib", "tempfile", "json", "dataclasses", "logging", "subprocess", "elftools"}


def test_opening_vmlinuz_costs_little_memory_and_few_imports(vmlinuz: Path) -> None:
    words = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{MEASURE}"]
    cold = subprocess.check_output([*words, str(vmlinuz)], text=True).split()
    hit = subprocess.check_output([*words, str(vmlinuz)], text=True).split()

    assert int(cold[0]) < 80_000  # KiB: its payload has 57 MB
    assert int(hit[0]) < 30_000
    assert not HEAVY & {*hit}
    unpacking = {"kbtf.files.compression", "kbtf.kernel.boot_image", "lzma", "zlib"}
    assert not (unpacking | {"_hashlib", "hashlib"}) & {*hit}


def test_the_corpus(corpus: Path) -> None:
    base = open_base(str(corpus / "base" / "6.12.117.btf"))
    splits = sorted((corpus / "split").glob("*.btf"))

    assert splits
    for file in splits:
        with pytest.raises(BtfError, match="if this is the split BTF of a module"):
            open_base(str(file))
        assert open_btf(str(file), base.btf).start_id == base.btf.end_id


# The cache, seen from here


def test_without_the_cache_nothing_is_kept(
    save: Callable[..., str], cache_folder: Path, tmp_path: Path
) -> None:
    base = open_base(save(compress(elf(), "gz")), cache=False)

    assert base.path is None
    assert not cache_folder.exists()
    assert Path(base_file(base, str(tmp_path))).read_bytes() == BLOB
    with pytest.raises(KbtfError, match="nowhere"):
        base_file(base, str(tmp_path / "nowhere"))


def test_a_cache_that_cannot_be_used_costs_time_only(
    save: Callable[..., str], cache_folder: Path
) -> None:
    cache_folder.mkdir(mode=0o755)
    cache_folder.chmod(0o755)
    base = open_base(save(compress(elf(), "gz")))

    assert base.btf.to_bytes() == BLOB
    assert base.path is None


def test_a_damaged_entry_is_made_anew(save: Callable[..., str]) -> None:
    path = save(compress(elf(), "gz"))
    kept = open_base(path).path
    assert kept is not None
    Path(kept).write_bytes(make_btf(types=2))

    assert open_base(path).btf.to_bytes() == BLOB
    assert Path(kept).read_bytes() == BLOB


def test_another_kernel_at_the_same_place_is_seen(save: Callable[..., str]) -> None:
    open_base(save(compress(elf(), "gz")))
    other = make_btf(types=7)

    assert open_base(save(compress(elf(other), "gz"))).btf.to_bytes() == other
