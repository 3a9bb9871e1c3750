# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What kbtf uses of the Python module backports.zstd, on the system's libzstd.

For distributions that do not package that module, such as Debian 12.
"""

from __future__ import annotations

import ctypes
from typing import Any

_CHECKSUM_FLAG = 201  # ZSTD_c_checksumFlag
_NO_MEMORY = 64  # ZSTD_error_memory_allocation


class ZstdError(Exception):
    """An error that libzstd reports."""


class CompressionParameter:
    """The parameters that kbtf sets."""

    checksum_flag = _CHECKSUM_FLAG


class _Buffer(ctypes.Structure):
    """``ZSTD_inBuffer`` and ``ZSTD_outBuffer``."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("pos", ctypes.c_size_t),
    )

    data: int | None
    size: int
    pos: int


def _load() -> Any:
    try:
        lib = ctypes.CDLL("libzstd.so.1")
        for name, result, *arguments in _FUNCTIONS:
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise ImportError("libzstd.so.1 is not installed, or older than 1.4") from error
    return lib


_POINTER = ctypes.c_void_p
_SIZE = ctypes.c_size_t
_FUNCTIONS: tuple[tuple[Any, ...], ...] = (
    ("ZSTD_isError", ctypes.c_uint, _SIZE),
    ("ZSTD_getErrorCode", ctypes.c_int, _SIZE),
    ("ZSTD_getErrorName", ctypes.c_char_p, _SIZE),
    ("ZSTD_createDCtx", _POINTER),
    ("ZSTD_freeDCtx", _SIZE, _POINTER),
    (
        "ZSTD_decompressStream",
        _SIZE,
        _POINTER,
        ctypes.POINTER(_Buffer),
        ctypes.POINTER(_Buffer),
    ),
    ("ZSTD_createCCtx", _POINTER),
    ("ZSTD_freeCCtx", _SIZE, _POINTER),
    ("ZSTD_CCtx_setParameter", _SIZE, _POINTER, ctypes.c_int, ctypes.c_int),
    ("ZSTD_compressBound", _SIZE, _SIZE),
    ("ZSTD_compress2", _SIZE, _POINTER, _POINTER, _SIZE, ctypes.c_char_p, _SIZE),
)
_lib = _load()


class ZstdDecompressor:
    """A decoder of one frame."""

    def __init__(self) -> None:
        self._context = _allocated(_lib.ZSTD_createDCtx())
        self._input = b""
        self.eof = False
        self.needs_input = True
        self.unused_data = b""

    def __del__(self) -> None:
        _lib.ZSTD_freeDCtx(getattr(self, "_context", None))

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most *max_length* of the unpacked bytes, of *data* and of what was left of it."""
        self._input += data
        out = ctypes.create_string_buffer(max_length)
        target = _Buffer(ctypes.addressof(out), max_length, 0)
        given = ctypes.c_char_p(self._input)
        source = _Buffer(ctypes.cast(given, _POINTER).value, len(self._input), 0)
        left = _checked(
            _lib.ZSTD_decompressStream(self._context, ctypes.byref(target), ctypes.byref(source))
        )
        self._input = self._input[source.pos :]
        self.needs_input = not self._input and target.pos < max_length
        if left == 0:
            self.eof = True
            self.unused_data = self._input
        return out.raw[: target.pos]


def compress(data: bytes, options: dict[int, int]) -> bytes:
    """*data* as one frame."""
    context = _allocated(_lib.ZSTD_createCCtx())
    try:
        for parameter, value in options.items():
            _checked(_lib.ZSTD_CCtx_setParameter(context, parameter, value))
        out = ctypes.create_string_buffer(_lib.ZSTD_compressBound(len(data)))
        size = _checked(_lib.ZSTD_compress2(context, out, len(out), data, len(data)))
        return out.raw[:size]
    finally:
        _lib.ZSTD_freeCCtx(context)


def _allocated(context: int | None) -> int:
    if context is None:
        raise MemoryError
    return context


def _checked(result: int) -> int:
    if not _lib.ZSTD_isError(result):
        return result
    if _lib.ZSTD_getErrorCode(result) == _NO_MEMORY:
        raise MemoryError
    raise ZstdError(_lib.ZSTD_getErrorName(result).decode())
