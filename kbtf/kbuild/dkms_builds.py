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
_LOG = "log/make.log"
_PACKAGES = "*/*/source"
_ASSIGNED = re.compile(
    r"""(?:^|;)[ \t]*(\w+)(?:\[(.*?)\])?\+?=((?:"[^"\n]*"|'[^'\n]*'|[^\s;"'])*)""", re.MULTILINE
)
_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:\[(\d+)\])?\})")
_SAID = re.compile(r"^(?:kbtf: (?:error: )?)?(?:\S*/)?([^\s/]+)\.ko: ", re.MULTILINE)
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
    log: str
    """What the log says."""
    linked: str
    """A pattern for its name when Kbuild linked it; dkms may rename it."""

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
        failure = _failure(built)
        if not has_btf:
            reason = failure or _last_word(built) or "was built without kbtf"
            yield built.unfinished(reason), False
        elif failure:
            yield built.unfinished(failure), True


def _last_builds(root: str) -> Iterator[_Built]:
    for modules in sorted(glob.glob(os.path.join(glob.escape(_tree(root)), _BUILDS))):
        folder = os.path.dirname(modules)
        if os.path.islink(folder) or os.path.islink(os.path.dirname(folder)):
            continue
        log = text_if_readable(os.path.join(folder, _LOG))
        renamed = _renamed(_conf(root, os.path.dirname(os.path.dirname(folder))))
        paths = sorted(glob.glob(os.path.join(glob.escape(modules), "*.ko*")))
        names = [os.path.basename(path).partition(".ko")[0] for path in paths]
        for name, path in zip(names, paths, strict=True):
            linked = _linked(name, {*names} - {name}, renamed, {*_SAID.findall(log)})
            yield _Built(folder, path, log, "|".join(map(re.escape, sorted(linked))))


def _linked(
    name: str, others: set[str], renamed: dict[str | None, str | None], said: set[str]
) -> set[str]:
    """The names that Kbuild may have given to a module: *said* has all that are in the log."""
    linked = renamed.get(name, None if None in renamed else name)
    if linked is not None:
        return {linked}
    if name in said:
        return {name}
    return said - {renamed.get(other) or other for other in others} or {name}


def _renamed(conf: str) -> dict[str | None, str | None]:
    """The names that Kbuild gives to modules, by those that dkms gives them.

    None stands for a name that more than literal values and references to them would show.
    """
    values: dict[tuple[str, str], str | None] = {}
    for name, number, value in _ASSIGNED.findall(conf):
        key = (name, number or "0")
        expanded = _expanded(value, values)
        values[key] = expanded if values.get(key, expanded) == expanded else None
    return {
        new: values.get(("BUILT_MODULE_NAME", number))
        for (name, number), new in values.items()
        if name == "DEST_MODULE_NAME"
    }


def _expanded(value: str, values: dict[tuple[str, str], str | None]) -> str | None:
    def known(found: re.Match[str]) -> str:
        return values.get((found[1] or found[2], found[3] or "0")) or "$"

    text = _REFERENCE.sub(known, re.sub("[\"']", "", value))
    return text if re.fullmatch(r"[\w.+-]+", text) else None


def _conf(root: str, package: str) -> str:
    source = os.path.join(package, "source")
    target = os.readlink(source) if os.path.islink(source) else source
    below_root = os.path.join(root, target.lstrip("/"))
    text = text_if_readable(os.path.join(below_root, "dkms.conf"))
    return text or text_if_readable(os.path.join(source, "dkms.conf"))


def _failure(built: _Built) -> str | None:
    """Why kbtf failed for a module in its last step, as far as its log shows it."""
    own = _own(built)
    # The words of hook.mk, and those of 'kbtf run' for a module that was linked again.
    steps = rf"^(?:kbtf: {own}: (Kbuild's own BTF step takes over)$|{own}: (?:\.BTF |skipped: ))"
    last = [*re.finditer(steps, built.log, re.MULTILINE)][-1:]
    if not last or not last[0][1]:
        return None
    before = built.log[: last[0].start()]
    unnamed = re.findall(r"^kbtf: error: (?!\S+\.ko: )(.*)$", before, re.MULTILINE)
    reasons = _errors(before, built) or unnamed
    if reasons:
        return str(reasons[-1])
    return f"kbtf could not be run, see {os.path.join(built.folder, _LOG)}"


def _errors(text: str, built: _Built) -> list[str]:
    return re.findall(rf"^kbtf: error: {_own(built)}: (.*)$", text, re.MULTILINE)


def _last_word(built: _Built) -> str | None:
    """The last error of a module, or the reason why it was skipped, whichever came later."""
    own = _own(built)
    words = rf"^(?:kbtf: error: {own}|{own}: skipped): (.*)$"
    said = re.findall(words, built.log, re.MULTILINE)
    return said[-1] if said else None


def _own(built: _Built) -> str:
    return rf"(?:\S*/)?(?:{built.linked})\.ko"


def _tree(root: str) -> str:
    """dkms's tree; of several settings, the last one counts."""
    tree = _TREE
    for pattern in _SETTINGS:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern))):
            text = text_if_readable(path)
            for found in re.finditer(r"^\s*dkms_tree=[\"']?(/[^\"'\s]+)", text, re.MULTILINE):
                tree = found[1].lstrip("/")
    return os.path.join(root, tree)
