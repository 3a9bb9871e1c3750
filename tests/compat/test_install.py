# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A wheel built once works on every Python, an sdist can be built, and no compiler is said so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import missing

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
OLDEST = (3, 11)
SMOKE = (
    "tests/btf/test_btf.py",
    "tests/ids/test_btf_ids.py",
    "tests/elf/test_image.py",
    "tests/elf/test_edit.py",
    "tests/elf/test_malformed.py",
)


def run(
    *command: str | Path, code: int = 0, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> str:
    """What a program says."""
    path = f"{BIN}:{os.environ['PATH']}"  # ninja
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": path, **(env or {})},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def version_of(python: Path) -> tuple[int, ...]:
    said = run(python, "-c", "import sys; print(*sys.version_info[:2])")
    return tuple(map(int, said.split()))


def pythons() -> dict[str, Path]:
    """The newest of each version that is installed, by version."""
    places = [Path.home() / ".pyenv/versions", Path("/opt"), Path("/usr/local"), Path("/usr")]
    found: dict[str, Path] = {}
    for place in places:
        for path in sorted([*place.glob("bin/python3.?*"), *place.glob("*/bin/python3.?*")]):
            number = path.name.removeprefix("python3.")
            if number.isdigit() and (3, int(number)) >= OLDEST:
                found.setdefault(f"3.{number}", path)
    return found


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by this Python."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps"),
        *(f"-Cbuild-dir={folder / 'build'}", "-w", folder, ROOT),
    )
    (made,) = folder.glob("*.whl")
    return made


def venv(python: Path, folder: Path) -> Path:
    """The Python of a new venv."""
    run(python, "-m", "venv", folder)
    return folder / "bin" / "python"


def test_the_wheel_is_for_every_python_from_the_oldest_on(wheel: Path) -> None:
    assert f"cp{OLDEST[0]}{OLDEST[1]}-abi3-linux" in wheel.name


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_one_wheel_works(version: str, wheel: Path, tmp_path: Path) -> None:
    if version not in pythons():
        pytest.skip(f"no Python {version} here")  # a system has one or two of them
    python = venv(pythons()[version], tmp_path / "venv")
    try:
        run(python, "-m", "pip", "install", "-q", wheel, "lz4", "pytest", "hypothesis")
    except AssertionError as error:
        missing(f"packages for Python {version}: {error}")
    kbtf = tmp_path / "venv/bin/kbtf"

    assert "kfunc_module.ko" in run(kbtf, "demo", cwd=tmp_path)
    run(python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *SMOKE)


OLD = ("pluggy==1.0.0", "pyelftools==0.29", "packaging==22.0")
"""As in Debian 12."""
OLD_PYTEST = """
[pytest]
markers =
    integration
pythonpath = {}
"""


def test_the_oldest_dependencies_will_do(wheel: Path, tmp_path: Path) -> None:
    python = venv(Path(sys.executable), tmp_path / "venv")
    needed = (*OLD, "pytest==7.4.4", "hypothesis")
    try:
        run(python, "-m", "pip", "install", "-q", *needed)
    except AssertionError as error:
        missing(f"old packages: {error}")
    run(python, "-m", "pip", "install", "-q", "--no-deps", wheel)
    (tmp_path / "pytest.ini").write_text(OLD_PYTEST.format(ROOT / "tests"))
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", f"--rootdir={ROOT}")

    tests = ("tests/hooks/test_plugin_order.py", "tests/elf/test_compile_units.py")
    # pyelftools 0.29 cannot read the headers of split units
    chosen = ("-k", "not split and not damaged")
    run(python, "-P", "-m", "pytest", "-c", tmp_path / "pytest.ini", *options, *chosen, *tests)


def test_an_sdist_can_be_built_and_installed(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("an sdist is made of what git has")
    build = "import mesonpy, sys; print(mesonpy.build_sdist(sys.argv[1]))"
    run(
        sys.executable,
        "-c",
        build,
        tmp_path,
        env={
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        },
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    python = venv(Path(sys.executable), tmp_path / "venv")
    packages = subprocess.check_output(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(site, "here.pth").write_text(packages)

    install = ("-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps")
    run(python, *install, "--ignore-installed", sdist)

    assert "kfunc_module.ko" in run(tmp_path / "venv/bin/kbtf", "demo", cwd=tmp_path)
    with tarfile.open(sdist) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"LICENSE", "README.md", "kbtf/native/btf/btf.h", "tests/conftest.py"} <= names


def sources(folder: Path) -> Path:
    """A copy of what an install takes."""
    skip = shutil.ignore_patterns(".*", "__pycache__", "tests", "build", "fuzz-corpus")
    return Path(shutil.copytree(ROOT, folder / "kbtf", ignore=skip, symlinks=True))


def refused(folder: Path, env: Mapping[str, str]) -> str:
    """What pip says of an install that fails."""
    pip = (sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps")
    target = ("--target", folder / "target", f"-Cbuild-dir={folder / 'build'}")
    return run(*pip, *target, sources(folder), code=1, env=env)


def test_without_a_compiler_pip_says_what_is_missing(tmp_path: Path) -> None:
    said = refused(tmp_path, {"CC": "/nonexistent/cc"})

    assert "kbtf needs a C compiler, and found none: install gcc or clang" in said


WITHOUT_PYTHON = """#!/bin/sh
for word; do
    shift
    case $word in -I*python3*) ;; *) set -- "$@" "$word" ;; esac
done
exec gcc "$@"
"""


def test_without_the_headers_of_python_pip_says_what_is_missing(tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(WITHOUT_PYTHON)
    compiler.chmod(0o755)

    said = refused(tmp_path, {"CC": str(compiler)})

    assert "kbtf needs the C headers of Python: install python3-dev" in said
