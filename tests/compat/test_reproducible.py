# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The same input gives the same bytes: whatever the locale, time zone, umask, order, job count."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kbtf
from kbtf.testing import make_base, make_ids, make_kfuncs, make_module

KBTF = str(Path(sys.executable).with_name("kbtf"))
DEMO = Path(str(kbtf.__file__)).parent / "demo"
SURROUNDINGS: dict[str, dict[str, str]] = {
    "C": {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0"},
    "Turkish": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati"},
    "another seed": {"PYTHONHASHSEED": "4711", "TZ": "America/St_Johns", "PYTHONUTF8": "1"},
    "1980": {"SOURCE_DATE_EPOCH": "315532800", "COLUMNS": "40", "NO_COLOR": "1"},
    "in a build": {"MAKEFLAGS": "", "KBUILD_BUILD_TIMESTAMP": "x", "HOME": "/nonexistent"},
}
COMMANDS = {
    "run": ("run", "--base", "vmlinux.btf", "-q", "a.ko", "b.ko", "c.ko", "sub/d.ko"),
    "dump": ("dump", "--base", "vmlinux.btf", "a.ko"),
    "check --html": ("check", "--kernel", "vmlinux.btf", "--html", "out.html", "a.ko"),
    "distill": ("distill", "vmlinux.btf", "a.ko", "out.base", "out.split"),
}


def fill(folder: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    base = make_base()
    (folder / "vmlinux.btf").write_bytes(base.to_bytes())
    btf = make_kfuncs(base.build(), ["first", "second"])
    ids = make_ids(set8s={"kfuncs": [("func", "first", 0), ("func", "second", 1)]})
    for name in ("a.ko", "b.ko", "c.ko", "sub/d.ko"):
        (folder / name).write_bytes(make_module(btf=btf, ids=ids))


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def result(
    folder: Path, args: tuple[str, ...], env: dict[str, str], umask: int = 0o022
) -> tuple[str, dict[str, bytes]]:
    fill(folder)
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("KBTF_", "LC_", "PYTHON")) and key not in ("LANG", "TZ")
    }
    done = subprocess.run(
        [KBTF, *args],
        cwd=folder,
        env={**clean, "KBTF_CACHE_DIR": str(folder.parent / "cache"), **env},
        capture_output=True,
        text=True,
        umask=umask,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout, contents(folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_surroundings_do_not_show(command: str, tmp_path: Path) -> None:
    args = COMMANDS[command]
    plain = result(tmp_path / "plain" / "folder", args, {})

    for name, env in SURROUNDINGS.items():
        assert result(tmp_path / name / "folder", args, env) == plain, name
    assert result(tmp_path / "umask" / "folder", args, {}, umask=0o077) == plain


@pytest.mark.parametrize("jobs", ["1", "2", "7"])
def test_the_number_of_jobs_does_not_show(jobs: str, tmp_path: Path) -> None:
    plain = result(tmp_path / "plain", COMMANDS["run"], {})

    assert result(tmp_path / "jobs", (*COMMANDS["run"], "-j", jobs), {}) == plain


def test_neither_time_nor_place_nor_name_of_the_user_is_written(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "a much longer name of a folder"
    results = []
    for folder, when in ((first, 0), (second, 2_000_000_000)):
        folder.mkdir()
        shutil.copy(DEMO / "kfunc_module.ko", folder / "m.ko")
        (folder / "v").write_bytes(lzma.decompress((DEMO / "vmlinux.btf.xz").read_bytes()))
        os.utime(folder / "m.ko", (when, when))
        subprocess.run([KBTF, "run", "-q", "--base", "v", "m.ko"], cwd=folder, check=True)
        results.append((folder / "m.ko").read_bytes())

    assert results[0] == results[1]
