# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Modules built by dkms without kbtf's BTF, the reason, and how to rebuild them."""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from kbtf.elf.module import Module
from kbtf.errors import KbtfError
from kbtf.files.small import text_if_readable

if TYPE_CHECKING:
    from collections.abc import Iterator

_TREE = "var/lib/dkms"
# dkms's tree is NAME/VERSION/KERNEL/ARCH, with links to KERNEL/ARCH of installed versions.
_BUILDS = "*/*/*/*/module"
_PACKAGES = "*/*/source"
_SETTINGS = ("etc/dkms/framework.conf", "etc/dkms/framework.conf.d/*.conf")


class Unfinished(NamedTuple):
    """A module that dkms built without kbtf's BTF."""

    package: str
    """dkms's name of the package: ``NAME/VERSION``."""
    release: str
    """The kernel that it was built for."""
    module: str
    """Its file."""
    reason: str
    remedy: str
    """The command that rebuilds it."""


class _Built(NamedTuple):
    """A module in dkms's tree."""

    folder: str
    """``NAME/VERSION/KERNEL/ARCH`` in that tree, with the module's log."""
    path: str

    @property
    def name(self) -> str:
        return os.path.basename(self.path).partition(".ko")[0]

    @property
    def log(self) -> str:
        return os.path.join(self.folder, "log/make.log")

    def unfinished(self, reason: str) -> Unfinished:
        *_, package, version, release, _ = self.folder.split(os.sep)
        which = f"{package}/{version} -k {release}"
        remedy = f"dkms build --force {which} && dkms install --force {which}"
        return Unfinished(f"{package}/{version}", release, self.path, reason, remedy)


def has_packages(root: str) -> bool:
    """Whether dkms below *root* knows any package."""
    return bool(glob.glob(os.path.join(glob.escape(_tree(root)), _PACKAGES)))


def modules_without_btf(root: str) -> Iterator[Unfinished]:
    """The modules below *root* that have no BTF, sorted by name."""
    return (row for row, has_btf in unfinished_modules(root) if not has_btf)


def unfinished_modules(root: str) -> Iterator[tuple[Unfinished, bool]]:
    """The same and those for which kbtf failed but Kbuild made BTF; whether each has BTF."""
    for built in _last_builds(root):
        try:
            has_btf = Module.open(built.path).has_btf
        except KbtfError as error:
            yield built.unfinished(error.what), False
            continue
        text = text_if_readable(built.log)
        failure = _failure(text, built)
        if not has_btf:
            reasons = [failure, *_errors(text, built)[-1:], "was built without kbtf"]
            yield built.unfinished(next(filter(None, reasons))), False
        elif failure:
            yield built.unfinished(failure), True


def _last_builds(root: str) -> Iterator[_Built]:
    for modules in sorted(glob.glob(os.path.join(glob.escape(_tree(root)), _BUILDS))):
        folder = os.path.dirname(modules)
        if os.path.islink(folder) or os.path.islink(os.path.dirname(folder)):
            continue
        for path in sorted(glob.glob(os.path.join(glob.escape(modules), "*.ko*"))):
            yield _Built(folder, path)


def _failure(text: str, built: _Built) -> str | None:
    """Why kbtf failed for a module in its last step, as far as *text*, its log, shows it."""
    own = _own(built)
    # The words of hook.mk, and those of 'kbtf run' for a module that was linked again.
    steps = rf"^(?:kbtf: {own}: (Kbuild's own BTF step takes over)$|{own}: \.BTF )"
    last = [*re.finditer(steps, text, re.MULTILINE)][-1:]
    if not last or not last[0][1]:
        return None
    before = text[: last[0].start()]
    unnamed = re.findall(r"^kbtf: error: (?!\S+\.ko: )(.*)$", before, re.MULTILINE)
    reasons = _errors(before, built) or unnamed
    return str(reasons[-1]) if reasons else f"kbtf could not be run, see {built.log}"


def _errors(text: str, built: _Built) -> list[str]:
    return re.findall(rf"^kbtf: error: {_own(built)}: (.*)$", text, re.MULTILINE)


def _own(built: _Built) -> str:
    return rf"(?:\S*/)?{re.escape(built.name)}\.ko"


def _tree(root: str) -> str:
    for pattern in _SETTINGS:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern))):
            found = re.search(
                r"^dkms_tree=[\"']?(/[^\"'\s]+)", text_if_readable(path), re.MULTILINE
            )
            if found:
                return os.path.join(root, found[1].lstrip("/"))
    return os.path.join(root, _TREE)
