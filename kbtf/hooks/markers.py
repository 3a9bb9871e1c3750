# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""pluggy's markers for kbtf's hooks."""

from __future__ import annotations

import pluggy

PROJECT = "kbtf"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

try:
    hookimpl(wrapper=True)
except TypeError:
    from kbtf.hooks.old_pluggy import OldHookimplMarker

    hookimpl = OldHookimplMarker(PROJECT)  # type: ignore[assignment]
