# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf-resolve-btfids -b vmlinux FILE``, side by side with Debian's resolve_btfids."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf import Btf, BtfBuilder, ElfImage, Kind, Module, read_ids
from kbtf.testing import ElfSymbol, make_base, make_ids, make_module, write_elf

from .standins import RESOLVE_BTFIDS, call

if TYPE_CHECKING:
    from kbtf.testing import Ids

    from .standins import Said

pytestmark = pytest.mark.integration


def build_base() -> Btf:
    """Functions f, twice, and struct s, twice."""
    b = make_base()
    proto = b.add_func_proto(0)
    b.add_func("f", proto)
    b.add_composite(Kind.STRUCT, "s", 4)
    b.add_func("f", proto)
    b.add_composite(Kind.STRUCT, "s", 8)
    return b.build()


def build_split() -> bytes:
    split = BtfBuilder(build_base())
    split.add_func("g", 3)
    return split.to_bytes()


BASE, SPLIT = build_base().to_bytes(), build_split()
SET8 = {"k": [("func", "g", 5), ("func", "f", 7), ("func", "gone", 9)]}


def all_ids(byte_order: str = "little") -> Ids:
    """Lists and sets with ids that are there, doubled or missing."""
    lists = {"l": [("func", "f"), ("func", "nope"), ("struct", "zz"), ("struct", "za")]}
    sets = {"q": [("func", "g"), ("func", "f")]}
    return make_ids(lists, sets, SET8, byte_order=byte_order)


def with_symbols(*symbols: tuple[str, int, int]) -> bytes:
    made = tuple(ElfSymbol(name, ".BTF_ids", at, size) for name, at, size in symbols)
    return write_elf({".BTF_ids": bytes(16), ".BTF": SPLIT}, made)


def with_section_field(elf: bytes, name: str, at: int, value: int) -> bytes:
    """An ELF64 file with 8 bytes of a section's header replaced."""
    section = ElfImage(elf).section(name)
    assert section is not None
    out = bytearray(elf)
    (start,) = struct.unpack_from("<Q", out, 40)
    struct.pack_into("<Q", out, start + 64 * section.number + at, value)
    return bytes(out)


def as_vmlinux() -> bytes:
    """An executable with .BTF_ids at an address, and base BTF."""
    address = 0xFFFFFFFF82000000
    made = make_ids(lists={"l": [("func", "f"), ("struct", "s")]}, set8s=SET8)
    symbols = tuple(s._replace(value=address + s.value) for s in made.symbols)
    elf = write_elf({".BTF": BASE, ".BTF_ids": made.data}, symbols, elf_type=2)
    return with_section_field(elf, ".BTF_ids", 16, address)


SAME = {
    "all of it": make_module(btf=SPLIT, ids=all_ids()),
    "big endian": make_module(btf=SPLIT, ids=all_ids("big"), byte_order="big"),
    "32 bits": make_module(btf=SPLIT, ids=all_ids(), bits=32),
    "two kinds with two types each": make_module(
        btf=SPLIT,
        ids=make_ids(lists={"l": [("func", "f"), ("func", "x"), ("struct", "s"), ("struct", "x")]}),
    ),
    "an empty set": make_module(btf=SPLIT, ids=make_ids(set8s={"k": []})),
    "a distilled base": make_module(btf=SPLIT, btf_base=BASE, ids=all_ids()),
    "another kind": with_symbols(("__BTF_ID__enum__e__1", 0, 0)),
    "a suffix with one underscore": with_symbols(("__BTF_ID__func__na_1", 0, 0)),
    "a kind alone": with_symbols(("__BTF_ID__func", 0, 0)),
    "no name": with_symbols(("__BTF_ID__func__", 0, 0)),
    "a set without name": with_symbols(("__BTF_ID__set__", 0, 8)),
    "two sets of one name": with_symbols(("__BTF_ID__set__s", 0, 4), ("__BTF_ID__set__s", 4, 4)),
    "101 slots": make_module(btf=SPLIT, ids=make_ids(lists={"l": [("func", "f")] * 101})),
    "outside the section": with_symbols(
        ("__BTF_ID__func__zz__1", 0, 0),
        ("__BTF_ID__func__f__2", 16, 0),
        ("__BTF_ID__func__a__3", 4, 0),
    ),
    "no BTF": make_module(ids=all_ids()),
    "no ids": make_module(btf=SPLIT),
    "no symbols": with_symbols(),
    "other symbols only": with_symbols(("foo", 0, 0)),
    "not ELF": b"garbage" * 10,
    "empty": b"",
    "a compressed section": with_section_field(
        make_module(btf=SPLIT, ids=all_ids(), sections={".debug_info": bytes(32)}),
        ".debug_info",
        8,
        1 << 11,
    ),
}


@pytest.fixture
def there(run_dir: Path) -> Path:
    """The current directory, with base.btf."""
    (run_dir / "base.btf").write_bytes(BASE)
    return run_dir


def side_by_side(tool: Path, elf: bytes, *options: object) -> tuple[Said, bytes]:
    """What both make of an ELF file, once it is known to be the same."""
    results = []
    for program in (tool, RESOLVE_BTFIDS):
        Path("x.ko").write_bytes(elf)
        said = call(program, *options, "x.ko")
        results.append((said, Path("x.ko").read_bytes()))
    (theirs, their_file), (ours, our_file) = results
    assert (ours.code, ours.out, ours.words) == (theirs.code, theirs.out, theirs.words)
    assert our_file == their_file
    return ours, our_file


@pytest.mark.parametrize("state", ["unresolved", "distilled"])
def test_modules_of_the_corpus(
    state: str, corpus: Path, corpus_base: Btf, resolve_btfids: Path, run_dir: Path
) -> None:
    Path("vmlinux").write_bytes(corpus_base.to_bytes())
    modules = sorted((corpus / "btf_ids").glob(f"*.{state}.ko"))
    assert len(modules) >= 3
    for module in modules:
        elf = module.read_bytes()

        said, resolved = side_by_side(resolve_btfids, elf, "-b", "vmlinux")

        assert said.code == 0
        assert resolved != elf


def test_modules_of_debian_as_they_were_before(
    resolve_btfids: Path, vmlinux: Path, run_dir: Path
) -> None:
    """All that have ids, with these and the counts of sets taken out again."""
    release = vmlinux.parent.name.removeprefix("linux-headers-")
    tried = 0
    for path in sorted(Path("/lib/modules", release).rglob("*.ko*")):
        module = Module.open(str(path))
        ids = read_ids(module.image)
        if ids is None:
            continue
        tried += 1
        words = list(ids.words)
        for at in (*ids.id_words, *(s.at for s in ids.sets), *(s.at for s in ids.slots)):
            words[at] = 0
        module.image.set_section(".BTF_ids", struct.pack(f"<{len(words)}I", *words))
        elf = module.image.to_bytes()
        for options in ((), ("-v",), ("-vv",)):
            said, resolved = side_by_side(resolve_btfids, elf, *options, "-b", vmlinux)
            assert (said.code, resolved == elf) == (0, False)
    if not tried:
        missing(f"no modules with ids in /lib/modules/{release}")


@pytest.mark.parametrize("case", SAME)
def test_warnings_failures_and_files_are_the_same(
    case: str, resolve_btfids: Path, there: Path
) -> None:
    said, _ = side_by_side(resolve_btfids, SAME[case], "-b", "base.btf")
    if said.code:
        assert any("FAILED" in line for line in said.words) or case == "two sets of one name"


@pytest.mark.parametrize("case", ["all of it", "big endian", "32 bits", "no BTF", "no ids"])
def test_verbose_output_is_the_same(case: str, resolve_btfids: Path, there: Path) -> None:
    side_by_side(resolve_btfids, SAME[case], "-v", "-b", "base.btf")
    side_by_side(resolve_btfids, SAME[case], "-vv", "--btf_base=base.btf")


@pytest.mark.parametrize("base", ["missing", "noids.ko", "empty", "garbage"])
def test_a_base_that_is_none(base: str, resolve_btfids: Path, there: Path) -> None:
    Path("noids.ko").write_bytes(write_elf({".text": bytes(4)}))
    Path("empty").touch()
    elf = SAME["all of it"]
    if base != "garbage":
        side_by_side(resolve_btfids, elf, "-b", base)
        return
    # libbpf has a number of its own for this, and no words.
    Path("garbage").write_bytes(b"garbage" * 10)
    Path("x.ko").write_bytes(elf)
    said = call(RESOLVE_BTFIDS, "-b", base, "x.ko")
    assert said.code == 255
    assert said.words[0].startswith("FAILED: load base BTF from garbage: ")


def test_a_vmlinux_has_its_ids_at_an_address(resolve_btfids: Path, there: Path) -> None:
    said, resolved = side_by_side(resolve_btfids, as_vmlinux())
    assert said.code == 0
    words = struct.unpack("<10I", ElfImage(resolved).data(".BTF_ids") or b"")
    assert words == (4, 5, 3, 1, 0, 5, 0, 9, 4, 7)


LISTS = """
.macro id kind, name, unique
.type __BTF_ID__\\kind\\()__\\name\\()__\\unique, @object
.size __BTF_ID__\\kind\\()__\\name\\()__\\unique, 4
__BTF_ID__\\kind\\()__\\name\\()__\\unique: .zero 4
.endm
.globl _start
_start: ret
.section .BTF_ids, "a"
id struct task_struct 1
id func vfs_read 2
id typedef pid_t 3
id struct no_such_struct 4
id union bpf_attr 5
.globl __BTF_ID__set8__kfuncs
__BTF_ID__set8__kfuncs: .long 0, 1
id func bpf_task_release 6
.long 5
id func bpf_task_acquire 7
.long 7
.size __BTF_ID__set8__kfuncs, . - __BTF_ID__set8__kfuncs
.globl __BTF_ID__set__functions
__BTF_ID__set__functions: .long 0
id func vfs_write 8
id func kfree 9
.size __BTF_ID__set__functions, . - __BTF_ID__set__functions
"""


@pytest.mark.parametrize("options", [(), ("-v",)])
def test_a_vmlinux_as_the_linker_leaves_it(
    options: tuple[str, ...], resolve_btfids: Path, corpus_base: Btf, run_dir: Path
) -> None:
    """With a kernel's own BTF, at a kernel's addresses."""
    Path("btf").write_bytes(corpus_base.to_bytes())
    Path("ids.s").write_text(LISTS)
    for command in (
        "gcc -c ids.s -o ids.o",
        "ld -Ttext=0xffffffff81000000 -o linked ids.o",
        "objcopy --add-section .BTF=btf linked",
    ):
        subprocess.run(command.split(), check=True)

    said, resolved = side_by_side(resolve_btfids, Path("linked").read_bytes(), *options)

    assert said.code == 0
    assert "WARN: resolve_btfids: unresolved symbol no_such_struct" in said.words
    ids = struct.unpack("<14I", ElfImage(resolved).data(".BTF_ids") or b"")
    task = corpus_base.find("task_struct", Kind.STRUCT)
    assert task is not None
    assert ids[0] == task.id
    # A warning that is fatal leaves the file as it was; 6.12's knows no such option.
    Path("x").write_bytes(Path("linked").read_bytes())
    assert call(RESOLVE_BTFIDS, "--fatal_warnings", "x").code == 255
    assert Path("x").read_bytes() == Path("linked").read_bytes()


def test_detached_btf_is_taken_from_where_it_is(resolve_btfids: Path, there: Path) -> None:
    Path("split.btf").write_bytes(SPLIT)
    side_by_side(resolve_btfids, SAME["no BTF"], "-b", "base.btf", "--btf", "split.btf")


@pytest.mark.parametrize(
    "options",
    [("-bbase.btf",), ("--btf_base", "base.btf"), ("--btf_b=base.btf", "--verb"), ("-vbbase.btf",)],
)
def test_options_are_read_as_the_kernels_parser_does(
    options: tuple[str, ...], resolve_btfids: Path, there: Path
) -> None:
    side_by_side(resolve_btfids, SAME["all of it"], *options)


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("x.ko", "-v"),
        ("--bogus", "x.ko"),
        ("-z", "x.ko"),
        ("-b",),
        ("--help",),
        ("-v=1", "x.ko"),
    ],
)
def test_wrong_options_end_with_the_usage(
    args: tuple[str, ...], resolve_btfids: Path, there: Path
) -> None:
    Path("x.ko").write_bytes(SAME["all of it"])
    theirs, ours = call(resolve_btfids, *args), call(RESOLVE_BTFIDS, *args)
    assert ours.code == theirs.code == 129
    assert " Usage: resolve_btfids [<options>] <ELF object>" in ours.err
    errors = [line for line in theirs.err if "Error" in line]
    assert [line for line in ours.err if "Error" in line] == errors


REFUSED = {
    "a slot that is not aligned": with_symbols(("__BTF_ID__func__f__1", 2, 0)),
    "a set that is longer than the section": with_symbols(("__BTF_ID__set__s", 0, 400)),
    "a kind that only begins like one": with_symbols(("__BTF_ID__structs__f__1", 0, 0)),
    "BTF that is cut short": make_module(btf=SPLIT[:-4], ids=all_ids()),
}


@pytest.mark.parametrize("case", REFUSED)
def test_where_the_original_would_write_nonsense_nothing_is_written(case: str, there: Path) -> None:
    Path("x.ko").write_bytes(REFUSED[case])
    said = call(RESOLVE_BTFIDS, "-b", "base.btf", "x.ko")
    assert said.code == 255
    assert said.words[-1].startswith("FAILED")
    assert Path("x.ko").read_bytes() == REFUSED[case]


def test_resolved_ids_are_left_alone(there: Path) -> None:
    Path("x.ko").write_bytes(SAME["all of it"])
    assert call(RESOLVE_BTFIDS, "-b", "base.btf", "x.ko").code == 0
    resolved = Path("x.ko").read_bytes()

    again = call(RESOLVE_BTFIDS, "-b", "base.btf", "x.ko")

    assert (again.code, again.words) == (0, [])
    assert again.err == [
        "kbtf-resolve-btfids: x.ko: .BTF_ids is resolved already, nothing is changed"
    ]
    assert Path("x.ko").read_bytes() == resolved


def test_ids_of_another_base_are_refused_and_left_alone(there: Path) -> None:
    Path("x.ko").write_bytes(SAME["all of it"])
    call(RESOLVE_BTFIDS, "-b", "base.btf", "x.ko")
    resolved = Path("x.ko").read_bytes()
    other = make_base()
    other.add_float("new", 8)
    proto = other.add_func_proto(0)
    other.add_func("f", proto)
    other.add_composite(Kind.STRUCT, "s", 4)
    other.add_func("padding", proto)
    Path("other.btf").write_bytes(other.to_bytes())

    said = call(RESOLVE_BTFIDS, "-b", "other.btf", "x.ko")

    assert said.code == 255
    assert "FAILED" in said.words[-1]
    assert Path("x.ko").read_bytes() == resolved


def test_fatal_warnings_fail_before_anything_is_written(there: Path) -> None:
    elf = SAME["all of it"]
    Path("x.ko").write_bytes(elf)
    said = call(RESOLVE_BTFIDS, "--fatal_warnings", "-b", "base.btf", "x.ko")
    assert said.code == 255
    assert "WARN: resolve_btfids: unresolved symbol nope" in said.words
    assert Path("x.ko").read_bytes() == elf

    Path("x.ko").write_bytes(make_module(btf=SPLIT, ids=make_ids(lists={"l": [("func", "g")]})))
    assert call(RESOLVE_BTFIDS, "--fatal_warnings", "-b", "base.btf", "x.ko").code == 0


def test_a_kernel_image_serves_as_base_too(corpus: Path, corpus_base: Btf, run_dir: Path) -> None:
    xz = shutil.which("xz")
    assert xz
    Path("vmlinux").write_bytes(corpus_base.to_bytes())
    shutil.copy(corpus / "btf_ids" / "fou.unresolved.ko", "x.ko")
    subprocess.run([xz, "-0", "vmlinux"], check=True)
    env = {**os.environ, "KBTF_CACHE_DIR": str(run_dir)}
    assert call(RESOLVE_BTFIDS, "-b", "vmlinux.xz", "x.ko", env=env).code == 0
    golden = (corpus / "btf_ids" / "fou.resolved.ids").read_bytes()
    assert ElfImage(Path("x.ko").read_bytes()).data(".BTF_ids") == golden


SLOW = {
    "argparse",
    "dataclasses",
    "elftools",
    "importlib.metadata",
    "json",
    "kbtf.elf.payload",
    "kbtf.host",
    "kbtf.plugins",
    "logging",
    "lzma",
    "pathlib",
    "pluggy",
    "shutil",
    "subprocess",
    "tempfile",
    "tomllib",
}


def test_nothing_slow_is_imported(there: Path) -> None:
    Path("x.ko").write_bytes(SAME["all of it"])
    code = (
        "import sys; from kbtf.kbuild.resolve_btfids import main\n"
        "code = main(['-b', 'base.btf', 'x.ko'])\n"
        "print(*sys.modules); sys.exit(code)"
    )
    said = call(sys.executable, "-P", "-c", code)
    assert said.code == 0
    assert sorted(SLOW & set(said.out.split())) == []
