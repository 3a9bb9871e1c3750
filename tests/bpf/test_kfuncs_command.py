# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The command ``kbtf kfuncs``, and what docs/kfuncs.md says of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bpf.sets import SET, THREE, Recipe, kfunc
from kbtf.bpf.suffixes import SUFFIXES
from kbtf.files.compression import compress
from kbtf.ids import kfunc_flags as kf
from shown import block

KBTF = Path(sys.executable).with_name("kbtf")
CODE = re.compile(r'(?:_error|_warning|Finding)\(\s*(?:Severity\.\w+, )?"([\w-]+)"')


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KBTF, "kfuncs", *words], capture_output=True, text=True)


def written(folder: Path, recipe: Recipe, name: str = "tiny") -> Path:
    (folder / f"{name}.ko").write_bytes(recipe.make(name))
    (folder / "base.btf").write_bytes(recipe.base.to_bytes())
    return folder / f"{name}.ko"


def test_the_command_shows_sets_and_names_symbol_and_rule(run_dir: Path) -> None:
    module = written(run_dir, kfunc("int f(void *what, struct s *rest)", kf.SLEEPABLE | 1 << 30))

    done = run("--base", "base.btf", module.name)

    assert done.returncode == 1
    assert done.stderr == ""
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        "tiny.ko",
        "SET KIND ID FLAGS WHAT",
        "the_set kfunc set 9 KF_SLEEPABLE | 0x40000000 int f(void *what, struct s *rest)",
        "error [arg-void]: parameter 'what' of f points to void and no __sz or __szk follows; the "
        "verifier refuses every call; declare the type it points to, or end its name in __ign",
        "warning [unknown-flags]: f has flags that no kernel knows: 0x40000000",
    ]


@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_a_compressed_module_may_have_any_name(run_dir: Path, kind: str) -> None:
    module = written(run_dir, kfunc("bool f(int a)"))
    (run_dir / "weird.bin").write_bytes(compress(module.read_bytes(), kind))

    done = run("--base", "base.btf", "weird.bin")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("--base", "base.btf", module).stdout.replace(str(module), "weird.bin")


def test_the_command_ends_with_0_if_there_are_no_errors(run_dir: Path) -> None:
    module = written(run_dir, kfunc("bool f(int a)"))

    done = run("--base", "base.btf", module.name)

    assert done.returncode == 0
    assert "warning [narrow-return]: f returns bool" in done.stdout
    assert "no-tag" not in done.stdout
    assert "note [no-tag]" in run("-v", "--base", "base.btf", module.name).stdout


def test_the_command_prints_json(run_dir: Path) -> None:
    module = written(run_dir, kfunc("int f(int a)", kf.SLEEPABLE | 1 << 31))

    (row,) = json.loads(run("--json", "--base", "base.btf", module.name).stdout)["modules"]

    assert row["btf"] == "plain"
    assert row["sets"] == [
        {
            "name": "the_set",
            "kind": "kfunc set",
            "resolved": True,
            "entries": [
                {
                    "name": "f",
                    "kind": "func",
                    "id": 6,
                    "prototype": "int f(int a)",
                    "flags": ["KF_SLEEPABLE"],
                    "unknown_flags": "0x80000000",
                }
            ],
        }
    ]
    assert row["findings"][0]["code"] == "unknown-flags"
    assert row["findings"][0]["type"] == "f"


@pytest.mark.parametrize("option", ["--with", "--module"])
def test_the_command_compares_names_with_other_modules(run_dir: Path, option: str) -> None:
    one = written(run_dir, SET, "one")
    two = written(run_dir, SET.but(set8s={"its_set": THREE[1:2]}), "two")

    done = run("--base", "base.btf", one.name, option, two.name)
    assert done.returncode == 0
    assert "warning [name-shared]: two.ko also has a function f1" in done.stdout
    assert "two.ko\n" not in done.stdout

    both = run("--base", "base.btf", one.name, two.name).stdout
    assert "one.ko also has a function f1" in both


def test_a_distilled_module_needs_no_base(run_dir: Path) -> None:
    module = written(run_dir, SET.but(is_distilled=True))

    done = run("-v", module.name)

    assert done.returncode == 0, done.stderr
    assert "int f1(int a)" in done.stdout
    assert "note [no-base]" in done.stdout


def test_bad_input_is_one_line_and_the_other_modules_are_shown(run_dir: Path) -> None:
    module = written(run_dir, SET)
    (run_dir / "bad.ko").write_bytes(b"\x7fELF")

    done = run("--base", "base.btf", "bad.ko", module.name, "not-there.ko")

    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 2
    assert "kbtf: error: bad.ko" in done.stderr
    assert "int f1(int a)" in done.stdout


def test_an_empty_set_is_shown(run_dir: Path) -> None:
    module = written(run_dir, SET.but(set8s={"nothing": []}))

    done = run("--base", "base.btf", module.name)

    assert done.returncode == 0
    assert "nothing kfunc set - - (empty)" in " ".join(done.stdout.split())


def test_the_base_may_be_named_by_the_environment(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = written(run_dir, SET)
    monkeypatch.setenv("KBTF_BASE", "base.btf")

    assert run(module.name).returncode == 0


def test_a_plain_module_without_a_base_is_an_error_of_the_environment(run_dir: Path) -> None:
    done = run(written(run_dir, SET).name)

    assert done.returncode == 4
    assert done.stderr.count("\n") == 1


def rows_of(root: Path, heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    _, _, rest = (root / "docs" / "kfuncs.md").read_text().partition(f"## {heading}\n")
    lines = rest.partition("\n## ")[0].splitlines()
    table = [line for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_docs_have_all_flags_and_suffixes(root: Path) -> None:
    flags = [
        [f"`{f.name}`", str(f.bit), f"{f.since} to {f.until}" if f.until else f.since, f.commit]
        for f in kf.FLAGS
    ]
    assert [row[:4] for row in rows_of(root, "Flags")] == flags
    assert [row[:2] for row in rows_of(root, "Suffixes of parameters")] == [
        [f"`{suffix.text}`", suffix.fits.value] for suffix in SUFFIXES
    ]


def test_the_finding_of_the_docs_is_what_is_said(run_dir: Path) -> None:
    module = written(run_dir, kfunc("int f(void *it)"))

    said = run("--base", "base.btf", module.name).stdout

    shown = " ".join(block("docs/kfuncs.md", "finding").split())
    assert shown in [" ".join(line.split()) for line in said.splitlines()]


@pytest.mark.integration
def test_the_session_of_the_docs_shows_what_happens(
    kfunc_module: Path, headers: Path, root: Path, run_dir: Path
) -> None:
    session = block("docs/kfuncs.md", "kfuncs session")
    shown = session.partition("$ kbtf kfuncs kfunc_module.ko\n")[2]
    shutil.copy(kfunc_module, run_dir)
    base = str(headers / "vmlinux")
    subprocess.run([KBTF, "run", "-q", "--base", base, kfunc_module.name], check=True)

    done = run("--base", base, kfunc_module.name)

    # pahole may have the functions in another order
    def lines(output: str) -> list[str]:
        return sorted(
            re.sub(r" \d+ ", " N ", " ".join(line.split())) for line in output.splitlines()
        )

    assert lines(done.stdout) == lines(shown)


def test_a_kernel_to_compare_with_is_not_for_modules(run_dir: Path) -> None:
    module = written(run_dir, kfunc("int f(int a)").but(is_distilled=True))
    done = run("--against", module, module)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--against is for kernels" in done.stderr
    done = run("--against", module, run_dir / "absent.ko")
    assert done.returncode == 3
    assert "no such file" in done.stderr
