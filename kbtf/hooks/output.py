# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The output file, as plugins see it before it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.files.pieces import Pieces

if TYPE_CHECKING:
    from kbtf.elf.module import Module


class Output:
    """The file that is about to be written; ``kbtf_finish`` may replace its ``data``."""

    def __init__(self, path: str, content: Pieces, module: Module) -> None:
        self.path = path
        self.content = content
        self.module = module

    @property
    def data(self) -> bytes:
        """The whole file."""
        data = self.content.to_bytes()
        self.content = Pieces([data])
        return data

    @data.setter
    def data(self, data: bytes) -> None:
        self.content = Pieces([data])
