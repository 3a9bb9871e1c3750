"""Bad input and a bad environment: one line that says what is wrong, and every file as it was."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import kbtf
from conftest import missing
from kbtf import Btf, BtfBuilder, Kind, Module, distill, read_ids, resolve_ids
from kbtf.testing import ElfSymbol, Ids, make_base, make_ids, make_module, write_elf

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KBTF = str(Path(sys.executable).with_name("kbtf"))
DEMO = Path(str(kbtf.__file__)).parent / "demo"
RELEASE = "6.12.0-test"
USAGE, BAD_INPUT, ENVIRONMENT = 2, 3, 4  # DESIGN.md, "Words and exit codes"
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("KBTF_", "PYTHON")) and key not in ("COLUMNS", "TMPDIR")
}
CLEAN["PYTHONDONTWRITEBYTECODE"] = "1"  # beside a plugin


# A kernel, and a module for it


def kernel() -> BtfBuilder:
    base = make_base()
    base.add_composite(Kind.STRUCT, "list_head", 16)
    base.add_ref(Kind.PTR, 3)
    return base


def split_on(base: Btf) -> Btf:
    """A function and its prototype, which comes first and has a pointer of the kernel."""
    s = BtfBuilder(base)
    s.add_func("do_work", s.add_func_proto(1, [("head", 4)]))
    return s.build()


BASE = kernel().build()
SPLIT = split_on(BASE)
DISTILLED = distill(SPLIT)
IDS = make_ids(set8s={"kfuncs": [("func", "do_work", 0)]})


def module(
    btf: bytes | None = SPLIT.to_bytes(),
    btf_base: bytes | None = None,
    ids: Ids | None = IDS,
) -> bytes:
    return make_module(btf=btf, btf_base=btf_base, ids=ids, release=RELEASE)


GOOD = module()


def patched(data: bytes, offset: int, formats: str, *values: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(formats, out, offset, *values)
    return bytes(out)


# The command, and a folder in which everything is accounted for


class Done(NamedTuple):
    code: int
    out: str
    errors: list[str]


class Folder:
    def __init__(self, path: Path, cache: Path) -> None:
        self.path = path
        self.env = {**CLEAN, "KBTF_CACHE_DIR": str(cache)}

    def write(self, name: str, data: bytes) -> str:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name

    def kbtf(self, *args: str, before: tuple[str, ...] = ()) -> Done:
        done = subprocess.run(
            [*before, KBTF, *args],
            cwd=self.path,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr.splitlines())

    def facts(self) -> dict[str, object]:
        """All files: contents, and what the system says of them."""
        found: dict[str, object] = {}
        for path in sorted(self.path.rglob("*")):
            stat = path.lstat()
            found[str(path)] = (stat.st_ino, stat.st_mode)
            if path.is_file():
                times = (stat.st_mtime_ns, stat.st_ctime_ns)
                found[str(path)] = (stat.st_ino, stat.st_mode, times, path.read_bytes())
        return found

    def refuses(
        self, *args: str, code: int, names: str, says: str = "", before: tuple[str, ...] = ()
    ) -> None:
        """The command fails in one line that names *names*, and leaves every file alone."""
        facts = self.facts()

        done = self.kbtf(*args, before=before)

        assert len(done.errors) == 1, done
        assert done.errors[0].startswith("kbtf: error: ")
        assert names in done.errors[0]
        assert says in done.errors[0]
        assert (done.code, done.out) == (code, "")
        assert self.facts() == facts

    def refuses_all(self, words: Mapping[str, str], *args: str) -> None:
        """As `refuses`, of many modules at once: a line each, in which its word stands."""
        facts = self.facts()

        done = self.kbtf(*args, *words)

        assert len(done.errors) == len(words), done
        for (name, word), line in zip(words.items(), done.errors, strict=True):
            assert line.startswith(f"kbtf: error: {name}: ")
            assert word in line
        assert (done.code, done.out) == (BAD_INPUT, "")
        assert self.facts() == facts

    def write_all(self, cases: Mapping[str, tuple[bytes, str]]) -> dict[str, str]:
        """A module of each case, which gives it its name; what is to be said of it."""
        return {self.write(f"{case}.ko", data): words for case, (data, words) in cases.items()}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "kbtf"


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> Folder:
    made = Folder(tmp_path / "folder", cache)
    made.write("vmlinux.btf", BASE.to_bytes())
    made.write("good.ko", GOOD)
    return made


RUN = ("run", "--base", "vmlinux.btf")


def test_without_a_fault_all_goes_well(folder: Folder) -> None:
    done = folder.kbtf(*RUN, "good.ko")

    assert (done.code, done.errors) == (0, [])
    assert Module.open(str(folder.path / "good.ko")).has_btf_base


# Modules that are none

NO_MODULE = {
    "an empty file": (b"", ""),
    "a text": (b"#!/bin/sh\n", "not an ELF file"),
    "a linked program": (write_elf({".modinfo": b""}, elf_type=2), "ELF type is not REL"),
    "a shared library": (write_elf({".modinfo": b""}, elf_type=3), "ELF type is not REL"),
    "raw BTF": (BASE.to_bytes(), "not an ELF file"),
    "section headers past the end": (
        patched(GOOD, 40, "<Q", len(GOOD)), "section header table (offset"
    ),
    "section headers far out": (
        patched(GOOD, 40, "<Q", 2**64 - 1), "section header table (offset"
    ),
}  # fmt: skip
READERS = {
    "run": RUN,
    "show": ("show",),
    "extract": ("extract", "-o", "out"),
}


def reading(command: str, file: str) -> tuple[str, ...]:
    return (*READERS[command], file, *([".BTF"] if command == "extract" else []))


@pytest.mark.parametrize("command", [RUN, ("show",)], ids=["run", "show"])
def test_what_is_no_module_is_refused(command: tuple[str, ...], folder: Folder) -> None:
    folder.refuses_all(folder.write_all(NO_MODULE), *command)


def test_no_section_comes_from_what_is_no_module(folder: Folder) -> None:
    folder.write("bad.ko", b"no module")

    folder.refuses(*reading("extract", "bad.ko"), code=BAD_INPUT, names="bad.ko", says="not an ELF")


@pytest.mark.parametrize("command", READERS)
def test_a_file_that_is_not_there_is_named(command: str, folder: Folder) -> None:
    folder.refuses(*reading(command, "bad.ko"), code=BAD_INPUT, names="bad.ko", says="no such file")


@pytest.mark.parametrize("command", READERS)
def test_a_directory_is_no_module(command: str, folder: Folder) -> None:
    (folder.path / "bad.ko").mkdir()

    folder.refuses(*reading(command, "bad.ko"), code=BAD_INPUT, names="bad.ko", says="directory")


@pytest.mark.parametrize("command", READERS)
def test_a_fifo_is_no_module_and_nobody_waits_for_its_writer(command: str, folder: Folder) -> None:
    os.mkfifo(folder.path / "bad.ko")

    folder.refuses(*reading(command, "bad.ko"), code=BAD_INPUT, names="bad.ko", says="regular")


def test_a_path_through_a_file_is_named(folder: Folder) -> None:
    folder.refuses(*RUN, "good.ko/bad.ko", code=BAD_INPUT, names="good.ko/bad.ko")


def test_a_loop_of_links_is_named(folder: Folder) -> None:
    (folder.path / "bad.ko").symlink_to("bad.ko")

    done = folder.kbtf(*RUN, "bad.ko")

    assert done.code in (BAD_INPUT, ENVIRONMENT)
    assert len(done.errors) == 1
    assert "bad.ko" in done.errors[0]


def test_a_name_with_a_line_break_stays_in_one_line(folder: Folder) -> None:
    folder.write("two\nlines.ko", b"")

    folder.refuses(*RUN, "two\nlines.ko", code=BAD_INPUT, names="two\\nlines.ko")


def test_a_module_truncated_anywhere_is_refused(folder: Folder) -> None:
    # the section header table is its end
    cases = {str(length): (GOOD[:length], "") for length in range(len(GOOD))}

    folder.refuses_all(folder.write_all(cases), *RUN)


def test_a_real_module_truncated_is_refused(folder: Folder) -> None:
    data = (DEMO / "kfunc_module.ko").read_bytes()
    lengths = [*range(0, len(data), len(data) // 97), len(data) - 1]
    cases = {str(length): (data[:length], "") for length in lengths}

    folder.refuses_all(folder.write_all(cases), *RUN)


# Bases that are none

BASE_BLOB, SPLIT_BLOB = BASE.to_bytes(), SPLIT.to_bytes()
BAD_BASES = {
    "empty": (b"", ""),
    "text": (b"no types in here\n", "no BTF"),
    "half a header": (BASE_BLOB[:20], "header"),
    "header only": (BASE_BLOB[:24], "past the end"),
    "last byte missing": (BASE_BLOB[:-1], "past the end"),
    # behind the header: INT of 16 bytes, STRUCT of 36, STRUCT of 12, PTR
    "name out of range": (patched(BASE_BLOB, 24, "<I", 999), "type [1]"),
    "kind out of range": (patched(BASE_BLOB, 28, "<I", 99 << 24), "kind 99"),
    "vlen out of range": (patched(BASE_BLOB, 44, "<I", 4 << 24 | 0xFFFF), "vlen 65535"),
    "type id out of range": (patched(BASE_BLOB, 96, "<I", 999), "type id 999"),
    "module": (GOOD, ""),
    "ELF without BTF": (write_elf({".text": b""}), "no section .BTF"),
    "corrupt xz": (lzma.compress(BASE_BLOB)[:-9], "xz"),
    "corrupt gzip": (gzip.compress(BASE_BLOB)[:-1], "gzip"),
    "corrupt zstd": (zstd.compress(BASE_BLOB)[:-1], "zstd"),
    "compressed text": (gzip.compress(b"no types in here\n" * 9), "no BTF"),
}


@pytest.mark.parametrize("case", BAD_BASES)
def test_what_is_no_base_is_refused(case: str, folder: Folder) -> None:
    data, words = BAD_BASES[case]
    folder.write("bad.btf", data)

    for command in (("run", "--base", "bad.btf", "good.ko"), ("base", "bad.btf")):
        folder.refuses(*command, code=BAD_INPUT, names="bad.btf", says=words)


USERS_OF_A_BASE = {
    "run": ("run", "--base", "bad", "good.ko"),
    "base": ("base", "bad"),
    "distill": ("distill", "bad", "good.ko", "out.base", "out.split"),
}


@pytest.mark.parametrize("command", USERS_OF_A_BASE.values(), ids=USERS_OF_A_BASE)
def test_a_base_that_is_no_file_is_refused(command: tuple[str, ...], folder: Folder) -> None:
    folder.refuses(*command, code=BAD_INPUT, names="bad", says="no such file")
    (folder.path / "bad").mkdir()
    folder.refuses(*command, code=BAD_INPUT, names="bad", says="directory")
    (folder.path / "bad").rmdir()
    os.mkfifo(folder.path / "bad")
    folder.refuses(*command, code=BAD_INPUT, names="bad", says="not a regular file")


def test_a_kernel_of_which_nothing_is_installed_is_named(folder: Folder) -> None:
    folder.refuses("run", "good.ko", code=ENVIRONMENT, names=RELEASE)


def test_a_real_base_truncated_is_refused(folder: Folder) -> None:
    folder.write("kfunc_module.ko", (DEMO / "kfunc_module.ko").read_bytes())
    whole = lzma.decompress((DEMO / "vmlinux.btf.xz").read_bytes())
    for length in (23, 24, 4096, len(whole) // 2, len(whole) - 1):
        folder.write("cut.btf", whole[:length])
        folder.refuses(
            "run", "--base", "cut.btf", "kfunc_module.ko", code=BAD_INPUT, names="cut.btf"
        )


@pytest.mark.parametrize(
    "place", ["lib/modules/{}/vmlinux", "usr/src/linux-headers-{}/vmlinux", "boot/vmlinux-{}"]
)
def test_a_base_of_a_known_other_release_is_refused(place: str, folder: Folder) -> None:
    base = folder.write(place.format("6.12.1-other"), BASE_BLOB)

    folder.refuses(
        "run", "--base", base, "good.ko", code=BAD_INPUT, names="good.ko", says="6.12.1-other's"
    )
    right = folder.write(place.format(RELEASE), BASE_BLOB)
    assert folder.kbtf("run", "--base", right, "good.ko").code == 0


def other_base(case: str) -> Btf:
    if case == "fewer types":
        return make_base().build()
    b = BtfBuilder(byte_order="little")
    if case == "shifted types":
        b.add_int("char", 1)
    for btf_type in BASE:
        shift = b.next_id - btf_type.id
        b.add_copy(btf_type, {type_id: type_id + shift for type_id in range(1, BASE.end_id)})
    if case == "a type more":
        b.add_fwd("new")
    return b.build()


@pytest.mark.parametrize("case", ["fewer types", "shifted types", "a type more"])
def test_split_btf_that_does_not_fit_the_base_is_refused(case: str, folder: Folder) -> None:
    folder.write("other.btf", other_base(case).to_bytes())

    folder.refuses(
        "run", "--base", "other.btf", "good.ko",
        code=BAD_INPUT, names="good.ko", says="does not fit the base other.btf",
    )  # fmt: skip


def test_a_real_module_does_not_fit_a_base_that_changed(folder: Folder) -> None:
    folder.write("kfunc_module.ko", (DEMO / "kfunc_module.ko").read_bytes())
    builder = BtfBuilder(byte_order="little")
    builder.add_int("new type", 1)
    folder.write("other.btf", builder.to_bytes())

    folder.refuses(
        "run", "--base", "other.btf", "kfunc_module.ko",
        code=BAD_INPUT, names="kfunc_module.ko", says="does not fit the base other.btf",
    )  # fmt: skip


# BTF of modules that is malformed

# FUNC_PROTO with one parameter, of 20 bytes, then FUNC
BAD_SPLITS = {
    "no BTF": (b"this is a text and no BTF at all", "no BTF magic"),
    "half a header": (SPLIT_BLOB[:20], "header"),
    "last byte missing": (SPLIT_BLOB[:-1], "past the end"),
    "name out of range": (patched(SPLIT_BLOB, 44, "<I", 0xFFFFFF), "name offset 16777215"),
    "parameter's name out of range": (patched(SPLIT_BLOB, 36, "<I", 9999), "name offset 9999"),
    "vlen out of range": (patched(SPLIT_BLOB, 28, "<I", 13 << 24 | 0xFFFF), "vlen 65535"),
    "kind out of range": (patched(SPLIT_BLOB, 48, "<I", 99 << 24), "kind 99"),
    "type id out of range": (patched(SPLIT_BLOB, 40, "<I", 9999), "type id 9999"),
}
DISTILLED_BASE, DISTILLED_SPLIT = DISTILLED.base.to_bytes(), DISTILLED.split.to_bytes()
# INT of 16 bytes, then STRUCT
BAD_DISTILLED_BASES = {
    "no BTF": (b"this is a text and no BTF at all", "no BTF magic"),
    "half a header": (DISTILLED_BASE[:20], "header"),
    "last byte missing": (DISTILLED_BASE[:-1], "past the end"),
    "name out of range": (patched(DISTILLED_BASE, 24, "<I", 0xFFFFFF), "name offset 16777215"),
    "vlen out of range": (patched(DISTILLED_BASE, 44, "<I", 4 << 24 | 0xFFFF), "vlen 65535"),
    "kind out of range": (patched(DISTILLED_BASE, 28, "<I", 99 << 24), "kind 99"),
    "type id out of range": (patched(DISTILLED_BASE, 44, "<II", 2 << 24, 999), "type id 999"),
}


def test_malformed_btf_of_a_module_is_refused(folder: Folder) -> None:
    cases = {case: (module(data), words) for case, (data, words) in BAD_SPLITS.items()}

    folder.refuses_all(folder.write_all(cases), *RUN)


def test_malformed_btf_on_a_distilled_base_is_refused(folder: Folder) -> None:
    # FUNC_PROTO of 20 bytes, then FUNC
    broken = patched(DISTILLED_SPLIT, 52, "<I", 9999)
    folder.write("bad.ko", module(broken, DISTILLED_BASE))

    folder.refuses(*RUN, "bad.ko", code=BAD_INPUT, names="bad.ko: .BTF: ", says="type id 9999")
    folder.refuses("show", "bad.ko", code=BAD_INPUT, names="bad.ko: .BTF: ", says="type id 9999")


@pytest.mark.parametrize("command", [RUN, ("show",)], ids=["run", "show"])
def test_a_malformed_distilled_base_is_refused(command: tuple[str, ...], folder: Folder) -> None:
    cases = {
        case: (module(DISTILLED_SPLIT, data), words)
        for case, (data, words) in BAD_DISTILLED_BASES.items()
    }

    folder.refuses_all(folder.write_all(cases), *command)


# .BTF_ids that makes no sense


def ids(*symbols: ElfSymbol, words: int = 4) -> Ids:
    return Ids(bytes(4 * words), symbols)


def symbol(name: str, at: int = 0, size: int = 0) -> ElfSymbol:
    return ElfSymbol(f"__BTF_ID__{name}", ".BTF_ids", at, size)


BAD_IDS = {
    "a slot behind the section": (ids(symbol("func__f__1", 16)), "__BTF_ID__func__f__1"),
    "a slot before the section": (ids(symbol("func__f__1", 2**64 - 4)), "__BTF_ID__func__f__1"),
    "a slot that is not aligned": (ids(symbol("func__f__1", 2)), "__BTF_ID__func__f__1"),
    "a set that reaches out": (ids(symbol("set8__kfuncs", 0, 24)), "set kfuncs"),
    "a set without its count": (ids(symbol("set8__kfuncs", 0, 4)), "set kfuncs"),
    "two sets of a name": (
        ids(symbol("set8__kfuncs", 0, 8), symbol("set8__kfuncs", 8, 8)), "two sets kfuncs"
    ),
    "an unknown kind": (ids(symbol("enum__e__1")), "kind 'enum'"),
    "no suffix": (ids(symbol("func__name")), "__BTF_ID__func__name"),
    "a suffix with one underscore": (ids(symbol("func__na_1")), "__BTF_ID__func__na_1"),
    "half a word": (
        Ids(bytes(7), (symbol("func__f__1"),)), "7 bytes are not a whole number of words"
    ),
    "101 slots of a name": (
        make_ids({"list": [("func", "do_work")] * 101}), "more than 100 slots for do_work"
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", [RUN, ("show",)], ids=["run", "show"])
def test_ids_that_make_no_sense_are_refused(command: tuple[str, ...], folder: Folder) -> None:
    cases = {case: (module(ids=made), words) for case, (made, words) in BAD_IDS.items()}

    folder.refuses_all(folder.write_all(cases), *command)


def test_ids_without_btf_or_dwarf_are_refused(folder: Folder) -> None:
    folder.write("bad.ko", module(btf=None))

    folder.refuses(*RUN, "bad.ko", code=BAD_INPUT, names="bad.ko", says="neither BTF nor DWARF")


@pytest.mark.parametrize("base", [None, DISTILLED_BASE], ids=["plain", "distilled"])
def test_ids_resolved_against_another_base_are_refused(base: bytes | None, folder: Folder) -> None:
    unresolved = read_ids(Module(GOOD).image)
    assert unresolved is not None
    other = split_on(other_base("shifted types"))
    resolved = resolve_ids(unresolved, other).ids.to_bytes()
    split = SPLIT_BLOB if base is None else DISTILLED_SPLIT
    folder.write("bad.ko", module(split, base, IDS._replace(data=resolved)))

    for option in ("auto", "never"):
        folder.refuses(
            *RUN, "--distill", option, "bad.ko",
            code=BAD_INPUT, names="bad.ko: .BTF_ids: ", says="resolved against",
        )  # fmt: skip


# Signed and compressed modules


def signature(length: int, data: bytes = b"PKCS#7!") -> bytes:
    # struct module_signature: algo, hash, id_type, two lengths, padding, sig_len
    info = struct.pack(">5B3xI", 0, 0, 2, 0, 0, length)
    return data + info + b"~Module signature appended~\n"


def test_a_signed_module_is_refused(folder: Folder) -> None:
    folder.write("bad.ko", GOOD + signature(7))

    folder.refuses(*RUN, "bad.ko", code=BAD_INPUT, names="bad.ko", says="--strip-signature")


BAD_SIGNATURES = {
    "longer than the file": GOOD + signature(2**32 - 1),
    "longer than what precedes it": GOOD + signature(len(GOOD) + 8),
    "the whole file": GOOD + signature(len(GOOD) + 7),
    "only its end": b"~Module signature appended~\n",
    "only a signature": signature(7),
}


@pytest.mark.parametrize("option", [(), ("--strip-signature",)], ids=["kept", "stripped"])
def test_a_malformed_signature_is_refused(option: tuple[str, ...], folder: Folder) -> None:
    cases = {case: (data, "") for case, data in BAD_SIGNATURES.items()}

    folder.refuses_all(folder.write_all(cases), *RUN, *option)


PACKED = {
    "gz": gzip.compress(GOOD, mtime=0),
    "xz": lzma.compress(GOOD, check=lzma.CHECK_CRC32),
    "zst": zstd.compress(GOOD, options={zstd.CompressionParameter.checksum_flag: 1}),
}


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


def test_a_corrupt_compressed_module_is_refused(folder: Folder) -> None:
    cases: dict[str, tuple[bytes, str]] = {}
    for kind, data in PACKED.items():
        middle = len(data) // 2
        cases |= {
            f"{kind} without its last byte": (data[:-1], "truncated"),
            f"{kind} without its second half": (data[:middle], "truncated"),
            f"{kind} that ends with its magic": (data[:6], "truncated"),
            f"{kind} with another byte": (patched(data, middle, "B", data[middle] ^ 0xFF), ""),
            f"{kind} of a text": (PACK[kind](b"no module"), "not an ELF file"),
            f"{kind} of nothing": (PACK[kind](b""), "not an ELF file"),
            f"{kind} of half a module": (PACK[kind](GOOD[:-1]), "past the end"),
        }

    folder.refuses_all(folder.write_all(cases), *RUN)


def test_a_module_in_a_compression_that_modules_have_not_is_refused(folder: Folder) -> None:
    cases = {
        "bzip2": (bz2.compress(GOOD), "bzip2"),
        "lzma": (lzma.compress(GOOD, format=lzma.FORMAT_ALONE), "lzma"),
    }

    folder.refuses_all(folder.write_all(cases), *RUN)


@pytest.mark.parametrize("kind", PACKED)
def test_what_follows_the_compressed_module_does_not_get_lost(kind: str, folder: Folder) -> None:
    # xz and zstd refuse such a file; gzip warns and exits with 2
    signed_afterwards = folder.write("signed.ko", PACKED[kind] + signature(7))
    tail = folder.write("tail.ko", PACKED[kind] + b"tail")

    folder.refuses_all({signed_afterwards: "", tail: ""}, *RUN)


# Options, configuration and plugins

BAD_USAGE = {
    "no module": (RUN, "MODULE"),
    "an unknown option": ((*RUN, "--frobnicate", "good.ko"), "--frobnicate"),
    "an option without its value": (("run", "good.ko", "--base"), "--base"),
    "a value that is no choice": ((*RUN, "--distill=maybe", "good.ko"), "maybe"),
    "an unknown command": (("frobnicate", "good.ko"), "frobnicate"),
    "an unknown plugin": ((*RUN, "-p", "frobnicate", "good.ko"), "frobnicate"),
    "leaving out an unknown plugin": ((*RUN, "-p", "no:frobnicate", "good.ko"), "frobnicate"),
    "leaving out an essential plugin": ((*RUN, "-p", "no:embed_sections", "good.ko"), "essential"),
    "two outputs in one file": ((*RUN, "-o", "out", "good.ko", "good.ko"), "out"),
}


@pytest.mark.parametrize("case", BAD_USAGE)
def test_bad_usage_is_refused(case: str, folder: Folder) -> None:
    args, words = BAD_USAGE[case]

    folder.refuses(*args, code=USAGE, names=words)


BAD_TABLES = {
    "an unknown key": ("distil = 'always'\n", "distil"),
    "a key in an unknown table": ("[sign]\nkey = 'k'\n", "sign.key"),
    "a value of another type": ("strip-signature = 'yes'\n", "strip-signature"),
    "a value that is no choice": ("distill = 'maybe'\n", "maybe"),
    "an unknown plugin": ("plugins = ['frobnicate']\n", "frobnicate"),
    "plugins that are no list": ("plugins = 'frobnicate'\n", "plugins"),
    "a file as a plugin": ("plugins = ['./p.py']\n", "p.py"),
    "no TOML": ("distill: always\n", "not TOML"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_configuration_is_refused(case: str, folder: Folder) -> None:
    text, words = BAD_TABLES[case]
    folder.write("kbtf.toml", text.encode())

    folder.refuses(*RUN, "good.ko", code=USAGE, names="kbtf.toml", says=words)


def test_a_configuration_that_is_not_there_is_named(folder: Folder) -> None:
    folder.refuses(*RUN, "--config", "a.toml", "good.ko", code=BAD_INPUT, names="a.toml")


HEAD = "from kbtf import hookimpl, KbtfError\n"
BAD_PLUGINS = {
    "raises": ("@hookimpl\ndef kbtf_distill(module): raise ValueError('oh')", "ValueError: oh"),
    "raises two lines": (
        "@hookimpl\ndef kbtf_distill(module): raise ValueError('one\\ntwo')", "one\\ntwo"
    ),
    "raises while options are read": (
        "@hookimpl\ndef kbtf_configure(config): config['absent']", "KeyError"
    ),
    "raises last of all": (
        "@hookimpl\ndef kbtf_finish(output): output.nothing", "AttributeError"
    ),
    "misspelt hook": ("@hookimpl\ndef kbtf_distil(module): pass", "kbtf_distil"),
    "misspelt argument": ("@hookimpl\ndef kbtf_distill(modul): pass", "modul"),
    "hook without its marker": ("def kbtf_distill(module): pass", "@hookimpl"),
    "no Python": ("this is no Python", "SyntaxError"),
    "imports what is absent": ("import absent_module_of_tests", "absent_module_of_tests"),
    "ends the process": ("@hookimpl\ndef kbtf_distill(module): raise SystemExit(0)", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PLUGINS)
def test_a_plugin_that_fails_is_named(case: str, folder: Folder) -> None:
    text, words = BAD_PLUGINS[case]
    folder.write("bad_pass.py", f"{HEAD}{text}\n".encode())

    folder.refuses(
        *RUN, "-p", "./bad_pass.py", "good.ko", code=ENVIRONMENT, names="bad_pass", says=words
    )


def test_a_base_that_is_truncated_while_it_is_read_ends_the_run_in_words(folder: Folder) -> None:
    # The kernel raises SIGBUS where a mapped page is no longer in its file.
    call = "module.base; open('vmlinux.btf', 'w').close()"
    text = f"{HEAD}@hookimpl(tryfirst=True)\ndef kbtf_distill(module): {call}\n"
    folder.write("cut.py", text.encode())

    done = folder.kbtf(*RUN, "-p", "./cut.py", "good.ko")

    assert done.errors == ["kbtf: error: a file was truncated while it was read"]
    assert done.code == ENVIRONMENT
    assert (folder.path / "good.ko").read_bytes() == GOOD


def test_a_plugin_that_is_not_there_is_named(folder: Folder) -> None:
    done = folder.kbtf(*RUN, "-p", "./absent.py", "good.ko")

    assert done.code in (USAGE, BAD_INPUT, ENVIRONMENT)
    assert len(done.errors) == 1
    assert "absent.py" in done.errors[0]


BAD_RESULTS = {
    "BTF that cannot be read": "module.set_section('.BTF', b'ruined')",
    "a base that cannot be read": "module.set_section('.BTF.base', b'ruined')",
    "ids of another size": "module.set_section('.BTF_ids', bytes(4))",
}


@pytest.mark.parametrize("case", BAD_RESULTS)
def test_a_pass_may_not_leave_what_cannot_be_read(case: str, folder: Folder) -> None:
    hook = "@hookimpl(trylast=True)\ndef kbtf_embed_sections(module): "
    folder.write("ruin.py", f"{HEAD}{hook}{BAD_RESULTS[case]}\n".encode())

    folder.refuses(*RUN, "-p", "./ruin.py", "good.ko", code=BAD_INPUT, names="good.ko")


# What the system refuses


def without_power_over_permissions() -> tuple[str, ...]:
    """What keeps root from reading and writing where its permissions say no."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        missing("setpriv is not installed")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def test_a_read_only_folder_is_named(folder: Folder) -> None:
    before = without_power_over_permissions()
    folder.path.chmod(0o555)

    folder.refuses(
        *RUN, "good.ko", before=before, code=ENVIRONMENT, names="good.ko", says="permission denied"
    )


def test_a_file_that_may_not_be_read_is_named(folder: Folder) -> None:
    before = without_power_over_permissions()
    (folder.path / "good.ko").chmod(0)

    folder.refuses(
        *RUN, "good.ko", before=before, code=ENVIRONMENT, names="good.ko", says="permission denied"
    )


def test_a_base_that_may_not_be_read_is_named(folder: Folder) -> None:
    before = without_power_over_permissions()
    (folder.path / "vmlinux.btf").chmod(0)

    folder.refuses(
        *RUN, "good.ko", before=before,
        code=ENVIRONMENT, names="vmlinux.btf", says="permission denied",
    )  # fmt: skip


def test_an_output_folder_that_is_not_there_is_named(folder: Folder) -> None:
    folder.refuses(*RUN, "-o", "absent/", "good.ko", code=BAD_INPUT, names="absent/")
    folder.refuses(*RUN, "-o", "absent/out.ko", "good.ko", code=BAD_INPUT, names="absent")


def test_a_disk_that_is_full_is_named(folder: Folder) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        missing("only root may mount")
    (folder.path / "disk").mkdir()
    script = """
mount -t tmpfs -o size=64k tmpfs disk || exit 99
cp -p good.ko disk/good.ko
cp /dev/zero disk/filler 2>/dev/null
"$@"
code=$?
cmp -s good.ko disk/good.ko && [ ! disk/good.ko -nt good.ko ] && echo same
ls -A disk
exit $code
"""
    unshared = ("unshare", "-m", "sh", "-c", script, "sh")

    done = folder.kbtf(*RUN, "disk/good.ko", before=unshared)

    if done.code == 99:
        missing(done.errors)
    (line,) = done.errors
    assert line.startswith("kbtf: error: disk/good.ko: ")
    assert "no space left on device" in line
    assert done.code == ENVIRONMENT
    assert done.out.split() == ["same", "filler", "good.ko"]


def test_a_file_larger_than_is_allowed_is_named(folder: Folder) -> None:
    limited = ("sh", "-c", 'ulimit -f 1; exec "$@"', "sh")

    folder.refuses(
        *RUN, "good.ko", before=limited, code=ENVIRONMENT, names="good.ko", says="too large"
    )


def strace(folder: Folder, call: str, fault: str) -> tuple[str, ...]:
    if not shutil.which("strace"):
        missing("strace is not installed")
    log = str(folder.path.parent / "strace.log")
    return ("strace", "-o", log, "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when=1")


@pytest.mark.parametrize("call", ["fsync", "/^rename"])
def test_a_run_that_is_killed_leaves_the_module_and_the_next_one_cleans_up(
    call: str, folder: Folder
) -> None:
    facts = folder.facts()

    done = folder.kbtf(*RUN, "good.ko", before=strace(folder, call, "signal=KILL"))

    assert done.code == -signal.SIGKILL
    after = folder.facts()
    assert after.items() >= facts.items()
    assert len(after) == len(facts) + 1
    assert folder.kbtf(*RUN, "good.ko").code == 0
    assert folder.facts().keys() == facts.keys()


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("INT", 130)])
@pytest.mark.parametrize("call", ["fsync", "flock"])
def test_a_run_that_is_asked_to_end_leaves_nothing(
    call: str, name: str, code: int, folder: Folder
) -> None:
    facts = folder.facts()

    done = folder.kbtf(*RUN, "good.ko", before=strace(folder, call, f"signal={name}"))

    assert done == (code, "", [])
    assert folder.facts() == facts


@pytest.mark.parametrize(
    ("call", "error"), [("fsync", "EIO"), ("/^rename", "EPERM"), ("fchmod", "EIO")]
)
def test_a_write_that_fails_is_named(call: str, error: str, folder: Folder) -> None:
    folder.refuses(
        *RUN, "good.ko", before=strace(folder, call, f"error={error}"),
        code=ENVIRONMENT, names="good.ko", says=os.strerror(getattr(errno, error)).lower(),
    )  # fmt: skip


FILLERS_OF_STDOUT = {
    "show": ("show", "good.ko"),
    "extract": ("extract", "good.ko", ".BTF"),
    "version": ("--version",),
}


@pytest.mark.parametrize("args", FILLERS_OF_STDOUT.values(), ids=FILLERS_OF_STDOUT)
def test_standard_output_that_is_full_is_an_error(args: tuple[str, ...], folder: Folder) -> None:
    full = ("sh", "-c", 'exec "$@" >/dev/full', "sh")

    folder.refuses(*args, before=full, code=ENVIRONMENT, names="", says="no space left on device")


def test_the_exit_code_tells_where_no_message_can(folder: Folder) -> None:
    full = ("sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh")

    assert folder.kbtf("show", "good.ko", before=full) == (ENVIRONMENT, "", [])
    assert folder.kbtf("show", "none.ko", before=full) == (BAD_INPUT, "", [])


def test_standard_output_that_is_closed_is_no_crash(folder: Folder) -> None:
    closed = ("sh", "-c", 'exec "$@" >&-', "sh")

    done = folder.kbtf(*RUN, "good.ko", before=closed)

    assert not any("Traceback" in line for line in done.errors)
    assert done.code in (0, ENVIRONMENT)


def test_a_reader_of_standard_output_may_leave(folder: Folder) -> None:
    left = ("sh", "-c", '{ sleep 0.2; exec "$@"; } | :', "sh")

    assert folder.kbtf("show", "good.ko", before=left) == (0, "", [])


# More than one module, and --debug


def test_a_bad_module_does_not_stop_the_others_and_the_highest_code_counts(
    folder: Folder,
) -> None:
    folder.write("first.ko", GOOD)
    folder.write("bad.ko", b"no module")
    folder.write("last.ko", GOOD)

    done = folder.kbtf(*RUN, "first.ko", "bad.ko", "absent.ko", "last.ko")

    assert done.code == BAD_INPUT
    assert [line.split(": ")[2] for line in done.errors] == ["bad.ko", "absent.ko"]
    assert [line.split(": ")[0] for line in done.out.splitlines()] == ["first.ko", "last.ko"]
    for name in ("first.ko", "last.ko"):
        assert Module.open(str(folder.path / name)).has_btf_base
    assert (folder.path / "bad.ko").read_bytes() == b"no module"


def test_an_environment_that_refuses_counts_more_than_bad_input(folder: Folder) -> None:
    before = without_power_over_permissions()
    folder.write("bad.ko", b"no module")
    folder.write("secret.ko", GOOD)
    (folder.path / "secret.ko").chmod(0)
    folder.write("last.ko", b"no module")

    done = folder.kbtf(*RUN, "bad.ko", "secret.ko", "last.ko", "good.ko", before=before)

    assert done.code == ENVIRONMENT
    assert [line.split(": ")[2] for line in done.errors] == ["bad.ko", "secret.ko", "last.ko"]
    assert Module.open(str(folder.path / "good.ko")).has_btf_base


@pytest.mark.parametrize("command", READERS)
def test_debug_shows_where_an_error_comes_from(command: str, folder: Folder) -> None:
    folder.write("bad.ko", b"no module")
    plain = folder.kbtf(*reading(command, "bad.ko"))

    done = folder.kbtf(*reading(command, "bad.ko"), "--debug")

    assert done.errors[0] == "Traceback (most recent call last):"
    assert done.errors[-1:] == plain.errors
    assert done.code == plain.code == BAD_INPUT


def test_debug_shows_where_the_error_of_a_plugin_comes_from(folder: Folder) -> None:
    text, _ = BAD_PLUGINS["raises"]
    folder.write("bad_pass.py", f"{HEAD}{text}\n".encode())

    done = folder.kbtf(*RUN, "-p", "./bad_pass.py", "--debug", "good.ko")

    assert done.errors[0] == "Traceback (most recent call last):"
    assert any("bad_pass.py" in line and "in kbtf_distill" in line for line in done.errors)
    assert done.code == ENVIRONMENT


def test_debug_may_stand_before_the_command_as_its_help_says(folder: Folder) -> None:
    folder.write("bad.ko", b"no module")

    done = folder.kbtf("--debug", *RUN, "bad.ko")

    assert done.errors[0] == "Traceback (most recent call last):"
    assert "bad.ko" in done.errors[-1]
    assert done.code == BAD_INPUT
