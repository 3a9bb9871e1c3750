"""Fixtures: the real parts that tests run against, and what to do where one is missing."""

from __future__ import annotations

import lzma
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.request import urlopen

import pytest

import real
from kbtf import Btf
from oracles import build as oracles

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
CORPUS = ROOT.parent / "shared" / "corpus"


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


def need_fresh_debian() -> None:
    """Skip where no Debian can be made in a directory: that takes mounts and Debian's mirror."""
    try:
        oracles.need("debootstrap", "unshare", "git")
    except oracles.Missing as error:
        missing(error)
    mount = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "true")
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        with urlopen("http://deb.debian.org/debian/dists/stable/InRelease", timeout=30):
            pass
    except OSError as error:
        pytest.skip(f"deb.debian.org is not reached: {error}")


def _or_missing(get: Callable[[], Path]) -> Path:
    try:
        return get()
    except real.Missing as error:
        missing(error)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The corpus of real BTF with libbpf's results, which is not part of the project."""
    if not CORPUS.is_dir():
        pytest.skip("no corpus beside the project")
    return CORPUS


@pytest.fixture(scope="session")
def corpus_base(corpus: Path) -> Btf:
    """The BTF that the corpus's modules were built on."""
    return Btf.parse(lzma.decompress((corpus / "base" / "6.12.117.btf.xz").read_bytes()))


@pytest.fixture(scope="session")
def headers() -> Path:
    """The newest installed kernel headers of Debian's 6.12 that have vmlinux."""
    return _or_missing(real.newest_headers)


@pytest.fixture(scope="session")
def vmlinux(headers: Path) -> Path:
    """The vmlinux of the headers: an ELF that has only .BTF."""
    return headers / "vmlinux"


@pytest.fixture(scope="session")
def resolve_btfids(headers: Path) -> Path:
    """Debian's resolve_btfids."""
    return _or_missing(lambda: real.debian_resolve_btfids(headers))


@pytest.fixture(scope="session")
def libbpf() -> Path:
    """libbpf of linux-source-6.12 behind a small program."""
    return _or_missing(oracles.libbpf_tool)


@pytest.fixture(scope="session")
def bpftool() -> Path:
    """The bpftool of linux-source-6.12, which knows .BTF.base."""
    return _or_missing(oracles.bpftool)


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


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, and no variable that changes what kbtf does."""
    for name in ("KBTF_BASE", "KBTF_DISABLE_PLUGIN_AUTOLOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
