"""Running make for Kbuild: its output is the user's, its exit status ours."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from kbtf.errors import ToolError, UsageError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# Kbuild's own making of BTF is one command of this name in scripts/Makefile.modfinal, since 5.11.
# Without it the module stays as linked, whether or not there is a vmlinux, and "Skipping BTF
# generation" is not said of a module that gets BTF.  PAHOLE=true RESOLVE_BTFIDS=true would do for
# kernels before 7.0 only: scripts/gen-btf.sh fails where nobody wrote M.ko.BTF.  And an empty
# CONFIG_DEBUG_INFO_BTF_MODULES would leave out sources that depend on it.
_NO_BTF = ("cmd_btf_ko=", "quiet_cmd_btf_ko=")
_BUILDS = ("modules", "all", "default", "_all", "__all")
_PATHS = ("/", "./", "../")
_TARGETS = (*_BUILDS, "modules_install", "clean", "help", "nsdeps", "compile_commands.json")


class Words(NamedTuple):
    """What stands on the command line beside the options."""

    folder: str
    """The folder of the sources."""
    variables: list[str]
    targets: list[str]


def sort_words(words: Iterable[str]) -> Words:
    """Tell the folder from variables and targets of make; UsageError if there are two folders.

    A folder that has the name of a target of Kbuild's is written as ``./clean``.
    """
    folders, variables, targets = [], [], []
    for word in words:
        name, is_variable, value = word.partition("=")
        if is_variable and name in ("M", "SUBDIRS"):
            folders.append(value)  # as in the make -C ... M=... that stood there before
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
    return Words(os.path.abspath(folder), variables, targets)


def builds_modules(target: str) -> bool:
    """Whether *target* of an external build links modules."""
    return target in _BUILDS or target.endswith(".ko")


class Make(NamedTuple):
    """How make is run."""

    kdir: str
    folder: str
    arguments: tuple[str, ...]
    """Options and variables."""

    def command(self, targets: Iterable[str]) -> list[str]:
        """The words of the command that makes *targets*."""
        where = ["-C", self.kdir, f"M={self.folder}"]
        return ["make", *where, *_NO_BTF, *self.arguments, *targets]

    def run(self, targets: Iterable[str]) -> int:
        """Run make for *targets* and return its exit status; 128 and more after a signal."""
        command = self.command(targets)
        sys.stdout.flush()  # so that what was said before comes before
        try:
            # Not close_fds: an outer make hands its jobserver down in open files.
            process = subprocess.Popen(command, close_fds=False)
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
        """It was asked to say, ask or touch, not to build: ``-n``, ``-q``, ``-t``.

        Kbuild heeds that only in part: it links modules again, and stops in a clean folder.
        """
        return _only_says(self.arguments, os.environ.get("MAKEFLAGS", ""))


def _only_says(arguments: Iterable[str], makeflags: str) -> bool:
    # make writes its short options as the first word of MAKEFLAGS, without a dash
    first = makeflags.split(" ", 1)[0]
    letters = "" if first.startswith("-") or "=" in first else first
    for argument in arguments:
        if argument in ("--dry-run", "--just-print", "--recon", "--question", "--touch"):
            return True
        if argument.startswith("-") and not argument.startswith(("--", "-j", "-l", "-W", "-o")):
            letters += argument[1:]
    return any(letter in letters for letter in "nqt")


def built_modules(folder: str, targets: Iterable[str] = ()) -> list[str]:
    """The modules that Kbuild built in *folder*, or of these the ones that *targets* name."""
    try:
        with open(os.path.join(folder, "modules.order"), encoding="utf-8") as file:
            lines = file.read().split()
    except FileNotFoundError:
        return []
    # Objects since 6.3, modules before; relative to the folder since 6.13.
    stems = [os.path.join(folder, os.path.splitext(line)[0]) for line in dict.fromkeys(lines)]
    modules = [f"{stem}.ko" for stem in stems]
    single = [os.path.join(folder, target) for target in targets if target.endswith(".ko")]
    return [m for m in modules if m in single] if single else modules
