# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each message of the troubleshooting page is one that its program prints, by its sources."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import missing, or_missing
from kbtf import errors
from oracles import build as oracles

from .pages import DOCS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = (DOCS / "troubleshooting.md").read_text()
ANYTHING = "[^;]+"
ENOUGH = 8
"""Letters that a format must have besides what is filled in, for a match to say something."""


def messages(section: str) -> list[str]:
    """The messages below a heading."""
    _, found, rest = PAGE.partition(f"\n## {section}\n")
    assert found, section
    return re.findall(r"^### `(.+)`$", rest.partition("\n## ")[0], re.MULTILINE)


def format_of(text: str) -> str:
    """A pattern for what printf makes of a format."""
    parts = re.split(r"%[-+#0 .\d*]*(?:hh?|ll?|z)?[a-zA-Z]", text.replace("\\n", "").strip())
    return ".+".join(map(re.escape, parts)) if sum(map(len, parts)) >= ENOUGH else "(?!)"


def formats_in(files: Iterable[Path]) -> list[str]:
    """Patterns for all that C files or a program may print."""
    found = []
    for file in files:
        data = file.read_bytes()
        if data.startswith(b"\x7fELF"):
            texts = re.findall(rb"[\t -~]{10,}", data)
        else:
            texts = re.findall(rb'"((?:[^"\\\n]|\\.)*)"', data)
        found += [format_of(text.decode(errors="replace").replace("\\t", "")) for text in texts]
    return found


def is_printed(message: str, formats: Iterable[str]) -> bool:
    bare = re.sub(r"^(libbpf|BPF|Error): ", "", message)
    return any(re.fullmatch(pattern, bare) for pattern in formats)


@pytest.fixture(scope="module")
def source() -> Path:
    with or_missing():
        return oracles.kernel_source()


@pytest.mark.integration
def test_what_make_says(source: Path, headers: Path, resolve_btfids: Path, tmp_path: Path) -> None:
    first, of_pahole, of_shell, of_make, *others = messages("Messages of make")

    makefile = (headers / "scripts/Makefile.modfinal").read_text()
    assert re.sub(r"mymodule\.ko", "%s", first) in makefile
    pahole = shutil.which("pahole")
    if pahole is None:
        missing("pahole is not installed")
    said = subprocess.run(["pahole", "--not_known=x"], capture_output=True, text=True).stderr
    option = "--btf_features=encode_force"
    assert said.splitlines()[0].replace("--not_known=x", option) == of_pahole
    program = of_shell.split(": ")[2]
    words = ["/bin/sh", "-c", program]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.strip() == of_shell
    (tmp_path / "Makefile").write_text("include $(shell kbtf makefile)\n")
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    done = subprocess.run(["make"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stderr.splitlines()[0] == of_make
    formats = formats_in([resolve_btfids, *(source / "tools/lib/bpf").glob("*.c")])
    for message in others:
        assert is_printed(message, formats), message


@pytest.mark.integration
def test_what_the_kernels_log_says(source: Path) -> None:
    formats = formats_in([source / "kernel/bpf/btf.c", source / "tools/lib/bpf/btf_relocate.c"])
    for message in messages("Messages in the kernel log"):
        assert is_printed(message, formats), message


@pytest.mark.integration
def test_what_libbpf_bpftool_and_the_verifier_say(source: Path) -> None:
    files = [source / "kernel/bpf/verifier.c", *(source / "tools/lib/bpf").glob("*.c")]
    formats = formats_in([*files, *(source / "tools/bpf/bpftool").glob("*.c")])
    for message in messages("Messages of libbpf, bpftool and the verifier"):
        assert is_printed(message, formats), message


@cache
def texts() -> list[re.Pattern[str]]:
    """Patterns for the texts in the sources of kbtf, after the file that they are about."""
    files = [*(ROOT / "kbtf").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]
    found = {
        pattern_of(node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)
    }
    found.update(formats_in((ROOT / "kbtf/native").glob("*/*.c")))
    return [
        re.compile(f"(?:[^;]+?: )?{text}")
        for text in found
        if len(re.sub(r"\W", "", text.replace(ANYTHING, ""))) >= ENOUGH
    ]


def pattern_of(node: ast.expr) -> str:
    """A pattern for the value of an expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(pattern_of, node.values))
    if isinstance(node, ast.BinOp):
        return pattern_of(node.left) + pattern_of(node.right)
    return ANYTHING


def is_said(message: str) -> bool:
    """Whether kbtf has a text for what is wrong, and one for what to do."""
    parts = message.split("; ", 1)
    return all(any(text.fullmatch(part) for text in texts()) for part in parts)


def entries() -> list[tuple[str, str, int]]:
    """Message, class and exit code of what kbtf says."""
    found = re.findall(r"^### `kbtf: error: (.+)`\n\n`(\w+)`, (\d)\. ", PAGE, re.MULTILINE)
    assert len(found) == len(messages("Errors of kbtf"))
    return [(message, name, int(code)) for message, name, code in found]


def test_every_error_class_is_there_with_its_exit_code() -> None:
    said = {(name, code) for _, name, code in entries()}
    classes = {
        (name, error.exit_code)
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, errors.KbtfError)
    }
    assert said == classes


@pytest.mark.parametrize("message", [message for message, _, _ in entries()])
def test_what_kbtf_says(message: str) -> None:
    assert is_said(message)


@pytest.mark.parametrize("message", messages("Warnings of kbtf"))
def test_what_kbtf_warns_of(message: str) -> None:
    assert is_said(message.removeprefix("kbtf: warning: mymodule.ko: ").replace("; ", ", "))
