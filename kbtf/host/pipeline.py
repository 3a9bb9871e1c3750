"""A module's one way through: opened, four phases, finished, written back once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf
from kbtf.btf_ids import read_ids
from kbtf.elf import unpack
from kbtf.elf.image import ElfImage
from kbtf.elf.module import Module, located, read_file
from kbtf.elf.pieces import Pieces
from kbtf.elf.write import Written, replace_file
from kbtf.errors import KbtfError, os_error
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from kbtf.elf.vmlinux import Base
    from kbtf.host.bases import BaseFinder
    from kbtf.host.config import Config
    from kbtf.host.manager import Manager

    class Write(Protocol):
        """How a file gets its new content: `replace_file`, or what does so for many."""

        def __call__(
            self, path: str, data: bytes | Pieces, *, like: str | None = None
        ) -> Written: ...


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

    def __init__(self, path: str, content: Pieces, module: Module) -> None:
        self.path = path
        self.content = content
        self.module = module

    @property
    def data(self) -> bytes:
        """The whole file."""
        data = self.content.to_bytes()
        self.content = Pieces([data])
        return data

    @data.setter
    def data(self, data: bytes) -> None:
        self.content = Pieces([data])


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


class Passed(NamedTuple):
    """A module that went through all phases."""

    data: bytes | Pieces
    """The file that is to be written."""
    outcome: Outcome


def run_module(
    path: str,
    output: str,
    manager: Manager,
    config: Config,
    bases: BaseFinder,
    write: Write = replace_file,
) -> Outcome:
    """Take the module *path* through all phases and *write* the result to *output*.

    KbtfError leaves both files as they were.
    """

    def find(module: Module) -> Base:
        return find_base(module, manager, config, bases)

    passed = pass_through(read_file(path), path, output, manager, config, find)
    return write_out(passed, config, write)


def find_base(module: Module, manager: Manager, config: Config, bases: BaseFinder) -> Base:
    """The base that a plugin has for *module*, else the one that *bases* finds."""
    found: Base = manager.call("kbtf_find_base", module=module, config=config)
    found = found or bases.find(module)
    bases.check_release(found, module)
    return found


def pass_through(
    raw: bytes,
    path: str,
    output: str,
    manager: Manager,
    config: Config,
    find: Callable[[Module], Base],
) -> Passed:
    """What the phases make of the module whose file is *raw*; nothing is read or written."""
    module = Module(raw, path, find_base=find)
    original = module.to_pieces()
    # A signature that is renewed comes off first.
    module.require_unsigned(strip=config["strip-signature"] or bool(config.get("sign")))
    with located(path):
        for phase in PHASES:
            manager.call(phase, module=module, config=config)
            if module.skipped:
                break
        result = Output(output, module.to_pieces(), module)
        if not module.skipped:
            check_output(result.content, path)
        manager.call("kbtf_finish", output=result, config=config)
    # What did not change is not compressed again: another compressor's bytes would differ.
    data = raw if result.content == original else pack(result.content, module)
    return Passed(data, _outcome(module, output, "skipped" if module.skipped else "done"))


def write_out(passed: Passed, config: Config, write: Write = replace_file) -> Outcome:
    """Write what came out, unless only that was to be known; KbtfError leaves the file alone."""
    data, outcome = passed
    if config["dry-run"]:
        written = Written(not _holds(outcome.output, data), [])
    else:
        try:
            written = write(outcome.output, data, like=outcome.module)
        except OSError as error:
            raise os_error(error, outcome.output) from error
    if outcome.status == "done" and not written.replaced:
        outcome = outcome._replace(status="unchanged")
    return outcome._replace(notes=(*outcome.notes, *written.notes))


def check_output(data: bytes | Pieces, path: str) -> None:
    """Read back what is to be written: no pass may leave a file that cannot be read."""
    with located(path):
        image = ElfImage(data)
        read_ids(image)
    base, split = image.data(".BTF.base"), image.data(".BTF")
    if base and split:
        with located(path, ".BTF.base"):
            parsed = Btf.parse(base)
        with located(path, ".BTF"):
            Btf.parse(split, parsed)


def pack(data: Pieces, module: Module) -> bytes | Pieces:
    """Compress *data* as the module was."""
    return unpack.compress(data.to_bytes(), module.compression) if module.compression else data


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


def failed(path: str, output: str, error: KbtfError) -> Outcome:
    """The outcome of a module that could not be processed."""
    return Outcome(path, output, "failed", reason=str(error), exit_code=error.exit_code)
