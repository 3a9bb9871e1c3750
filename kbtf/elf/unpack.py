"""Compressed data: recognise, unpack as a stream, compress as Kbuild does.

The formats are those of scripts/Makefile.lib and scripts/extract-vmlinux of the kernel.  A kind is
called by the suffix of its files: ``gz``, ``xz``, ``zst``, ``lzma``, ``bz2``, ``lz4``, ``lzo``.
Codecs are imported when needed: most runs need none.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Protocol

from kbtf.errors import KbtfError, MachineError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    class Slices(Protocol):
        """Bytes that are read by slice: bytes, a memoryview, a mapping, a file."""

        def __len__(self) -> int: ...
        def __getitem__(self, part: slice, /) -> bytes | bytearray | memoryview: ...

    class Writable(Protocol):
        """Where unpacked data go."""

        def write(self, data: bytes, /) -> object: ...

    class _ZlibDecoder(Protocol):
        eof: bool
        unused_data: bytes
        unconsumed_tail: bytes

        def decompress(self, data: bytes, max_length: int) -> bytes: ...

    class _Decoder(Protocol):
        """What bz2, lzma and zstd have in common."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...

        def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Format(NamedTuple):
    name: str
    magic: bytes


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
"""What modules are compressed as: CONFIG_MODULE_COMPRESS_* of the kernel."""

_IN, _OUT = 1 << 16, 1 << 17  # bytes at a time; more is not faster and costs memory
_MAX_STREAMS = 1024  # joined to one file
_XZ_MEMORY = 512 << 20  # the kernel's own largest dictionary is 128 MiB
_LZ4_BLOCK = 8 << 20  # what a block of the legacy frame holds at most
_LZ4_BOUND = _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16  # and its most compressed bytes

_MAX_RATIO, _ANY_INPUT, _ANY_OUTPUT = 64, 16 << 20, 1 << 30


def recognise(data: Slices, offset: int = 0) -> str | None:
    """The kind of compressed data that starts at *offset*, or None."""
    head = bytes(data[offset : offset + 16])
    for kind, form in FORMATS.items():
        if head.startswith(form.magic):
            return kind if _is_plausible(kind, head) else None
    return None


def _is_plausible(kind: str, head: bytes) -> bool:
    """Whether what follows a short magic fits the format too."""
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
        return bool(known and (size <= _ANY_OUTPUT or size == 2**64 - 1))
    return True


def output_limit(size: int) -> int:
    """How many bytes *size* compressed bytes may become; more is taken for an attack.

    Kernels and modules shrink to a fifth or an eighth; runs of zeros in them make single ones
    shrink further.  64 times leaves room for that where gzip could give 1000 times and xz 7000.
    16 MiB are harmless whatever they come from, and no kernel with its debugging data is worth
    more than 1 GiB.
    """
    return min(_ANY_INPUT + _MAX_RATIO * size, _ANY_OUTPUT)


class Budget:
    """How many unpacked bytes are still taken, over one input or several tries at it."""

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
    """The unpacked bytes; arguments and errors are those of `unpack_to`."""
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
    """Unpack what stands between *offset* and *end* into *out*.

    Streams of one kind that follow each other are joined as the formats' own tools do; whatever
    else follows is left alone, for kernels append their size, or refused if all must be unpacked
    (*whole*).  *budget* is `output_limit` of the input where none is given.  KbtfError if the data
    are corrupt, truncated or pass the budget, MachineError if what it takes is not installed;
    errors of *out* pass through.
    """
    end = len(data) if end is None else min(end, len(data))
    kind = kind or recognise(data, offset)
    if kind is None:
        raise KbtfError("is not compressed in any way that is known", where=f"offset 0x{offset:x}")
    budget = budget or Budget(output_limit(end - offset))
    try:
        for part in _decoded(kind, data, offset, end, whole):
            budget.take(len(part))
            out.write(part)
    except KbtfError as error:
        error.where = error.where or f"{FORMATS[kind].name} data at offset 0x{offset:x}"
        raise


def _decoded(kind: str, data: Slices, offset: int, end: int, whole: bool) -> Iterator[bytes]:
    if kind == "lzo":
        raise MachineError("LZO is not supported", hint="unpack the file with lzop first")
    if kind == "lz4":
        return _lz4_blocks(data, offset, end)
    return _streams(kind, data, offset, end, whole)


def _streams(kind: str, data: Slices, offset: int, end: int, whole: bool) -> Iterator[bytes]:
    new_decoder, errors = _decoder(kind)
    magic = FORMATS[kind].magic
    for _ in range(_MAX_STREAMS):
        decoder = new_decoder()
        stalled = False
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
                raise KbtfError(f"{end - offset} bytes follow that do not belong to it")
            return
    raise KbtfError(f"more than {_MAX_STREAMS} streams in one file")


def _decoder(kind: str) -> tuple[Callable[[], _Decoder], tuple[type[Exception], ...]]:
    """How to make a decoder, and which of its errors mean corrupt data."""
    codec = _codec(kind)
    if kind == "gz":
        return lambda: _Gzip(codec.decompressobj(31)), (codec.error,)
    if kind == "bz2":
        return codec.BZ2Decompressor, (OSError, ValueError)
    if kind == "zst":
        return codec.ZstdDecompressor, (codec.ZstdError,)
    form = codec.FORMAT_XZ if kind == "xz" else codec.FORMAT_ALONE
    return lambda: codec.LZMADecompressor(form, memlimit=_XZ_MEMORY), (codec.LZMAError,)


class _Gzip:
    """zlib's decoder with the manners of the others."""

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


def _lz4_blocks(data: Slices, offset: int, end: int) -> Iterator[bytes]:
    """The blocks of legacy frames (doc/lz4_Frame_format.md of lz4: "Legacy frame").

    The format has no end: it is where the data end, or where what follows is no length of a
    block, or is the size of all that came before, as kernels append it.
    """
    block = _codec("lz4")
    magic = struct.unpack("<I", FORMATS["lz4"].magic)[0]
    offset += 4
    total = 0
    while end - offset >= 4:
        (size,) = struct.unpack("<I", data[offset : offset + 4])
        offset += 4
        if size == magic:
            continue
        if not size or size > _LZ4_BOUND or size == total:
            return
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


def compress(data: bytes, kind: str) -> bytes:
    """*data* as scripts/Makefile.modinst compresses modules: ``gz``, ``xz`` or ``zst``.

    Equal input gives equal output: no name, no time.  xz has the CRC32 and the 1 MiB dictionary
    that the kernel's decoder for modules takes.
    """
    if kind not in MODULE_KINDS:
        raise KbtfError(f"modules are not compressed as {kind!r}")
    codec = _codec(kind)
    if kind == "gz":
        encoder = codec.compressobj(9, codec.DEFLATED, 31)
        return bytes(encoder.compress(data) + encoder.flush())
    if kind == "xz":
        filters = [{"id": codec.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}]
        return bytes(codec.compress(data, check=codec.CHECK_CRC32, filters=filters))
    options = {codec.CompressionParameter.checksum_flag: 1}
    return bytes(codec.compress(data, options=options))


def _codec(kind: str) -> ModuleType:
    """The module that knows *kind*; MachineError that says how to get it."""
    from importlib import import_module

    name, hint = {
        "gz": ("zlib", "this Python was built without zlib"),
        "xz": ("lzma", "this Python was built without lzma"),
        "lzma": ("lzma", "this Python was built without lzma"),
        "bz2": ("bz2", "this Python was built without bz2"),
        "zst": ("compression.zstd", "this Python was built without zstd")
        if sys.version_info >= (3, 14)
        else ("backports.zstd", "pip install backports.zstd"),
        "lz4": ("lz4.block", "pip install 'kbtf[lz4]'"),
    }[kind]
    try:
        return import_module(name)
    except ImportError as error:
        raise MachineError(
            f"{FORMATS[kind].name} needs the Python module {name}, which is not installed",
            hint=hint,
        ) from error
