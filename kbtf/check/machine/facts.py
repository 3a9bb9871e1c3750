# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The facts about a module on a kernel, cached between runs as long as the file is unchanged."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf.check.result import BtfFate, Loading
from kbtf.check.rules.load import failed, judge
from kbtf.elf.files import read_file
from kbtf.elf.module import Module
from kbtf.errors import KbtfError, os_error
from kbtf.files.replace import replace_file
from kbtf.kernel import cache
from kbtf.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbtf.check.kernel import Kernel
    from kbtf.files.budget import Budget


_CRCS = ("__versions", "__version_ext_crcs")


class Facts(NamedTuple):
    """A module as the boot of a kernel will find it."""

    vermagic: str | None
    """Its vermagic, which decides which kernels may load it."""
    has_crcs: bool
    """Whether it has CRCs of the symbols it uses: a kernel with CONFIG_MODVERSIONS compares these
    instead of the release."""
    intree: bool
    signed: bool
    digest: str
    """Of the uncompressed file: equal for a module and a copy with another compression."""
    btf: BtfFate
    loading: Loading
    findings: tuple[tuple[str, str, str], ...]
    """Severity, code and text of each."""
    error: str | None = None
    """Why it could not be read."""


def examine(data: bytes, path: str, kernel: Kernel, budget: Budget | None = None) -> Facts:
    """The facts about the module with the contents *data*, which may unpack to *budget*."""
    try:
        module = Module(data, path, budget=budget)
        result = judge(module, kernel)
    except KbtfError as error:
        result = failed(path, error)
        return Facts(None, False, False, False, "", result.btf, result.loading, (), result.error)
    return Facts(
        vermagic=module.vermagic,
        has_crcs=any(module.image.section(name) is not None for name in _CRCS),
        intree=module.intree,
        signed=module.signature is not None,
        digest=sha256(module.to_bytes()).hexdigest(),
        btf=result.btf,
        loading=result.loading,
        findings=tuple((f.severity.value, f.code, f.text) for f in result.findings),
    )


class Memory:
    """The cached facts about unchanged files, for one kernel.

    Losing them costs only time, so no failure here is an error.
    """

    def __init__(self, kernel: Kernel, *, keep: bool = True) -> None:
        folder = cache.directory() if keep else None
        key = sha256(f"{VERSION} {kernel.source}".encode()).hexdigest()[:16]
        self._path = None if folder is None else os.path.join(folder, f"status-{key}.json")
        self._kernel = sha256(kernel.btf.data).hexdigest() + str(kernel.allow_mismatch)
        self._known = self._read()
        self._used: dict[str, Any] = {}

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            document = json.loads(read_file(self._path))
            return dict(document["files"]) if document["kernel"] == self._kernel else {}
        except (KbtfError, OSError, ValueError, TypeError, KeyError, RecursionError):
            return {}

    def of_file(self, path: str, find: Callable[[], Mapping[str, Facts]]) -> Mapping[str, Facts]:
        """The result of *find* for the file *path*, cached as long as the file is unchanged.

        KbtfError if there is no such file, and those of *find*.
        """
        try:
            found = os.stat(path)
        except OSError as error:
            raise os_error(error, path) from error
        state = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
        known = self._known.get(path)
        try:
            if known is not None and known[0] == state:
                facts = {name: _from_json(row) for name, row in known[1].items()}
                self._used[path] = known
                return facts
        except (ValueError, TypeError, KeyError, AttributeError):
            pass  # written by another version, or damaged
        facts = dict(find())
        self._used[path] = [state, {name: _to_json(each) for name, each in facts.items()}]
        return facts

    def keep(self) -> None:
        """Save the facts that this run used."""
        if self._path is None or self._used == self._known:
            return
        document = {"kernel": self._kernel, "files": self._used}
        try:
            replace_file(self._path, json.dumps(document, separators=(",", ":")).encode())
        except (KbtfError, OSError):
            pass


def _to_json(facts: Facts) -> list[Any]:
    return [*facts._replace(btf=facts.btf.value, loading=facts.loading.value)]  # type: ignore[arg-type]


def _from_json(row: list[Any]) -> Facts:
    facts = Facts(*row)
    return facts._replace(
        btf=BtfFate(facts.btf),
        loading=Loading(facts.loading),
        findings=tuple((severity, code, text) for severity, code, text in facts.findings),
    )
