# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``hook.mk`` in a made-up Kbuild: what runs for a module, and what takes over if that fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kbtf.kbuild.step import HOOK, Steps, record
from kbtf.program import main
from kbtf.run.outcome import Outcome, Size

from . import kdirs

MODFINAL = """\
cmd = @$(if $(cmd_$(1)),set -e; $(cmd_$(1)),:)
      cmd_btf_ko = \t\t\t\t\t\t\t\\
\tif [ ! -f vmlinux ]; then\t\t\t\t\t\\
\t\tprintf "Skipping %s\\n" $@ 1>&2; \\
\telse\t\t\t\t\t\t\t\t\\
\t\t$(PAHOLE) -J --btf_base vmlinux $@; \t\t\t\\
\tfi;
PHONY: $(KO)
$(KO): FORCE
\t$(call cmd,btf_ko)
FORCE:
"""


@pytest.fixture
def kbuild(run_dir: Path) -> Path:
    """A kernel build directory whose Kbuild has nothing but the step for BTF."""
    (run_dir / "scripts").mkdir()
    (run_dir / "scripts/Makefile.modfinal").write_text(MODFINAL)
    (run_dir / "vmlinux").touch()
    return run_dir


def step(*, command: str, ko: str = "sub/mine.ko", **env: str) -> subprocess.CompletedProcess[str]:
    pahole = env.pop("PAHOLE", "pahole")
    return subprocess.run(
        ["make", "-f", "scripts/Makefile.modfinal", f"KO={ko}", f"PAHOLE={pahole}"],
        env={
            "PATH": os.environ["PATH"],
            "MAKEFILES": HOOK,
            "KBTF_STEP": command,
            "KBUILD_EXTMOD": "sub",
            "srctree": ".",
            "objtree": ".",
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_is_given_the_kernel_and_the_module(kbuild: Path) -> None:
    done = step(command="echo 'my $tep'")

    assert (done.stdout, done.stderr) == (f"my $tep -C {kbuild} {kbuild}/sub/mine.ko\n", "")


def test_a_pahole_of_the_packages_own_is_handed_on(kbuild: Path) -> None:
    done = step(command="echo", PAHOLE="/own/pahole")

    assert (
        done.stdout == f"--encoder pahole --pahole /own/pahole -C {kbuild} {kbuild}/sub/mine.ko\n"
    )


def test_where_it_fails_the_kernels_own_step_is_run(kbuild: Path) -> None:
    done = step(command="false", PAHOLE="echo")
    assert done.returncode == 0
    assert done.stdout == "-J --btf_base vmlinux sub/mine.ko\n"
    assert done.stderr == "kbtf: mine.ko: Kbuild's own BTF step takes over\n"

    assert step(command="exec /no/kbtf", PAHOLE="false").returncode == 2, "as without kbtf"
    (kbuild / "vmlinux").unlink()
    assert "Skipping sub/mine.ko" in step(command="false").stderr


@pytest.mark.parametrize(
    "env", [{"KBUILD_EXTMOD": ""}, {"KBTF_STEP": ""}, {"MAKEFILES": ""}], ids=str
)
def test_other_makes_are_as_they_are(kbuild: Path, env: dict[str, str]) -> None:
    """The kernel's own modules, and makes that kbtf has no part in."""
    done = step(command="echo kbtf", PAHOLE="echo", **env)

    assert (done.stdout, done.stderr) == ("-J --btf_base vmlinux sub/mine.ko\n", "")


def test_probes_of_configure_are_left_alone(kbuild: Path) -> None:
    assert step(command="echo kbtf", ko="sub/conftest.ko").stdout == ""
    (kbuild / "build/probe").mkdir(parents=True)
    (kbuild / "a/b/c/d").mkdir(parents=True)
    (kbuild / "confdefs.h").touch()
    assert step(command="echo kbtf", ko="build/probe/probe.ko").stdout == ""
    assert step(command="echo kbtf", ko="a/b/c/d/probe.ko").stdout != ""


def test_the_list_of_makefiles_is_that_of_the_project(run_dir: Path) -> None:
    """Many take their own directory from its first word."""
    Path("Makefile").write_text("all:\n\t@echo $(MAKEFILE_LIST)\n")

    done = subprocess.run(
        ["make", "-s"], env={**os.environ, "MAKEFILES": HOOK}, capture_output=True, text=True
    )

    assert done.stdout.split() == ["Makefile"]


def test_outcomes_come_back_as_they_were(run_dir: Path) -> None:
    good = Outcome("a\udce9.ko", "a\udce9.ko", "done", btf=Size(3, 40), notes=("one",))
    bad = Outcome("b.ko", "b.ko", "failed", reason="no base", exit_code=4)

    with Steps(["kbtf", "build"]) as steps:
        folder = steps.environment()["KBTF_STEP"].rpartition(" ")[2]
        record(folder, bad)
        record(folder, good)
        assert steps.outcomes() == [good, bad]
    assert not Path(folder).exists()


def test_a_directory_that_makes_no_module_is_said(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir")
    (kdir / "Makefile").write_text("modules: ;\n")
    (run_dir / "m/src").mkdir(parents=True)

    assert main(["build", "-C", str(kdir), "m"]) == 3
    assert "m: has no Kbuild or Makefile; are the sources in " in capsys.readouterr().err
    (run_dir / "m/Makefile").touch()
    assert main(["build", "-C", str(kdir), "m"]) == 3
    assert "no modules in this directory; are the sources in " in capsys.readouterr().err
    (run_dir / "m/Kbuild").write_text("obj-y := part.o\n")
    assert main(["build", "-C", str(kdir), "m"]) == 1
    assert "Kbuild built no module: obj-m in Kbuild names none" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "what"), [("a b", "space"), ("a:b", "':'"), ("a%b", "'%'")])
def test_a_directory_that_kbuild_cannot_take_is_said(
    run_dir: Path, capsys: pytest.CaptureFixture[str], name: str, what: str
) -> None:
    (run_dir / name).mkdir()

    assert main(["build", "-C", str(kdirs.small_kdir(run_dir / "kdir")), f"./{name}"]) == 2

    said = capsys.readouterr().err
    assert what in said
    assert "use --work DIR" in said
