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
from kbtf import Btf, ElfImage, Kind, Module, read_ids
from kbtf.testing import write_elf

from .resolvable import SAME, SPLIT, as_vmlinux, side_by_side
from .standins import RESOLVE_BTFIDS, call

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.integration


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
    "kbtf.kernel.boot_image",
    "kbtf.hooks",
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
        "import sys; from kbtf.kbuild.resolver import run\n"
        "code = run(['-b', 'base.btf', 'x.ko'])\n"
        "print(*sys.modules); sys.exit(code)"
    )
    said = call(sys.executable, "-P", "-c", code)
    assert said.code == 0
    assert sorted(SLOW & set(said.out.split())) == []
