# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Why a module that dkms built has no BTF, as far as its make.log shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbtf.kbuild.dkms_builds import modules_without_btf, unfinished_modules
from kbtf.program import main
from kbtf.testing import make_module

TAKEN_OVER = "kbtf: odd-one.ko: Kbuild's own BTF step takes over\n"
LOGS = {
    "nothing of kbtf": ("make: Nothing to be done\n", "was built without kbtf"),
    "an error of the module": (
        f"kbtf: error: /b/odd-one.ko: has no DWARF\n{TAKEN_OVER}",
        "has no DWARF",
    ),
    "an error of another module": (
        "kbtf: error: /b/one.ko: has no DWARF\nkbtf: one.ko: Kbuild's own BTF step takes over\n",
        "was built without kbtf",
    ),
    "an error of another module, and no kbtf": (
        f"kbtf: error: /b/one.ko: has no DWARF\n{TAKEN_OVER}",
        "kbtf could not be run, see ",
    ),
    "skipped": (
        "kbtf: error: /b/odd-one.ko: no base\n/b/odd-one.ko: skipped: neither DWARF nor BTF\n",
        "neither DWARF nor BTF",
    ),
    "skipped after another step failed": (
        f"kbtf: error: /b/odd-one.ko: no base\n{TAKEN_OVER}/b/odd-one.ko: skipped: nothing\n",
        "nothing",
    ),
    "an error of all": (
        f"kbtf: error: plugin a (a 1.0): cannot be loaded\n{TAKEN_OVER}kbtf: error: later\n",
        "plugin a (a 1.0): cannot be loaded",
    ),
    "no kbtf": (f"sh: 1: exec: /gone/kbtf: not found\n{TAKEN_OVER}", "kbtf could not be run, see "),
}


def add_build(module: bytes, log: str, *, names: tuple[str, ...] = ("odd-one",)) -> None:
    """The last build of the package odd 1.0, below the current directory."""
    build = Path("var/lib/dkms/odd/1.0/6.12.0/x86_64")
    for folder in ("module", "log"):
        (build / folder).mkdir(parents=True)
    for name in names:
        (build / f"module/{name}.ko").write_bytes(module)
    (build / "log/make.log").write_text(log)


def add_conf(conf: str) -> None:
    """The dkms.conf of that package."""
    source = Path("usr/src/odd-1.0")
    source.mkdir(parents=True)
    (source / "dkms.conf").write_text(conf)
    Path("var/lib/dkms/odd/1.0/source").symlink_to("/usr/src/odd-1.0")


@pytest.mark.parametrize("case", LOGS)
def test_the_reason(run_dir: Path, case: str) -> None:
    text, reason = LOGS[case]
    add_build(make_module(), text)

    ((found, has_btf),) = unfinished_modules(str(run_dir))

    assert not has_btf
    assert found.reason.startswith(reason)
    assert found.remedy.startswith("dkms build --force odd/1.0 -k 6.12.0 && ")


def test_btf_of_kbuild_alone_is_told_from_that_of_kbtf(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a failed step the module has Kbuild's BTF, and nothing else would say so."""
    add_build(make_module(btf=b"types"), f"kbtf: error: no base\n{TAKEN_OVER}")

    assert main(["dkms", "status", "--root", str(run_dir)]) == 1

    said = capsys.readouterr().out
    assert "/odd-one.ko: only Kbuild's BTF: no base\n" in said
    assert "  build it again: dkms build --force odd/1.0 -k 6.12.0 && " in said
    assert not list(modules_without_btf(str(run_dir)))


def test_a_module_that_was_linked_again_is_judged_by_its_last_step(run_dir: Path) -> None:
    done = "/b/odd-one.ko: .BTF 12 types, 257 bytes\n"
    add_build(make_module(btf=b"types"), f"kbtf: error: no base\n{TAKEN_OVER}{done}")

    assert not list(unfinished_modules(str(run_dir)))


@pytest.mark.parametrize(
    "conf",
    [
        'BUILT_MODULE_NAME[0]="linked"\nDEST_MODULE_NAME[0]="odd-one"\n',
        "BUILT_MODULE_NAME=linked\n  DEST_MODULE_NAME='odd-one'\n",
        'DEST_MODULE_NAME[3]="${PACKAGE_NAME}-one"\nBUILT_MODULE_NAME[3]="$(uname)ed"\n',
        'DEST_MODULE_NAME[0]="odd-one"\n',
    ],
)
def test_a_module_that_dkms_renames_is_found_in_the_log(run_dir: Path, conf: str) -> None:
    add_build(make_module(), "kbtf: error: x.ko: bad\nkbtf: error: /b/linked.ko: has no DWARF\n")
    add_conf(conf)

    (found,) = modules_without_btf(str(run_dir))

    assert found.reason == "has no DWARF"


ONE_FAILED = """\
/b/two.ko: .BTF 12 types, 257 bytes
kbtf: error: /b/one.ko: has no DWARF
kbtf: one.ko: Kbuild's own BTF step takes over
"""


@pytest.mark.parametrize(
    ("names", "conf"),
    [
        (
            ("one", "two"),
            'PACKAGE_NAME="one"\nBUILT_MODULE_NAME[0]="$PACKAGE_NAME"\n'
            'DEST_MODULE_NAME[0]="$PACKAGE_NAME"\n'
            "BUILT_MODULE_NAME[1]=two\nDEST_MODULE_NAME[1]=two\n",
        ),
        (
            ("one-cur", "two-cur"),
            "BUILT_MODULE_NAME[0]=one\nBUILT_MODULE_NAME[1]=two\n"
            'DEST_MODULE_NAME[0]="$BUILT_MODULE_NAME-cur"\n'
            'DEST_MODULE_NAME[1]="${BUILT_MODULE_NAME[1]}"-cur\n',
        ),
        (
            ("one-1.0", "two"),
            "BUILT_MODULE_NAME=one; PACKAGE_VERSION=1.0\n"
            "DEST_MODULE_NAME=${BUILT_MODULE_NAME}-$PACKAGE_VERSION\n",
        ),
        (("one", "two"), "BUILT_MODULE_NAME=( one two )\nDEST_MODULE_NAME[0]=$(uname)\n"),
        (
            ("linux", "two"),
            'BUILT_MODULE_NAME[0]="one"\nDEST_MODULE_NAME[0]="$(uname)"\n'
            "BUILT_MODULE_NAME[1]=two\nDEST_MODULE_NAME[1]=two\n",
        ),
        (
            ("new", "two"),
            "if a\n DEST_MODULE_NAME=new\nelse\n DEST_MODULE_NAME=old\nfi\nBUILT_MODULE_NAME=one\n",
        ),
    ],
)
def test_of_two_modules_only_the_failed_one_is_reported(
    run_dir: Path, names: tuple[str, str], conf: str
) -> None:
    add_build(make_module(btf=b"types"), ONE_FAILED, names=names)
    add_conf(conf)

    ((found, _),) = unfinished_modules(str(run_dir))

    assert found.module.endswith(f"/{names[0]}.ko")
    assert found.reason == "has no DWARF"


def test_a_module_in_an_array_keeps_its_name(run_dir: Path) -> None:
    log = "kbtf: error: /b/odd-one.ko: has no DWARF\nkbtf: error: /b/two.ko: bad\n"
    add_build(make_module(), log)
    add_conf(
        "PACKAGE_NAME=odd-one\nBUILT_MODULE_NAME=( odd-one two )\n"
        "DEST_MODULE_NAME[0]=$PACKAGE_NAME\n"
    )

    (found,) = modules_without_btf(str(run_dir))

    assert found.reason == "has no DWARF"


def test_the_last_setting_of_dkmss_tree_counts(run_dir: Path) -> None:
    add_build(make_module(), "")
    (run_dir / "etc/dkms/framework.conf.d").mkdir(parents=True)
    (run_dir / "etc/dkms/framework.conf").write_text("dkms_tree=/first\n")
    drop_in = run_dir / "etc/dkms/framework.conf.d/a.conf"
    drop_in.write_text('dkms_tree=/second\ndkms_tree="/var/lib/dkms"\n')

    assert list(modules_without_btf(str(run_dir)))

    drop_in.with_name("b.conf").write_text("dkms_tree=/third\n")
    assert not list(modules_without_btf(str(run_dir)))
