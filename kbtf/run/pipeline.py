# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The processing of one module: open it, run four phases, finish, and write it once."""

from __future__ import annotations

import mmap
import os
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.btf import Btf
from kbtf.elf.files import map_module, read_file
from kbtf.elf.image import ElfImage
from kbtf.elf.module import Module
from kbtf.errors import KbtfError, MachineError, PluginError, as_kbtf_error, located, os_error
from kbtf.files.formats import MODULE_KINDS, recognise
from kbtf.files.paths import require_distinct
from kbtf.files.pieces import Pieces
from kbtf.files.replace import Replacement, Written, replace_file
from kbtf.hooks.output import Output
from kbtf.ids.btf_ids import read_ids
from kbtf.run.base_finder import find_base
from kbtf.run.outcome import Outcome, Size, failed
from kbtf.run.phases import FINISH, MODULE_PHASES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from kbtf.hooks.manager import Manager
    from kbtf.hooks.options import Config
    from kbtf.run.base_finder import BaseFinder

    class Write(Protocol):
        """The function that replaces a file: `replace_file`, or the one for many files."""

        def __call__(self, path: str, data: bytes | Pieces, *, like: str) -> Written: ...


_MOST_THREADS = 2
"""More would gain little: a third of encoding is done by one alone."""


class Passed(NamedTuple):
    """A module that went through all phases."""

    data: bytes | Pieces
    """The file to write."""
    outcome: Outcome


def run_module(
    path: str,
    output: str,
    manager: Manager,
    config: Config,
    bases: BaseFinder,
    write: Write | None = None,
) -> Outcome:
    """Run all phases on the module *path* and *write* the result to *output*.

    KbtfError leaves both files as they were.
    """
    raw = map_module(path)
    module = Module(raw, path, find_base=lambda it: find_base(it, manager, config, bases))
    kept = None if write or config["dry-run"] else _kept(module, raw, output)
    if kept is None:
        passed = pass_through(module, raw, output, manager, config)
        return write_out(passed, config, write or replace_file)
    module.threads = _threads(config)
    with closing(Replacement(output)) as replacement:
        replacement.begin(kept)
        passed = pass_through(module, raw, output, manager, config)
        return write_out(
            passed, config, lambda _, data, *, like: replacement.write(data, like=like)
        )


def _kept(module: Module, raw: bytes | mmap.mmap, output: str) -> mmap.mmap | None:
    """The bytes of a large module that is to be encoded, which only adds to them; or None."""
    if not isinstance(raw, mmap.mmap) or _compression_of(output, module):
        return None
    return None if module.has_btf or not module.image.section(".debug_info") else raw


def _threads(config: Config) -> int:
    """How many threads may encode a module that is alone."""
    from kbtf.jobs.jobserver import has_jobserver

    if has_jobserver():
        return 1  # the other jobs are make's
    return min(config.get("jobs") or len(os.sched_getaffinity(0)), _MOST_THREADS)


def run_one(
    path: str,
    output: str,
    manager: Manager,
    config: Config,
    bases: BaseFinder,
    on_error: Callable[[], None] | None = None,
    write: Write | None = None,
) -> Outcome:
    """The same as `run_module`, but an error becomes the outcome.

    *on_error* is called while it is handled, to show its traceback.
    """
    try:
        return run_module(path, output, manager, config, bases, write)
    except (KbtfError, OSError) as error:
        if on_error:
            on_error()
        known = as_kbtf_error(error, path)
    except MemoryError:
        known = MachineError("out of memory", file=path)
    return failed(path, output, known)


def pass_through(
    module: Module, raw: bytes | mmap.mmap, output: str, manager: Manager, config: Config
) -> Passed:
    """The result of the phases for *module*, whose file is *raw*; no file is read or written."""
    path = module.path
    original = module.to_pieces()
    strip = config["strip-signature"] or config.signs
    # A finished module may stay unchanged, including its signature.
    if strip or not module.has_btf:
        module.require_unsigned(strip=strip)
    with located(path):
        for phase in MODULE_PHASES:
            manager.call(phase.hook, module=module, config=config)
            if module.skipped:
                break
        finished = module.to_pieces()
        if not module.skipped:
            check_output(finished, path)
        result = Output(output, finished, module)
        manager.call(FINISH.hook, output=result, config=config)
        if result.content != finished:
            _check_finished(result.data, path, manager)
    unchanged = result.content == original
    if not unchanged:
        module.require_unsigned(strip=strip)
    compression = _compression_of(output, module)
    # Unchanged data is not compressed again: another compressor's bytes would differ.
    is_same = unchanged and compression == module.compression
    data = Pieces([raw]) if is_same else pack(result.content, compression)
    return Passed(data, _outcome(module, output, "skipped" if module.skipped else "done"))


def write_out(passed: Passed, config: Config, write: Write) -> Outcome:
    """Write the result, except in a dry run; KbtfError leaves the file unchanged."""
    data, outcome = passed
    # the module with the kernel's BTF may be its own base
    if outcome.output != outcome.module and os.path.lexists(outcome.output):
        require_distinct([outcome.output], [outcome.base])
    if config["dry-run"]:
        written = Written(not _holds(outcome.output, data), [])
    else:
        try:
            written = write(outcome.output, data, like=outcome.module)
        except OSError as error:
            raise os_error(error, outcome.output) from error
    if outcome.status == "done" and not written.replaced:
        outcome = outcome._replace(status="unchanged")
    return outcome._replace(
        notes=(*outcome.notes, *written.notes), warnings=(*outcome.warnings, *written.warnings)
    )


def check_output(data: bytes | Pieces, path: str) -> None:
    """Parse the output before it is written: no pass may leave an unreadable file."""
    with located(path):
        image = ElfImage(data)
        read_ids(image)
    base, split = image.data(".BTF.base"), image.data(".BTF")
    if base and split:
        with located(path, ".BTF.base"):
            parsed = Btf.parse(base)
        with located(path, ".BTF"):
            Btf.parse(split, parsed)


def _check_finished(data: bytes, path: str, manager: Manager) -> None:
    """`check_output` for a file that a plugin replaced, and may have compressed or signed."""
    try:
        check_output(Module(data, path).to_pieces(), path)
    except KbtfError as error:
        raise PluginError(
            f"{FINISH.hook} left output that cannot be read: "
            + ": ".join(filter(None, (error.where, error.what))),
            where=manager.those_asked(FINISH.hook),
        ) from error


def pack(data: Pieces, compression: str | None) -> bytes | Pieces:
    """*data*, compressed as one of `MODULE_KINDS` unless *compression* is None.

    Output that a plugin already compressed this way is kept.
    """
    if compression is None or recognise(data) == compression:
        return data
    from kbtf.files.compression import compress

    return compress(data.to_bytes(), compression)


def _compression_of(output: str, module: Module) -> str | None:
    """The compression in the name of the output; if it names none, that of the module."""
    if output != module.path:
        if output.endswith(".ko"):
            return None
        for kind in MODULE_KINDS:
            if output.endswith(f".ko.{kind}"):
                return kind
    return module.compression


def _holds(path: str, data: bytes | Pieces) -> bool:
    content = data if isinstance(data, bytes) else data.to_bytes()
    return os.path.exists(path) and read_file(path) == content


def _outcome(module: Module, output: str, status: str) -> Outcome:
    found = module.found_base if module.base_is_known else None
    btf = None if module.skipped else module.btf
    ids = read_ids(module.image)
    return Outcome(
        module=module.path,
        output=output,
        status=status,
        base=found.source if found else None,
        release=module.release,
        btf=Size(len(btf), len(btf.data)) if btf is not None else None,
        btf_base=(
            Size(len(module.btf_base), len(module.btf_base.data))
            if btf is not None and module.btf_base is not None
            else None
        ),
        ids=len(ids.id_words) if ids else None,
        sets=len(ids.sets) if ids else None,
        reason=module.skipped,
        notes=tuple(module.notes),
        warnings=tuple(module.warnings),
    )
