# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replacing many files at once: one that fails is as it was, and the others are replaced."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from kbtf.errors import MachineError
from kbtf.files.replace_many import Chunk

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = b"old " * 1000, b"new " * 2000


@pytest.mark.parametrize("call", ["write", "fchmod", "listdir"])
def test_a_file_that_cannot_be_staged_is_not_committed_with_the_others(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.ko", "b.ko", "c.ko"):
        (tmp_path / name).write_bytes(OLD)
    function = getattr(os, call)

    def fail(*args: Any) -> object:
        if call == "write":
            function(args[0], bytes(args[1])[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with closing(Chunk()) as chunk:
        if call != "listdir":  # done once in each folder
            chunk.write(str(tmp_path / "a.ko"), NEW)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(MachineError, match="no space left"):
                chunk.write(str(tmp_path / "b.ko"), NEW)
        chunk.write(str(tmp_path / "c.ko"), NEW)
        assert chunk.commit() == {}

    assert (tmp_path / "b.ko").read_bytes() == OLD
    assert (tmp_path / "c.ko").read_bytes() == NEW
    assert sorted(os.listdir(tmp_path)) == ["a.ko", "b.ko", "c.ko"]
