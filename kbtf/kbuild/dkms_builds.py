# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Modules built by dkms that have no BTF, the reason, and how to rebuild them."""

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


class WithoutBtf(NamedTuple):
    """A module built by dkms that lacks BTF."""

    package: str
    """dkms's name of the package: ``NAME/VERSION``."""
    release: str
    """The kernel that it was built for."""
    module: str
    """Its file."""
    reason: str
    remedy: str
    """The command that rebuilds it."""


def has_packages(root: str) -> bool:
    """Whether dkms below *root* knows any package."""
    return bool(glob.glob(os.path.join(glob.escape(_tree(root)), _PACKAGES)))


def modules_without_btf(root: str) -> Iterator[WithoutBtf]:
    """The modules below *root*, sorted by name."""
    for folder in sorted(glob.glob(os.path.join(glob.escape(_tree(root)), _BUILDS))):
        build = os.path.dirname(folder)
        release = os.path.basename(os.path.dirname(build))
        package = "/".join(build.split(os.sep)[-4:-2])
        if os.path.islink(build) or os.path.islink(os.path.dirname(build)):
            continue
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.ko*"))):
            reason = _reason(path, build)
            if reason:
                which = f"{package} -k {release}"
                remedy = f"dkms build --force {which} && dkms install --force {which}"
                yield WithoutBtf(package, release, path, reason, remedy)


def _reason(path: str, build: str) -> str | None:
    """Why a module has no BTF; None if it has."""
    try:
        if Module.open(path).has_btf:
            return None
    except KbtfError as error:
        return error.what
    log = os.path.join(build, "log/make.log")
    return _logged(text_if_readable(log), os.path.basename(path).partition(".ko")[0], log)


def _logged(text: str, name: str, log: str) -> str:
    """Why the module *name* has no BTF, as far as *text*, the content of *log*, shows it."""
    own = rf"(?:\S*/)?{re.escape(name)}\.ko"
    named = re.findall(rf"^kbtf: error: {own}: (.*)$", text, re.MULTILINE)
    if named:
        return str(named[-1])
    # The words of hook.mk; errors that name no module come before them.
    failed = re.search(rf"^kbtf: {own}: Kbuild's own BTF step takes over$", text, re.MULTILINE)
    before = text[: failed.start()] if failed else ""
    errors = re.findall(r"^kbtf: error: (?!\S+\.ko: )(.*)$", before, re.MULTILINE)
    if errors:
        return str(errors[-1])
    return f"kbtf could not be run, see {log}" if failed else "was built without kbtf"


def _tree(root: str) -> str:
    for pattern in _SETTINGS:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern))):
            found = re.search(
                r"^dkms_tree=[\"']?(/[^\"'\s]+)", text_if_readable(path), re.MULTILINE
            )
            if found:
                return os.path.join(root, found[1].lstrip("/"))
    return os.path.join(root, _TREE)
