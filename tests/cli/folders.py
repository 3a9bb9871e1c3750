# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A folder with a module and its base, in which everything is accounted for."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import kbtf
from kbtf import Btf, BtfBuilder, Kind, distill
from kbtf.testing import Ids, make_base, make_ids, make_module

if TYPE_CHECKING:
    from collections.abc import Mapping

KBTF = str(Path(sys.executable).with_name("kbtf"))
DEMO = Path(str(kbtf.__file__)).parent / "demo"
RELEASE = "6.12.0-test"
USAGE, BAD_INPUT, ENVIRONMENT = 2, 3, 4  # kbtf.errors
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


RUN = ("run", "--base", "vmlinux.btf")


BASE_BLOB, SPLIT_BLOB = BASE.to_bytes(), SPLIT.to_bytes()


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
