# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the fuzzers start from: small files, real and made up."""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess
from subprocess import PIPE
from typing import TYPE_CHECKING

from kbtf import BtfBuilder, Kind, distill
from kbtf.testing.modules import make_base, make_ids, make_module
from real import corpus, encoding_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST = 60_000
"""Bytes of a seed: mutating a larger one finds little in the time that it takes."""
_SIGNED = struct.pack(">5B3xI", 0, 0, 2, 0, 0, 16) + b"~Module signature appended~\n"
_CMD = """savedcmd_/w/x.o := gcc -c -o /w/x.o /w/x.c ; objtool /w/x.o
source_/w/x.o := /w/x.c
deps_/w/x.o := \\
  include/linux/a$(pound)b.h \\
    $(wildcard include/config/BPF) \\
  /w/with$$dollar.h \\

/w/x.o: $(deps_/w/x.o)
"""
_PROGRAM = """
#define KSYM __attribute__((section(".ksyms")))
extern int strong(int n) KSYM;
extern int missing(void) KSYM __attribute__((weak));
extern const int variable KSYM;
extern const void typeless KSYM;
__attribute__((noinline)) static int sub(int n) { return strong(n) + variable; }
__attribute__((section("tc"), used)) int program(void *ctx)
{
	return sub(1) + (missing ? missing() : 0) + (&typeless == ctx);
}
"""
_SYMVERS = "savedcmd_Module.symvers := scripts/mod/modpost -o M -T m.order -i Module.symvers -e\n"


def every_kind(byte_order: str) -> BtfBuilder:
    """BTF with a type of every kind."""
    out = BtfBuilder(byte_order=byte_order)
    integer = out.add_int("int", 4, encoding=1)
    pointer = out.add_ref(Kind.PTR, integer)
    for kind in (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT):
        pointer = out.add_ref(kind, pointer)
    out.add_ref(Kind.TYPEDEF, pointer, "alias")
    out.add_array(integer, integer, 3)
    pair = out.add_composite(Kind.STRUCT, "pair", 8, [("a", integer, 0), ("b", integer, 32)])
    out.add_composite(Kind.UNION, "either", 8, [("pair", pair, 0), ("a", integer, 0)])
    out.add_enum("small", 4, [("ONE", 1), ("TWO", 2)])
    out.add_enum64("large", 8, [("BIG", 1 << 40)])
    out.add_fwd("elsewhere")
    function = out.add_func("call", out.add_func_proto(integer, [("x", pointer)]))
    out.add_decl_tag("bpf_kfunc", function)
    out.add_ref(Kind.TYPE_TAG, integer, "user")
    variable = out.add_var("counter", integer)
    out.add_datasec(".data", 4, [(variable, 0, 4)])
    out.add_float("double", 8)
    return out


def split_on(base: BtfBuilder) -> BtfBuilder:
    """Split BTF of which each type refers to another sort of type in the base."""
    kernel = base.build()
    out = BtfBuilder(kernel)
    for t in list(kernel):
        if t.kind not in (Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG):
            out.add_composite(Kind.STRUCT, f"own{t.id}", 64, [("pair", t.id, 0)])
            out.add_ref(Kind.PTR, t.id)
    out.add_func("work", out.add_func_proto(1, [("n", 1)]))
    return out


def _triples() -> Iterator[tuple[bytes, bytes, bytes]]:
    """Base, split BTF on it, and a kernel's BTF for both to be moved to."""
    for order in ("little", "big"):
        base = every_kind(order)
        split = split_on(base).build()
        yield base.build().to_bytes(), split.to_bytes(), base.build().to_bytes()
        made = distill(split)
        yield made.base.to_bytes(), made.split.to_bytes(), base.build().to_bytes()
    for base_file in sorted((corpus() / "distilled").glob("*.base")):
        own = base_file.read_bytes()
        yield own, base_file.with_suffix(".split").read_bytes(), own


def _core() -> Iterator[bytes]:
    for base, split, kernel in _triples():
        yield struct.pack("<II", len(base), len(split)) + base + split + kernel


def _btf() -> Iterator[bytes]:
    yield from (base for base, _, _ in _triples())


def _modules() -> Iterator[bytes]:
    made = distill(split_on(make_base()).build())
    ids = make_ids(
        {"list": [("struct", "own1")]}, {"set": [("func", "work")]}, {"set8": [("func", "work", 3)]}
    )
    for bits in (32, 64):
        for order in ("little", "big"):
            yield make_module(bits=bits, byte_order=order, ids=ids)
    whole = make_module(btf=made.split.to_bytes(), btf_base=made.base.to_bytes(), ids=ids)
    yield from (whole, gzip.compress(whole, 9), lzma.compress(whole), whole + b"x" * 16 + _SIGNED)


def _ids() -> Iterator[bytes]:
    yield b"func__work__1 8 0\nset8__kfuncs 0 24\nstruct__module__2 16 0\0" + bytes(24)
    yield b"func__a__1 4 0\nfunc__b__2 8 0\nset__some 0 12\nstruct__c__3 12\0" + bytes(16)


def _kernels() -> Iterator[bytes]:
    for blob in _btf():
        yield blob
        yield from (
            gzip.compress(blob),
            lzma.compress(blob),
            lzma.compress(blob, lzma.FORMAT_ALONE),
        )
        payload = gzip.compress(make_module(btf=blob))
        setup = bytearray(0x400)
        setup[0x1F1] = 1
        setup[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
        struct.pack_into("<H", setup, 0x206, 0x20F)
        struct.pack_into("<II", setup, 0x248, 0, len(payload))
        yield bytes(setup) + payload
        yield (
            b"MZ\0\0zimg"
            + struct.pack("<II16s", 64, len(payload), b"gzip").ljust(56, b"\0")
            + payload
        )


def _objects() -> Iterator[bytes]:
    for target in ("bpfel", "bpfeb"):
        command = ["clang", "-target", target, "-O2", "-g", "-c", "-x", "c", "-", "-o", "-"]
        yield subprocess.run(command, input=_PROGRAM.encode(), stdout=PIPE, check=True).stdout


def _with_dwarf() -> Iterator[bytes]:
    for path in sorted(encoding_cases().glob("cases/*/m.ko")):
        yield path.read_bytes()


def _cmds() -> Iterator[bytes]:
    yield from (_CMD.encode(), _SYMVERS.encode())


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "btf": _btf,
    "dump": _btf,
    "elf": _modules,
    "module": _modules,
    "btf_ids": _ids,
    "kernel": _kernels,
    "bpf": _objects,
    "kfuncs": _modules,
    "cmd": _cmds,
    "encode": _with_dwarf,
}


def seeds_of(target: str) -> Iterator[bytes]:
    """The seeds of a target of Python or, for any other name, of the C core."""
    return (seed for seed in _SEEDS.get(target, _core)() if len(seed) <= _MOST)
