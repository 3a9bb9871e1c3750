# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Damaged modules through ``kbtf run`` and ``kbtf check``:

    python tests/fuzz/mutate.py --base VMLINUX [--count N] [--commands N] [-j N] MODULE...

Each case damages one of the modules and gives it to both commands, most through ``main()`` in
worker processes, some as commands.  Held against each: an exit code that the documentation has,
no traceback, at most 2 seconds of processor time and 300 MB, a module that is as it was if run did
not exit with 0, and no other file left.  What breaks one of these is kept in ``--findings``; case N
of a list of modules is always the same damage.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from kbtf import ElfImage, KbtfError, Module
from kbtf.program import main as kbtf_main

CODES = {0, 1, 2, 3, 4}
SECONDS = 2.0
MEGABYTES = 300
_INTERESTING = (
    *("", ".BTF", ".BTF.base", ".BTF_ids", ".symtab", ".strtab", ".shstrtab", ".modinfo"),
    *(".debug_info", ".debug_abbrev", ".debug_str", ".debug_loclists", ".debug_str_offsets"),
    *(".rela.debug_info", ".rela.debug_str_offsets", ".rela.debug_loclists"),
)
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Case(NamedTuple):
    """How one damaged module is run."""

    number: int
    data: bytes
    as_command: bool


class Job(NamedTuple):
    """What a worker does."""

    modules: list[str]
    base: str
    findings: str
    numbers: range
    commands: int


def places(data: bytes) -> list[range]:
    """Where damage tells most: the headers and the sections that kbtf reads; then anywhere."""
    found = [range(len(data)), range(min(64, len(data)))]
    try:
        image = ElfImage(Module(data).image.to_bytes()) if data[:4] == b"\x7fELF" else None
    except KbtfError:
        return found
    for section in image.sections if image else ():
        if section.name in _INTERESTING and section.file_size:
            found.append(range(section.offset, section.offset + section.file_size))
    table = int.from_bytes(data[40:48], "little") if data[:4] == b"\x7fELF" else 0
    if table and table < len(data):
        found.append(range(table, len(data)))
    return found


def damage(data: bytes, dice: random.Random) -> bytes:
    """*data* with a few bytes, numbers or stretches other than they were, or without its end."""
    out = bytearray(data)
    where = places(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4, 16))):
        at = dice.choice(dice.choice(where)) if out else 0
        match dice.randrange(8):
            case 0 | 1 | 2:
                out[at : at + 1] = bytes([dice.randrange(256)])
            case 3 | 4:
                number = dice.choice(_NUMBERS).to_bytes(4, "little")
                out[at & ~3 : (at & ~3) + 4] = number
            case 5:
                out[at : at + dice.randrange(64)] = dice.randbytes(dice.randrange(64))
            case 6:
                other = dice.randrange(len(out) + 1)
                out[at : at + 64] = out[other : other + 64]
            case 7:
                if dice.randrange(4) == 0:
                    del out[at:]
    return bytes(out)


def call(arguments: list[str]) -> tuple[int, str]:
    """The exit code of kbtf's main(), and what it said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = kbtf_main(arguments)
    return code, err.getvalue()


def command(arguments: list[str]) -> tuple[int, str]:
    """The same by a command."""
    program = os.path.join(os.path.dirname(sys.executable), "kbtf")
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, errors="replace", timeout=60
    )
    return done.returncode, done.stderr


def processor_time() -> float:
    """Seconds of this process and of the commands that it ran: other load is not at fault."""
    return sum(os.times()[:4])


def complaints(case: Case, folder: str, base: str) -> list[str]:
    """What *case* shows to be wrong."""
    path = os.path.join(folder, "m.ko")
    wrong = []
    for arguments in (
        ["check", "--kernel", base, "--json", path],
        ["run", "-q", "--allow-other-release", "--strip-signature", "--base", base, path],
    ):
        Path(path).write_bytes(case.data)
        start = processor_time()
        try:
            code, said = command(arguments) if case.as_command else call(arguments)
        except BaseException as error:
            code, said = 99, f"Traceback: {error!r}"
        seconds = processor_time() - start
        if code not in CODES or "Traceback" in said:
            wrong.append(f"{arguments[0]}: exit code {code}: {said.strip()[-300:]}")
        elif code and not said and arguments[0] == "run":
            wrong.append(f"run: exit code {code} and no word")
        if code and Path(path).read_bytes() != case.data:
            wrong.append(f"{arguments[0]}: exit code {code}, and the module is another")
        if seconds > SECONDS:
            wrong.append(f"{arguments[0]}: {seconds:.1f} seconds")
        if os.listdir(folder) != ["m.ko"]:
            wrong.append(f"{arguments[0]}: leaves {sorted(os.listdir(folder))}")
    who = resource.RUSAGE_CHILDREN if case.as_command else resource.RUSAGE_SELF
    megabytes = resource.getrusage(who).ru_maxrss / 1024
    if megabytes > MEGABYTES:
        wrong.append(f"{megabytes:.0f} MB")
    return wrong


def work(job: Job, folder: str) -> int:
    """Run the cases of a job; the number of those with complaints."""
    contents = [Path(name).read_bytes() for name in job.modules]
    found = 0
    for number in job.numbers:
        dice = random.Random(number)  # noqa: S311
        data = damage(contents[number % len(contents)], dice)
        case = Case(number, data, number < job.commands)
        # So that whoever finds this process dead knows of what.
        Path(job.findings, f"case-{os.getpid()}").write_text(str(number))
        wrong = complaints(case, folder, job.base)
        if wrong:
            found += 1
            Path(job.findings, f"{number}.ko").write_bytes(data)
            print(f"case {number} of {job.modules[number % len(contents)]}: {'; '.join(wrong)}")
            sys.stdout.flush()
    return found


def start(job: Job) -> int:
    """Fork a worker; its process id."""
    import tempfile

    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        found = work(job, folder)
    sys.stdout.flush()
    os._exit(1 if found else 0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--base", required=True)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--commands", type=int, default=2_000, help="of them as commands")
    parser.add_argument("--findings", default="findings")
    parser.add_argument("-j", dest="jobs", type=int, default=2)
    args = parser.parse_args()
    os.makedirs(args.findings, exist_ok=True)
    workers = [
        start(
            Job(
                args.modules,
                args.base,
                args.findings,
                range(n, args.count, args.jobs),
                args.commands,
            )
        )
        for n in range(args.jobs)
    ]
    failed = False
    for worker in workers:
        _, status = os.waitpid(worker, 0)
        last = Path(args.findings, f"case-{worker}")
        if os.WIFSIGNALED(status):
            print(f"case {last.read_text()}: killed by signal {os.WTERMSIG(status)}")
        last.unlink(missing_ok=True)
        failed = failed or status != 0
    print(f"{args.count} cases, {'some with findings' if failed else 'nothing found'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
