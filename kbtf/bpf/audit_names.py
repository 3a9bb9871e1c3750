"""Names of kfuncs that are in the way of each other: loaders look functions up by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.check.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kbtf.btf.btf import Btf, BtfType


def audit_names(
    functions: Iterable[BtfType], vmlinux: Btf | None, others: Mapping[str, Btf]
) -> Iterator[Finding]:
    """Kfuncs that vmlinux or another module has a function of the same name as.

    libbpf looks for the id in vmlinux first, kfunc or not, then in modules in the order in which
    they were loaded, and the kernel for the address by the name alone; the newest kernels refuse
    such a kfunc when it is registered.
    """
    for func in functions:
        if vmlinux is not None and vmlinux.find(func.name, Kind.FUNC) is not None:
            text = f"vmlinux has a function {func.name} too: programs that call it get that one, "
            text += "never the module's"
            yield Finding(Severity.ERROR, "name-taken", text, type=func.name, hint="rename it")
        for name, btf in others.items():
            if any(one.id >= btf.start_id for one in btf.find_all(func.name, Kind.FUNC)):
                text = (
                    f"{name} has a function {func.name} too: which of them programs call depends "
                )
                text += "on the order in which the modules were loaded"
                yield Finding(Severity.WARNING, "name-shared", text, type=func.name)
