"""A module's one way through: opened, four phases, finished, written back once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf_ids import read_ids
from kbtf.elf import unpack
from kbtf.elf.module import Module, located, read_file
from kbtf.elf.write import replace_file
from kbtf.errors import KbtfError, os_error

if TYPE_CHECKING:
    from kbtf.elf.vmlinux import Base
    from kbtf.host.bases import BaseFinder
    from kbtf.host.config import Config
    from kbtf.host.manager import Manager

PHASES = (
    # BTF is made from what the linker left.
    "kbtf_after_link",
    # Before ids are resolved, for distilling gives the types new ones.
    "kbtf_distill",
    # Against the final BTF.
    "kbtf_resolve_btfids",
    # Last, for it needs the results of all others.
    "kbtf_embed_sections",
)


class Output:
    """The file that is about to be written; ``kbtf_finish`` may replace its ``data``."""

    def __init__(self, path: str, data: bytes, module: Module) -> None:
        self.path = path
        self.data = data
        self.module = module


class Size(NamedTuple):
    """How much BTF there is."""

    types: int
    bytes: int


class Outcome(NamedTuple):
    """What a run did to one module."""

    module: str
    output: str
    status: str
    """``done``, ``unchanged``, ``skipped`` or ``failed``."""
    base: str | None = None
    release: str | None = None
    btf: Size | None = None
    btf_base: Size | None = None
    ids: int | None = None
    sets: int | None = None
    reason: str | None = None
    """Why it was skipped or failed."""
    exit_code: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def run_module(
    path: str, output: str, manager: Manager, config: Config, bases: BaseFinder
) -> Outcome:
    """Take the module *path* through all phases and write the result to *output*.

    KbtfError leaves both files as they were.
    """

    def find_base(module: Module) -> Base:
        found: Base = manager.call("kbtf_find_base", module=module, config=config)
        found = found or bases.find(module)
        bases.check_release(found, module)
        return found

    raw = read_file(path)
    module = Module(raw, path, find_base=find_base)
    module.require_unsigned(strip=config["strip-signature"])
    unchanged = module.to_bytes()
    with located(path):
        for phase in PHASES:
            manager.call(phase, module=module, config=config)
            if module.skipped:
                break
        result = Output(output, module.to_bytes(), module)
        if not module.skipped:
            check_output(result.data, path)
            manager.call("kbtf_finish", output=result, config=config)
    # What did not change is not compressed again: another compressor's bytes would differ.
    data = raw if result.data == unchanged and not module.stripped else pack(result.data, module)
    status = _write(output, data, path, module, dry_run=config["dry-run"])
    return _outcome(module, output, "skipped" if module.skipped else status)


def check_output(data: bytes, path: str) -> None:
    """Read back what is to be written: no pass may leave a file that cannot be read."""
    again = Module(data, path)
    if again.has_btf_base:
        _ = again.btf
    read_ids(again.image)


def pack(data: bytes, module: Module) -> bytes:
    """Compress *data* as the module was."""
    return unpack.compress(data, module.compression) if module.compression else data


def _write(output: str, data: bytes, path: str, module: Module, *, dry_run: bool) -> str:
    if dry_run:
        return "unchanged" if _holds(output, data) else "done"
    try:
        written = replace_file(output, data, like=path)
    except OSError as error:
        raise os_error(error, output) from error
    for note in written.notes:
        module.note(note)
    return "done" if written.replaced else "unchanged"


def _holds(path: str, data: bytes) -> bool:
    return os.path.exists(path) and read_file(path) == data


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
        btf=Size(len(btf), len(btf.to_bytes())) if btf is not None else None,
        btf_base=(
            Size(len(module.btf_base), len(module.btf_base.to_bytes()))
            if btf is not None and module.btf_base is not None
            else None
        ),
        ids=len(ids.id_words) if ids else None,
        sets=len(ids.sets) if ids else None,
        reason=module.skipped,
        notes=tuple(module.notes),
        warnings=tuple(module.warnings),
    )


def failed(path: str, output: str, error: KbtfError) -> Outcome:
    """The outcome of a module that could not be processed."""
    return Outcome(path, output, "failed", reason=str(error), exit_code=error.exit_code)
