# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""pytest fixtures for tests of plugins.

PYTEST_DONT_REWRITE: there are no assertions here.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from kbtf.btf.btf import Btf
from kbtf.testing.elfwriter import write_elf
from kbtf.testing.modules import make_base, make_ids, make_kfuncs, make_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


class BaseFile(NamedTuple):
    """The BTF of a kernel, in a file and in memory."""

    path: Path
    btf: Btf


class Done(NamedTuple):
    """The exit code and output of a run of kbtf."""

    code: int
    out: str
    err: str


@pytest.fixture
def kbtf_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, and no environment variables that affect kbtf."""
    for name in [name for name in os.environ if name.startswith("KBTF_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kbtf_base(kbtf_dir: Path) -> BaseFile:
    """The small kernel that the modules of these fixtures are built for; it can relocate BTF.

    A test that needs another kernel overrides this fixture.
    """
    data = make_base().to_bytes()
    path = kbtf_dir / "vmlinux.btf"
    path.write_bytes(data)
    return BaseFile(path, Btf.parse(data))


@pytest.fixture
def kbtf_module(kbtf_dir: Path, kbtf_base: BaseFile) -> Callable[..., Path]:
    """Creates a freshly linked ``.ko``: plain split BTF, and a kfunc set to resolve.

    ``kbtf_module(name="tiny", *, kfuncs=("tiny_add",), flags=0, **more)``; *flags* are those of
    each kfunc, *more* goes to `kbtf.testing.make_module`.
    """

    def make(
        name: str = "tiny", *, kfuncs: Iterable[str] = ("tiny_add",), flags: int = 0, **more: Any
    ) -> Path:
        kfuncs = tuple(kfuncs)
        entries = [("func", kfunc, flags) for kfunc in kfuncs]
        more.setdefault("btf", make_kfuncs(kbtf_base.btf, kfuncs))
        more.setdefault("ids", make_ids(set8s={f"{name}_kfuncs": entries}) if kfuncs else None)
        path = kbtf_dir / f"{name}.ko"
        path.write_bytes(make_module(name, **more))
        return path

    return make


@pytest.fixture
def kbtf_elf(kbtf_dir: Path) -> Callable[..., Path]:
    """Writes an ELF file: ``kbtf_elf("file.o", {".text": b"..."}, ...)``.

    The arguments after the name are those of `kbtf.testing.write_elf`.
    """

    def make(name: str, sections: dict[str, bytes], *more: Any, **named: Any) -> Path:
        path = kbtf_dir / name
        path.write_bytes(write_elf(sections, *more, **named))
        return path

    return make


@pytest.fixture
def kbtf_run(kbtf_base: BaseFile, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Runs kbtf in this process, with ``kbtf_base`` as the base: ``kbtf_run("run", module)``.

    Installed plugins are loaded as usual; ``"-p", path`` adds one in a file.
    """
    from kbtf.program import main

    monkeypatch.setenv("KBTF_BASE", str(kbtf_base.path))

    def run(*words: object) -> Done:
        out, err = io.StringIO(), io.StringIO()
        old = signal.getsignal(signal.SIGTERM)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main([str(word) for word in words])
        finally:
            signal.signal(signal.SIGTERM, old)
        return Done(code, out.getvalue(), err.getvalue())

    return run
