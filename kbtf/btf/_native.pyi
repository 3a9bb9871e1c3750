"""The C core (native/module.c)."""

from typing_extensions import Buffer

VERSION: str
"""The version of kbtf, which the root meson.build says."""

KINDS: list[tuple[str, int, int, int | None, int | None, int, bool]]
"""The rows of the table of kinds, by kind."""

class Index:
    """A BTF blob that was checked and indexed once; BtfError if it is malformed.

    The buffer stays exported as long as the Index lives.
    """

    def __new__(cls, data: Buffer, base: Index | None = None) -> Index: ...
    start_id: int
    end_id: int
    start_str: int
    str_len: int
    type_len: int
    header_len: int
    layout_len: int
    foreign: bool
    def record(self, type_id: int, /) -> tuple[int, str, bool, int, int, tuple[int, ...]]:
        """Kind, name, kind_flag, vlen, size or type, and the words behind; IndexError."""

    def string(self, offset: int, /) -> str:
        """The string at *offset*, here or in the base; IndexError."""

    def strings(self) -> bytes:
        """The own string table."""

    def find(self, name: bytes, /) -> list[int]:
        """The own types of that name, ascending."""

def distill(split: Index, /) -> tuple[bytes, bytes, bytes, bytes]:
    """New base, new split, and the old ids (u32, native) that were kept and moved."""

def end_on_truncation() -> None:
    """From now on, end the process in words and with exit code 4 where it would get SIGBUS."""

def check_fit(split: Index, /) -> None:
    """BtfError if the references of *split* into its base make no sense."""

def relocate(
    split: Index, target: Index, /
) -> tuple[bytes, bytes] | tuple[str, int, int, int, bytes]:
    """The split on *target*, and the target's ids (u32, native) by distilled id.

    Where a type does not fit: the reason, its id, the id of the split type that embeds it, the
    offset of the string at fault, and the ids of candidates (u32, native).
    """

def verify(
    btf: Index,
    info_mask: int,
    max_kind: int,
    name_len: int,
    flag_on_tags: bool,
    tags_first: bool,
    /,
) -> tuple[list[tuple[int, bool, str]], int]:
    """The first findings (type id, refused by the kernel, text), and how many there are in all."""
