# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Fixtures: the real parts that tests run against, and what to do where one is missing."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.request import urlopen

import pytest

import real
from kbtf import Btf
from lab.debian import Debian, debian
from lab.installed import Installed, installed
from oracles import build as oracles

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Have all that is started here heed signals: background jobs ignore SIGINT, nohup SIGHUP."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def missing(reason: object) -> NoReturn:
    """Skip a test whose real part is missing; fail where everything must be there."""
    if os.environ.get("KBTF_REQUIRE_ALL") == "1":
        pytest.fail(f"missing: {reason}")
    pytest.skip(str(reason))


@contextmanager
def or_missing() -> Iterator[None]:
    """Skip, or fail, what needs something that this machine has not got."""
    try:
        yield
    except real.Missing as error:
        missing(error)


def need_fresh_debian() -> None:
    """Skip where no Debian can be made in a directory: that takes mounts and Debian's mirror."""
    with or_missing():
        oracles.need("debootstrap", "unshare", "git")
    mount = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "true")
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        with urlopen("http://deb.debian.org/debian/dists/stable/InRelease", timeout=30):
            pass
    except OSError as error:
        pytest.skip(f"deb.debian.org is not reached: {error}")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real BTF with libbpf's results, see data/README.md; not to be written to."""
    return real.corpus()


@pytest.fixture(scope="session")
def corpus_base(corpus: Path) -> Btf:
    """The BTF that the corpus's modules were built on."""
    return Btf.parse((corpus / "base" / "6.12.117.btf").read_bytes())


@pytest.fixture(scope="session")
def headers() -> Path:
    """The newest installed kernel headers of Debian's 6.12 that have vmlinux."""
    with or_missing():
        return real.newest_headers()


@pytest.fixture(scope="session")
def vmlinux(headers: Path) -> Path:
    """The vmlinux of the headers: an ELF that has only .BTF."""
    return headers / "vmlinux"


@pytest.fixture(scope="session")
def resolve_btfids(headers: Path) -> Path:
    """Debian's resolve_btfids."""
    with or_missing():
        return real.debian_resolve_btfids(headers)


@pytest.fixture(scope="session")
def libbpf() -> Path:
    """libbpf of linux-source-6.12 behind a small program."""
    with or_missing():
        return oracles.libbpf_tool()


@pytest.fixture(scope="session")
def newest_libbpf() -> Path:
    """A libbpf of the middle of 2026 or later behind the same program."""
    with or_missing():
        return oracles.newest_libbpf_tool()


@pytest.fixture(scope="session")
def bpftool() -> Path:
    """The bpftool of linux-source-6.12, which knows .BTF.base."""
    with or_missing():
        return oracles.bpftool()


@pytest.fixture(scope="session")
def kfunc_module(headers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/kfunc_module as the linker leaves it: DWARF, no BTF."""
    return real.build_module(
        ROOT / "examples" / "kfunc_module",
        tmp_path_factory.mktemp("kfunc_module"),
        headers,
        "PAHOLE=true",
        "RESOLVE_BTFIDS=true",
    )


@pytest.fixture(scope="session")
def lab() -> Debian:
    """Debian 13 with headers of 6.12 and two 7.x kernels."""
    need_fresh_debian()
    with or_missing():
        return debian()


@pytest.fixture(scope="session")
def lab_kbtf(lab: Debian) -> Iterator[Installed]:
    """kbtf in it."""
    with installed(lab) as found:
        yield found


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, and no variable that changes what kbtf does."""
    for name in ("KBTF_BASE", "KBTF_DISABLE_PLUGIN_AUTOLOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
