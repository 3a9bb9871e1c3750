# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What ninja runs after each sort of change, in examples/meson_project."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import missing

from . import projects

pytestmark = pytest.mark.integration

KBUILD, BTF = "ticket_office-kbuild", "ticket_office.ko"
QUEUE_KBUILD, QUEUE_BTF = "ticket_queue-kbuild", "ticket_queue.ko"
PLUGIN = "from kbtf import hookimpl\n"


@pytest.fixture(scope="module")
def built(headers: Path, tmp_path_factory: pytest.TempPathFactory) -> projects.Project:
    """The example, built; with a plugin file, and a kbtf that may be upgraded."""
    where = tmp_path_factory.mktemp("incremental")
    folder = Path(shutil.copytree(projects.EXAMPLES / "meson_project", where / "project"))
    (where / "plugin.py").write_text(PLUGIN)
    config = folder / "kernel/office/kbtf.toml"
    config.write_text(f"plugins = ['{where}/plugin.py']\n{config.read_text()}")
    (where / "bin").mkdir()
    shutil.copy(projects.HERE / "kbtf", where / "bin")
    try:
        project = projects.consumer(folder)
    except projects.Missing as error:
        missing(error)
    project = project._replace(env={**project.env, "PATH": f"{where}/bin:{project.env['PATH']}"})
    project.run("setup", "out", f"-Dkernel_dir={headers}")
    project.compile()
    return project


@pytest.fixture
def project(built: projects.Project) -> projects.Project:
    """The example as the last test left it, with nothing to do."""
    built.compile()
    assert built.compile() == []
    return built


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_touched_source_runs_kbuild_alone(project: projects.Project) -> None:
    (project.folder / "kernel/office/main.c").touch()

    assert project.compile() == [KBUILD]
    assert project.compile() == []


def test_an_edit_without_effect_runs_kbuild_alone(project: projects.Project) -> None:
    header = project.folder / "kernel/office/office.h"
    header.write_text(f"{header.read_text()}/* as it was */\n")

    assert project.compile() == [KBUILD]
    assert project.compile() == []


def test_an_edited_source_runs_both(project: projects.Project) -> None:
    replace(project.folder / "kernel/office/kfuncs.c", "prio + sold", "prio - sold")

    assert project.compile() == [KBUILD, BTF]


def test_a_header_that_is_only_included_is_known(project: projects.Project) -> None:
    replace(project.folder / "kernel/office/office.h", "FIRST_NUMBER 1", "FIRST_NUMBER 17")

    assert project.compile() == [KBUILD, BTF]


def test_an_edited_kbuild_file_counts_by_what_it_makes(project: projects.Project) -> None:
    kbuild = project.folder / "kernel/office/Kbuild"
    kbuild.write_text(f"{kbuild.read_text()}# as it was\n")
    assert project.compile() == [KBUILD]

    kbuild.write_text(f"{kbuild.read_text()}ccflags-y += -O1\n")
    assert project.compile() == [KBUILD, BTF]


def test_the_configuration_and_a_plugin_run_the_btf_step_alone(project: projects.Project) -> None:
    replace(project.folder / "kernel/office/kbtf.toml", "true", "false")
    assert project.compile() == [BTF]

    (project.folder.parent / "plugin.py").write_text(f"{PLUGIN}# as it was\n")
    assert project.compile() == [BTF]


def test_an_unrelated_file_runs_nothing(project: projects.Project) -> None:
    (project.folder / "kernel/office/notes.txt").write_text("nothing of Kbuild's\n")

    assert project.compile() == []


def test_a_header_of_both_modules_and_the_program(project: projects.Project) -> None:
    replace(project.folder / "kernel/include/ticket_office.h", "u32 number", "u64 number")

    assert set(project.compile()) == {"tickets", KBUILD, BTF, QUEUE_KBUILD, QUEUE_BTF}


def test_a_new_export_runs_the_other_modules_kbuild(project: projects.Project) -> None:
    source = project.folder / "kernel/office/kfuncs.c"
    source.write_text(f"{source.read_text()}EXPORT_SYMBOL_GPL(office_register_kfuncs);\n")

    assert set(project.compile()) == {KBUILD, BTF, QUEUE_KBUILD}


def test_a_new_source_that_kbuild_names(project: projects.Project) -> None:
    office = project.folder / "kernel/office"
    (office / "extra.c").write_text(
        "int office_extra(void);\nint office_extra(void) { return 7; }\n"
    )
    replace(office / "Kbuild", "kfuncs.o", "kfuncs.o extra.o")
    assert project.compile() == [KBUILD, BTF]

    replace(office / "extra.c", "return 7", "return 8")
    assert project.compile() == [KBUILD, BTF]


def test_an_upgrade_of_kbtf_runs_all(project: projects.Project) -> None:
    (project.folder.parent / "bin/kbtf").touch()

    assert {KBUILD, QUEUE_KBUILD} <= set(project.compile())
