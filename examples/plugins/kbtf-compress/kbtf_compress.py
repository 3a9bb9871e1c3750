# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kbtf plugin that compresses a module if the name of the output has such a suffix."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kbtf import UsageError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Generator

    from kbtf import Config, OptionGroup, Output

KINDS = ("gz", "xz", "zst")


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--compress-level",
        key="compress.level",
        type=int,
        safe=True,
        metavar="N",
        help="how hard to compress OUT.ko.gz, .xz and .zst: 1 (fast) to 9 (small)",
    )


@hookimpl
def kbtf_configure(config: Config) -> None:
    level = config["compress.level"]
    if level is not None and not 1 <= level <= 9:
        raise UsageError(f"compress.level = {level} is not from 1 to 9")


@hookimpl(wrapper=True)
def kbtf_finish(output: Output, config: Config) -> Generator[None, object, object]:
    """Compress after all other plugins: a signature belongs inside."""
    result = yield
    wanted = output.path.rpartition(".ko.")[2] if ".ko." in output.path else None
    if wanted not in KINDS:
        return result
    has = output.module.compression
    if has is None:
        output.data = compress(output.data, wanted, config["compress.level"])
    elif has != wanted:
        # kbtf itself compresses it again, in the same format.
        raise UsageError(
            f"the module is compressed as {has}, the name says {wanted}",
            file=output.path,
            hint=f"call it .ko.{has}, or unpack the module first",
        )
    return result


def compress(data: bytes, kind: str, level: int | None) -> bytes:
    """Compress like the kernel's scripts/Makefile.modinst; equal input gives equal output."""
    if kind == "gz":
        import gzip

        return gzip.compress(data, level or 9, mtime=0)
    if kind == "xz":
        import lzma

        # The kernel's decoder does not support CRC64, and Makefile.modinst uses 1 MiB.
        preset = 6 if level is None else level
        filters = [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": 1 << 20}]
        return lzma.compress(data, check=lzma.CHECK_CRC32, filters=filters)
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    # zstd's own levels go to 19.
    return zstd.compress(data, 3 if level is None else 2 * level + 1)
