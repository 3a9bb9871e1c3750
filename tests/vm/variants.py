# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""One module with BTF in many right and wrong ways, and what two kernels must make of each.

*own* is the kernel that the module was built for, *other* an older build with other BTF.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kbtf import Btf, BtfBuilder, Kind, Module, read_ids, rewrite_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KBTF = Path(sys.executable).with_name("kbtf")


class Parts(NamedTuple):
    """What variants are made from."""

    linked: Path
    """examples/kfunc_module as the linker left it: DWARF, no BTF."""
    kbuild: Path
    """The same as Kbuild leaves it, with the pahole and resolve_btfids of Debian."""
    intree: Path
    """As linked, with intree=Y."""
    own_types: Path
    """tests/modules/own_types as linked."""
    iter_percpu: Path
    """tests/modules/iter_percpu as linked."""
    clang: Path
    """The example as clang and its linker left it, for these kernels of gcc."""
    clang_kbuild: Path
    """The same with the BTF that pahole alone makes of it."""
    own: Path
    """The vmlinux of the kernel that all were built for."""
    other: Path
    """The other kernel."""


class Expected(NamedTuple):
    """What a kernel does with a module, and what then comes of the BPF programs."""

    btf: str | None
    """``accepted``, ``refused`` or ``none``, as `kbtf check` calls it; None if chance decides."""
    loads: bool | None
    programs: Mapping[str, int | str]
    """What each returns, or why libbpf or the verifier refuses it."""


class Variant(NamedTuple):
    """A way to give the module BTF."""

    name: str
    make: Callable[[Parts, Path], None]
    own: Expected
    other: Expected
    module: str = "kfunc_module"


KFUNC_MODULE: dict[str, int | str] = {
    "serve": 42,
    "serve_packet": 64,
    "set_mood": 17,
    "is_opener": 1,
    "queue": 3,
    "take_tickets": 101,
    "queue_packet": "program must be sleepable to call sleepable kfunc",
    "is_wakee_opener": "R1 must be referenced or trusted",
    "keep_ticket": "Unreleased reference",
    "return_no_ticket": "Possibly NULL pointer passed to trusted",
}
OWN_TYPES: dict[str, int | str] = {
    "next": 56,
    "rest": 1,
    "rest_packet": "program must be sleepable to call sleepable kfunc",
}
ITER_PERCPU: dict[str, int | str] = {
    "walk": 234,
    "walk_without_end": "Unreleased reference",
    "walk_without_start": "expected an initialized iter_steps",
    "walk_too_far": "invalid mem access",
    "numbers": 1011,
    "own_number": 1,
    "here": 21,
}
ITERATOR = [f"bpf_iter_steps_{step}" for step in ("destroy", "new", "next")]
"""Its kfuncs."""
RIGHT = {"kfunc_module": KFUNC_MODULE, "own_types": OWN_TYPES, "iter_percpu": ITER_PERCPU}
"""The programs for each module where all is well; the object of the same name has them."""

NOT_FOUND = dict.fromkeys(KFUNC_MODULE, "not found in kernel or module BTFs")
WORKS = Expected("accepted", True, KFUNC_MODULE)
NO_BTF = Expected("none", True, NOT_FOUND)
REFUSED = Expected("refused", True, NOT_FOUND)
# A set that was not resolved counts as empty, and is registered.
EMPTY_SET = Expected("accepted", True, dict.fromkeys(KFUNC_MODULE, "is not allowed"))
# Registering the set is refused, and the module does not load because of that.
WRONG_SET = Expected("accepted", False, {})
# BTF that was made for another vmlinux. That it is refused takes a name that is none or an offset
# past the end; else the kernel misreads it, and nothing works either.
UNFIT = Expected(None, None, dict.fromkeys(KFUNC_MODULE, ""))
# The module's DWARF is not that of the vmlinux that its BTF was made with. Where the two differ,
# the module has its own task_struct, which the verifier does not take for the kernel's.
OWN_COPIES = Expected(
    "accepted", True, {name: KFUNC_MODULE[name] for name in KFUNC_MODULE if name != "is_opener"}
)


def kbtf(*words: str | Path, alone: bool = False) -> None:
    """Runs a command of kbtf, which must succeed; *alone*, where no other program is found."""
    environment = {"PATH": ""} if alone else None
    done = subprocess.run([KBTF, *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def linked(parts: Parts, module: Path) -> None:
    """No BTF at all."""
    module.write_bytes(parts.linked.read_bytes())


def plain(parts: Parts, module: Path) -> None:
    """Plain split BTF, as Kbuild makes it."""
    module.write_bytes(parts.kbuild.read_bytes())


def distilled(parts: Parts, module: Path) -> None:
    """What kbtf makes."""
    kbtf("run", "--base", parts.own, "-o", module, parts.linked)


def twice(parts: Parts, module: Path) -> None:
    """What kbtf makes of that."""
    distilled(parts, module)
    kbtf("run", "--base", parts.own, module)


def after_kbuild(parts: Parts, module: Path) -> None:
    """Resolved by Kbuild, then distilled: the ids move, and their flags with them."""
    kbtf("run", "--base", parts.own, "-o", module, parts.kbuild)


def unresolved(parts: Parts, module: Path) -> None:
    """As if nobody had run resolve_btfids."""
    distilled(parts, module)
    ids = Module.open(str(parts.linked)).btf_ids
    assert ids is not None
    replace_section(module, ".BTF_ids", ids)


def misresolved(parts: Parts, module: Path) -> None:
    """As if resolved against other BTF than the module has: each id is one too high."""
    distilled(parts, module)
    shift_ids(module)


def pinned(parts: Parts, module: Path) -> None:
    """A module that refers to no type of the kernel: one is put into its base."""
    kbtf("run", "--base", parts.own, "-o", module, parts.own_types)


def encoded(parts: Parts, module: Path) -> None:
    """An iterator and per-CPU variables, which BPF finds by the BTF that kbtf makes alone."""
    kbtf("run", "--base", parts.own, "-o", module, parts.iter_percpu, alone=True)


def intree(parts: Parts, module: Path) -> None:
    """Marked as built in the kernel's tree: kbtf leaves the BTF plain."""
    kbtf("run", "--base", parts.own, "-o", module, parts.intree)


def clang(parts: Parts, module: Path) -> None:
    """Built with clang; kbtf sees to it that the kernel's types are found."""
    kbtf("run", "--base", parts.own, "-o", module, parts.clang)


def clang_by_pahole(parts: Parts, module: Path) -> None:
    """Built with clang, whose names for integers pahole does not find in the kernel's BTF."""
    kbtf("run", "--base", parts.own, "-o", module, parts.clang_kbuild)


def embedded_resized(parts: Parts, module: Path) -> None:
    """Has a struct by value that is of another size in the kernel."""
    distilled(parts, module)
    resize(module, "mutex")


def pointed_to_resized(parts: Parts, module: Path) -> None:
    """Has pointers to a struct that is of another size in the kernel."""
    distilled(parts, module)
    resize(module, "task_struct")


def stale(parts: Parts, module: Path) -> None:
    """Plain split BTF for the other kernel."""
    options = ["--allow-other-release", "--distill", "never"]
    kbtf("run", *options, "--base", parts.other, "-o", module, parts.linked)


def stale_distilled(parts: Parts, module: Path) -> None:
    """The same, distilled."""
    kbtf("run", "--allow-other-release", "--base", parts.other, "-o", module, parts.linked)


def undistilled(parts: Parts, module: Path) -> None:
    """What kbtf makes, relocated onto the other kernel beforehand."""
    source = module.with_suffix(".distilled")
    distilled(parts, source)
    kbtf("undistill", "--base", parts.other, "-o", module, source)
    source.unlink()


def resize(module: Path, name: str) -> None:
    """Gives a struct of the distilled base another size."""
    base = Module.open(str(module)).btf_base
    assert base is not None
    changed = BtfBuilder()
    found = 0
    for each in base:
        wanted = each.name == name
        found += wanted
        changed.add_copy(each._replace(size_or_type=each.size_or_type + 8 * wanted))
    assert found == 1
    replace_section(module, ".BTF.base", changed.to_bytes())


def tagged_kfuncs(btf: Btf) -> list[str]:
    """The names of the functions that have the declaration tag ``bpf_kfunc``, sorted."""
    tagged = [t.type for t in btf if t.kind is Kind.DECL_TAG and t.name == "bpf_kfunc"]
    return sorted(btf[type_id].name for type_id in tagged if type_id is not None)


def shift_ids(module: Path) -> None:
    """Makes each id of .BTF_ids one higher."""
    ids = read_ids(Module.open(str(module)).image)
    assert ids is not None
    shifted = rewrite_ids(ids, lambda old: old + 1).ids
    replace_section(module, ".BTF_ids", shifted.to_bytes())


def replace_section(path: Path, name: str, data: bytes) -> None:
    """Writes a section without a look at what it does to the rest."""
    module = Module.open(str(path))
    module.set_section(name, data)
    path.write_bytes(module.to_bytes())


VARIANTS = (
    Variant("linked", linked, own=NO_BTF, other=NO_BTF),
    Variant("plain", plain, own=WORKS, other=UNFIT),
    Variant("distilled", distilled, own=WORKS, other=WORKS),
    Variant("twice", twice, own=WORKS, other=WORKS),
    Variant("after-kbuild", after_kbuild, own=WORKS, other=WORKS),
    Variant("unresolved", unresolved, own=EMPTY_SET, other=EMPTY_SET),
    Variant("misresolved", misresolved, own=WRONG_SET, other=WRONG_SET),
    Variant(
        "pinned",
        pinned,
        own=Expected("accepted", True, OWN_TYPES),
        other=Expected("accepted", True, OWN_TYPES),
        module="own_types",
    ),
    Variant(
        "encoded",
        encoded,
        own=Expected("accepted", True, ITER_PERCPU),
        other=Expected("accepted", True, ITER_PERCPU),
        module="iter_percpu",
    ),
    Variant("intree", intree, own=WORKS, other=UNFIT),
    Variant("clang", clang, own=WORKS, other=WORKS),
    Variant("clang-by-pahole", clang_by_pahole, own=OWN_COPIES, other=OWN_COPIES),
    Variant("embedded-resized", embedded_resized, own=REFUSED, other=REFUSED),
    Variant("pointed-to-resized", pointed_to_resized, own=WORKS, other=WORKS),
    Variant("stale", stale, own=UNFIT, other=OWN_COPIES),
    Variant("stale-distilled", stale_distilled, own=OWN_COPIES, other=OWN_COPIES),
    Variant("undistilled", undistilled, own=UNFIT, other=WORKS),
)
