"""Opening a base in every form that kernels come in, and finding one on a machine."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import struct
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

import real
from conftest import missing
from kbtf import Btf, BtfBuilder, BtfError, Kind
from kbtf.elf.find import find_base
from kbtf.elf.release import path_release
from kbtf.elf.unpack import compress
from kbtf.elf.vmlinux import base_file, open_base, open_btf
from kbtf.errors import BaseError, BaseNotFoundError, ElfError, KbtfError, MachineError
from kbtf.testing import write_elf

if TYPE_CHECKING:
    from collections.abc import Callable

ET_EXEC = 2
RELEASE = "6.1.0-9-test"
BANNER = f"\0Linux version %s (%s)\0Linux version {RELEASE} (me@host) #1 SMP\n\0".encode()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("KBTF_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    def save(data: bytes, name: str = "image") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    return save


def make_btf(byte_order: str = "little", types: int = 1500) -> bytes:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    for number in range(types):
        b.add_composite(Kind.STRUCT, f"s{number}", 4, [("member", integer, 0)])
    return b.to_bytes()


BLOB = make_btf()


def with_layout(blob: bytes) -> bytes:
    """The same BTF with the header that kernel 7.1 writes."""
    order = "<" if blob[0] == 0x9F else ">"
    _, type_off, type_len, str_off, str_len = struct.unpack_from(f"{order}5I", blob, 4)
    layout = bytes(8)
    sizes = (32, type_off, type_len, str_off + len(layout), str_len, str_off, len(layout))
    body = blob[24 : 24 + str_off] + layout + blob[24 + str_off :]
    return blob[:4] + struct.pack(f"{order}7I", *sizes) + body


def flat(blob: bytes = BLOB) -> bytes:
    """Memory as it was linked: code, what looks like BTF, BTF of a small program, BTF, more."""
    code = Path(sys.executable).resolve().read_bytes()[4096:50_000]
    magic = blob[:4]
    return b"".join((code, magic * 9, make_btf(types=300), b"\0", blob, code, BANNER, magic))


def elf(blob: bytes = BLOB, bits: int = 64, byte_order: str = "little") -> bytes:
    sections = {".text": bytes(5000), ".rodata": BANNER, "__ksymtab": b"", ".BTF": blob}
    return write_elf(sections, bits=bits, byte_order=byte_order, elf_type=ET_EXEC)


def lz4_legacy(data: bytes) -> bytes:
    block: bytes = import_module("lz4.block").compress(data, store_size=False)
    return b"\x02\x21\x4c\x18" + len(block).to_bytes(4, "little") + block


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: compress(data, "gz"),
    "xz": lambda data: compress(data, "xz"),
    "zstd": lambda data: compress(data, "zst"),
    "bzip2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "lz4": lz4_legacy,
}
EACH_PACKER = pytest.mark.parametrize("packer", PACKERS)
ORDERS = pytest.mark.parametrize("byte_order", ["little", "big"])


def bzimage(payload: bytes, release: str = RELEASE, version: int = 0x20F) -> bytes:
    """As Documentation/arch/x86/boot.rst describes it."""
    sectors, before = 3, 700
    head = bytearray((sectors + 1) * 512)
    head[:2] = b"MZ"
    head[0x1F1] = sectors
    head[0x1FE:0x206] = b"\x55\xaaXXHdrS"
    struct.pack_into("<H", head, 0x206, version)
    struct.pack_into("<H", head, 0x20E, 0x300)
    struct.pack_into("<II", head, 0x248, before, len(payload))
    text = f"{release} (me@host) #1 SMP\0".encode()
    head[0x500 : 0x500 + len(text)] = text
    return bytes(head) + b"\x90" * before + payload + b"signature" * 9


def zboot(payload: bytes, name: bytes = b"gzip") -> bytes:
    """As drivers/firmware/efi/libstub/zboot-header.S describes it."""
    head = struct.pack("<4s4sII8x32s", b"MZ\0\0", b"zimg", 512, len(payload), name)
    return head.ljust(512, b"\0") + payload + b"\x12\x34\0\0" + b"PE" * 100


def read_with_pyelftools(image: bytes) -> bytes:
    section = ELFFile(io.BytesIO(image)).get_section_by_name(".BTF")
    assert section is not None
    data: bytes = section.data()
    return data


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
        try:
            return real.foreign_modules(arch)
        except real.Missing as error:
            missing(error)

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
from kbtf.elf.vmlinux import open_base
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
    assert not {"kbtf.elf.unpack", "kbtf.elf.payload", "lzma", "zlib"} & {*hit}


def test_the_corpus(corpus: Path) -> None:
    base = open_base(str(corpus / "base" / "6.12.117.btf.xz"))
    splits = sorted((corpus / "split").glob("*.btf"))

    assert splits
    for file in splits:
        with pytest.raises(BtfError, match="if this is split BTF"):
            open_base(str(file))
        assert open_btf(str(file), base.btf).start_id == base.btf.end_id


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
        with pytest.raises(BtfError, match="if this is split BTF"):
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
    with pytest.raises(BtfError, match="takes the base"):
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
        BaseError, match=r"zboot header: .* not compressed in any way that is known \(brotli\)"
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


# Whose release, and where


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


def test_pyelftools_reads_what_is_made_here() -> None:
    for bits in (32, 64):
        assert read_with_pyelftools(elf(bits=bits, byte_order="big")) == BLOB
