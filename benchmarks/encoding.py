# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""From DWARF to the finished module: against pahole and resolve_btfids, one process per module.

And from the DWARF of a vmlinux to its BTF, against pahole.
"""

from __future__ import annotations

import shutil
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from inputs import KBTF
from many import MOST_PAIRS, compare, pairs
from measures import Result, Run, run_once

import real

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from inputs import Inputs
    from paholes import Pahole

# What Kbuild of 6.12 passes from pahole 1.26 on; before there are single options.
FEATURES = (
    "--btf_features=encode_force,var,float,enum64,decl_tag,type_tag,"
    "optimized_func,consistent_func,decl_tag_kfuncs"
)
BARS = {"kfunc_module": 0.75, "nf_conntrack": 0.4, "mlx5_core": 0.35}
MOST_MB = {"nf_conntrack": 40, "mlx5_core": 70}
ALL_BAR = 0.15
UNCACHED_BAR = 25
VMLINUX_BAR = 0.3
VMLINUX_MEMORY_BAR = 0.5


def subjects(inputs: Inputs) -> Iterator[tuple[str, Path, Path]]:
    """Name, module and base; the caller leaves out those that this machine lacks."""
    for name in BARS:
        if name == "kfunc_module":
            yield name, inputs.linked_module, inputs.raw
        else:
            yield name, inputs.debug_modules.module(name), inputs.debug_modules.base


def kbtf_run(inputs: Inputs, module: Path, base: Path, *options: str) -> Run:
    """``kbtf run`` on a fresh copy."""
    subject = shutil.copy(module, inputs.folder / "subject.ko")
    command = (str(KBTF), "run", "-q", *options, "--base", str(base), str(subject))
    return run_once(command, inputs, inputs.environment("cache"))


def pahole_flags(pahole: Pahole) -> list[str]:
    """The options of Kbuild for that version."""
    version = tuple(map(int, pahole.name.split()[1].split(".")[:2]))
    return [FEATURES] if version >= (1, 26) else ["--btf_gen_floats"]


def peers_chain(inputs: Inputs, pahole: Pahole, module: Path, base: Path) -> Run:
    """pahole, then resolve_btfids, on a fresh copy."""
    resolve = real.debian_resolve_btfids(real.newest_headers())
    subject = str(shutil.copy(module, inputs.folder / "subject.ko"))
    environment = inputs.environment("cache")
    encode = (*pahole.command, "-J", *pahole_flags(pahole), "--btf_base", str(base), subject)
    first = run_once(encode, inputs, environment)
    second = run_once((str(resolve), "-b", str(base), subject), inputs, environment)
    return Run(first.ms + second.ms, first.cpu_ms + second.cpu_ms, max(first.mb, second.mb))


def measure_encode(inputs: Inputs, repeat: int) -> Iterator[Result]:
    for name, module, base in subjects(inputs):
        for pahole in inputs.paholes:
            runs = pairs(
                repeat,
                partial(kbtf_run, inputs, module, base),
                partial(peers_chain, inputs, pahole, module, base),
            )
            key = f"encode-{name}-{pahole.key}"
            what = f"kbtf run, {name} with DWARF; {pahole.name} + resolve_btfids"
            yield compare(key, what, runs, "ratio", BARS[name])
            what = f"{what}: processor time"
            yield compare(f"{key}-cpu", what, runs, "ratio", None, processor=True)
        if name in MOST_MB:
            peaks = [(mine.mb, other.mb) for mine, other in runs]
            ours, theirs = (median(each) for each in zip(*peaks, strict=True))
            what = f"kbtf run, {name} with DWARF; {pahole.name}"
            yield Result(f"encode-{name}-memory", what, "MB", ours, theirs, "most", MOST_MB[name])


def measure_encode_uncached(inputs: Inputs, repeat: int) -> Iterator[Result]:
    for name, module, base in subjects(inputs):
        runs = pairs(
            repeat,
            partial(kbtf_run, inputs, module, base, "--no-cache"),
            partial(kbtf_run, inputs, module, base),
        )
        ours, theirs = (median(run.cpu_ms for run in each) for each in zip(*runs, strict=True))
        what = f"kbtf run --no-cache, {name} with DWARF; with a cache: processor time"
        key = f"encode-{name}-uncached"
        yield Result(key, what, "ms", ours, theirs, "more", UNCACHED_BAR)


def measure_encode_all(inputs: Inputs, repeat: int) -> Iterator[Result]:
    """Once, because it takes minutes: each module by pahole, then all of them by kbtf."""
    modules = inputs.debug_modules
    paths = sorted(modules.tree.rglob("*.ko"))
    environment = inputs.environment("cache")
    pahole = inputs.paholes[0]
    encoded = inputs.folder / "encoded.btf"
    peer = (*pahole.command, "-J", *pahole_flags(pahole), "--btf_base", str(modules.base))
    theirs = 0.0
    for path in paths:
        encoded.unlink(missing_ok=True)
        command = (*peer, f"--btf_encode_detached={encoded}", str(path))
        theirs += run_once(command, inputs, environment).cpu_ms
    into = inputs.new_folder()
    command = (str(KBTF), "run", "-q", "-j1", "--base", str(modules.base), "-o", str(into))
    ours = run_once((*command, str(modules.tree)), inputs, environment).cpu_ms
    what = (
        f"kbtf run -j1, {len(paths)} modules with DWARF; {pahole.name} one by one: processor time"
    )
    yield Result("encode-all", what, "ms", ours, theirs, "ratio", ALL_BAR)


def measure_encode_vmlinux(inputs: Inputs, repeat: int) -> Iterator[Result]:
    vmlinux = inputs.debug_modules.kernel()
    encoded = inputs.folder / "kernel.btf"
    environment = inputs.environment("cache")
    ours = (str(KBTF), "encode", "-j2", "-o", str(encoded), str(vmlinux))
    for pahole in inputs.paholes:
        options = ("-j2", *pahole_flags(pahole), f"--btf_encode_detached={encoded}")
        theirs = (*pahole.command, "-J", *options, str(vmlinux))
        runs = pairs(
            min(repeat, MOST_PAIRS),
            partial(run_once, ours, inputs, environment),
            partial(run_once, theirs, inputs, environment),
        )
        key = f"encode-vmlinux-{pahole.key}"
        what = f"kbtf encode -j2, a vmlinux with DWARF; {pahole.name}, -j2"
        yield compare(key, what, runs, "ratio", VMLINUX_BAR)
        yield compare(f"{key}-cpu", f"{what}: processor time", runs, "ratio", None, processor=True)
        peaks = [(mine.mb, other.mb) for mine, other in runs]
        most, theirs_most = (median(each) for each in zip(*peaks, strict=True))
        yield Result(f"{key}-memory", what, "MB", most, theirs_most, "ratio", VMLINUX_MEMORY_BAR)


MEASURES: dict[str, Callable[[Inputs, int], Iterator[Result]]] = {
    "encode": measure_encode,
    "encode-uncached": measure_encode_uncached,
    "encode-all": measure_encode_all,
    "encode-vmlinux": measure_encode_vmlinux,
}
