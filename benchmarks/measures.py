# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The measurements, each with its limit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from inputs import KBTF

import real
from oracles import build as oracles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inputs import Inputs

HERE = Path(__file__).resolve().parent
PASS = (sys.executable, "-c", "pass")
ROUNDS = 10  # repetitions within one process of a loop; the first warms up and is not counted
PARSES = 10  # in one repetition: one alone is short


class Result(NamedTuple):
    """A measurement: medians, and the value that is compared with the limit."""

    name: str
    what: str
    unit: str
    kbtf: float
    peer: float | None
    """The median of the peer, None if there is none."""
    compared: str
    """``ratio`` and ``more`` are kbtf to the peer, ``most`` is kbtf alone."""
    limit: float | None
    """None if it is only reported."""
    ratios: tuple[float, ...] = ()
    """Of alternating pairs, if they are long enough to be compared one by one."""

    @property
    def value(self) -> float:
        """The value that must not exceed the limit."""
        if self.peer is None or self.ratio is None:
            return self.kbtf
        return self.ratio if self.compared == "ratio" else self.kbtf - self.peer

    @property
    def ratio(self) -> float | None:
        """To the peer."""
        if self.ratios:
            return median(self.ratios)
        return self.kbtf / self.peer if self.peer else None

    @property
    def holds(self) -> bool:
        return self.limit is None or self.value <= self.limit


class Run(NamedTuple):
    """One run of a program."""

    ms: float
    cpu_ms: float
    """Of the processor."""
    mb: float
    """Peak of the resident memory, in MB."""


BASES: dict[str, Callable[[Inputs], Path]] = {
    "raw": lambda inputs: inputs.raw,
    "elf": lambda inputs: inputs.elf,
    "vmlinuz": lambda inputs: inputs.image,
}


def run_once(command: tuple[str, ...], inputs: Inputs, env: Mapping[str, str]) -> Run:
    """Run a program in an empty directory; RuntimeError if it fails."""
    spawn = [sys.executable, "-I", "-S", str(HERE / "spawn.py"), *command]
    empty = inputs.folder / "empty"
    empty.mkdir(exist_ok=True)
    done = subprocess.run(
        spawn, cwd=empty, env=dict(env), capture_output=True, text=True, check=True
    )
    nanoseconds, processor, kib, code = map(int, done.stdout.split())
    if code:
        raise RuntimeError(f"{' '.join(command)}: exit {code}\n{done.stderr}")
    return Run(nanoseconds / 1e6, processor / 1e6, kib * 1024 / 1e6)


def run_command(inputs: Inputs, base: Path, *options: str, cache: str = "cache") -> Run:
    """``kbtf run`` on a fresh copy of the module, so that it writes."""
    module = str(inputs.copy_of_module())
    command = (str(KBTF), "run", *options, "--base", str(base), module)
    return run_once(command, inputs, inputs.environment(cache))


def run_cold(inputs: Inputs, base: Path) -> Run:
    """The same, with nothing in the cache."""
    shutil.rmtree(inputs.folder / "cold", ignore_errors=True)
    return run_command(inputs, base, cache="cold")


def against_pass(
    inputs: Inputs, repeat: int, run: Callable[[], Run]
) -> tuple[list[Run], list[Run]]:
    """Alternating runs of kbtf and of the bare interpreter, after a warm-up of each."""
    ours, theirs = [], []
    for _ in range(repeat + 1):
        theirs.append(run_once(PASS, inputs, inputs.environment("cache")))
        ours.append(run())
    return ours[1:], theirs[1:]


def by_turns(repeat: int, ours: list[str], theirs: list[str]) -> tuple[float, float]:
    """Medians in milliseconds of a loop of kbtf and one of the oracle, alternating."""
    taken: tuple[list[int], list[int]] = ([], [])
    for _ in range(repeat):
        mine = json.loads(_output([sys.executable, str(HERE / "loops.py"), *ours]))
        other = json.loads(_output(theirs))
        if other["failed"]:
            raise RuntimeError(f"libbpf failed on {other['failed']} of {other['items']}")
        taken[0].extend(mine[1:])
        taken[1].extend(other["nanoseconds"][1:])
    return median(taken[0]) / 1e6, median(taken[1]) / 1e6


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure_distill(inputs: Inputs, repeat: int) -> Iterator[Result]:
    tool = str(oracles.libbpf_tool())
    files = [str(inputs.splits_base), *map(str, inputs.splits)]
    times = by_turns(
        repeat,
        ["distill", str(ROUNDS), *files],
        [tool, "bench-distill", *files, "--repeat", str(ROUNDS)],
    )
    what = f"{len(inputs.splits)} modules in one process; libbpf"
    yield Result("distill", what, "ms", *times, "ratio", 0.5)


def measure_relocate(inputs: Inputs, repeat: int) -> Iterator[Result]:
    tool = str(oracles.libbpf_tool())
    folder = inputs.corpus / "distilled"
    pairs = [folder / f"{s.stem}.{part}" for s in inputs.splits for part in ("base", "split")]
    files = [str(inputs.splits_base), *map(str, pairs)]
    times = by_turns(
        repeat,
        ["relocate", str(ROUNDS), *files],
        [tool, "bench-relocate", *files, "--repeat", str(ROUNDS)],
    )
    what = (
        f"{len(inputs.splits)} modules in one process, the hashing of the target included; libbpf"
    )
    yield Result("relocate", what, "ms", *times, "ratio", 0.1)


def measure_check(inputs: Inputs, repeat: int) -> Iterator[Result]:
    kernels = [f"--kernel={inputs.corpus_base(name)}" for name in ("117", "115", "117-cloud")]
    module = inputs.copy_of_module()
    run_once((str(KBTF), "run", str(module)), inputs, inputs.environment("cache"))

    def run() -> Run:
        return run_once(
            (str(KBTF), "check", *kernels, str(module)), inputs, inputs.environment("cache")
        )

    ours, theirs = against_pass(inputs, repeat, run)
    what = "kbtf check of one module, three raw bases; python -c pass"
    yield Result("check", what, "ms", _ms(ours), _ms(theirs), "most", 300)


def measure_resolve(inputs: Inputs, repeat: int) -> Iterator[Result]:
    debian = real.debian_resolve_btfids(real.newest_headers())
    linked = inputs.corpus / "btf_ids" / "xfrm_interface.unresolved.ko"
    if not linked.exists():
        raise real.Missing(f"no {linked}")
    module = inputs.folder / "resolve.ko"

    def run(program: Path) -> Run:
        shutil.copyfile(linked, module)
        command = (str(program), "-b", str(inputs.splits_base), str(module))
        return run_once(command, inputs, inputs.environment("cache"))

    ours, theirs = [], []
    for _ in range(repeat + 1):
        theirs.append(run(debian))
        ours.append(run(KBTF.with_name("kbtf-resolve-btfids")))
    what = "kbtf-resolve-btfids on a small module; Debian's resolve_btfids"
    yield Result("resolve", what, "ms", _ms(ours[1:]), _ms(theirs[1:]), "more", 45)


def measure_index(inputs: Inputs, repeat: int) -> Iterator[Result]:
    tool = str(oracles.libbpf_tool())
    raw = str(inputs.raw)
    times = by_turns(
        repeat,
        ["parse", str(ROUNDS), raw, str(PARSES)],
        [tool, "bench-parse", raw, str(PARSES), "--repeat", str(ROUNDS)],
    )
    ours, theirs = (taken / PARSES for taken in times)
    yield Result("index", "parse a vmlinux's BTF; libbpf", "ms", ours, theirs, "ratio", 1.0)


def measure_start(inputs: Inputs, repeat: int) -> Iterator[Result]:
    def run() -> Run:
        return run_once((str(KBTF), "--version"), inputs, inputs.environment("cache"))

    ours, theirs = against_pass(inputs, repeat, run)
    times = _ms(ours), _ms(theirs)
    yield Result("start", "kbtf --version; python -c pass", "ms", *times, "ratio", 2.5)


def measure_help(inputs: Inputs, repeat: int) -> Iterator[Result]:
    def run() -> Run:
        return run_once((str(KBTF), "--help"), inputs, inputs.environment("cache"))

    ours, theirs = against_pass(inputs, repeat, run)
    yield Result("help", "kbtf --help; python -c pass", "ms", _ms(ours), _ms(theirs), "more", 60)


def measure_run(inputs: Inputs, repeat: int) -> Iterator[Result]:
    for base, path in _bases(inputs):
        ours, theirs = against_pass(inputs, repeat, partial(run_command, inputs, path))
        what = f"kbtf run, {base} base; python -c pass"
        yield Result(f"run-{base}", what, "ms", _ms(ours), _ms(theirs), "more", 85)


def measure_cold(inputs: Inputs, repeat: int) -> Iterator[Result]:
    image = inputs.image
    ways = {
        "cold": ("kbtf run, vmlinuz, empty cache", partial(run_cold, inputs, image)),
        "cold-no-cache": (
            "kbtf run --no-cache, vmlinuz",
            partial(run_command, inputs, image, "--no-cache"),
        ),
    }
    for name, (what, run) in ways.items():
        ours, theirs = against_pass(inputs, repeat, run)
        yield Result(name, f"{what}; python -c pass", "ms", _ms(ours), _ms(theirs), "most", 400)
        yield Result(f"{name}-memory", what, "MB", _mb(ours), _mb(theirs), "most", 100)


def measure_memory(inputs: Inputs, repeat: int) -> Iterator[Result]:
    for base, path in _bases(inputs):
        ours, theirs = against_pass(inputs, 5, partial(run_command, inputs, path))
        what = f"kbtf run, {base} base; python -c pass"
        yield Result(f"memory-{base}", what, "MB", _mb(ours), _mb(theirs), "most", 60)


def _bases(inputs: Inputs) -> Iterator[tuple[str, Path]]:
    """The forms of the base that this machine has."""
    for name, get in BASES.items():
        try:
            yield name, get(inputs)
        except real.Missing as error:
            print(f"skipped: {name} base: {error}", file=sys.stderr)


def _ms(runs: list[Run]) -> float:
    return median(run.ms for run in runs)


def _mb(runs: list[Run]) -> float:
    return median(run.mb for run in runs)


MEASURES: dict[str, Callable[[Inputs, int], Iterator[Result]]] = {
    "distill": measure_distill,
    "relocate": measure_relocate,
    "check": measure_check,
    "resolve": measure_resolve,
    "index": measure_index,
    "start": measure_start,
    "help": measure_help,
    "run": measure_run,
    "cold": measure_cold,
    "memory": measure_memory,
}
