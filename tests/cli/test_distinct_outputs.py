# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""No command writes two results to one file, or a result over something that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.folders import BASE_BLOB, DISTILLED, SPLIT_BLOB, USAGE
from hostile.dwarf import ROOT, dwarf, unit
from hostile.dwarf import module as hostile_module
from kbuild import kdirs

if TYPE_CHECKING:
    from cli.folders import Folder

BASE = ("--base", "vmlinux.btf")
# The words of a command, and the file that it must leave alone.
CASES = {
    "a depfile over the module": ("run --depfile good.ko good.ko", "good.ko"),
    "a depfile over the output": ("run -o new --depfile ./new good.ko", "./new"),
    "a module over its base": ("run --base vmlinux.btf -o vmlinux.btf good.ko", "vmlinux.btf"),
    "modules in one place": ("run -o links good.ko other.ko", "links/other.ko"),
    "a module over the base that is found": ("run -C k -o k/vmlinux good.ko", "k/vmlinux"),
    "a module over the configuration": ("run --config my.toml -o my.toml good.ko", "my.toml"),
    "both halves in one place": ("distill vmlinux.btf m.btf x x", "x"),
    "a half over the base": ("distill vmlinux.btf m.btf x vmlinux.btf", "vmlinux.btf"),
    "relocated over its base": ("relocate vmlinux.btf m.base m.split m.base", "m.base"),
    "undistilled over the base": ("undistill --base vmlinux.btf good.ko -o link", "link"),
    "a section over its module": ("extract good.ko .BTF -o good.ko", "good.ko"),
    "types over their module": ("encode --base vmlinux.btf good.ko -o good.ko", "good.ko"),
    "types over their base": ("encode --base vmlinux.btf dwarf.ko -o link", "link"),
    "types over their kernel": ("base vmlinux.btf -o vmlinux.btf", "vmlinux.btf"),
    "a page over a kernel": ("check --kernel vmlinux.btf --html link good.ko", "link"),
    "a page over a kernel of a directory": (
        "check --kernel k --html k/vmlinux good.ko",
        "k/vmlinux",
    ),
    "a page over the modules' kernel": (
        "check --deep --built-against k --kernel vmlinux.btf --html k/vmlinux good.ko",
        "k/vmlinux",
    ),
    "a page over the configuration": (
        "check --kernel vmlinux.btf --config my.toml --html my.toml good.ko",
        "my.toml",
    ),
    "a page over a module": ("stats --html good.ko good.ko", "good.ko"),
    "a module over its symbols": ("build -C k --module a -o x --symvers x m", "x"),
    "a depfile over the built module": ("build -C k --module a -o x --depfile x m", "x"),
    "a base over symbols": ("build -C k --base link --symvers vmlinux.btf m", "vmlinux.btf"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused(folder: Folder, case: str) -> None:
    words, names = CASES[case]
    for name, data in (("m.btf", SPLIT_BLOB), ("other.ko", (folder.path / "good.ko").read_bytes())):
        folder.write(name, data)
    folder.write("m.base", DISTILLED.base.to_bytes())
    folder.write("m.split", DISTILLED.split.to_bytes())
    folder.write("my.toml", b"")
    folder.write("m/Makefile", b"")
    kdirs.small_kdir(folder.path / "k")
    folder.write("k/vmlinux", BASE_BLOB)
    folder.write("dwarf.ko", hostile_module(dwarf(ROOT, unit(b""))))
    (folder.path / "link").symlink_to("vmlinux.btf")
    (folder.path / "links").mkdir()
    for name in ("good.ko", "other.ko"):
        (folder.path / "links" / name).symlink_to("one.ko")

    folder.refuses(*words.split(), code=USAGE, names=f"{names}: ")


def test_types_do_not_replace_the_base_in_the_environment(folder: Folder) -> None:
    folder.write("dwarf.ko", hostile_module(dwarf(ROOT, unit(b""))))
    folder.env["KBTF_BASE"] = "vmlinux.btf"

    folder.refuses("encode", "dwarf.ko", "-o", "./vmlinux.btf", code=USAGE, names="./vmlinux.btf: ")


def test_a_depfile_does_not_replace_the_base_that_is_found(folder: Folder) -> None:
    kdirs.small_kdir(folder.path / "k")
    folder.write("k/vmlinux", BASE_BLOB)

    assert folder.kbtf("run", "-C", "k", "--depfile", "k/vmlinux", "good.ko").code == USAGE
    assert (folder.path / "k/vmlinux").read_bytes() == BASE_BLOB


@pytest.mark.parametrize("words", ["-o good.ko", "-o link.ko", "-o .", "--depfile good.d -o ./"])
def test_a_module_may_replace_itself(folder: Folder, words: str) -> None:
    (folder.path / "link.ko").symlink_to("good.ko")
    before = (folder.path / "good.ko").read_bytes()

    assert folder.kbtf("run", *BASE, *words.split(), "good.ko").code == 0
    assert (folder.path / "good.ko").read_bytes() != before


@pytest.mark.parametrize("option", ["-o", "--symvers", "--depfile"])
def test_a_build_does_not_replace_its_sources_or_other_products(
    folder: Folder, option: str
) -> None:
    module = (folder.path / "good.ko").read_bytes()
    folder.write("m/linked", module)
    folder.write("m/Module.symvers", b"")
    for source in ("m/Makefile", "m/.a.o.cmd", "m/main.c"):
        folder.write(source, b"source_a.o := main.c\n")
    (kdirs.small_kdir(folder.path / "k") / "Makefile").write_text(
        "modules:\n\t@cd $(M); for m in a b; do cp linked $$m.ko; echo $$m.o; done >modules.order\n"
    )
    command = ["build", "-C", "k", *BASE, "m", "--module", "a", "-o", "new.ko"]

    for path in ("m/Makefile", "m/main.c", "m/b.ko"):
        done = folder.kbtf(*command, option, path)
        assert (done.code, len(done.errors)) == (USAGE, 1), done
        assert f" {path}: is read" in done.errors[0]
    assert (folder.path / "m/main.c").read_bytes() == b"source_a.o := main.c\n"
    assert folder.kbtf(*command, "-o", "m/a.ko", "--symvers", "m/Module.symvers").code == 0
