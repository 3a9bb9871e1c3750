# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A budget that is kept and one that is not; kfuncs that stay, go, come and change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kbtf import Module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kbtf.testing.fixtures import Done

SLEEPABLE = 0x20  # KF_SLEEPABLE of include/linux/btf.h


def test_the_budget_is_the_size_that_is_still_allowed(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done]
) -> None:
    module = kbtf_module()
    kbtf_run("run", module)
    size = len(Module.open(str(module)).image.data(".BTF.base") or b"")
    assert size

    assert kbtf_run("run", "--btf-base-budget", size, kbtf_module()).code == 0
    module = kbtf_module()
    before = module.read_bytes()
    done = kbtf_run("run", "--btf-base-budget", size - 1, module)

    assert done.code == 1
    assert f".BTF.base: {size} bytes are over the budget of {size - 1}" in done.err
    assert module.read_bytes() == before


def record(module: Path, kbtf_run: Callable[..., Done], folder: str = "kfuncs") -> None:
    done = kbtf_run("run", "--kfunc-baseline", folder, "--record-baseline", module)
    assert done.code == 0, done.err


def test_what_was_recorded_passes(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    record(kbtf_module(kfuncs=("tiny_add", "tiny_sub"), flags=SLEEPABLE), kbtf_run)

    written = json.loads((kbtf_dir / "kfuncs/tiny.json").read_text())
    assert written == {"tiny_kfuncs": {"tiny_add": SLEEPABLE, "tiny_sub": SLEEPABLE}}
    module = kbtf_module(kfuncs=("tiny_sub", "tiny_add"), flags=SLEEPABLE)
    assert kbtf_run("run", "--kfunc-baseline", "kfuncs", module).code == 0
    assert kbtf_run("run", "--kfunc-baseline", "kfuncs", module).code == 0, "and a second time"


@pytest.mark.parametrize(
    ("kfuncs", "flags", "words"),
    [
        (("tiny_add",), 0, ["tiny_sub is gone from tiny_kfuncs"]),
        ((), 0, ["tiny_add is gone from tiny_kfuncs", "tiny_sub is gone from tiny_kfuncs"]),
        (("tiny_add", "tiny_mul", "tiny_sub"), 0, ["tiny_mul is new in tiny_kfuncs"]),
        (
            ("tiny_add", "tiny_sub"),
            SLEEPABLE,
            ["tiny_add in tiny_kfuncs has the flags 0x20, it had 0x0"],
        ),
    ],
)
def test_a_change_of_kfuncs_is_named_and_the_module_untouched(
    kfuncs: tuple[str, ...],
    flags: int,
    words: list[str],
    kbtf_module: Callable[..., Path],
    kbtf_run: Callable[..., Done],
) -> None:
    record(kbtf_module(kfuncs=("tiny_add", "tiny_sub")), kbtf_run)
    module = kbtf_module(kfuncs=kfuncs, flags=flags)
    before = module.read_bytes()

    done = kbtf_run("run", "--kfunc-baseline", "kfuncs", module)

    assert done.code == 1
    for word in words:
        assert word in done.err
    assert module.read_bytes() == before


def test_kfuncs_of_a_module_without_a_file_are_new(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    (kbtf_dir / "kfuncs").mkdir()

    assert kbtf_run("run", "--kfunc-baseline", "kfuncs", kbtf_module(kfuncs=())).code == 0
    done = kbtf_run("run", "--kfunc-baseline", "kfuncs", kbtf_module())
    assert done.code == 1
    assert "tiny_add is new in tiny_kfuncs" in done.err


def test_plain_split_btf_is_compared_as_well(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done]
) -> None:
    record(kbtf_module(), kbtf_run)

    words = ("run", "--distill", "never", "--kfunc-baseline", "kfuncs")
    assert kbtf_run(*words, kbtf_module()).code == 0
    assert kbtf_run(*words, kbtf_module(kfuncs=("tiny_sub",))).code == 1


def test_a_dry_run_records_nothing(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    words = ("--kfunc-baseline", "kfuncs", "--record-baseline")
    assert kbtf_run("run", "--dry-run", *words, kbtf_module()).code == 0
    assert kbtf_run("plugins", *words, "--trace", kbtf_module()).code == 0

    assert not (kbtf_dir / "kfuncs").exists()


def test_without_options_nothing_is_looked_at(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done]
) -> None:
    assert kbtf_run("run", kbtf_module()).code == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": {"b": "c"}}', "[" * 100_000])
def test_a_baseline_that_cannot_be_read_is_bad_input(
    text: str, kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    (kbtf_dir / "kfuncs").mkdir()
    (kbtf_dir / "kfuncs/tiny.json").write_text(text)

    done = kbtf_run("run", "--kfunc-baseline", "kfuncs", kbtf_module())

    assert done.code == 3
    (line,) = done.err.splitlines()
    assert "tiny.json" in line


@pytest.mark.parametrize(
    ("toml", "code", "words"),
    [
        ("[policy]\nbtf-base-budget = 1\n", 1, "over the budget of 1"),
        ("[policy]\nkfunc-baseline = 'absent'\n", 3, "absent: no such directory"),
        ("[policy]\nbtf-base-budget = -1\n", 2, "less than nothing"),
        ("[policy]\nrecord = true\n", 2, "needs a --kfunc-baseline"),
        ("[policy]\nbudget = 1\n", 2, "unknown key 'policy.budget'"),
    ],
)
@pytest.mark.parametrize("file", ["kbtf.toml", "pyproject.toml"])
def test_the_table_counts_and_unknown_keys_are_refused(
    file: str,
    toml: str,
    code: int,
    words: str,
    kbtf_module: Callable[..., Path],
    kbtf_run: Callable[..., Done],
    kbtf_dir: Path,
) -> None:
    text = toml.replace("[policy]", "[tool.kbtf.policy]") if file == "pyproject.toml" else toml
    (kbtf_dir / file).write_text(text)

    done = kbtf_run("run", "--config", file, kbtf_module())

    assert done.code == code
    assert words in done.err
