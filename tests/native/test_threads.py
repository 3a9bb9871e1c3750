# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The threads that encode a file change nothing that they share without a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import real
from conftest import missing
from kbtf import BtfBuilder
from native.build import CORE, HERE, INCLUDE, WARN, output_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.integration
def test_the_threads_of_the_encoder_do_not_race(tmp_path: Path) -> None:
    if "/" not in output_of("gcc", "-print-file-name=libtsan.so"):
        missing("libtsan")
    base, program = tmp_path / "base.btf", tmp_path / "threads"
    base.write_bytes(BtfBuilder().build().to_bytes())
    flags = ("-g", "-O1", "-fsanitize=thread", "-pthread")
    output_of("gcc", *WARN, *flags, *INCLUDE, HERE / "threads.c", *CORE, "-o", program)

    module = tmp_path / "module.ko"
    output_of("gcc", "-g", "-r", "-nostdlib", *INCLUDE, *CORE, "-o", module)

    types = real.encoding_cases() / "base.131.btf"
    # The program is a linked file with some dozen units itself.
    for of, file, kind in ((base, program, "linked"), (types, module, "module")):
        units, said = output_of(program, of, file, kind).split(" ", 1)
        assert int(units) >= len(CORE)
        assert said.startswith("units, ")
