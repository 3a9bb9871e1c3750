# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A loaded plugin and its origin."""

from __future__ import annotations

from typing import Any, NamedTuple

OUR_PLUGINS = "kbtf.plugins"
"""The package of the built-in passes."""


class Plugin(NamedTuple):
    """A plugin that was loaded."""

    name: str
    version: str
    origin: str
    """``built-in``, the distribution that it came with, or its file."""
    module: Any

    def __str__(self) -> str:
        return f"plugin {self.name} ({self.origin})"
