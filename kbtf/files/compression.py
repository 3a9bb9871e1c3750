# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Compressed data: unpack as a stream, compress as Kbuild does."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

from kbtf.errors import KbtfError, MachineError
from kbtf.files.budget import LEAST_COST, Budget, memory_limit, output_limit
from kbtf.files.codecs import codec_of, decoder_of
from kbtf.files.formats import MAGICS, MODULE_KINDS, NAMES, SIGNATURE_MAGIC, recognise

if TYPE_CHECKING:
    from collections.abc import Generator

    from kbtf.files.formats import Slices

    class Writable(Protocol):
        """The destination of unpacked data."""

        def write(self, data: bytes, /) -> object: ...


_IN, _OUT = 1 << 16, 1 << 17  # bytes at a time; more is no faster and costs memory
_MAX_STREAMS = 1024  # joined to one file
_LZ4_BLOCK = 8 << 20  # the largest block of a legacy frame
_LZ4_BOUND = _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16  # and its most compressed bytes


def unpack(
    data: Slices,
    offset: int = 0,
    end: int | None = None,
    *,
    kind: str | None = None,
    budget: Budget | None = None,
    whole: bool = False,
) -> bytes:
    """The unpacked bytes; arguments and errors are those of `unpacked`.

    *budget* defaults to `memory_limit` of the input.
    """
    if budget is None:
        budget = Budget(memory_limit((len(data) if end is None else end) - offset))
    parts = _Parts()
    unpack_to(parts, data, offset, end, kind=kind, budget=budget, whole=whole)
    try:
        return b"".join(parts)
    except MemoryError as error:
        raise MachineError("not enough memory for the unpacked data") from error


def unpack_module(data: Slices, kind: str, budget: Budget | None = None) -> bytes:
    """The module in *data*, all of which must be of that *kind*."""
    if kind not in MODULE_KINDS:
        raise KbtfError(f"no kernel takes modules compressed as {NAMES[kind]}")
    unpacked = unpack(data, kind=kind, budget=budget, whole=True)
    if not unpacked:
        raise KbtfError("unpacks to nothing")
    return unpacked


class _Parts(list[bytes]):
    def write(self, data: bytes) -> None:
        self.append(data)


def unpack_to(
    out: Writable,
    data: Slices,
    offset: int = 0,
    end: int | None = None,
    *,
    kind: str | None = None,
    budget: Budget | None = None,
    whole: bool = False,
) -> None:
    """Unpack the data between *offset* and *end* into *out*.

    Arguments and errors are those of `unpacked`; errors of *out* pass through.
    """
    for part in unpacked(data, offset, end, kind=kind, budget=budget, whole=whole):
        out.write(part)


def unpacked(
    data: Slices,
    offset: int = 0,
    end: int | None = None,
    *,
    kind: str | None = None,
    budget: Budget | None = None,
    whole: bool = False,
) -> Generator[bytes, None, int]:
    """Yield the unpacked parts of the data between *offset* and *end*; return where it ended.

    Consecutive streams of one kind are joined, as the formats' own tools do.  Anything else that
    follows is ignored, because kernels append their size, or refused if everything must be
    unpacked (*whole*).  *budget* defaults to `output_limit` of the input.  KbtfError if the data
    are corrupt, truncated or exceed the budget, MachineError if a decoder is not installed.
    """
    end = len(data) if end is None else min(end, len(data))
    kind = kind or recognise(data, offset)
    if kind is None:
        raise KbtfError("is not compressed in a known format", where=f"offset 0x{offset:x}")
    budget = budget or Budget(output_limit(end - offset))
    parts = _decoded(kind, data, offset, end, whole)
    try:
        while True:
            try:
                part = next(parts)
            except StopIteration as ended:
                return int(ended.value)
            budget.take(max(len(part), LEAST_COST))
            yield part
    except KbtfError as error:
        error.where = error.where or f"{NAMES[kind]} data at offset 0x{offset:x}"
        raise


def _decoded(
    kind: str, data: Slices, offset: int, end: int, whole: bool
) -> Generator[bytes, None, int]:
    if kind == "lzo":
        raise MachineError("LZO is not supported", hint="unpack the file with lzop first")
    if kind == "lz4":
        return _lz4_blocks(data, offset, end)
    return _streams(kind, data, offset, end, whole)


def _streams(
    kind: str, data: Slices, offset: int, end: int, whole: bool
) -> Generator[bytes, None, int]:
    new_decoder, errors = decoder_of(kind)
    magic = MAGICS[kind]
    for _ in range(_MAX_STREAMS):
        decoder = new_decoder()
        stalled = False
        yield b""  # a stream costs something, whatever it contains
        while not decoder.eof:
            chunk = b""
            if decoder.needs_input or stalled:
                chunk = bytes(data[offset : min(offset + _IN, end)])
                offset += len(chunk)
            try:
                part = decoder.decompress(chunk, _OUT)
            except errors as error:
                raise KbtfError(f"cannot be decoded: {error}") from error
            except MemoryError as error:
                raise MachineError("not enough memory for the unpacked data") from error
            if part:
                yield part
            elif stalled and not chunk:
                raise KbtfError("is truncated: the data end before the stream does")
            stalled = not part
        offset -= len(decoder.unused_data)
        if offset + len(magic) > end or data[offset : offset + len(magic)] != magic:
            if whole and any(bytes(data[offset:end])):  # zeros are padding
                if bytes(data[end - len(SIGNATURE_MAGIC) : end]) == SIGNATURE_MAGIC:
                    raise KbtfError(
                        "a module signature follows the compressed data, which no kernel accepts",
                        hint="sign the module first, then compress it",
                    )
                raise KbtfError(f"{end - offset} bytes follow that do not belong to it")
            return offset
    raise KbtfError(f"more than {_MAX_STREAMS} streams in one file")


def _lz4_blocks(data: Slices, offset: int, end: int) -> Generator[bytes, None, int]:
    """The blocks of legacy frames (doc/lz4_Frame_format.md of lz4: "Legacy frame").

    The format has no end mark.  It ends with the data, or before bytes that are not the length of
    a block, or before the unpacked size, which kernels append.
    """
    block = codec_of("lz4")
    magic = struct.unpack("<I", MAGICS["lz4"])[0]
    offset += 4
    total = 0
    while end - offset >= 4:
        (size,) = struct.unpack("<I", data[offset : offset + 4])
        offset += 4
        if size == magic:
            yield b""
            continue
        if not size or size > _LZ4_BOUND or size == total:
            return offset - 4
        if size > end - offset:
            raise KbtfError("is truncated: the data end before the stream does")
        try:
            part = block.decompress(data[offset : offset + size], uncompressed_size=_LZ4_BLOCK)
        except block.LZ4BlockError as error:
            raise KbtfError(f"cannot be decoded: {error}") from error
        except MemoryError as error:
            raise MachineError("not enough memory for the unpacked data") from error
        offset += size
        total += len(part)
        yield part
    return offset


def compress(data: bytes, kind: str) -> bytes:
    """*data* as scripts/Makefile.modinst compresses modules: ``gz``, ``xz`` or ``zst``.

    Equal input gives equal output: names and times are left out.  xz uses the CRC32 and the 1 MiB
    dictionary that the kernel's decoder for modules supports.
    """
    if kind not in MODULE_KINDS:
        raise KbtfError(f"modules are not compressed as {kind!r}")
    codec = codec_of(kind)
    if kind == "gz":
        encoder = codec.compressobj(9, codec.DEFLATED, 31)
        return bytes(encoder.compress(data) + encoder.flush())
    if kind == "xz":
        filters = [{"id": codec.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}]
        return bytes(codec.compress(data, check=codec.CHECK_CRC32, filters=filters))
    options = {codec.CompressionParameter.checksum_flag: 1}
    return bytes(codec.compress(data, options=options))
