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
_NAMED = re.compile(
    r"""^\s*(BUILT|DEST)_MODULE_NAME(?:\[(\d+)\])?=("[^"]*"|'[^']*'|\S*)""", re.MULTILINE
)
_EXPANDED = re.compile(r"\\\$\w+|\\\$\\\{.*?\\\}|\\\$\\\(.*?\\\)")  # by the shell, after re.escape
_ANY = r"[^\s/]+"
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
    linked: str
    """A pattern for its name when Kbuild linked it; dkms may rename it."""

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
            reason = failure or _last_word(text, built) or "was built without kbtf"
            yield built.unfinished(reason), False
        elif failure:
            yield built.unfinished(failure), True


def _last_builds(root: str) -> Iterator[_Built]:
    for modules in sorted(glob.glob(os.path.join(glob.escape(_tree(root)), _BUILDS))):
        folder = os.path.dirname(modules)
        if os.path.islink(folder) or os.path.islink(os.path.dirname(folder)):
            continue
        renamed = _renamed(root, os.path.dirname(os.path.dirname(folder)))
        for path in sorted(glob.glob(os.path.join(glob.escape(modules), "*.ko*"))):
            name = os.path.basename(path).partition(".ko")[0]
            linked = [old for new, old in renamed if re.fullmatch(new, name)]
            yield _Built(folder, path, linked[0] if linked else re.escape(name))


def _renamed(root: str, package: str) -> list[tuple[str, str]]:
    """Patterns of the names that dkms.conf gives to modules, and of those that Kbuild gives."""
    source = os.path.join(package, "source")
    target = os.readlink(source) if os.path.islink(source) else source
    below_root = os.path.join(root, target.lstrip("/"))
    text = text_if_readable(os.path.join(below_root, "dkms.conf"))
    text = text or text_if_readable(os.path.join(source, "dkms.conf"))
    names: dict[str, dict[str, str]] = {"BUILT": {}, "DEST": {}}
    for which, number, value in _NAMED.findall(text):
        pattern = _EXPANDED.sub(lambda _: _ANY, re.escape(value.strip("\"'")))
        names[which][number or "0"] = pattern
    return [(new, names["BUILT"].get(number, _ANY)) for number, new in names["DEST"].items()]


def _failure(text: str, built: _Built) -> str | None:
    """Why kbtf failed for a module in its last step, as far as *text*, its log, shows it."""
    own = _own(built)
    # The words of hook.mk, and those of 'kbtf run' for a module that was linked again.
    steps = rf"^(?:kbtf: {own}: (Kbuild's own BTF step takes over)$|{own}: (?:\.BTF |skipped: ))"
    last = [*re.finditer(steps, text, re.MULTILINE)][-1:]
    if not last or not last[0][1]:
        return None
    before = text[: last[0].start()]
    unnamed = re.findall(r"^kbtf: error: (?!\S+\.ko: )(.*)$", before, re.MULTILINE)
    reasons = _errors(before, built) or unnamed
    return str(reasons[-1]) if reasons else f"kbtf could not be run, see {built.log}"


def _errors(text: str, built: _Built) -> list[str]:
    return re.findall(rf"^kbtf: error: {_own(built)}: (.*)$", text, re.MULTILINE)


def _last_word(text: str, built: _Built) -> str | None:
    """The last error of a module, or the reason why it was skipped, whichever came later."""
    own = _own(built)
    said = re.findall(rf"^(?:kbtf: error: {own}|{own}: skipped): (.*)$", text, re.MULTILINE)
    return said[-1] if said else None


def _own(built: _Built) -> str:
    return rf"(?:\S*/)?{built.linked}\.ko"


def _tree(root: str) -> str:
    """dkms's tree; of several settings, the last one counts."""
    tree = _TREE
    for pattern in _SETTINGS:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern))):
            text = text_if_readable(path)
            for found in re.finditer(r"^\s*dkms_tree=[\"']?(/[^\"'\s]+)", text, re.MULTILINE):
                tree = found[1].lstrip("/")
    return os.path.join(root, tree)
