# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Compressed data: recognise, unpack as a stream, compress as Kbuild does.

The formats are those of scripts/Makefile.lib and scripts/extract-vmlinux of the kernel.  A kind is
named by the suffix of its files: ``gz``, ``xz``, ``zst``, ``lzma``, ``bz2``, ``lz4``, ``lzo``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kbtf.errors import KbtfError, MachineError
from kbtf.files.codecs import codec_of, decoder_of

if TYPE_CHECKING:
    from collections.abc import Generator

    class Slices(Protocol):
        """Bytes that are read by slice: bytes, a memoryview, a mapping, a file."""

        def __len__(self) -> int: ...
        def __getitem__(self, part: slice, /) -> bytes | bytearray | memoryview: ...

    class Writable(Protocol):
        """The destination of unpacked data."""

        def write(self, data: bytes, /) -> object: ...


class _Format(NamedTuple):
    name: str
    magic: bytes


SIGNATURE_MAGIC = b"~Module signature appended~\n"
"""The end of a signed module: include/linux/module_signature.h."""

FORMATS = {
    "gz": _Format("gzip", b"\x1f\x8b\x08"),
    "xz": _Format("xz", b"\xfd7zXZ\0"),
    "zst": _Format("zstd", b"\x28\xb5\x2f\xfd"),
    "lzma": _Format("lzma", b"\x5d\0\0"),
    "bz2": _Format("bzip2", b"BZh"),
    "lz4": _Format("lz4", b"\x02\x21\x4c\x18"),
    "lzo": _Format("LZO", b"\x89LZO\0\r\n\x1a\n"),
}

MODULE_KINDS = ("gz", "xz", "zst")
"""The compression of modules: CONFIG_MODULE_COMPRESS_* of the kernel."""
MODULE_SUFFIXES = (".ko", *(f".ko.{kind}" for kind in MODULE_KINDS))
"""The suffixes of modules."""

_IN, _OUT = 1 << 16, 1 << 17  # bytes at a time; more is no faster and costs memory
_MAX_STREAMS = 1024  # joined to one file
_LZ4_BLOCK = 8 << 20  # the largest block of a legacy frame
_LZ4_BOUND = _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16  # and its most compressed bytes

# Charged to the budget for each piece, even an empty one: a file full of those takes long.
LEAST_COST = 1 << 14
"""Bytes."""
_MAX_RATIO, _ANY_INPUT = 64, 16 << 20
_MAX_RATIO_IN_MEMORY, _ANY_IN_MEMORY = 16, 8 << 20
MOST_UNPACKED = 1 << 30
"""Bytes: no kernel or module is larger."""


def recognise(data: Slices, offset: int = 0) -> str | None:
    """The kind of compressed data that starts at *offset*, or None."""
    head = bytes(data[offset : offset + 16])
    for kind, form in FORMATS.items():
        if head.startswith(form.magic):
            return kind if _is_plausible(kind, head) else None
    return None


def _is_plausible(kind: str, head: bytes) -> bool:
    """Whether the bytes after a short magic also fit the format."""
    if kind == "gz":
        return len(head) > 3 and not head[3] & 0xE0
    if kind == "bz2":
        return head[3:4].isdigit() and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
    if kind == "lzma":
        if len(head) < 13:
            return False
        dictionary, size = struct.unpack_from("<IQ", head, 1)
        low = dictionary & -dictionary
        known = dictionary and dictionary in (low, 3 * low)
        return bool(known and (size <= MOST_UNPACKED or size == 2**64 - 1))
    return True


def output_limit(size: int) -> int:
    """How many bytes *size* bytes of a kernel may unpack to; more is treated as an attack.

    Kernels compress to a fifth or an eighth, some with runs of zeros further.  A factor of 64
    allows for that; gzip can reach 1000 and xz 7000.  16 MiB are always harmless, and no kernel
    with its debugging data needs more than 1 GiB.
    """
    return min(stream_limit(size), MOST_UNPACKED)


def memory_limit(size: int) -> int:
    """The same for what is unpacked in memory: a module.

    Of Debian's 4,230 modules, none above 320 kB compresses further than to a ninth, with debugging
    data or without.  The smaller ones, some of which hold tables that shrink to a hundredth, have
    at most 5 MB.
    """
    return min(_ANY_IN_MEMORY + _MAX_RATIO_IN_MEMORY * size, MOST_UNPACKED)


def stream_limit(size: int) -> int:
    """The same for data that is not kept: an archive of any size."""
    return _ANY_INPUT + _MAX_RATIO * size


class Budget:
    """How many more unpacked bytes are allowed, over one input or several attempts at it."""

    def __init__(self, size: int) -> None:
        self.size = self.left = size

    def take(self, size: int) -> None:
        """Count *size* bytes; KbtfError if that is too many."""
        self.left -= size
        if self.left < 0:
            raise KbtfError(f"unpacks to more than {self.size} bytes, no kernel or module does")


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
        error.where = error.where or f"{FORMATS[kind].name} data at offset 0x{offset:x}"
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
    magic = FORMATS[kind].magic
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
    magic = struct.unpack("<I", FORMATS["lz4"].magic)[0]
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
