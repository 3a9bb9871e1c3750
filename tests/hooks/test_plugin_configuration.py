# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Options of plugins in tables, and files that say which plugins there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hooks.passes import run, write
from kbtf import Module

if TYPE_CHECKING:
    from pathlib import Path


def test_pyproject_is_read_where_there_is_no_kbtf_toml(module: Path, run_dir: Path) -> None:
    (run_dir / "pyproject.toml").write_text("[tool.kbtf]\ndistill = 'never'\n")

    assert run(module) == 0
    assert not Module.open(str(module)).has_btf_base


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("nonsense = 1", "unknown key 'nonsense'"),
        ("distill = 'sometimes'", "not one of auto, always, never"),
        ("dry-run = 'yes'", "not of type bool"),
        ("base = 3", "not of type str"),
        ("plugins = 'x'", "not a list of names"),
        ("plugins = ['./x.py']", "names plugins, which needs a configuration that you name"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_configuration_is_a_usage_error_that_names_it(
    toml: str, words: str, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "kbtf.toml").write_text(toml)

    assert run(module) == 2
    assert words in capsys.readouterr().err


def test_a_configuration_that_names_no_plugin(
    module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "ci.toml").write_text("plugins = ['absent']")

    assert run(module, "--config", "ci.toml") == 2
    assert "ci.toml: unknown plugin absent" in capsys.readouterr().err


def test_a_configuration_that_the_user_names_may_name_files(module: Path, run_dir: Path) -> None:
    write(
        run_dir / "mark.py",
        "@hookimpl",
        "def kbtf_embed_sections(module, config):",
        "    module.set_section('.mark', b'!')",
    )
    (run_dir / "ci.toml").write_text("plugins = ['./mark.py']\n")

    assert run(module, "--config", "ci.toml") == 0
    assert Module.open(str(module)).image.data(".mark") == b"!"
