# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The rule that a module may register one kfunc set for a hook.

Source: btf_populate_kfunc_set() in kernel/bpf/btf.c.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from kbtf.findings.kfuncs import KFUNCS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.kfuncs import Kfuncs
    from kbtf.findings.finding import Finding


def audit_hooks(kfuncs: Kfuncs) -> Iterator[Finding]:
    """Hooks with two registered sets, or with one set registered twice; empty sets do not count."""
    filled = {group.name for group in kfuncs.groups if group.entries}
    by_hook: dict[str, list[str]] = defaultdict(list)
    for one in kfuncs.registrations:
        if one.set_name in filled:
            by_hook[one.hook].append(one.set_name)
    for hook, names in by_hook.items():
        if len(names) > 1:
            case = "two" if len(set(names)) > 1 else "twice"
            sets = " and ".join(dict.fromkeys(names))
            yield KFUNCS.finding("second-set", case, type=names[1], sets=sets, hook=hook)
