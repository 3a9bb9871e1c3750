# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Refuses a base of another kernel if the module itself shows that.

Raw BTF does not name its release: a ``vmlinux`` that is a link to ``/sys/kernel/btf/vmlinux``, or a
copy of it, could be any kernel's.  Two facts reveal the mismatch.  The linker reserved as many
bytes for ``struct module`` as in the kernel's headers; and the module does not repeat types that
the base has, so its own ``struct module`` means that the base has a different one.  Several of them
mean something else: a struct of the module's own has the name of one of the kernel's, so that its
units disagree on all types that refer to it (Debian's cxgb4 has its own ``sched_class``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import BaseError, Kind, hookimpl

if TYPE_CHECKING:
    from kbtf import Base, Config, Module

_THIS_MODULE = ".gnu.linkonce.this_module"


@hookimpl(trylast=True)
def kbtf_after_link(module: Module, config: Config) -> None:
    if module.skipped or not module.has_btf or module.has_btf_base:
        return
    base = module.found_base
    if base.release is None:
        words = f"the release of the base {base.source} is not known"
        if config["base"]:
            module.note(words)
        else:
            module.warn(words)
    why = _misfit(module, base)
    if why is None:
        return
    what = f"does not fit the base {base.source}: {why}"
    if not config["allow-other-release"]:
        raise BaseError(
            what,
            file=module.path,
            hint="name the vmlinux of its own kernel with --base, or use --allow-other-release",
        )
    module.warn(what)


def _misfit(module: Module, base: Base) -> str | None:
    """Why *base* is not of the kernel whose headers *module* was built with; None if it may be."""
    theirs = base.btf.find("module", Kind.STRUCT)
    if theirs is None:
        return None
    section = module.image.section(_THIS_MODULE)
    if section is not None and section.size != theirs.size:
        return f"its struct module has {section.size} bytes, the base's {theirs.size}"
    btf = module.btf
    if btf is None or base.release == module.release is not None:
        return None  # another compiler's names also cause repeated types
    own = [t for t in btf.find_all("module", Kind.STRUCT) if t.id >= btf.start_id]
    if len(own) == 1:
        return "its struct module differs from the base's"
    return None
