"""Which kbtf an installed plugin asks for, by the metadata of its distribution.

pip looks at that when it installs, but kbtf may be replaced later, or installed otherwise.
"""

from __future__ import annotations

import os
import re

# Requires-Dist of the core metadata; what has a marker is not judged, for it may not count here.
_REQUIREMENT = re.compile(r"requires-dist:\s*kbtf\s*(?:\[[^]]*\])?\s*\(?([^;()]*)\)?\s*$", re.I)
_CLAUSE = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*v?(\d+(?:\.\d+)*)(\.\*)?$")


def unmet(folder: str, version: str) -> str | None:
    """The requirement on kbtf, as it is written, if *version* does not meet it.

    *folder* is a ``.dist-info``; one whose metadata cannot be read asks for nothing.
    """
    for wanted in _requirements(os.path.join(folder, "METADATA")):
        if not meets(version, wanted):
            return wanted
    return None


def _requirements(path: str) -> list[str]:
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.strip():  # the description follows
                    break
                match = _REQUIREMENT.match(line)
                if match:
                    found.append(match[1].strip())
    except OSError:
        pass
    return found


def meets(version: str, wanted: str) -> bool:
    """Whether a release meets all clauses, of those that compare the numbers of releases."""
    clauses = map(_CLAUSE.match, (clause.strip() for clause in wanted.split(",")))
    ours = _numbers(version)
    return all(_holds(ours, *clause.groups()) for clause in clauses if clause)


def _holds(ours: list[int], operator: str, text: str, any_after: str | None) -> bool:
    theirs = _numbers(text)
    shown = len(theirs)
    length = max(len(ours), shown)
    ours, theirs = (numbers + [0] * (length - len(numbers)) for numbers in (ours, theirs))
    if operator == "~=":
        return ours >= theirs and ours[: shown - 1] == theirs[: shown - 1]
    if any_after:
        ours, theirs = ours[:shown], theirs[:shown]
    return {
        "==": ours == theirs,
        "!=": ours != theirs,
        "<=": ours <= theirs,
        ">=": ours >= theirs,
        "<": ours < theirs,
        ">": ours > theirs,
    }[operator]


def _numbers(version: str) -> list[int]:
    release = re.match(r"\d+(\.\d+)*", version)
    return [int(number) for number in release[0].split(".")] if release else []
