# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF of types that C declares, and the definitions that kbtf writes of it."""

from __future__ import annotations

from kbtf import Btf, BtfBuilder, Kind
from kbtf.btf.dump.c.header import Contents, dump_c

IF_RECORDS = (
    "#if defined(__clang__) && defined(__bpf__) && !defined(BPF_NO_PRESERVE_ACCESS_INDEX)\n"
    "#pragma clang attribute "
)
PUSH = "push (__attribute__((preserve_access_index)), apply_to = record)\n#endif\n\n"
POP = "pop\n#endif\n\n"


def body(btf: Btf, contents: Contents | None = None) -> str:
    """The definitions, without what every header has before and after."""
    text = dump_c(btf, contents)
    start = "#define __bpf_fastcall\n#endif\n#endif\n\n"
    text = text[text.index(start) + len(start) : text.rindex("#endif /* ")]
    return text.replace(f"{IF_RECORDS}{PUSH}", "").replace(f"{IF_RECORDS}{POP}", "").strip()


def c_builder() -> BtfBuilder:
    """Ids 1 int, 2 char, 3 long."""
    b = BtfBuilder()
    b.add_int("int", 4, encoding=1)
    b.add_int("char", 1, encoding=1)
    b.add_int("long int", 8, encoding=1)
    return b


def pointer(b: BtfBuilder, type_id: int) -> int:
    return b.add_ref(Kind.PTR, type_id)


def const(b: BtfBuilder, type_id: int) -> int:
    return b.add_ref(Kind.CONST, type_id)


def function(b: BtfBuilder, returns: int, *params: int) -> int:
    return b.add_func_proto(returns, [("", param) for param in params])
