# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The stand-in for resolve_btfids beside the originals of 7.x, on made-up modules."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbtf import Btf, BtfBuilder, Kind, open_btf
from kbtf.testing import Ids, make_ids, make_module
from kbtf.testing.elfwriter import ElfSymbol
from kbuild.standins import RESOLVE_BTFIDS, Said, call

if TYPE_CHECKING:
    from .debian import Debian

pytestmark = pytest.mark.integration

SEVEN = ("7.x", "7.x before")
FILES = ("m.ko.BTF", "m.ko.BTF.base", "m.ko.BTF_ids")


class Kernel(NamedTuple):
    """What the original of a kernel is called with."""

    original: list[str]
    vmlinux: Path
    base: Btf


@pytest.fixture(scope="module", params=SEVEN)
def kernel(request: pytest.FixtureRequest, lab: Debian) -> Kernel:
    """One of the 7.x kernels."""
    release = lab.release(request.param)
    vmlinux = lab.vmlinux(release)
    return Kernel(lab.resolve_btfids(release), vmlinux, open_btf(str(vmlinux), cache=False))


def side_by_side(kernel: Kernel, module: bytes, btf: bytes, *options: str) -> Said:
    """What both say and write, once it is known to be the same but for the length of headers."""
    results = []
    for program in (kernel.original, [str(RESOLVE_BTFIDS)]):
        for name in FILES:
            Path(name).unlink(missing_ok=True)
        Path("m.ko").write_bytes(module)
        Path("m.ko.BTF.1").write_bytes(btf)
        words = [*program[1:], *options, "--btf_base", kernel.vmlinux, "--btf", "m.ko.BTF.1"]
        said = call(program[0], *words, "m.ko")
        results.append((said, {name: body(Path(name)) for name in FILES if Path(name).exists()}))
    (theirs, their_files), (ours, our_files) = results
    assert (ours.code, spoken(ours)) == (theirs.code, spoken(theirs))
    assert our_files == their_files
    return ours


def spoken(said: Said) -> list[str]:
    """Its lines, without the sizes of files with BTF: headers of 24 and of 32 bytes are right."""
    lines = [*said.out.splitlines(), *said.words]
    return [line for line in lines if not (line.startswith("Dumped") and ".BTF_ids" not in line)]


def body(path: Path) -> bytes:
    """A file; of BTF, what follows the header."""
    data = path.read_bytes()
    return data[struct.unpack_from("<I", data, 4)[0] :] if data[:2] == b"\x9f\xeb" else data


def own_functions(kernel: Kernel) -> bytes:
    """A struct of its own and functions that take it."""
    made = BtfBuilder(kernel.base)
    integer = kernel.base.find("int", Kind.INT)
    assert integer is not None
    thing = made.add_composite(Kind.STRUCT, "own_thing", 8, [("a", integer.id, 0)])
    pointer = made.add_ref(Kind.PTR, thing)
    made.add_func("own_plain", made.add_func_proto(pointer, [("p", pointer)]))
    made.add_func("own_get", made.add_func_proto(pointer, [("a", integer.id)]))
    made.add_func("own_arg", made.add_func_proto(integer.id, [("n", integer.id), ("p", pointer)]))
    aux = kernel.base.find("bpf_prog_aux", Kind.STRUCT)
    assert aux is not None
    implied = made.add_ref(Kind.PTR, aux.id)
    proto = made.add_func_proto(integer.id, [("p", pointer), ("aux", implied)])
    for name in ("own_implied", "own_ready", "own_ready_impl", "l" * 506, "l" * 507):
        made.add_func(name, proto)
    named = [("p__arena", pointer), ("q__arena__nullable", pointer)]
    made.add_func("own_named", made.add_func_proto(integer.id, named))
    return made.to_bytes()


def kfuncs(*entries: tuple[str, int]) -> Ids:
    """A set of kfuncs with their flags."""
    return make_ids(set8s={"own": [("func", name, flags) for name, flags in entries]})


def symbol(name: str, at: int = 0) -> Ids:
    """One slot."""
    return Ids(bytes(8), (ElfSymbol(f"__BTF_ID__{name}", ".BTF_ids", at),))


CRAFTED = {
    "no kfuncs": make_ids(lists={"l": [("func", "own_get"), ("struct", "own_thing")]}),
    "nothing found": make_ids(lists={"l": [("func", "nix"), ("struct", "task_struct")]}),
    "a kind that only begins like one": symbol("structx__own_thing__1"),
    "a slot that is not aligned": symbol("struct__own_thing__9", 2),
    "the longest name": symbol(f"func__{'x' * 508}__1"),
    "a name that is too long": symbol(f"func__{'x' * 509}__1"),
    "a name that is too long with its suffix": symbol(f"func__{'x' * 505}__12345"),
    "another kind": symbol("enum__e__1"),
    "a suffix with one underscore": symbol("func__na_1"),
}


@pytest.mark.parametrize("kernel", SEVEN[:1], indirect=True)
@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_ids(case: str, kernel: Kernel, run_dir: Path) -> None:
    module = make_module(ids=CRAFTED[case])

    side_by_side(kernel, module, own_functions(kernel), "-v", "--distill_base")
    side_by_side(kernel, module, own_functions(kernel), "--distill_base")


ARENA_RET, ARENA_ARG1, ARENA_ARG2, IMPLICIT_ARGS = (1 << bit for bit in (13, 14, 15, 16))
FASTCALL = 1 << 12
KFUNCS = {
    "plain kfuncs": [("own_plain", 0), ("own_get", 4)],
    "a result in the arena": [("own_get", ARENA_RET), ("own_plain", 0)],
    "an argument in the arena": [("own_arg", ARENA_ARG2)],
    "both": [("own_plain", ARENA_RET | ARENA_ARG1), ("own_arg", ARENA_ARG2 | FASTCALL)],
    "an argument that is no pointer": [("own_arg", ARENA_ARG1)],
    "implicit arguments": [("own_implied", IMPLICIT_ARGS), ("own_get", ARENA_RET)],
    "all of it": [("own_implied", IMPLICIT_ARGS | FASTCALL), ("own_plain", ARENA_RET)],
    "implicit arguments that are not there": [("own_get", IMPLICIT_ARGS)],
    "implicit arguments with their function": [("own_ready", IMPLICIT_ARGS)],
    "implicit arguments and a name that is long": [("l" * 506, IMPLICIT_ARGS)],
    "implicit arguments and a name that is too long": [("l" * 507, IMPLICIT_ARGS)],
    "arena pointers of a name": [("own_named", ARENA_ARG1)],
    "a function that is not there": [("nix", 0), ("own_get", 0)],
}


@pytest.mark.parametrize("kernel", SEVEN[:1], indirect=True)
@pytest.mark.parametrize("case", KFUNCS)
def test_kfuncs_get_what_the_newest_gives_them(case: str, kernel: Kernel, run_dir: Path) -> None:
    module = make_module(ids=kfuncs(*KFUNCS[case]))

    for options in (("-v",), ("--distill_base",), ("-v", "--distill_base")):
        side_by_side(kernel, module, own_functions(kernel), *options)


@pytest.mark.parametrize("kernel", SEVEN[:1], indirect=True)
def test_sets_that_contradict_one_another(kernel: Kernel, run_dir: Path) -> None:
    one, other = [("func", "own_get", 0)], [("func", "own_plain", 0), ("func", "own_get", 4)]
    module = make_module(ids=make_ids(set8s={"one": one, "other": other}))

    assert side_by_side(kernel, module, own_functions(kernel), "-v").code == 255


def test_a_set_that_is_longer_than_the_section_fails_in_neither(
    kernel: Kernel, run_dir: Path
) -> None:
    """The original sorts what follows the section with it; nobody else should."""
    made = kfuncs(("own_get", 0))
    longer = tuple(s._replace(size=40) if "__set8__" in s.name else s for s in made.symbols)
    Path("m.ko").write_bytes(make_module(ids=made._replace(symbols=longer)))
    Path("m.ko.BTF.1").write_bytes(own_functions(kernel))
    words = ["--distill_base", "--btf_base", kernel.vmlinux, "--btf", "m.ko.BTF.1", "m.ko"]

    theirs = call(kernel.original[0], *kernel.original[1:], *words)
    ours = call(RESOLVE_BTFIDS, *words)

    assert (ours.code, theirs.code) == (0, 0)
    assert any("reaches past the end of the section" in line for line in ours.err)
    count, flags, own_get, _ = struct.unpack("<4I", Path("m.ko.BTF_ids").read_bytes())
    assert (count, flags) == (4, 1)
    assert own_get
