# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Run make for Kbuild: its output goes to the user, its exit status becomes ours."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import ToolError, UsageError
from kbtf.files.helper import end_with_parent
from kbtf.say import flush_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Kbuild's BTF step is a command of this name in scripts/Makefile.modfinal, since 5.11.  Without
# it, the module stays as linked.  PAHOLE=true RESOLVE_BTFIDS=true would only work for kernels
# before 7.0: scripts/gen-btf.sh fails if M.ko.BTF was not written.  An empty
# CONFIG_DEBUG_INFO_BTF_MODULES would leave out sources that depend on it.
NO_BTF = ("cmd_btf_ko=", "quiet_cmd_btf_ko=")
_BUILDS = ("modules", "all", "default", "_all", "__all")
_ORDER = "modules.order"
_PATHS = ("/", "./", "../")
# The options of make with which it builds nothing, each with its shortest abbreviation.
_SAY = {
    "--dry-run": "--dr",
    "--just-print": "--ju",
    "--question": "--que",
    "--recon": "--rec",
    "--touch": "--to",
}
# The options of make that take a value, in the same word or, unless it is optional, the next one.
_WITH_VALUE = "CEIWfo"
_MAYBE_WITH_VALUE = "Ojl"
_LONG_WITH_VALUE = (
    *("--assume-new", "--assume-old", "--directory", "--eval", "--file", "--include-dir"),
    *("--makefile", "--new-file", "--old-file", "--what-if"),
)
_TARGETS = (*_BUILDS, "modules_install", "clean", "help", "nsdeps", "compile_commands.json")


class Words(NamedTuple):
    """The arguments on the command line other than options."""

    folder: str
    """The directory of the sources."""
    variables: list[str]
    targets: list[str]


def sort_words(words: Iterable[str]) -> Words:
    """Separate the directory from make's variables and targets; UsageError for two directories.

    A directory with the name of a Kbuild target is written as ``./clean``.
    """
    folders, variables, targets = [], [], []
    for word in words:
        name, is_variable, value = word.partition("=")
        if is_variable and name in ("M", "SUBDIRS"):
            folders.append(value)  # as in the original make -C ... M=...
        elif is_variable:
            variables.append(word)
        elif word not in _TARGETS and (os.path.isdir(word) or word.startswith(_PATHS)):
            folders.append(word)
        else:
            targets.append(word)
    if len(set(map(os.path.abspath, folders))) > 1:
        raise UsageError(f"one directory at a time, not {' and '.join(folders)}")
    folder = folders[0] if folders else "."
    if not os.path.isdir(folder):
        raise UsageError("no such directory", file=folder)
    for target in targets:
        if target.endswith("/") and not os.path.isdir(os.path.join(folder, target)):
            raise UsageError("no such directory", file=target)
    return Words(os.path.abspath(folder), variables, targets)


def require_known(targets: Iterable[str]) -> None:
    """UsageError for a word that is not a target and was probably meant as a directory."""
    for target in targets:
        if target not in _TARGETS and not os.path.splitext(target)[1]:
            raise UsageError(f"{target} is neither a directory here nor a target of Kbuild")


def builds_modules(target: str) -> bool:
    """Whether *target* of an external build links modules."""
    return target in _BUILDS or target.endswith(".ko")


class Make(NamedTuple):
    """The way to run make."""

    kdir: str
    folder: str
    arguments: tuple[str, ...]
    """Options and variables."""

    def command(self, targets: Iterable[str]) -> list[str]:
        """The command line that makes *targets*."""
        where = ["-C", self.kdir, f"M={self.folder}"]
        return ["make", *where, *self.arguments, *targets]

    def run(self, targets: Iterable[str], environment: Mapping[str, str] | None = None) -> int:
        """Run make for *targets* and return its exit status; 128 and more after a signal.

        *environment* is added to that of this process.
        """
        command = self.command(targets)
        flush_output()  # so that earlier output comes first
        try:
            # Not close_fds: an outer make passes its jobserver on in open files.
            process = subprocess.Popen(
                command,
                close_fds=False,
                env={**os.environ, **(environment or {})},
                preexec_fn=end_with_parent,
            )
        except FileNotFoundError as error:
            raise ToolError("make is not installed", hint="install the package make") from error
        try:
            code = process.wait()
        except BaseException:
            # A killed make would leave half-written targets; a terminated one removes them.
            process.terminate()
            process.wait()
            raise
        return code if code >= 0 else 128 - code

    @property
    def only_says(self) -> bool:
        """Whether make only prints, queries or touches instead of building: ``-n``, ``-q``, ``-t``.

        Kbuild obeys that only in part: it relinks modules, and fails in a clean directory.
        """
        return _only_says(self.arguments, os.environ.get("MAKEFLAGS", ""))


def _only_says(arguments: Iterable[str], makeflags: str) -> bool:
    # make writes its short options as the first word of MAKEFLAGS, without a dash
    outer = makeflags.partition(" -- ")[0].split(" ")
    if outer[0] and not outer[0].startswith("-") and "=" not in outer[0]:
        outer[0] = f"-{outer[0]}"
    words = iter([*outer, *arguments])
    for word in words:
        if word.startswith("--"):
            if any(name.startswith(word) for name, start in _SAY.items() if word.startswith(start)):
                return True
            if word in _LONG_WITH_VALUE:
                next(words, None)
        elif word.startswith("-"):
            for at, letter in enumerate(word[1:], 2):
                if letter in "nqt":
                    return True
                if letter in _WITH_VALUE and at == len(word):
                    next(words, None)
                if letter in _WITH_VALUE + _MAYBE_WITH_VALUE:
                    break
    return False


def variable(name: str, variables: Iterable[str]) -> str | None:
    """The value of *name* on make's command line: in *variables*, or on that of an outer make."""
    # After " -- " in MAKEFLAGS are the variables of an outer make, with spaces escaped.
    outer = os.environ.get("MAKEFLAGS", "").partition(" -- ")[2]
    words = [*re.split(r"(?<!\\) ", outer), *variables]
    values = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    return values[-1] if values else None


def output_directory(folder: str, variables: Iterable[str]) -> str:
    """Where Kbuild puts the modules of *folder*: there, or since 6.13 where ``MO=`` says."""
    told = (
        variable("MO", variables)
        or variable("KBUILD_EXTMOD_OUTPUT", variables)
        or os.environ.get("KBUILD_EXTMOD_OUTPUT")
        or None
    )
    if told is None or (_has_order(folder) and not _has_order(told)):  # an older kernel's build
        return folder
    return os.path.abspath(told)


def _has_order(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, _ORDER))


def object_directory(kdir: str, variables: Iterable[str]) -> str:
    """The directory of a kernel's build products: *kdir* itself, or that of ``O=``."""
    told = (
        variable("O", variables)
        or variable("KBUILD_OUTPUT", variables)
        or os.environ.get("KBUILD_OUTPUT")
    )
    return os.path.join(kdir, told) if told else kdir


def built_modules(folder: str, targets: Iterable[str] = ()) -> list[str]:
    """The modules that Kbuild built in *folder*, or those of them that *targets* name.

    ``modules.order`` of a copied directory names the modules of the original: see `is_below`.
    """
    single = [os.path.join(folder, target) for target in single_modules(targets)]
    if single:
        return [path for path in single if os.path.isfile(path)]
    try:
        with open(os.path.join(folder, _ORDER), "rb") as file:
            lines = [os.fsdecode(line) for line in file.read().split()]
    except FileNotFoundError:
        return []
    # Objects since 6.3, modules before; relative to the directory since 6.13.
    stems = [os.path.join(folder, os.path.splitext(line)[0]) for line in dict.fromkeys(lines)]
    return [f"{stem}.ko" for stem in stems]


def single_modules(targets: Iterable[str]) -> list[str]:
    """The modules that *targets* name, unless they also name all.

    After a build of single modules, Kbuild removes ``modules.order``.
    """
    targets = list(targets)
    if any(target in _BUILDS for target in targets):
        return []
    return [target for target in targets if target.endswith(".ko")]


def linked_modules(folder: str) -> list[str]:
    """All modules in *folder* and below that Kbuild linked, even one by one, by their ``.cmd``."""
    return [
        os.path.join(where, name[1 : -len(".cmd")])
        for where, _, names in os.walk(folder)
        for name in names
        if name.startswith(".") and name.endswith(".ko.cmd")
    ]
