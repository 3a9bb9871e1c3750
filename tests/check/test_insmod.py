# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whether a kernel takes a module at all: vermagic, symbols and their versions."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

from kbtf import BtfBuilder
from kbtf.program import main
from kbtf.testing import make_base
from kbtf.testing.elfwriter import ElfSymbol, write_elf

if TYPE_CHECKING:
    from pathlib import Path

OWN, OTHER = "6.12.0-own", "6.12.1-other"
NEEDED = {"_printk": 0x92997ED8, "kfree": 0x037A0CBA}
WITHOUT = "loads if the kernel has its symbols in the same versions"


def module(*, versions: bool = True, depends: str = "", extended: bool = False) -> bytes:
    """A module of OWN that takes the symbols in NEEDED, and one that is weak."""
    split = BtfBuilder(make_base().build())
    split.add_func("mine", split.add_func_proto(0))
    modinfo = f"name=mine\0vermagic={OWN} SMP mod_unload modversions \0depends={depends}\0"
    sections = {".modinfo": modinfo.encode(), ".BTF": split.to_bytes()}
    if versions and extended:
        sections["__version_ext_crcs"] = struct.pack("<2I", *NEEDED.values())
        sections["__version_ext_names"] = "\0".join([*NEEDED, ""]).encode()
    elif versions:
        entries = [struct.pack("<Q56s", crc, name.encode()) for name, crc in NEEDED.items()]
        sections["__versions"] = b"".join(entries)
    symbols = [ElfSymbol(name, None) for name in NEEDED]
    return write_elf(sections, (*symbols, ElfSymbol("maybe", None, is_weak=True)))


def kernel(folder: Path, release: str, exports: dict[str, int] | None) -> Path:
    """The raw BTF of a kernel, beside its Module.symvers."""
    folder.mkdir()
    path = folder / f"vmlinux-{release}"
    path.write_bytes(make_base().to_bytes())
    if exports is not None:
        lines = [
            f"0x{crc:08x}\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n" for name, crc in exports.items()
        ]
        (folder / "Module.symvers").write_text("".join(lines))
    return path


def judged(
    made: bytes, on: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[str, str, list[str]]:
    """Verdict, loading and codes of the findings; the BTF is taken."""
    (run_dir / "mine.ko").write_bytes(made)
    assert main(["check", "--json", "--kernel", str(on), "mine.ko"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["btf"] == "accepted"
    codes = [f["code"] for f in row["findings"] if f["code"] != "plain-other-release"]
    return row["verdict"], row["loading"], codes


NO_CRCS = dict.fromkeys(NEEDED, 0)
OTHER_CRCS = {**NEEDED, "kfree": 1}
CASES = {
    "its own kernel": (OWN, NEEDED, "loads", []),
    "its own, and nobody knows what it exports": (OWN, None, "loads", ["symbols-unchecked"]),
    "its own, without versions": (OWN, NO_CRCS, "loads", []),
    "another that exports the same": (OTHER, NEEDED, "loads", []),
    "another, and nobody knows": (OTHER, None, WITHOUT, ["symbols-unchecked"]),
    "another without versions": (OTHER, NO_CRCS, "fails", ["vermagic"]),
    "a version that changed": (OTHER, OTHER_CRCS, "fails", ["symbol-version"]),
    "a symbol that is gone": (OWN, {"_printk": NEEDED["_printk"]}, "fails", ["symbol-missing"]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("extended", [False, True])
def test_symbols_and_versions(
    case: str, extended: bool, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release, exports, loading, codes = CASES[case]
    on = kernel(run_dir / "boot", release, exports)

    verdict, found, said = judged(module(extended=extended), on, run_dir, capsys)

    assert (found, said) == (loading, codes)
    assert loading != "fails" or verdict == "warnings"


def test_another_release_takes_no_module_without_versions(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = kernel(run_dir / "boot", OTHER, None)

    assert judged(module(versions=False), on, run_dir, capsys)[1:] == ("fails", ["vermagic"])

    assert main(["check", "--kernel", str(on), "mine.ko"]) == 0
    assert f"its vermagic names {OWN}" in capsys.readouterr().out


def test_a_symbol_may_be_of_another_module(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = kernel(run_dir / "boot", OWN, {"_printk": NEEDED["_printk"]})

    assert judged(module(depends="provider"), on, run_dir, capsys)[1:] == (
        "loads",
        ["symbols-unchecked"],
    )


def test_a_release_that_is_not_known_is_said(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = run_dir / "some.btf"
    on.write_bytes(make_base().to_bytes())

    _, loading, codes = judged(module(), on, run_dir, capsys)

    assert (loading, codes) == ("loads", ["judged-by-signs", "symbols-unchecked"])


def test_the_symbols_of_a_vmlinux(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One with its symbols tells what it exports, but not in which version."""
    (run_dir / "boot").mkdir()
    on = run_dir / "boot" / f"vmlinux-{OWN}"
    symbols = (ElfSymbol("__ksymtab__printk", ".BTF"),)
    on.write_bytes(write_elf({".BTF": make_base().to_bytes()}, symbols))

    assert judged(module(), on, run_dir, capsys)[1:] == ("fails", ["symbol-missing"])
