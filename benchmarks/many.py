# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""All modules of a distribution's kernel: against a copy, the peers' chain, libbpf in one process.

Output goes to new directories that stay until the end: on some file systems (ext4 without a
journal), creating files is slow for a minute after others were deleted.
"""

from __future__ import annotations

import os
import shutil
from statistics import median
from typing import TYPE_CHECKING

from inputs import KBTF
from measures import Result, by_turns, run_once

import real
from oracles import build as oracles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from inputs import Inputs
    from measures import Run

MOST_PAIRS = 5  # they take seconds each
CURVE = (1, 10, 100, 1000, 4000)  # modules

# The peers' steps for one module: libbpf distills, objcopy replaces .BTF and adds .BTF.base,
# resolve_btfids fills .BTF_ids.  $1 is the module, $2 its copy's place.
CHAIN = """\
set -e
mkdir -p "$(dirname "$2")"
{distill} distill {base} "$1" "$2.base" "$2.split"
objcopy --update-section .BTF="$2.split" "$1" "$2"
objcopy --add-section .BTF.base="$2.base" "$2"
{resolve} -b {base} "$2" >/dev/null 2>&1 || :
rm "$2.base" "$2.split"
"""


def chain(inputs: Inputs) -> Path:
    """The chain as a script."""
    oracles.need("objcopy", "xargs")
    script = inputs.folder / "chain.sh"
    text = CHAIN.format(
        distill=oracles.libbpf_tool(),
        base=inputs.tree_base,
        resolve=real.debian_resolve_btfids(real.newest_headers()),
    )
    script.write_text(text)
    return script


def kbtf_run(inputs: Inputs, what: Path, into: Path | None, *options: str) -> Run:
    """``kbtf run --distill always`` on a tree or a module."""
    output = ("-o", f"{into}") if into else ()
    base = ("--base", str(inputs.tree_base), "--distill", "always")
    command = (str(KBTF), "run", "-q", *options, *base, *output, str(what))
    return run_once(command, inputs, inputs.environment("cache"))


def shell(inputs: Inputs, command: str) -> Run:
    return run_once(("/bin/sh", "-c", command), inputs, inputs.environment("cache"))


def pairs(repeat: int, ours: Callable[[], Run], theirs: Callable[[], Run]) -> list[tuple[Run, Run]]:
    """Alternating runs, after a warm-up of each."""
    ours(), theirs()
    return [(ours(), theirs()) for _ in range(repeat)]


def compare(
    name: str,
    what: str,
    runs: list[tuple[Run, Run]],
    compared: str,
    limit: float | None,
    *,
    processor: bool = False,
) -> Result:
    """The medians, and the median of the pairs' ratios, of time or of processor time."""
    times = [(a.cpu_ms, b.cpu_ms) if processor else (a.ms, b.ms) for a, b in runs]
    ours, theirs = (median(each) for each in zip(*times, strict=True))
    ratios = tuple(mine / other for mine, other in times)
    return Result(name, what, "ms", ours, theirs, compared, limit, ratios)


def measure_tree(inputs: Inputs, repeat: int) -> Iterator[Result]:
    tree, new = inputs.tree, inputs.new_folder

    def copy() -> Run:
        into = new()
        return shell(inputs, f"cp -r --reflink=never {tree} {into}/tree && sync -f {into}")

    peaks = []

    def run() -> Run:
        done = kbtf_run(inputs, tree, new(), "-j2")
        peaks.append(done.mb)
        return done

    def in_place() -> Run:
        subject = new() / "tree"
        shutil.copytree(tree, subject)
        os.sync()
        return kbtf_run(inputs, subject, None, "-j2")

    what = f"kbtf run -j2 --distill always, {inputs.tree_count} modules"
    few = min(repeat, MOST_PAIRS)
    yield compare("tree", f"{what}; cp -r, sync", pairs(few, run, copy), "ratio", 3)
    yield Result("tree-memory", f"{what}: the largest worker", "MB", max(peaks), None, "most", 80)
    yield compare("tree-in-place", f"{what}; cp -r", pairs(few, in_place, copy), "ratio", None)


def measure_chain(inputs: Inputs, repeat: int) -> Iterator[Result]:
    script, names = chain(inputs), inputs.tree_names
    made: dict[str, Path] = {}

    def theirs() -> Run:
        into = made["theirs"] = inputs.new_folder()
        each = f"sh {script} {inputs.tree}/$1 {into}/$1"
        return shell(inputs, f"xargs -P2 -n1 sh -c '{each}' sh <{names} && sync -f {into}")

    def ours() -> Run:
        into = made["ours"] = inputs.new_folder()
        return kbtf_run(inputs, inputs.tree, into, "-j2")

    what = f"kbtf run -j2, {inputs.tree_count} modules; the peers' chain, xargs -P2"
    yield compare("chain", what, pairs(min(repeat, MOST_PAIRS), ours, theirs), "ratio", 0.1)
    sizes = megabytes(made["ours"]), megabytes(made["theirs"])
    yield Result("chain-size", "all modules; with objcopy", "MB", *sizes, "ratio", 1)


def megabytes(folder: Path) -> float:
    """The bytes of the files below a directory."""
    return sum(path.stat().st_size for path in folder.rglob("*.ko")) / 1e6


def measure_one(inputs: Inputs, repeat: int) -> Iterator[Result]:
    script = chain(inputs)
    for name, compared, limit in (("tcp_dctcp", "more", 45.0), ("amdgpu", "ratio", 1.0)):
        module = inputs.tree_module(name)

        def theirs(module: Path = module) -> Run:
            target = inputs.new_folder() / module.name
            return shell(inputs, f"sh {script} {module} {target} && sync -f {target}")

        def ours(module: Path = module) -> Run:
            return kbtf_run(inputs, module, inputs.new_folder())

        runs = pairs(repeat, ours, theirs)
        yield compare(f"one-{name}", f"kbtf run, {name}; the chain", runs, compared, limit)


def measure_all_distill(inputs: Inputs, repeat: int) -> Iterator[Result]:
    files = [str(inputs.tree_base), *map(str, inputs.tree_splits)]
    yield _in_one_process("distill", files, len(inputs.tree_splits), repeat, 0.35)


def measure_all_relocate(inputs: Inputs, repeat: int) -> Iterator[Result]:
    distilled = inputs.tree_distilled
    files = [str(inputs.tree_base), *(str(path) for pair in distilled for path in pair)]
    yield _in_one_process("relocate", files, len(distilled), repeat, 0.05)


def _in_one_process(name: str, files: list[str], count: int, repeat: int, limit: float) -> Result:
    times = by_turns(
        min(repeat, MOST_PAIRS),
        [name, "3", *files],
        [str(oracles.libbpf_tool()), f"bench-{name}", *files, "--repeat", "3"],
    )
    what = f"{count} modules in one process; libbpf"
    return Result(f"all-{name}", what, "ms", *times, "ratio", limit)


def measure_matrix(inputs: Inputs, repeat: int) -> Iterator[Result]:
    kernels = [f"--kernel={inputs.corpus_base(name)}" for name in ("117", "115", "117-cloud")]
    tree = inputs.new_folder()
    kbtf_run(inputs, inputs.tree, tree, "-j2")
    page = str(inputs.folder / "matrix.html")
    # some are rejected: exit code 1
    command = f"{KBTF} check -j2 -q {' '.join(kernels)} --html {page} {tree} || [ $? = 1 ]"
    runs = [shell(inputs, command) for _ in range(min(repeat, MOST_PAIRS))]
    what = f"kbtf check -j2 --html, {inputs.tree_count} modules x {len(kernels)}"
    yield Result("matrix", what, "ms", median(run.ms for run in runs), None, "most", 10_000)


def measure_packed(inputs: Inputs, repeat: int) -> Iterator[Result]:
    """Compressed like the input: a tenth of the modules, as compression dominates."""
    plain = inputs.sample(10)
    for kind, program in (("xz", "xz -T1"), ("zst", "zstd -q --rm -T1")):
        packed = inputs.new_folder() / "packed"
        shutil.copytree(plain, packed)
        shell(inputs, f"find {packed} -name '*.ko' -print0 | xargs -0 {program}")
        runs = [
            kbtf_run(inputs, packed, inputs.new_folder(), "-j2")
            for _ in range(min(repeat, MOST_PAIRS))
        ]
        what = f"kbtf run -j2, {inputs.count(packed)} modules .ko.{kind}, in kind"
        time = median(run.ms for run in runs)
        yield Result(f"packed-{kind}", what, "ms", time, None, "most", None)


def measure_curve(inputs: Inputs, repeat: int) -> Iterator[Result]:
    """By the number of modules, then by the size of a module's BTF."""
    for count in CURVE:
        some = inputs.first(count)
        runs = [
            kbtf_run(inputs, some, inputs.new_folder(), "-j2")
            for _ in range(min(repeat, MOST_PAIRS))
        ]
        what = f"kbtf run -j2, {inputs.count(some)} modules"
        time = median(run.ms for run in runs)
        yield Result(f"curve-{count}", what, "ms", time, None, "most", None)
    for module, size in inputs.tree_halving:
        runs = [kbtf_run(inputs, module, inputs.new_folder()) for _ in range(repeat)]
        what = f"kbtf run, {module.name}, {size:,} bytes of BTF"
        time = median(run.ms for run in runs)
        yield Result(f"size-{module.stem}", what, "ms", time, None, "most", None)


MEASURES: dict[str, Callable[[Inputs, int], Iterator[Result]]] = {
    "tree": measure_tree,
    "chain": measure_chain,
    "one": measure_one,
    "all-distill": measure_all_distill,
    "all-relocate": measure_all_relocate,
    "matrix": measure_matrix,
    "packed": measure_packed,
    "curve": measure_curve,
}
