# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The commands that write files, each with what it reads and what it writes."""

from __future__ import annotations

import lzma
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import real
from kbtf import BtfBuilder, ElfImage, Kind, distill
from kbtf.testing import Ids, make_base, make_ids, make_module

if TYPE_CHECKING:
    from collections.abc import Mapping

RELEASE = "6.12.0-test"
SCRIPTS = Path(sysconfig.get_path("scripts"))
BASE = ("--base", "vmlinux.btf")
PAHOLE = """#!/bin/sh
case $1 in --version) echo v1.24; exit;; esac
for word; do case $word in --btf_encode_detached=*) cp split.btf "${word#*=}";; esac; done
"""
MAKEFILE = """modules:
	cd $(M) && { [ -e m.ko ] || cp linked m.ko; } && echo m.o >modules.order
"""


class Command(NamedTuple):
    """A command line, run in a folder of its own."""

    args: tuple[str, ...]
    reads: Mapping[str, bytes]
    writes: Mapping[str, bytes | None]
    """The files that it makes or changes, with their old content; all of them are looked at."""
    program: str = "kbtf"
    failure: int = 4
    """How it says that the machine refuses."""
    keeps: tuple[str, ...] = ()
    """What else it leaves in the folder."""
    has_threads: bool = False
    """Whether several threads write, each of which can be hit."""

    def set_up(self, folder: Path) -> None:
        """Put everything in the folder as it was before the command."""
        for name in (*self.writes, *self.keeps):
            (folder / name).unlink(missing_ok=True)
        for name, data in {**self.reads, **self.writes}.items():
            if data is not None:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                path.chmod(0o755 if data.startswith(b"#!") else 0o644)


def _split() -> BtfBuilder:
    s = BtfBuilder(_base().build())
    s.add_composite(Kind.STRUCT, "own", 16, [("head", 3, 0)])
    s.add_func("do_work", s.add_func_proto(1, [("head", 4)]))
    return s


def _base() -> BtfBuilder:
    base = make_base()
    base.add_composite(Kind.STRUCT, "list_head", 16)
    base.add_ref(Kind.PTR, 3)
    return base


IDS: Ids = make_ids(set8s={"kfuncs": [("func", "do_work", 0)]})
VMLINUX, SPLIT = _base().to_bytes(), _split().to_bytes()
DISTILLED = distill(_split().build())
LINKED = make_module(btf=SPLIT, ids=IDS, release=RELEASE)
WITHOUT_IDS = make_module(btf=SPLIT, release=RELEASE)
WITHOUT_BTF = make_module(btf=None, ids=None, release=RELEASE)
RELOCATABLE = make_module(
    btf=DISTILLED.split.to_bytes(), btf_base=DISTILLED.base.to_bytes(), ids=IDS, release=RELEASE
)
KERNEL = {"vmlinux.btf": VMLINUX}
OLD = b"what was there before"


def large_with_dwarf() -> bytes:
    """A module whose unchanged bytes are written while it is encoded."""
    image = ElfImage((real.encoding_cases() / "cases" / "structs" / "m.ko").read_bytes())
    image.set_section(".debug_line", (image.data(".debug_line") or b"") + bytes(4 << 20))
    return image.to_bytes()


def key_and_certificate() -> dict[str, bytes]:
    """A new key to sign modules with; FileNotFoundError without openssl."""
    words = "openssl req -new -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=x/ -keyout - -out -"
    done = subprocess.run(words.split(), capture_output=True, check=True)
    key, middle, cert = done.stdout.partition(b"-----BEGIN CERTIFICATE-----")
    return {"key.pem": key, "cert.pem": middle + cert}


COMMANDS = {
    "run": Command(("run", *BASE, "m.ko"), KERNEL, {"m.ko": LINKED}),
    "run, compressed": Command(
        ("run", *BASE, "m.ko.xz"),
        KERNEL,
        {"m.ko.xz": lzma.compress(LINKED, check=lzma.CHECK_CRC32)},
    ),
    "run, large with DWARF": Command(
        ("run", "--encoder", "kbtf", *BASE, "m.ko"),
        {"vmlinux.btf": (real.encoding_cases() / "base.131.btf").read_bytes()},
        {"m.ko": large_with_dwarf()},
        has_threads=True,
    ),
    "run, three modules": Command(
        ("run", *BASE, "a.ko", "b.ko", "c.ko"),
        KERNEL,
        dict.fromkeys(("a.ko", "b.ko", "c.ko"), LINKED),
    ),
    "run -o": Command(
        ("run", *BASE, "-o", "out.ko", "m.ko"), {**KERNEL, "m.ko": LINKED}, {"out.ko": OLD}
    ),
    "run --depfile": Command(
        ("run", *BASE, "-o", "out.ko", "--depfile", "m.d", "m.ko"),
        {**KERNEL, "m.ko": LINKED},
        {"out.ko": OLD, "m.d": OLD},
    ),
    "build": Command(
        ("build", "-C", "kdir", *BASE, "."),
        {
            **KERNEL,
            "Kbuild": b"obj-m := m.o\n",
            "kdir/Makefile": MAKEFILE.encode(),
            "linked": LINKED,
        },
        {"m.ko": LINKED},
        keeps=("modules.order", ".kbtf.cmd"),
    ),
    "undistill": Command(("undistill", *BASE, "m.ko"), KERNEL, {"m.ko": RELOCATABLE}),
    "distill": Command(
        ("distill", "vmlinux.btf", "split.btf", "out.base", "out.split"),
        {**KERNEL, "split.btf": SPLIT},
        {"out.base": OLD, "out.split": None},
    ),
    "relocate": Command(
        ("relocate", "vmlinux.btf", "in.base", "in.split", "out.btf"),
        {**KERNEL, "in.base": DISTILLED.base.to_bytes(), "in.split": DISTILLED.split.to_bytes()},
        {"out.btf": OLD},
    ),
    "extract -o": Command(("extract", "m.ko", ".BTF", "-o", "out"), {"m.ko": LINKED}, {"out": OLD}),
    "base -o": Command(("base", "vmlinux.btf", "-o", "out"), KERNEL, {"out": None}),
    "check --html": Command(
        ("check", "--kernel", "vmlinux.btf", "--html", "out.html", "m.ko"),
        {**KERNEL, "m.ko": WITHOUT_IDS},
        {"out.html": OLD},
    ),
    "stats --html": Command(
        ("stats", "--html", "out.html", "m.ko"), {"m.ko": RELOCATABLE}, {"out.html": OLD}
    ),
    "dkms enable": Command(
        ("dkms", "enable", "--root", "root", "--program", "/usr/bin/kbtf"),
        {"root/etc/dkms/kbtf/other": b"", "root/etc/dkms/framework.conf.d/other.conf": b""},
        {
            "root/etc/dkms/kbtf/hook.mk": None,
            "root/etc/dkms/kbtf/make": None,
            "root/etc/dkms/framework.conf.d/kbtf.conf": None,
        },
    ),
    "pahole": Command(
        ("-J", "--btf_base", "vmlinux.btf", "m.ko"),
        {**KERNEL, "split.btf": SPLIT, "bin/pahole": PAHOLE.encode()},
        {"m.ko": WITHOUT_BTF},
        program="kbtf-pahole",
    ),
    "resolve-btfids": Command(
        ("-b", "vmlinux.btf", "m.ko"),
        KERNEL,
        {"m.ko": LINKED},
        program="kbtf-resolve-btfids",
        failure=255,
    ),
    "resolve-btfids, 7.0": Command(
        ("--btf", "m.ko.BTF.1", "--btf_base", "vmlinux.btf", "--distill_base", "m.ko"),
        {**KERNEL, "m.ko": LINKED, "m.ko.BTF.1": SPLIT},
        {"m.ko.BTF": OLD, "m.ko.BTF.base": None, "m.ko.BTF_ids": None},
        program="kbtf-resolve-btfids",
        failure=255,
    ),
    "run --sign": Command(
        ("run", *BASE, "--sign", "key.pem", "cert.pem", "m.ko"), KERNEL, {"m.ko": LINKED}
    ),
}


def environment(folder: Path) -> dict[str, str]:
    """Variables for a command in *folder*, with places for its temporaries beside it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KBTF_")}
    tmp = folder.parent / "tmp"
    tmp.mkdir(exist_ok=True)
    return {
        **kept,
        "KBTF_CACHE_DIR": str(folder.parent / "cache"),
        "KBTF_ENCODER": "pahole",
        "KBTF_PAHOLE": str(folder / "bin/pahole"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(tmp),
    }
