"""Makes split BTF from a module's DWARF, with the pahole that is installed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf import Btf, BtfError, KbtfError, ToolError, hookimpl

if TYPE_CHECKING:
    from kbtf import Config, Module, OptionGroup

# As the kernel's scripts/Makefile.btf asks for; pahole ignores the features it does not know.
_FEATURES = (
    "encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func,"
    "decl_tag_kfuncs,attributes"
)
# What a pahole older than that does not do.
_OLDEST = (1, 22)  # the first that writes BTF to a file of its own
LACKS = (
    ((1, 25), "it encodes functions with inconsistent prototypes"),
    ((1, 25), "it leaves out optimized functions"),
    ((1, 27), "it adds no declaration tags for kfuncs"),
)


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add("--pahole", default="pahole", metavar="PROGRAM", help="the pahole that encodes DWARF")


@hookimpl
def kbtf_after_link(module: Module, config: Config) -> None:
    if module.has_btf:
        return
    if module.image.section(".debug_info") or module.image.section(".zdebug_info"):
        module.set_btf(_encode(module, config["pahole"]))
    elif module.btf_ids:
        raise KbtfError(
            "has .BTF_ids, but neither BTF nor DWARF to make it from",
            file=module.path,
            hint="build with CONFIG_DEBUG_INFO or KCFLAGS=-g, and strip after kbtf",
        )
    else:
        module.skip("neither DWARF nor BTF")


def _encode(module: Module, pahole: str) -> Btf:
    import tempfile

    version = version_of(pahole)
    for since, what in LACKS:
        if version < since:
            module.note(f"pahole {version[0]}.{version[1]}: {what}")
    with tempfile.TemporaryDirectory(prefix="kbtf-") as folder:
        source, encoded = os.path.join(folder, "module.ko"), os.path.join(folder, "btf")
        with open(source, "wb") as file:
            file.write(module.to_bytes())
        words = _run(
            [
                pahole,
                "-J",
                *flags_for(version),
                "--btf_base",
                module.base_path(folder),
                f"--btf_encode_detached={encoded}",
                source,
            ]
        )
        # Where it finds nothing to encode, pahole ends with 0 and writes nothing.
        if not os.path.exists(encoded) or not os.path.getsize(encoded):
            raise ToolError(f"pahole wrote no BTF{words and ': ' + words}", file=module.path)
        if words:
            # 1.27 to 1.29 say here, and only here, that they lost the tag of a kfunc.
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
    if version >= (1, 26):
        return [f"--btf_features={_FEATURES}"]
    if version < _OLDEST:
        raise ToolError(
            f"pahole {version[0]}.{version[1]} is too old",
            hint=f"{_OLDEST[0]}.{_OLDEST[1]} or newer is needed",
        )
    flags = ["--btf_gen_floats"]
    if version == (1, 25):
        flags += ["--skip_encoding_btf_inconsistent_proto", "--btf_gen_optimized"]
    return flags


def version_of(pahole: str) -> tuple[int, int]:
    """The version of a pahole; ToolError if it is not installed or does not say."""
    import re

    words = _run([pahole, "--version"])
    match = re.search(r"v?(\d+)\.(\d+)", words)
    if match is None:
        raise ToolError(f"{pahole} --version says {words!r}")
    return int(match[1]), int(match[2])


def _run(command: list[str]) -> str:
    """What a program says; ToolError with its own words if it fails."""
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    except FileNotFoundError as error:
        raise ToolError(
            f"{command[0]} is not installed",
            hint="install the package pahole (dwarves), or build the module with BTF",
        ) from error
    words = " ".join((done.stderr + done.stdout).split())
    if done.returncode:
        name = os.path.basename(command[0])
        raise ToolError(f"{name} failed ({done.returncode}){words and ': ' + words}")
    return words
