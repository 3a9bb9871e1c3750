# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Opening a base in every form that kernels come in, and what must not be taken for one."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, BtfBuilder, BtfError, Kind
from kbtf.errors import BaseError, ElfError, KbtfError, MachineError
from kbtf.files.compression import compress
from kbtf.kernel.base import open_base, open_btf
from kbtf.testing import write_elf
from kernel.images import (
    BANNER,
    BLOB,
    EACH_PACKER,
    ET_EXEC,
    ORDERS,
    PACKERS,
    RELEASE,
    bzimage,
    elf,
    flat,
    make_btf,
    read_with_pyelftools,
    with_layout,
    zboot,
)

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("cache_folder")


# Every form, made here


@ORDERS
@pytest.mark.parametrize("bits", [32, 64])
def test_elf(byte_order: str, bits: int, save: Callable[..., str]) -> None:
    blob = make_btf(byte_order)
    path = save(elf(blob, bits, byte_order))
    base = open_base(path)

    assert base.btf.to_bytes() == blob
    assert base.btf.byte_order == byte_order
    assert (base.source, base.path, base.release) == (path, path, RELEASE)


@ORDERS
def test_raw(byte_order: str, save: Callable[..., str]) -> None:
    blob = make_btf(byte_order)
    base = open_base(save(blob))

    assert base.btf.to_bytes() == blob
    assert base.release is None


@EACH_PACKER
@ORDERS
def test_compressed(packer: str, byte_order: str, save: Callable[..., str]) -> None:
    blob = make_btf(byte_order)
    for make in (elf, flat, bytes):
        path = save(PACKERS[packer](make(blob)), make.__name__)
        base = open_base(path)

        assert base.btf.to_bytes() == blob
        assert base.release == (None if make is bytes else RELEASE)
        assert base.path is not None
        assert Path(base.path).read_bytes() == blob
        assert open_base(path)[1:] == base[1:]
        assert open_btf(path, cache=False).to_bytes() == blob


@EACH_PACKER
@pytest.mark.parametrize("wrap", [bzimage, zboot])
@pytest.mark.parametrize("make", [elf, flat])
def test_boot_images(
    packer: str, wrap: Callable[[bytes], bytes], make: Callable[[], bytes], save: Callable[..., str]
) -> None:
    payload = make()
    size = len(payload).to_bytes(4, "little")
    base = open_base(save(wrap(PACKERS[packer](payload) + size)))

    assert base.btf.to_bytes() == BLOB
    assert base.release == RELEASE


def test_the_boot_header_says_the_release(save: Callable[..., str]) -> None:
    image = bzimage(compress(BLOB, "gz"), release="5.15.0-custom")

    assert open_base(save(image)).release == "5.15.0-custom"


@EACH_PACKER
def test_images_that_do_not_say_where_the_kernel_is(packer: str, save: Callable[..., str]) -> None:
    decoys = (
        b"\x1f\x8b\x08\0junk" + compress(b"an initramfs" * 99, "gz") + b"BZh91AY&SY" + bytes(64)
    )
    payload = PACKERS[packer](flat(make_btf("big")))
    image = b"s390" * 5000 + decoys + payload + len(payload).to_bytes(4, "big") + b"\xff" * 500

    assert open_base(save(image)).btf.to_bytes() == make_btf("big")


def test_old_boot_protocols_do_not_say_it_either(save: Callable[..., str]) -> None:
    image = bzimage(compress(elf(), "gz"), version=0x207)

    assert open_base(save(image)).btf.to_bytes() == BLOB


def test_powerpc_wraps_the_kernel_in_an_elf_file(save: Callable[..., str]) -> None:
    sections = {".text": bytes(100), ".kernel:vmlinux.strip": compress(elf(), "gz") + bytes(9)}

    assert open_base(save(write_elf(sections, elf_type=ET_EXEC))).btf.to_bytes() == BLOB


@ORDERS
@pytest.mark.parametrize("header", [bytes, with_layout])
def test_flat(byte_order: str, header: Callable[[bytes], bytes], save: Callable[..., str]) -> None:
    blob = header(make_btf(byte_order))
    base = open_base(save(flat(blob)))

    assert base.btf.to_bytes() == blob
    assert base.path is not None
    assert Path(base.path).read_bytes() == blob


def test_in_a_flat_image_what_does_not_validate_is_passed_over(save: Callable[..., str]) -> None:
    larger = bytearray(make_btf(types=1600))
    larger[24 + 7] = 0x7F  # a kind that there is not

    assert open_base(save(flat() + bytes(larger))).btf.to_bytes() == BLOB


def test_btf_in_a_program_is_not_a_kernels(save: Callable[..., str]) -> None:
    program = write_elf({".text": bytes(9), ".rodata": BLOB + BANNER}, elf_type=ET_EXEC)
    for data in (program, compress(program, "gz")):
        with pytest.raises(BaseError, match="has no BTF"):
            open_base(save(data))


# What a base must not be


def test_a_kernel_without_btf_says_what_it_lacks(save: Callable[..., str]) -> None:
    kernel = write_elf({".text": bytes(9), "__ksymtab": b"x"}, elf_type=ET_EXEC)
    for data in (kernel, compress(kernel, "xz"), bzimage(compress(kernel, "gz")), bytes(5000)):
        path = save(data)
        with pytest.raises(KbtfError, match=r"no (section \.)?BTF.*CONFIG_DEBUG_INFO_BTF") as info:
            open_base(path)
        assert info.value.file == path


def test_split_btf_is_no_base(save: Callable[..., str]) -> None:
    base = Btf.parse(BLOB)
    b = BtfBuilder(base)
    b.add_ref(Kind.PTR, 5)
    split = b.to_bytes()
    for data in (split, compress(split, "xz")):
        with pytest.raises(BtfError, match="if this is the split BTF of a module"):
            open_base(save(data))
    with pytest.raises(BaseError, match="has no BTF"):
        open_base(save(compress(flat(split), "gz")))
    for data in (split, compress(split, "xz")):
        assert open_btf(save(data), base)[5].kind is Kind.STRUCT
        assert open_base(save(data), base=base).btf.to_bytes() == split


@pytest.mark.parametrize("pack", [bytes, PACKERS["zstd"]])
def test_modules(
    pack: Callable[[bytes], bytes], save: Callable[..., str], cache_folder: Path
) -> None:
    base = Btf.parse(BLOB)
    b = BtfBuilder(base)
    b.add_ref(Kind.PTR, 5)
    sections = {".gnu.linkonce.this_module": bytes(8), ".BTF": b.to_bytes()}
    plain = save(pack(write_elf(sections)), "plain.ko")
    distilled = save(pack(write_elf({**sections, ".BTF.base": BLOB})), "distilled.ko")
    small = save(pack(write_elf({**sections, ".BTF": BLOB})), "small.ko")

    assert open_btf(plain, base).base is base
    own = open_btf(distilled)
    assert own.base is not None
    assert own.base.to_bytes() == BLOB
    assert open_btf(distilled, Btf.parse(make_btf(types=2))).base is not base
    with pytest.raises(BtfError, match="name the base that it was made with"):
        open_btf(plain)
    for path in (plain, distilled, small):
        with pytest.raises(BaseError, match="is a module, and its BTF is not a base"):
            open_base(path)
    assert not cache_folder.exists() or not any(p.suffix == ".btf" for p in cache_folder.iterdir())


def test_a_section_without_contents(save: Callable[..., str]) -> None:
    image = bytearray(elf())
    shoff = struct.unpack_from("<Q", image, 40)[0]
    for at in range(shoff, len(image), 64):
        if struct.unpack_from("<Q", image, at + 32)[0] == len(BLOB):
            struct.pack_into("<I", image, at + 4, 8)  # NOBITS, as objcopy --only-keep-debug leaves
    with pytest.raises(ElfError, match=r"\.BTF: has no contents"):
        open_base(save(bytes(image)))


@pytest.mark.parametrize(
    "image",
    [bzimage(compress(elf(), "xz")), zboot(compress(flat(), "gz")), elf(), compress(elf(), "zst")],
    ids=["bzimage", "zboot", "elf", "zst"],
)
def test_truncated_anywhere_is_said(image: bytes, save: Callable[..., str]) -> None:
    tail = 200 + 9 * 9 if image[:2] == b"MZ" else 0
    for end in {*range(1, len(image) - tail, len(image) // 60), len(image) - tail - 9}:
        path = save(image[:end])
        with pytest.raises(KbtfError) as info:
            open_base(path, cache=False)
        assert str(info.value).startswith(f"{path}: ")


def test_damaged_headers(save: Callable[..., str]) -> None:
    image = bytearray(zboot(compress(flat(), "gz")))
    for at in range(4, 64):
        damaged = image.copy()
        damaged[at] ^= 0xFF
        try:
            open_base(save(bytes(damaged)), cache=False)
        except KbtfError as error:
            assert error.file  # noqa: PT017 - the release and more of it do not matter


def test_an_unknown_compression_is_named(save: Callable[..., str]) -> None:
    with pytest.raises(
        BaseError, match=r"zboot header: .* not compressed in a known format \(brotli\)"
    ):
        open_base(save(zboot(b"\x21" * 99, b"brotli")))


def test_lzo_is_refused_by_name(save: Callable[..., str]) -> None:
    payload = b"\x89LZO\0\r\n\x1a\n" + bytes(99)
    for image in (bzimage(payload), b"S390" * 99 + payload):
        with pytest.raises(MachineError, match="LZO is not supported"):
            open_base(save(image))


@pytest.mark.parametrize("wrap", [bytes, bzimage, lambda data: b"\x90" * 9 + data])
def test_a_bomb_is_stopped(wrap: Callable[[bytes], bytes], save: Callable[..., str]) -> None:
    with pytest.raises(KbtfError, match="unpacks to more than"):
        open_base(save(wrap(compress(bytes(24 << 20), "gz"))))


@pytest.mark.parametrize(
    "kind", ["missing", "folder", "fifo", "device", "empty", "dangling", "loop"]
)
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/null")
    elif kind == "empty":
        path.touch()
    elif kind in ("dangling", "loop"):
        path.symlink_to("nothing" if kind == "dangling" else "thing")
    with pytest.raises(KbtfError) as info:
        open_base(str(path))
    assert str(info.value).startswith(f"{path}: ")


def test_pyelftools_reads_what_is_made_here() -> None:
    for bits in (32, 64):
        assert read_with_pyelftools(elf(bits=bits, byte_order="big")) == BLOB
