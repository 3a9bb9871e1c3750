# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The paholes to compare with: the installed one, Debian 13's, sid's, and any that are named."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import real
from oracles.build import cache_root, need, once, run

SUITES = ("trixie", "sid")
SOURCE = (
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
    "http://deb.debian.org/debian {suite} main\n"
)
OWN_SOURCES = """\
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
"""


class Pahole(NamedTuple):
    """One pahole."""

    name: str
    """Its version and where it is from, for the table."""
    key: str
    """For the names of results."""
    command: tuple[str, ...]


def find_paholes(named: dict[str, str]) -> list[Pahole]:
    """The installed one first; those that this machine cannot get are skipped with a message."""
    sources = {"apt": _installed}
    sources |= {suite: partial(_of_suite, suite) for suite in SUITES}
    sources |= {name: partial(_named, path) for name, path in named.items()}
    found = []
    for where, get in sources.items():
        try:
            command = get()
            found.append(Pahole(f"pahole {_version(command)} of {where}", where, command))
        except (real.Missing, RuntimeError) as error:
            print(f"skipped: pahole of {where}: {error}", file=sys.stderr)
    if not found:
        raise real.Missing("no pahole: install it, or name one with --pahole NAME=PATH")
    return found


def _installed() -> tuple[str, ...]:
    need("pahole")
    return (str(shutil.which("pahole")),)


def _named(path: str) -> tuple[str, ...]:
    need(path)
    return (str(Path(str(shutil.which(path))).absolute()),)


def _version(command: tuple[str, ...]) -> str:
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip().removeprefix("v")


def _of_suite(suite: str) -> tuple[str, ...]:
    """With the loader and the libraries of that Debian, downloaded once a week."""
    need("apt-get", "dpkg-deb")
    root = once(cache_root() / time.strftime(f"pahole-{suite}-%G-%V"), partial(_unpack, suite))
    (loader,) = root.glob("usr/lib64/ld-linux-x86-64.so.2")
    libraries = root / "usr/lib/x86_64-linux-gnu"
    return str(loader), "--library-path", str(libraries), str(root / "usr/bin/pahole")


def _unpack(suite: str, path: Path) -> None:
    folder = path.with_name("apt")
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(SOURCE.format(suite=suite))
    config = folder / "apt.conf"
    text = real.APT_CONFIG + OWN_SOURCES
    config.write_text(text.format(arch="amd64", folder=folder))
    run("apt-get", "-qq", "-c", config, "update")
    only = ("--download-only", "--no-install-recommends", "-y")
    run("apt-get", "-qq", "-c", config, "install", *only, "pahole")
    for deb in folder.glob("cache/archives/*.deb"):
        run("dpkg-deb", "-x", deb, path)
