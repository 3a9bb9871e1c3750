# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The pages of the documentation and the marked blocks in them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"


def pages() -> list[Path]:
    """All Markdown files that people read: those of the site and those beside it."""
    beside = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("examples/**/README.md")]
    found = [*DOCS.rglob("*.md"), *beside]
    assert len(found) > 20
    return found


def code(text: str) -> list[str]:
    """What a shell or make would run: each line of their blocks, each piece of code in a line."""
    block = re.compile(r"^```(\S*)\n((?:.*\n)*?)```", re.MULTILINE)
    blocks = [part for name, part in block.findall(text) if name in ("sh", "console", "make")]
    inline = re.findall(r"`([^`]+)`", block.sub("", text))
    lines = [line for part in blocks for line in part.replace("\\\n", " ").splitlines()]
    return [*lines, *(" ".join(part.split()) for part in inline)]


def generated() -> Any:
    """The module that makes parts of the reference from the program."""
    path = DOCS / "_ext" / "generated.py"
    spec = importlib.util.spec_from_file_location("kbtf_docs_generated", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
