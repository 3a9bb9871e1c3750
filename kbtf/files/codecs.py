# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The modules that decode and encode each kind of compressed data.

Codecs are imported when needed: most runs need none.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from kbtf.errors import MachineError
from kbtf.files.formats import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    class _ZlibDecoder(Protocol):
        eof: bool
        unused_data: bytes
        unconsumed_tail: bytes

        def decompress(self, data: bytes, max_length: int) -> bytes: ...

    class Decoder(Protocol):
        """The common interface of bz2, lzma and zstd."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...

        def decompress(self, data: bytes, max_length: int) -> bytes: ...


_XZ_MEMORY = 512 << 20  # the kernel's own largest dictionary is 128 MiB


def decoder_of(kind: str) -> tuple[Callable[[], Decoder], tuple[type[Exception], ...]]:
    """How to make a decoder, and which of its errors mean corrupt data."""
    codec = codec_of(kind)
    if kind == "gz":
        return lambda: _Gzip(codec.decompressobj(31)), (codec.error,)
    if kind == "bz2":
        return codec.BZ2Decompressor, (OSError, ValueError)
    if kind == "zst":
        return codec.ZstdDecompressor, (codec.ZstdError,)
    form = codec.FORMAT_XZ if kind == "xz" else codec.FORMAT_ALONE
    return lambda: codec.LZMADecompressor(form, memlimit=_XZ_MEMORY), (codec.LZMAError,)


class _Gzip:
    """zlib's decoder with the interface of the others."""

    def __init__(self, decoder: _ZlibDecoder) -> None:
        self._decoder = decoder
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        part = self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)
        self.needs_input = not self._decoder.unconsumed_tail and len(part) < max_length
        return part


def codec_of(kind: str) -> ModuleType:
    """The module for *kind*; MachineError says how to install it."""
    from importlib import import_module

    name, hint = {
        "gz": ("zlib", "this Python was built without zlib"),
        "xz": ("lzma", "this Python was built without lzma"),
        "lzma": ("lzma", "this Python was built without lzma"),
        "bz2": ("bz2", "this Python was built without bz2"),
        "zst": ("compression.zstd", "this Python was built without zstd")
        if sys.version_info >= (3, 14)
        else ("backports.zstd", "pip install backports.zstd"),
        "lz4": ("lz4.block", "pip install lz4"),
    }[kind]
    try:
        try:
            return import_module(name)
        except ImportError:
            if kind != "zst":
                raise
            return import_module("kbtf.files.libzstd")
    except ImportError as error:
        raise MachineError(
            f"{NAMES[kind]} needs the Python module {name}, which is not installed",
            hint=hint,
        ) from error
