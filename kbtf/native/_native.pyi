# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The C core (native/python/)."""

from mmap import mmap
from typing import NamedTuple

from typing_extensions import Buffer

KINDS: list[tuple[str, int, int, int | None, int, int | None, int, int]]
"""The rows of the table of kinds, by kind."""

class Index:
    """A BTF blob that was checked and indexed once; BtfError if it is malformed.

    The buffer stays exported as long as the Index lives.  One that can be written is copied; a
    read-only view of other memory must not change.
    """

    def __new__(cls, data: Buffer, base: Index | None = None) -> Index: ...
    data: bytes | memoryview | mmap
    """The object that has the blob: the one that was given, or the copy."""
    start_id: int
    end_id: int
    start_str: int
    str_len: int
    type_len: int
    header_len: int
    layout_off: int
    layout_len: int
    unknown_id: int
    foreign: bool
    def record(self, type_id: int, /) -> tuple[int, str, bool, int, int, tuple[int, ...]]:
        """Kind, name, kind_flag, vlen, size or type, and the words that follow; IndexError."""

    def string(self, offset: int, /) -> str:
        """The string at *offset*, here or in the base; IndexError."""

    def strings(self) -> bytes:
        """The own string table."""

    def find(self, name: bytes, /) -> list[int]:
        """The own types of that name, ascending."""

class BaseIndex:
    """The index of a base for encoding and deduplication of any number of modules on it."""

    nested_arrays: bool
    """Whether an ARRAY of the base has an ARRAY as its element type."""
    def find(self, name: bytes, /) -> list[int]:
        """The ids of the base's types with that name, ascending, as `Index.find`."""

    def image(self) -> bytes:
        """All of it as bytes, for `open_base_index`."""

def index_base(base: Index, seed: int, /) -> BaseIndex:
    """The index of a base; BtfError if it is split BTF.  *seed* is a secret of 64 bits."""

def open_base_index(base: Index, image: Buffer, /) -> BaseIndex | None:
    """The index with this `BaseIndex.image`; None if it is damaged or belongs to another base.

    The buffer stays exported as long as the BaseIndex lives.
    """

def deduplicate(split: Index, base: BaseIndex, /) -> tuple[bytes, bytes]:
    """Split BTF without duplicate types, with the result of libbpf's btf__dedup().

    Also returns the new ids (u32, native) of its old types.
    """

def encode(
    base: BaseIndex,
    sections: list[
        tuple[bytes, int, int, int, int, int, int, int, bytes | memoryview | None, bool]
    ],
    packed_size: int,
    machine: int,
    is_64: bool,
    foreign: bool,
    linked: bool,
    features: int,
    profile: int,
    strict: bool,
    jobs: int,
    /,
) -> tuple[bytes, list[tuple[int, int, str]], int]:
    """BTF from DWARF, notes (kind, number, text), and the number of encoded units.

    The BTF is split, unless the file is *linked*, a kernel; its base is then an empty one.
    A section is its name, type, flags, address, alignment, link, info, size, contents, which are
    not compressed (None where the file has none), and whether these are mapped from a file: then
    pages that were read are given back.
    """

def distill(split: Index, /) -> tuple[bytes, bytes, bytes, bytes]:
    """New base, new split, and the old ids (u32, native) of kept and moved types."""

def end_on_truncation() -> None:
    """From now on, exit with a message and code 4 on SIGBUS."""

def end_with_parent() -> None:
    """From now on, send this process SIGTERM when its parent ends."""

def checksum(data: Buffer, /) -> int:
    """A checksum of 64 bits against damage, not against attacks; it depends on the machine."""

def check_fit(split: Index, /) -> None:
    """BtfError if the references of *split* into its base make no sense."""

class Relocated(NamedTuple):
    """The result of relocating split BTF, or why it failed; ids are u32 in native order."""

    split: bytes | None
    """The blob on the target; None if it does not fit."""
    ids: bytes
    """The target's ids, by distilled id."""
    reason: str | None
    """Why it does not fit; None if it does."""
    type_id: int
    """The type at fault."""
    owner_id: int
    """The split type that embeds it by value, or 0."""
    name: int
    """The offset of the string at fault, or 0."""
    candidates: bytes
    """The target's types of that name."""

def relocate(split: Index, target: Index, names: BaseIndex | None = None, /) -> Relocated:
    """The split on *target*, whose types are hashed by name without its index *names*."""

def offset_in(whole: Buffer, part: Buffer, /) -> int | None:
    """Where *part* starts in *whole*; None if it is not a view of it."""

def start_flush(fd: int, /) -> None:
    """Let the disk begin to write what an open file holds; errors show when it is flushed."""

def syncfs(fd: int, /) -> bool:
    """Flush the file system of an open file to disk; False if that failed."""

def verify(
    btf: Index,
    info_mask: int,
    max_kind: int,
    name_len: int,
    flag_on_tags: bool,
    tags_first: bool,
    /,
) -> list[tuple[int, bool, str]]:
    """The first findings: type id, refused by the kernel, text."""
