# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The packages of examples/plugins, installed by pip into new environments, on a real module."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

import pytest

import real
from shown import block

pytestmark = pytest.mark.integration

PLUGINS = ("compress", "provenance", "policy", "dask")
UNTRACKED = shutil.ignore_patterns(
    ".*", "build", "*.egg-info", "__pycache__", "*.ko", "subprojects", "shared"
)


class Environment(NamedTuple):
    """A virtual environment with kbtf, and maybe plugins."""

    folder: Path

    def start(self, *words: object, cwd: Path) -> subprocess.Popen[str]:
        """Start one of its programs, in a group of its own; it prints to one pipe."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("KBTF_", "PYTHON"))}
        env["PATH"] = f"{self.folder / 'bin'}:{env['PATH']}"
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: object, cwd: Path, code: int = 0) -> str:
        """Run one of its programs; what it prints on both outputs."""
        process = self.start(*words, cwd=cwd)
        said, _ = process.communicate()
        assert process.returncode == code, said
        return said


@pytest.fixture(scope="module")
def sources(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples as a clone has them: building may leave files beside them."""
    folder = tmp_path_factory.mktemp("plugins") / "plugins"
    shutil.copytree(root / "examples" / "plugins", folder, ignore=UNTRACKED)
    return folder


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kbtf, built once for all environments."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        str(folder),
        str(root),
    ]
    subprocess.run(command, cwd=folder, check=True)
    (built,) = folder.glob("kbtf-*.whl")
    return built


def new_environment(folder: Path, *packages: object) -> Environment:
    """A new environment into which pip installs these packages."""
    venv.create(folder, with_pip=True, symlinks=True)
    new = Environment(folder)
    new.run("pip", "install", "-q", *packages, cwd=folder)
    return new


@pytest.fixture(scope="module", params=PLUGINS)
def installed(
    request: pytest.FixtureRequest,
    wheel: Path,
    sources: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Environment]:
    """Each plugin alone, installed as its README says."""
    folder = tmp_path_factory.mktemp(request.param)
    here = {"kbtf-compress": f"kbtf-{request.param}"}
    new = new_environment(folder / "venv", wheel)
    new.run("sh", "-ec", block("examples/plugins/README.md", "install", here), cwd=sources)
    return request.param, new


def test_pip_installs_it_and_its_own_tests_pass(
    installed: tuple[str, Environment], sources: Path
) -> None:
    name, environment = installed
    rows = environment.run("kbtf", "plugins", cwd=sources).splitlines()
    (row,) = [row for row in rows if row.startswith(f"{name} ")]
    assert re.match(rf"{name} +1\.0 +kbtf_{name} 1\.0 +kbtf_", row)

    own = block("examples/plugins/README.md", "own tests", {"kbtf-compress": f"kbtf-{name}"})
    assert " passed" in environment.run("sh", "-ec", own, cwd=sources)


def test_it_can_be_left_out(installed: tuple[str, Environment], tmp_path: Path) -> None:
    name, environment = installed

    assert f"\n{name} " not in environment.run("kbtf", "plugins", "-p", f"no:{name}", cwd=tmp_path)
    rows = environment.run("env", "KBTF_DISABLE_PLUGIN_AUTOLOAD=1", "kbtf", "plugins", cwd=tmp_path)
    assert f"\n{name} " not in rows
    environment.run("pip", "uninstall", "-q", "-y", f"kbtf-{name}", cwd=tmp_path)
    assert f"\n{name} " not in environment.run("kbtf", "plugins", cwd=tmp_path)


@pytest.fixture(scope="module")
def everything(wheel: Path, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """All three together."""
    packages = [sources / f"kbtf-{name}" for name in PLUGINS]
    return new_environment(tmp_path_factory.mktemp("all") / "venv", wheel, *packages)


@pytest.fixture
def module(kfunc_module: Path, tmp_path: Path) -> Path:
    """A real module as Kbuild leaves it, in the current folder of the runs."""
    return Path(shutil.copy(kfunc_module, tmp_path))


def follow(
    environment: Environment, page: str, name: str, vmlinux: Path, folder: Path, *more: str
) -> None:
    """Do what a page shows with a module of one's own, here that of the example."""
    shown = block(page, name, {"mymodule": "kfunc_module"})
    environment.run("env", f"KBTF_BASE={vmlinux}", *more, "sh", "-ec", shown, cwd=folder)


def peer(*words: object) -> str:
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=True
    ).stdout


def test_the_kernels_tools_take_what_is_compressed(
    everything: Environment, module: Path, vmlinux: Path, tmp_path: Path
) -> None:
    run = ("kbtf", "run", "-q", "--base", vmlinux)
    everything.run(*run, "-o", "plain.ko", module, cwd=tmp_path)
    for kind, unpack, feature in (
        ("gz", "gzip", "ZLIB"),
        ("xz", "xz", "XZ"),
        ("zst", "zstd", "ZSTD"),
    ):
        everything.run(*run, "-o", f"out.ko.{kind}", module, cwd=tmp_path)
        packed = tmp_path / f"out.ko.{kind}"
        unpacked = subprocess.run([unpack, "-dc", packed], capture_output=True, check=True).stdout
        assert unpacked == (tmp_path / "plain.ko").read_bytes()
        if f"+{feature}" in peer("kmod", "--version"):  # Debian's does not read gzip
            plain = peer("modinfo", "-F", "vermagic", tmp_path / "plain.ko")
            assert peer("modinfo", "-F", "vermagic", packed) == plain
    follow(everything, "examples/plugins/kbtf-compress/README.md", "compress", vmlinux, tmp_path)
    shown = tmp_path / "kfunc_module.ko.xz"
    assert shown.read_bytes() == (tmp_path / "out.ko.xz").read_bytes()
    check = peer("xz", "--robot", "--list", "--verbose", shown)
    assert "CRC32" in check
    assert "CRC64" not in check


def test_provenance_is_what_readelf_sees(
    everything: Environment, module: Path, vmlinux: Path, tmp_path: Path
) -> None:
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", tmp_path)
    peer(*git, "init", "-q")
    peer(*git, "commit", "-q", "--allow-empty", "-m", "all")
    page = "examples/plugins/kbtf-provenance/README.md"
    follow(everything, page, "provenance", vmlinux, tmp_path, "SOURCE_DATE_EPOCH=1700000000")

    said = json.loads(everything.run("kbtf", "provenance", "--json", module, cwd=tmp_path))

    comment = peer("readelf", "-p", ".comment", module)
    compilers = list(dict.fromkeys(re.findall(r"^  \[ *[0-9a-f]+\]  (.*)$", comment, re.M)))
    vermagic = peer("modinfo", "-F", "vermagic", module).split()
    revision = peer(*git, "rev-parse", "HEAD").strip()
    assert said == {
        "compilers": compilers,
        "epoch": 1700000000,
        "kernel": vermagic[0],
        "revision": revision,
    }
    assert f'"revision": "{revision}"' in peer("readelf", "-p", ".kbtf.provenance", module)
    assert "provenance" in everything.run("kbtf", "--help", cwd=tmp_path)


def section_size(module: Path, name: str) -> int:
    """As readelf shows it."""
    (row,) = [row for row in peer("readelf", "-SW", module).splitlines() if f" {name} " in row]
    return int(row.split(name)[1].split()[3], 16)


def test_the_policy_keeps_to_its_budget(
    everything: Environment, module: Path, vmlinux: Path, tmp_path: Path
) -> None:
    run = ("kbtf", "run", "-q", "--base", vmlinux)
    everything.run(*run, "-o", "done.ko", module, cwd=tmp_path)
    size = section_size(tmp_path / "done.ko", ".BTF.base")
    before = module.read_bytes()

    said = everything.run(*run, "--btf-base-budget", size - 1, module, cwd=tmp_path, code=1)

    assert said.startswith("kbtf: error: ")
    assert f".BTF.base: {size} bytes are over the budget of {size - 1}" in said
    assert module.read_bytes() == before
    everything.run(*run, "--btf-base-budget", size, module, cwd=tmp_path)


def test_the_policy_names_the_kfunc_that_went(
    everything: Environment, module: Path, root: Path, headers: Path, tmp_path: Path
) -> None:
    page = "examples/plugins/kbtf-policy/README.md"
    (tmp_path / "kbtf.toml").write_text(block(page, "configuration"))
    run = ("kbtf", "run", "-q", "--config", "kbtf.toml", "--base", headers / "vmlinux")
    follow(everything, page, "record", headers / "vmlinux", tmp_path)
    everything.run(*run, "-o", "done.ko", module, cwd=tmp_path)
    source = (root / "examples/kfunc_module/kfunc_module.c").read_text()
    entries = re.findall(r"^BTF_ID_FLAGS\(func, (\w+).*\)\n", source, re.M)
    (recorded,) = json.loads((tmp_path / "kfuncs/kfunc_module.json").read_text()).values()
    assert sorted(recorded) == sorted(entries)

    changed = tmp_path / "changed"
    shutil.copytree(root / "examples/kfunc_module", changed, ignore=real.BUILD_PRODUCTS)
    without = re.sub(rf"^BTF_ID_FLAGS\(func, {entries[0]}\b.*\n", "", source, flags=re.M)
    (changed / "kfunc_module.c").write_text(without)
    built = real.build_module(
        changed, tmp_path / "built", headers, "PAHOLE=true", "RESOLVE_BTFIDS=true"
    )
    before = built.read_bytes()

    said = everything.run(*run, built, cwd=tmp_path, code=1)

    assert f"{entries[0]} is gone from " in said
    assert not any(f"{kfunc} " in said for kfunc in entries[1:])
    assert built.read_bytes() == before


def test_a_distribution_declares_its_plugin_as_documented(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(block("docs/plugins.md", "pyproject"))
    (tmp_path / "kbtf_mypass.py").write_text("")
    new = new_environment(tmp_path / "venv", wheel)
    new.run("pip", "install", "-q", tmp_path, cwd=tmp_path)

    rows = new.run("kbtf", "plugins", cwd=tmp_path).splitlines()

    (row,) = [row for row in rows if row.startswith("mypass ")]
    assert row.split()[1:4] == ["1.0", "kbtf_mypass", "1.0"]


# The machines of the documentation, where pip has done its work, are this one.
MACHINES = {
    "docs/batch.md": {
        "./examples/plugins/kbtf-dask": "kbtf-dask",
        "dask scheduler ": "dask scheduler {here} ",
        "tcp://SCHEDULER:8786": "{url}",
    },
    "examples/plugins/kbtf-dask/README.md": {
        "pip install . ": "pip install kbtf-dask ",
        "--host 10.0.0.1": "{here}",
        "tcp://10.0.0.1:8786": "{url}",
    },
}


@pytest.mark.parametrize("page", MACHINES)
def test_a_cluster_as_documented(
    page: str, everything: Environment, module: Path, vmlinux: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {
        "here": f"--host 127.0.0.1 --port {port} --no-dashboard",
        "url": f"tcp://127.0.0.1:{port}",
    }
    here = {shown: real.format(**address) for shown, real in MACHINES[page].items()}
    (tmp_path / "modules").mkdir()
    everything.run("kbtf", "run", "-o", "modules/one.ko", module, cwd=tmp_path)
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels/vmlinux").symlink_to(vmlinux)
    running = []
    try:
        for line in block(page, "dask", here).splitlines():
            if line.startswith("dask "):
                running.append(everything.start("sh", "-c", f"exec {line}", cwd=tmp_path))
            else:
                said = everything.run("sh", "-ec", line, cwd=tmp_path)
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()
    assert re.search(r"one\.ko +\S+ +ok\n", said), said
    assert "one.ko" in (tmp_path / "report.html").read_text()


def test_together_they_run_around_each_other_in_order(
    everything: Environment, module: Path, vmlinux: Path, tmp_path: Path
) -> None:
    traced = everything.run(
        "kbtf", "plugins", "--json", "--base", vmlinux, "--trace", module, cwd=tmp_path
    )
    steps = [
        (step["plugin"], step["part"])
        for step in json.loads(traced)["steps"]
        if step["hook"] == "kbtf_embed_sections"
    ]
    assert steps == [
        ("verify", "before"),
        ("policy", "before"),
        ("embed_sections", None),
        ("provenance", None),
        ("policy", "after"),
        ("verify", "after"),
    ]
