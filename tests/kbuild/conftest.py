# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What tests of Kbuild's programs are given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.program import main

from .diagnosis import Said
from .implicit import implicit_split
from .resolvable import BASE

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def small(run_dir: Path) -> Path:
    split = implicit_split()
    assert split.base is not None
    Path("vmlinux").write_bytes(split.base.to_bytes())
    Path("m.ko.BTF.1").write_bytes(split.to_bytes())
    return run_dir


@pytest.fixture
def doctor(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def ask(*args: object) -> Said:
        capsys.readouterr()
        code = main(["doctor", "--json", *map(str, args)])
        rows = json.loads(capsys.readouterr().out)["findings"]
        return Said(code, {r["code"]: (r["severity"], r["text"], r["hint"] or "") for r in rows})

    return ask


@pytest.fixture
def pahole(run_dir: Path) -> Callable[[str], Path]:
    """Makes a program that claims to be a pahole of some version, and can do nothing."""

    def claim(version: str) -> Path:
        program = run_dir / f"pahole-{version}"
        program.write_text(f"#!/bin/sh\n[ $1 = --version ] && echo v{version} && exit\nexit 1\n")
        program.chmod(0o755)
        return program

    return claim


@pytest.fixture
def fake(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """A pahole of any version, which notes its arguments in the file `args`."""

    def make(version: str, then: str = "") -> Path:
        program = run_dir / "fake" / "pahole"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\n'
            f'echo "$*" >> {run_dir}/args\n{then}\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("KBTF_PAHOLE", str(program))
        monkeypatch.setenv("KBTF_ENCODER", "pahole")
        return program

    return make


@pytest.fixture
def there(run_dir: Path) -> Path:
    """The current directory, with base.btf."""
    (run_dir / "base.btf").write_bytes(BASE)
    return run_dir
