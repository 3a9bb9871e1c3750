# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What is no module, alone or among others: one line that says so, and every file as it was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cli.folders import BAD_INPUT, BASE, DEMO, ENVIRONMENT, GOOD, RUN, patched
from kbtf import Module
from kbtf.testing import write_elf

if TYPE_CHECKING:
    from cli.folders import Folder


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
    "raw BTF": (BASE.to_bytes(), "is raw BTF"),
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


@pytest.mark.parametrize(
    "command",
    [
        *(("run", "bad.ko"), ("check", "bad.ko"), ("show", "bad.ko"), ("kfuncs", "bad.ko")),
        *(("extract", "bad.ko", ".BTF"), ("ksyms", "--base", "base", "bad.ko")),
        *(("explain", "bad.ko"), ("dump", "bad.ko"), ("base", "bad.ko"), ("stats", "bad.ko")),
        *(("encode", "bad.ko"), ("undistill", "--base", "bad.ko", "bad.ko")),
        *(
            ("relocate", "bad.ko", "bad.ko", "bad.ko", "out"),
            ("distill", "bad.ko", "bad.ko", "b", "s"),
        ),
        *(("kfuncs", "--compare", "bad.ko", "bad.ko"), ("plugins", "--trace", "bad.ko")),
    ],
    ids=lambda command: " ".join(command),
)
def test_an_empty_file_is_said_to_be_empty(command: tuple[str, ...], folder: Folder) -> None:
    folder.write("bad.ko", b"")

    done = folder.kbtf(*command)

    assert done.code == BAD_INPUT
    assert "bad.ko: is empty" in done.out + "\n".join(done.errors)


def test_no_section_comes_from_what_is_no_module(folder: Folder) -> None:
    folder.write("bad.ko", b"no module")

    folder.refuses(*reading("extract", "bad.ko"), code=BAD_INPUT, names="bad.ko", says="not an ELF")


@pytest.mark.parametrize("elf_type", [1, 2, 3])
def test_sections_come_from_any_elf_file(elf_type: int, folder: Folder) -> None:
    folder.write("any", write_elf({"mine": b"text"}, elf_type=elf_type))

    assert folder.kbtf("extract", "any", "mine") == (0, "text", [])


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


@pytest.mark.parametrize("command", READERS)
def test_debug_shows_where_an_error_comes_from(command: str, folder: Folder) -> None:
    folder.write("bad.ko", b"no module")
    plain = folder.kbtf(*reading(command, "bad.ko"))

    done = folder.kbtf(*reading(command, "bad.ko"), "--debug")

    assert done.errors[0] == "Traceback (most recent call last):"
    assert done.errors[-1:] == plain.errors
    assert done.code == plain.code == BAD_INPUT


def test_debug_may_stand_before_the_command_as_its_help_says(folder: Folder) -> None:
    folder.write("bad.ko", b"no module")

    done = folder.kbtf("--debug", *RUN, "bad.ko")

    assert done.errors[0] == "Traceback (most recent call last):"
    assert "bad.ko" in done.errors[-1]
    assert done.code == BAD_INPUT
