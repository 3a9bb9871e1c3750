# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Split BTF from a module's DWARF, with the installed pahole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf
from kbtf.encode.compilers import base_path
from kbtf.encode.features import (
    DETACHED_SINCE,
    FEATURES,
    LANGUAGES_SINCE,
    LIST_SINCE,
    WANTED,
    faults_of,
)
from kbtf.errors import BtfError, ToolError
from kbtf.files.helper import run_helper, temporary_directory

if TYPE_CHECKING:
    from kbtf.elf.module import Module

_OTHER_LANGUAGES = "rust,c++,c++03,c++11,c++14"


def encode_with_pahole(module: Module, pahole: str) -> Btf:
    """Split BTF on the module's base, by the program *pahole*; ToolError if it writes none."""
    version = version_of(pahole)
    for fault in faults_of(version):
        module.note(f"pahole {version[0]}.{version[1]}: {fault.what}")
    with temporary_directory() as folder:
        source, encoded = os.path.join(folder, "module.ko"), os.path.join(folder, "btf")
        with open(source, "wb") as file:
            file.write(module.to_bytes())
        words = _run(
            [
                pahole,
                "-J",
                *flags_for(version),
                "--btf_base",
                base_path(module, folder),
                f"--btf_encode_detached={encoded}",
                source,
            ],
            version,
        )
        # If there is nothing to encode, pahole exits with 0 and writes nothing.
        if not os.path.exists(encoded) or not os.path.getsize(encoded):
            raise ToolError(f"pahole wrote no BTF{words and ': ' + words}", file=module.path)
        if words:
            # 1.27 to 1.29 report a lost tag of a kfunc only here.
            module.warn(f"pahole {version[0]}.{version[1]} says: {words}")
        with open(encoded, "rb") as file:
            return _parse(file.read(), module)


def _parse(encoded: bytes, module: Module) -> Btf:
    base = module.base
    try:
        return Btf.parse(encoded, base)
    except BtfError as error:
        raise ToolError(f"pahole wrote BTF that cannot be read: {error}") from error


def flags_for(version: tuple[int, int]) -> list[str]:
    """The options that make a pahole of that version encode what kernels expect; ToolError."""
    if version < DETACHED_SINCE:
        raise ToolError(
            f"pahole {version[0]}.{version[1]} is too old",
            hint=f"{DETACHED_SINCE[0]}.{DETACHED_SINCE[1]} or newer is needed",
        )
    # Otherwise, one unit that BTF cannot express would make the whole run fail.
    flags = [f"--lang_exclude={_OTHER_LANGUAGES}"] if version >= LANGUAGES_SINCE else []
    if version >= LIST_SINCE:
        return [f"--btf_features={','.join(WANTED)}", *flags]
    wanted = (FEATURES[name] for name in WANTED if name != "encode_force")
    return [feature.on for feature in wanted if feature.on and feature.since <= version] + flags


def version_of(pahole: str) -> tuple[int, int]:
    """The version of a pahole; ToolError if it is not installed or does not print it."""
    import re

    words = _run([pahole, "--version"])
    match = re.search(r"v?(\d+)\.(\d+)", words)
    if match is None:
        raise ToolError(f"{pahole} --version says {words!r}")
    return int(match[1]), int(match[2])


def _run(command: list[str], version: tuple[int, int] | None = None) -> str:
    """The output of a program; ToolError with its messages and *version* if it fails."""
    try:
        done = run_helper(command)
    except FileNotFoundError as error:
        raise ToolError(
            f"{command[0]} is not installed",
            hint="install the package pahole (dwarves), or build the module with BTF",
        ) from error
    words = " ".join((done.stderr + done.stdout).decode(errors="replace").split())
    name = os.path.basename(command[0])
    if version:
        name += f" {version[0]}.{version[1]}"
    if done.returncode < 0:
        raise ToolError(
            f"{name} crashed (signal {-done.returncode})",
            hint="install another version, or name one with --pahole",
        )
    if done.returncode:
        raise ToolError(f"{name} failed ({done.returncode}){words and ': ' + words}")
    return words
