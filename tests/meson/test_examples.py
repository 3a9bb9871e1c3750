# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each Meson example from a fresh clone: set up, compile, test, install, and what a change runs."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from elftools.elf.elffile import ELFFile

from conftest import missing
from shown import block, sh

from . import projects

pytestmark = pytest.mark.integration

SECTIONS = {".BTF", ".BTF.base", ".BTF_ids"}


class Example(NamedTuple):
    """What there is to know of an example; R stands for the kernel's release."""

    page: str
    """Which shows the steps."""
    kernel_option: str
    installed: set[str]
    """All that is installed, by patterns."""
    header: str
    after_header: list[str]
    """What runs when that header was touched."""
    after_config: list[str]
    """What runs when a comment was added to kbtf.toml."""


UPDATES = "lib/modules/R/updates"
PACKAGE = "usr/local/lib/python*/*-packages/beacon"
EXAMPLES = {
    "meson_project": Example(
        "examples/meson_project/README.md",
        "kernel_dir",
        {
            "usr/local/bin/tickets",
            f"{UPDATES}/ticket_office.ko",
            f"{UPDATES}/ticket_queue.ko",
        },
        "kernel/office/office.h",
        ["ticket_office-kbuild"],
        ["ticket_office.ko"],
    ),
    "meson_make": Example(
        "examples/meson_make/README.md",
        "kernel_dir",
        {f"{UPDATES}/greeter.ko"},
        "kernel/greeter.h",
        ["greeter-make", "greeter.ko"],
        ["greeter.ko"],
    ),
    # Its own page shows pip, which test_wheel.py follows.
    "meson_wheel": Example(
        "examples/meson_make/README.md",
        "kernel_dirs",
        {f"{PACKAGE}/*.py", f"{PACKAGE}/__pycache__/*.pyc", f"{PACKAGE}/modules/beacon-R.ko"},
        "kernel/beacon.h",
        ["beacon-R-kbuild"],
        ["beacon-R.ko"],
    ),
}


def sections(module: Path) -> set[str]:
    """The sections of BTF that a module has, by pyelftools, if they are not empty."""
    with module.open("rb") as file:
        found = {s.name for s in ELFFile(file).iter_sections() if s.data_size and any(s.data())}
    return found & SECTIONS


@pytest.mark.parametrize("name", EXAMPLES)
def test_from_a_clean_clone_to_what_is_installed(
    name: str, clone: Path, headers: Path, tmp_path: Path
) -> None:
    example = EXAMPLES[name]
    release = headers.name.removeprefix("linux-headers-")
    folder = Path(shutil.copytree(clone / "examples" / name, tmp_path / name))
    project = projects.consumer(folder)
    here = {"kernel_dir": example.kernel_option, "/usr/src/linux-headers-RELEASE": headers}
    steps = block(example.page, "steps", here)
    # Where a step says nothing else, it installs here.
    alone = tmp_path / "alone"
    said = sh(steps, folder, DESTDIR=str(alone))
    assert re.search("^Ok: +[1-9]", said, re.MULTILINE)
    assert {path.suffix for path in alone.rglob("*") if path.is_file()} == (
        {".ko"} if "--tags kmod" in steps else set()
    )
    first = {str(p.relative_to(folder / "dest")) for p in folder.glob("dest/**/*") if p.is_file()}

    installed = project.install("--strip")

    assert set(installed) == first
    patterns = {pattern.replace("R", release) for pattern in example.installed}
    for path in installed:
        assert any(Path(path).match(pattern) for pattern in patterns), path
    for pattern in patterns:
        assert any(Path(path).match(pattern) for path in installed), pattern
    modules = [path for path in installed.values() if path.suffix == ".ko"]
    for module in modules:
        has = sections(module)
        assert {".BTF", ".BTF.base"} <= has
        assert (".BTF_ids" in has) is (module.name != "ticket_queue.ko")

    assert project.compile() == []
    (folder / example.header).touch()
    assert project.compile() == [step.replace("R", release) for step in example.after_header]
    assert project.compile() == []
    (config,) = (folder / "kernel").rglob("kbtf.toml")
    config.write_text(f"{config.read_text()}# as above\n")
    assert project.compile() == [step.replace("R", release) for step in example.after_config]
    assert project.compile() == []


@pytest.mark.parametrize("which", ["newest", projects.OLDEST])
def test_with_kbtf_as_a_subproject(which: str, clone: Path, headers: Path, tmp_path: Path) -> None:
    """The wrap file of the example names the repository that it is in; git fetches it."""
    copy = Path(shutil.copytree(clone, tmp_path / "kbtf", symlinks=True))
    try:
        meson = None if which == "newest" else projects.old_meson(which, tmp_path)
    except projects.Missing as error:
        missing(error)
    project = projects.consumer(copy / "examples/meson_project", meson)
    said = project.run(
        "setup",
        "out",
        f"-Dkernel_dir={headers}",
        "-Dkernel_modules=enabled",
        "--wrap-mode=forcefallback",
    )
    assert re.search("Program kbtf found: YES .*(overridden)", said)
    assert project.compile()[-1] == "ticket_queue.ko"
    project.run("test", "-C", "out")

    installed = project.install()

    assert {Path(name).name for name in installed} == {
        "tickets",
        "ticket_office.ko",
        "ticket_queue.ko",
    }
    assert project.compile() == []


def test_auto_takes_no_subproject_and_builds_without_modules(
    clone: Path, headers: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(clone / "examples/meson_project", tmp_path / "project"))
    project = projects.consumer(folder)
    kept = [where for where in os.get_exec_path() if not Path(where, "kbtf").exists()]
    ninja = shutil.which("ninja", path=project.env["PATH"]) or ""
    project = project._replace(env={**project.env, "PATH": os.pathsep.join(kept), "NINJA": ninja})

    said = project.run("setup", "out", f"-Dkernel_dir={headers}")

    assert "kernel modules: NO" in said
    assert not (folder / "subprojects/kbtf").exists()
    assert project.compile() == ["tickets"]
