# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever is in a file of less than 1 MB, each command ends soon, in little memory, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hostile import dwarf
from hostile.cost import run
from hostile.shapes import SHAPES, Blob, as_base, as_split
from kbtf import Btf, BtfError, Kind
from kbtf.elf.format import EM_BPF
from kbtf.testing import ElfSymbol, make_base, make_ids, make_module, write_elf

if TYPE_CHECKING:
    from pathlib import Path

RELEASE = "6.12.0-test"
IDS = make_ids(set8s={"kfuncs": [("func", "function", 0)]})
COMMANDS = {
    # hostile modules on a harmless kernel
    "run": "run --dry-run --no-cache --base small shape.ko",
    "run --distill=never": "run --dry-run --no-cache --distill never --base small shape.ko",
    "check": "check --kernel small shape.ko",
    "check, JSON": "check --json --kernel small shape.ko",
    "explain": "explain --base small shape.ko",
    "explain, JSON": "explain --json --base small shape.ko",
    "show": "show shape.ko",
    "dump": "dump --base small shape.ko",
    "dump, C": "dump --format c --base small shape.ko",
    "dump, JSON": "dump --format json --base small shape.ko",
    "distill": "distill small split out_base out_split",
    "relocate": "relocate small out_base out_split out",
    "kfuncs": "kfuncs --base small shape.ko",
    "stats": "stats shape.ko",
    "extract": "extract shape.ko .BTF -o out",
    "undistill": "undistill --base small shape.ko -o out",
    "plugins": "plugins --base small --trace shape.ko",
    # modules on a hostile kernel
    "run on it": "run --dry-run --no-cache --base shape user.ko",
    "check on it": "check --kernel shape user.ko",
    "check on another": "check --kernel shape shape.ko",
    "check --deep": "check --deep --built-against shape --kernel small user.ko",
    "check --deep on both": "check --deep --built-against shape --kernel other user.ko",
    "explain on it": "explain --base shape user.ko",
    "dump it": "dump shape",
    "dump it, C": "dump --format c shape",
    "dump it, JSON": "dump --format json shape",
    "base": "base shape",
    "base diff": "base diff shape small",
    "base diff, the other way": "base diff small shape",
    "base diff of two": "base diff shape other",
    "base diff, JSON": "base diff --json shape other",
    "run on its like": "run --dry-run --no-cache --base shape like.ko",
    "encode on it": "encode --base shape debug.ko -o out",
    "kfuncs of a kernel": "kfuncs shape",
    "kfuncs --against": "kfuncs --against other shape",
    "kfuncs --compare": "kfuncs --compare shape other",
    "resolve_btfids on it": "kbtf-resolve-btfids -b shape user.ko",
    "ksyms on it": "ksyms --base shape --module user.ko object",
    "status of it": "status --no-cache --root .",
    "pahole on it": "kbtf-pahole -J --btf_base shape --btf_encode_detached=out debug.ko",
    # more hostile modules and objects on a harmless kernel
    "kfuncs --compare of modules": "kfuncs --base small --compare shape.ko other.ko",
    "resolve_btfids": "kbtf-resolve-btfids -b small shape.ko",
    "ksyms with it": "ksyms --base small --module shape.ko object",
    "ksyms of it": "ksyms --base small shape.bpf.o",
    "check, distilled": "check --kernel small distilled.ko",
    "undistill, distilled": "undistill --base small distilled.ko -o out",
}


def module_on(base: Btf) -> bytes:
    """A module that has the last type of a kernel as a member and as a parameter."""
    blob = Blob(base.end_id, base.end_str)
    name, last = blob.string("user"), base.end_id - 1
    pointer = blob.add(Kind.PTR, 0, last)
    holder = blob.struct(name, 16, [(name, last, 0), (name, pointer, 64)])
    proto = blob.add(Kind.FUNC_PROTO, 0, holder, (name, last, name, pointer), 2)
    blob.add(Kind.FUNC, name, proto, vlen=1)
    return make_module("user", btf=blob.to_bytes(), ids=IDS)


def object_with(btf: bytes) -> bytes:
    """A BPF object with this BTF."""
    text = {"syscall": b"\x95" + bytes(7), ".BTF": btf, "license": b"GPL\0"}
    data = bytearray(write_elf(text, (ElfSymbol("program", "syscall", 0, 8),)))
    data[18:20] = EM_BPF.to_bytes(2, "little")
    return bytes(data)


def with_externs() -> bytes:
    """BTF of an object that calls the kfunc "function" and reads the variable "variable"."""
    blob = Blob()
    number = blob.add(Kind.INT, blob.string("int"), 4, (32 | 1 << 24,))
    proto = blob.add(Kind.FUNC_PROTO, 0, number, (0, number), 1)
    function = blob.add(Kind.FUNC, blob.string("function"), proto, vlen=2)
    variable = blob.add(Kind.VAR, blob.string("variable"), number, (2,))
    words = (function, 0, 0, variable, 0, 4)
    blob.add(Kind.DATASEC, blob.string(".ksyms"), 0, words, 2)
    return blob.to_bytes()


def write_files(shape: str, folder: Path) -> None:
    """All that `COMMANDS` name, and a root directory with that kernel and its modules."""
    small = make_base().build()
    kernel = as_base(shape)
    split = as_split(shape, small.end_id, small.end_str)
    assert max(len(kernel), len(split)) < 1_000_000
    try:
        parsed = Btf.parse(kernel)
        user = module_on(parsed)
        like = as_split(shape, parsed.end_id, parsed.end_str)
    except BtfError:
        user = make_module("user", btf=small.to_bytes(), ids=IDS)
        like = split
    files = {
        "small": small.to_bytes(),
        "shape": kernel,
        "other": kernel.replace(b"\0anchor_t\0", b"\0anchor_u\0"),
        "split": split,
        "out_base": kernel,
        "out_split": kernel,
        "shape.ko": make_module("shape", btf=split, ids=IDS),
        "other.ko": make_module("other", btf=split.replace(b"\0one\0", b"\0eno\0"), ids=IDS),
        "distilled.ko": make_module("distilled", btf=split, btf_base=kernel),
        "like.ko": make_module("like", btf=like, ids=IDS),
        "user.ko": user,
        "debug.ko": dwarf.module(dwarf.dwarf(dwarf.ROOT + dwarf.INT, dwarf.unit(dwarf.INT_DIE))),
        "object": object_with(with_externs()),
        "shape.bpf.o": object_with(kernel),
        f"lib/modules/{RELEASE}/vmlinux": kernel,
        f"lib/modules/{RELEASE}/kernel/user.ko": user,
        f"lib/modules/{RELEASE}/kernel/shape.ko": make_module("shape", btf=split),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.mark.integration
@pytest.mark.parametrize("shape", SHAPES)
def test_each_command_is_bounded(shape: str, tmp_path: Path) -> None:
    write_files(shape, tmp_path)

    found = {}
    for name, command in COMMANDS.items():
        words = command.split()
        program = words.pop(0) if command.startswith("kbtf-") else "kbtf"
        found[name] = list(run(words, tmp_path, program).mistakes())

    assert {name: mistakes for name, mistakes in found.items() if mistakes} == {}
