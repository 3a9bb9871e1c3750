# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A rule of dependencies, as make itself reads it."""

from __future__ import annotations

import string
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from kbtf.errors import UsageError
from kbtf.files.depfile import write_depfile

ODD = [*string.punctuation, *map(chr, range(1, 32)), "\x7f", " ", "é", "\udcff"]
PLACES = ("a{}b", "{}b", "a{}", "a{}touch ran", "a {}b", "a(b){}")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("odd", [char for char in ODD if char != "/"])
def test_make_reads_a_name_as_it_is_or_it_is_refused(
    odd: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = place.format(odd)
    for target, need in ((name, "need"), ("target", name)):
        with suppress(UsageError):
            write_depfile("d", [target], [need])
            for path in (target, need):
                Path(path).touch()
            Path("Makefile").write_text("include d\n%: ; @:\n")
            database = subprocess.run(["make", "-pq", "-f", "d"], capture_output=True, check=False)
            assert not Path("ran").exists()
            rules = [
                line
                for line in database.stdout.split(b"\n")
                if line.startswith(target.encode("utf-8", "surrogateescape") + b": ")
            ]
            assert rules == [f"{target}: {need}".encode("utf-8", "surrogateescape")]


@pytest.mark.parametrize(
    "name",
    ["a;touch ran", "a\nb:\n\ttouch ran", "SHELL=evil", "a\rb", "a|b", "%.ko", "a\\", "l(m)"],
)
def test_what_make_would_misread_is_refused(name: str, tmp_path: Path) -> None:
    for targets, needs in (([name], ["need"]), (["target"], [name])):
        with pytest.raises(UsageError, match="is not possible in a depfile"):
            write_depfile(str(tmp_path / "d"), targets, needs)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["a b", "a$b", "a#b", "a:b", "é", "a,b", "a+b", "a\\b"])
def test_what_make_can_take_is_written(name: str, tmp_path: Path) -> None:
    write_depfile(str(tmp_path / "d"), [name], [name])
    assert (tmp_path / "d").exists()
