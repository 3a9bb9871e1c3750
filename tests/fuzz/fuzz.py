# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Fuzz kbtf: ``python tests/fuzz/fuzz.py [TARGET...] [--seconds N]``.

The C core runs under libFuzzer with ASan and UBSan, Python under atheris; needed are clang,
libclang-rt-14-dev and ``pip install atheris``.  Inputs that matter are kept in ``--corpus`` and
taken up by the next run; one that breaks a target's contract is written there as ``crash-*``, and
the exit status is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "tests"))
NATIVE = ROOT / "kbtf" / "native"
INCLUDE = [f"-I{NATIVE / part}" for part in ("btf", "core", "dwarf", "python")]
CORE = ("index", "deduplicate", "distill", "relocate", "verify", "encode")
PYTHON = ("btf", "dump", "elf", "module", "btf_ids", "kernel", "bpf", "kfuncs", "cmd")
CLANG = ("clang", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Wconversion", "-Werror")
SANITIZE = ("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
LIMITS = ("-timeout=5", "-rss_limit_mb=1024", "-max_len=65536", "-print_final_stats=1")


def build_core(target: str, folder: Path) -> Path:
    """Compile the fuzzer of an operation of the C core."""
    out = folder / f"fuzz-{target}"
    sources = [path for path in sorted(NATIVE.glob("*/*.c")) if path.parent.name != "python"]
    source = Path(__file__).with_name("encode.c" if target == "encode" else "core.c")
    command: list[str | Path] = [*CLANG, *SANITIZE, f"-DTARGET={target}", *INCLUDE]
    command += [source, *sources, "-o", out]
    subprocess.run(command, check=True)
    return out


def fuzz(target: str, seconds: int, corpus: Path) -> bool:
    """Run one target for so long; whether nothing was found.  Its log goes to the corpus."""
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    program: list[str | Path] = [sys.executable, __file__, "--one", target]
    if target in CORE:
        program = [build_core(target, corpus)]
    limits = [*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={corpus}/{target}-"]
    write_seeds(target, folder)
    with (corpus / f"{target}.log").open("wb") as log:
        done = subprocess.run([*program, *limits, folder], stdout=log, stderr=log)
    print(f"{target}: {'ok' if done.returncode == 0 else 'FOUND, see ' + log.name}", flush=True)
    return done.returncode == 0


def write_seeds(target: str, folder: Path) -> None:
    """Put the seeds of a target into its corpus."""
    from seeds import seeds_of

    for seed in seeds_of(target):
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def run_atheris(target: str, arguments: list[str]) -> None:
    """Fuzz a target of Python in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["kbtf", "targets"]):
        from targets import run_one
    atheris.Setup([sys.argv[0], *arguments], lambda data: run_one(target, data))
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=[*CORE, *PYTHON])
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"))
    parser.add_argument("-j", dest="jobs", type=int, default=2)
    options = parser.parse_args()
    corpus = options.corpus.absolute()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda name: fuzz(name, options.seconds, corpus), options.targets)
        return 0 if all(list(results)) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        run_atheris(sys.argv[2], sys.argv[3:])
    sys.exit(main())
