# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Meson projects in a folder, what it takes to build them, and what ninja ran."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import real
from oracles.build import Missing, cache_root, need, once, run

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "EXAMPLES",
    "OLDEST",
    "Missing",
    "Project",
    "add_subproject",
    "arm64_headers",
    "clone_of",
    "consumer",
    "has_module",
    "old_meson",
]

HERE = Path(sys.executable).parent
ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
# The oldest that kbtf works with as a subproject.
OLDEST = "0.64.1"

_RAN = re.compile(r"^\[\d+/\d+\] (?:Generating|Linking target) (\S+)", re.MULTILINE)
_NOT_CLONED = shutil.ignore_patterns(".git", ".venv", "build", "dist", "__pycache__", ".*_cache")
_WRAP = (
    "[wrap-file]\ndirectory = kbtf\n\n[provide]\nprogram_names = kbtf\ndependency_names = kbtf\n"
)
_WITH_MESON = """\
#!{python} -P
import sys
sys.path.insert(0, {folder!r})
sys.argv[0] = __file__
from mesonbuild.mesonmain import main
sys.exit(main())
"""


class Project(NamedTuple):
    """A Meson project and the folder ``out`` that it is built in."""

    folder: Path
    meson: str
    env: Mapping[str, str]

    def run(self, *words: object, **env: str) -> str:
        """What Meson says to these words; it must not fail."""
        done = self.ask(*words, **env)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def ask(self, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
        """Run Meson, whatever comes of it."""
        return subprocess.run(
            [self.meson, *map(str, words)],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def compile(self) -> list[str]:
        """Build, and tell the targets that ninja ran something for, by their last names."""
        return [Path(name).name for name in _RAN.findall(self.run("compile", "-C", "out"))]

    def install(self, *words: str) -> dict[str, Path]:
        """Install to ``dest``; the files there by their paths below it."""
        dest = self.folder / "dest"
        self.run("install", "-C", "out", *words, DESTDIR=str(dest))
        return {str(path.relative_to(dest)): path for path in dest.rglob("*") if path.is_file()}


def consumer(folder: Path, meson: str | None = None) -> Project:
    """The project in *folder*; with the ``meson`` and the ``kbtf`` that the tests run with."""
    found = meson or shutil.which("meson", path=HERE) or shutil.which("meson")
    if found is None:
        raise Missing("meson is not installed")
    env = {**os.environ, "PATH": f"{HERE}:{os.environ['PATH']}"}
    for name in ("KBTF_BASE", "MAKEFLAGS", "DESTDIR"):
        env.pop(name, None)
    return Project(folder, found, env)


def clone_of(root: Path, into: Path) -> Path:
    """A fresh clone of the project as it stands in *root*, changes included."""
    need("git")
    origin = Path(shutil.copytree(root, into / "origin", symlinks=True, ignore=_NOT_CLONED))
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
    run(*git, "init", "-q", "-b", "main", cwd=origin)
    run(*git, "add", "-A", cwd=origin)
    run(*git, "commit", "-q", "-m", "all", cwd=origin)
    run(*git, "clone", "-q", origin, into / "clone")
    return into / "clone"


def has_module(name: str) -> bool:
    """Whether the Python that runs the tests can import *name*."""
    return importlib.util.find_spec(name) is not None


def add_subproject(project: Path, root: Path = ROOT) -> None:
    """Put kbtf's sources into a project's ``subprojects``."""
    shutil.copytree(root, project / "subprojects/kbtf", symlinks=True, ignore=_NOT_CLONED)
    (project / "subprojects/kbtf.wrap").write_text(_WRAP)


def old_meson(version: str, into: Path, python: Path | str = sys.executable) -> str:
    """A program in *into* that is Meson of a version, run by *python*; from the package index."""

    def make(folder: Path) -> None:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q")
        try:
            run(*pip, "--no-deps", "--target", folder, f"meson=={version}")
        except RuntimeError as error:
            raise Missing(f"no meson {version}: {error}") from error

    folder = once(cache_root() / f"meson-{version}", make)
    program = into / "meson"
    program.write_text(_WITH_MESON.format(python=python, folder=str(folder)))
    program.chmod(0o755)
    return str(program)


def arm64_headers(headers: Path) -> Path:
    """Debian's arm64 headers of the same version as *headers*, whose tools they use."""
    need("aarch64-linux-gnu-gcc", "apt-get", "dpkg-deb")
    name = headers.name.removesuffix("-amd64") + "-arm64"

    def make(folder: Path) -> None:
        apt = folder.parent / "apt"
        for below in ("state/lists/partial", "cache/archives/partial"):
            (apt / below).mkdir(parents=True)
        (apt / "status").touch()
        config = apt / "apt.conf"
        config.write_text(real.APT_CONFIG.format(arch="arm64", folder=apt))
        try:
            run("apt-get", "-qq", "-c", config, "update")
            run("apt-get", "-qq", "-c", config, "download", f"{name}:arm64", cwd=apt)
        except RuntimeError as error:
            raise Missing(f"no {name}: {error}") from error
        (deb,) = apt.glob("*.deb")
        run("dpkg-deb", "--extract", deb, folder)
        for tools in ("scripts", "tools"):
            link = folder / "usr/src" / name / tools
            link.unlink()
            link.symlink_to((headers / tools).resolve())

    return once(cache_root() / name, make) / "usr/src" / name
