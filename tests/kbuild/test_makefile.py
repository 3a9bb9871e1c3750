# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The fragment for Makefiles of modules, in plain ones of both sorts: with recipes and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kbtf import Module
from kbtf.program import main
from shown import block

from . import kdirs

HERE = Path(sys.executable).parent
INCLUDE = "include $(shell kbtf makefile)\n"
HERE_IS = {"mymodule": "tiny"}

ONE_LINE = block("docs/kbuild.md", "one line", HERE_IS)

# Both old ways of reading a Makefile twice, and the include before and after the recipes.
OWN_RECIPES = {
    "documented": f"""\
{block("docs/kbuild.md", "own recipes", HERE_IS)}
all: notes
notes: ; @echo notes > notes
clean:
	rm -f notes
	$(KBTF_BUILD) clean
""",
    "after": f"""\
obj-m := tiny.o
KDIR ?= /nowhere

all: modules notes

modules:
	+$(KBTF_BUILD) modules

# The rest of what the author builds.
notes:
	@echo notes > notes

clean:
	rm -f notes
	$(KBTF_BUILD) M=$(CURDIR) clean

{INCLUDE}""",
    "before": f"""\
obj-m := tiny.o
{INCLUDE}
KDIR ?= /nowhere
all: notes
	$(KBTF_BUILD) -C $(KDIR) M=$(CURDIR) modules
notes: ; @echo notes > notes
clean:
	rm -f notes
	$(KBTF_BUILD) clean
""",
    "twice": f"""\
ifneq ($(KERNELRELEASE),)
obj-m := tiny.o
else
KERNELDIR ?= $(KDIR)
PWD := $(shell pwd)
default: notes
	+@$(KBTF_BUILD) M=$(PWD)
notes:
	@echo notes > notes
clean:
	rm -f notes
	$(KBTF_BUILD) clean
{INCLUDE}
endif
""",
}


@pytest.fixture
def module(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the source of one module; ``kbtf`` is on PATH."""
    monkeypatch.setenv("PATH", f"{HERE}:{os.environ['PATH']}")
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    folder = run_dir / "tiny"
    folder.mkdir()
    text = (kdirs.THREE / "users/weigher.c").read_text()
    (folder / "tiny.c").write_text(text.replace("provider_weigh(&light)", "light.weight"))
    (folder / "provider.h").write_text((kdirs.THREE / "provider/provider.h").read_text())
    return folder


def make(folder: Path, *args: object) -> str:
    """Everything that make says; it must not fail."""
    command = ["make", "-C", str(folder), *map(str, args)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def has_btf(folder: Path) -> bool:
    return Module.open(str(folder / "tiny.ko")).has_btf_base


def test_the_path_is_printed(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["makefile"]) == 0
    assert Path(capsys.readouterr().out.rstrip("\n")).is_file()


@pytest.mark.parametrize("variable", ["KBUILD_EXTMOD=/m", "abs_srctree=/kernel"])
def test_kbuild_finds_nothing_in_it(module: Path, variable: str) -> None:
    (module / "Makefile").write_text(f"{INCLUDE}mine: ; @echo '<$(KBTF_BUILD)>' $(.DEFAULT_GOAL)\n")

    assert "<> mine" in make(module, variable)


@pytest.mark.parametrize(
    ("text", "goal", "warned"),
    [
        ("", "modules", False),
        ("load: modules\n\t@echo\n", "modules", False),
        ("all:\n\t+$(KBTF_BUILD)\nclean:\n\techo\n", "all", False),
        ("all:\n\t+$(KBTF_BUILD)\nmodules clean: x\nx:\n", "all", False),
        ("all:\n\t+$(KBTF_BUILD)\nX := a:b\nclean: ; echo\n", "all", False),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_default_goal_and_own_targets(
    module: Path, text: str, goal: str, warned: bool, first: bool
) -> None:
    if goal == "modules" and not first:
        goal = "load" if text else goal  # as with any other rule that comes later
    (module / "Makefile").write_text(INCLUDE + text if first else text + INCLUDE)

    said = make(module, "-pn", "KBTF=true")

    assert f".DEFAULT_GOAL := {goal}\n" in said
    assert ("warning" in said) is warned


def test_readme_has_the_one_line(root: Path) -> None:
    assert f"`{ONE_LINE.splitlines()[-1]}`" in (root / "README.md").read_text()


def test_dkms_may_name_the_release_on_the_command_line(module: Path) -> None:
    (module / "Makefile").write_text(ONE_LINE)

    assert "echo build modules" in make(module, "KERNELRELEASE=6.12.0", "KBTF=echo echo")


@pytest.mark.integration
def test_one_line_is_enough(headers: Path, module: Path, run_dir: Path) -> None:
    (module / "Makefile").write_text(ONE_LINE)
    sources = set(kdirs.states(module))

    said = make(module, f"KDIR={headers}", "-j2")
    assert "jobserver" not in said
    assert has_btf(module)

    before = kdirs.states(module)
    assert "LD [M]" not in make(module, f"KDIR={headers}")
    assert f"make -C {headers} M={module}" in make(module, f"KDIR={headers}", "-n")
    assert kdirs.states(module) == before

    make(module, f"KDIR={headers}", "modules_install", f"INSTALL_MOD_PATH={run_dir}/dest")
    (installed,) = (run_dir / "dest").rglob("tiny.ko*")
    assert Module.open(str(installed)).has_btf_base
    make(module, f"KDIR={headers}", "clean")
    assert set(kdirs.states(module)) == sources


@pytest.mark.integration
@pytest.mark.parametrize("sort", OWN_RECIPES)
def test_own_recipes_stay_and_use_the_variable(headers: Path, module: Path, sort: str) -> None:
    (module / "Makefile").write_text(OWN_RECIPES[sort])
    sources = set(kdirs.states(module))

    said = make(module, f"KDIR={headers}")
    assert "overriding" not in said
    assert has_btf(module)
    assert (module / "notes").exists()

    make(module, f"KDIR={headers}", "clean")
    assert set(kdirs.states(module)) == sources


def test_the_fragment_is_optional(run_dir: Path) -> None:
    """For people without kbtf the Makefile calls Kbuild itself."""
    kdir = kdirs.small_kdir(run_dir / "kdir")
    (kdir / "Makefile").write_text("modules: ;\n")
    (run_dir / "Makefile").write_text(block("docs/kbuild.md", "optional"))
    without = path_without_kbtf()

    def dry(path: str) -> str:
        command = ["make", "-n", f"KDIR={kdir}"]
        env = {**os.environ, "PATH": path}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    assert f"-C {kdir} M={run_dir} modules" in dry(without)
    assert f"kbtf build -C {kdir}" in dry(f"{Path(sys.executable).parent}:{without}")


@pytest.mark.parametrize("where", ["command line", "file", "environment"])
def test_the_kernel_directory_has_many_names(run_dir: Path, where: str) -> None:
    """What is on the command line counts, whatever else is set."""
    lines = "KSRC = /file\n" if where != "environment" else ""
    (run_dir / "Makefile").write_text(f"{lines}{ONE_LINE}show: ; @echo $(KBTF_KDIR)\n")
    command = ["make", "-s", "show", *(["KERNEL_PATH=/line"] if where == "command line" else [])]

    said = subprocess.run(
        command,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "KDIR": "/env"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert said == {"command line": "/line\n", "file": "/file\n", "environment": "/env\n"}[where]


def path_without_kbtf() -> str:
    """A PATH without kbtf."""
    return ":".join(
        name for name in os.environ["PATH"].split(":") if not Path(name, "kbtf").exists()
    )
