"""The markers of pluggy for kbtf's hooks."""

from __future__ import annotations

import pluggy

PROJECT = "kbtf"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
