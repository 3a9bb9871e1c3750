# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf as the subproject of a Meson project: what that gets, and what it is told."""

from __future__ import annotations

import configparser
import re
import shutil
import sys
import venv
from pathlib import Path

import pytest

from conftest import missing

from . import projects

pytestmark = pytest.mark.integration

CONSUMER = """
project('consumer', meson_version: '>=0.64')
kbtf = find_program('kbtf', native: true, version: '>=0.1')
custom_target('shown', output: 'shown.txt', command: [kbtf, 'plugins'], capture: true,
              build_by_default: true)
from_kbtf = dependency('kbtf')
run_command('test', '-f', from_kbtf.get_variable('makefile'), check: true)
message('it is', from_kbtf.version(), from_kbtf.get_variable('program'))
"""
WITHOUT_KBTF = "project('consumer')\nsubproject('kbtf')\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> projects.Project:
    """The small consumer, built."""
    folder = tmp_path_factory.mktemp("consumer")
    projects.add_subproject(folder)
    (folder / "meson.build").write_text(CONSUMER)
    project = consumer(folder)
    project.run("setup", "out", "--force-fallback-for=kbtf")
    project.compile()
    return project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small consumer, with kbtf in its subprojects."""
    projects.add_subproject(tmp_path)
    (tmp_path / "meson.build").write_text(CONSUMER)
    return tmp_path


def consumer(
    folder: Path, version: str | None = None, python: Path | None = None
) -> projects.Project:
    try:
        if version is None:
            return projects.consumer(folder)
        program = projects.old_meson(version, folder, python or sys.executable)
        return projects.consumer(folder, program)
    except projects.Missing as error:
        missing(error)


def test_a_project_gets_the_program_and_nothing_installed(built: projects.Project) -> None:
    said = built.run("setup", "out", "--reconfigure")
    program = next(line.split()[-1] for line in said.splitlines() if "it is" in line)

    assert "resolve_btfids" in (built.folder / "out/shown.txt").read_text()
    assert Path(program).parent == built.folder / "out/subprojects/kbtf/meson"
    version = built.run("devenv", "-C", "out", "kbtf", "--version")
    assert version.splitlines()[-1].startswith("kbtf ")
    assert built.install() == {}


@pytest.mark.parametrize("source", ["native/btf/fit.c", "report/tap.py", "plugins/distill.py"])
def test_a_change_of_kbtf_runs_what_uses_it(built: projects.Project, source: str) -> None:
    assert built.compile() == []

    (built.folder / "subprojects/kbtf/kbtf" / source).touch()

    assert built.compile()[-1] == "shown"


def test_the_wrap_file_fetches_it(folder: Path, clone: Path) -> None:
    shutil.rmtree(folder / "subprojects")
    (folder / "subprojects").mkdir()
    text = (clone / "meson/kbtf.wrap").read_text()
    wrap = configparser.ConfigParser()
    wrap.read_string(text)
    assert wrap["provide"]["program_names"] == "kbtf"
    text, changed = re.subn(r"(?m)^url = .*$", f"url = file://{clone}", text)
    assert changed == 1
    (folder / "subprojects/kbtf.wrap").write_text(text)

    said = consumer(folder).run("setup", "out", "--force-fallback-for=kbtf")

    assert "it is" in said


def test_a_python_without_its_packages_is_told_what_to_install(folder: Path) -> None:
    venv.create(folder / "bare", with_pip=False)
    python = folder / "bare/bin/python"

    done = consumer(folder, projects.OLDEST, python).ask(
        "setup", "out", "--wrap-mode=forcefallback"
    )

    assert done.returncode
    assert f"missing Python packages; run {python} -m pip install" in done.stdout


def test_no_compiler_for_this_machine_is_told(folder: Path) -> None:
    (folder / "meson.build").write_text(WITHOUT_KBTF)

    done = consumer(folder).ask("setup", "out", CC="no-such-compiler")

    assert done.returncode
    assert "kbtf: no C compiler for this machine" in done.stdout


def test_a_meson_older_than_the_oldest_is_told(folder: Path) -> None:
    done = consumer(folder, "0.63.3").ask("setup", "out", "--wrap-mode=forcefallback")

    assert done.returncode
    assert "0.63.3 but project requires >=0.64" in done.stdout.replace("'", "")
