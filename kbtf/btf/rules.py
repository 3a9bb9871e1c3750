"""What kernels check when they load BTF, as data: the oldest rules, and each change since.

Which changes a kernel has is told from its own BTF where that shows them.
Source: btf_parse_hdr(), btf_check_all_metas() and btf_check_type_tags() in kernel/bpf/btf.c.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kbtf.btf.kinds import Kind
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbtf.btf.btf import Btf


class Rules(NamedTuple):
    """The checks of one kernel."""

    info_mask: int
    """The bits of a type's info that it knows."""
    max_kind: int
    """The highest kind that it knows."""
    name_len: int
    """KSYM_NAME_LEN: how many bytes an identifier may have."""
    flag_on_tags: bool
    """kind_flag is allowed on TYPE_TAG and DECL_TAG."""
    tags_first: bool
    """In a chain of modifiers, a TYPE_TAG may only follow other TYPE_TAGs."""
    layout_header: bool
    """It knows the header of 32 bytes, else all beyond 24 must be zero."""


MAX_TYPES = 0xFFFFF
"""BTF_MAX_TYPE: the highest type id, the base's included."""
MAX_NAME_OFFSET = 0xFFFFFF
"""BTF_MAX_NAME_OFFSET."""

OLDEST = Rules(
    info_mask=0x9F00FFFF,
    max_kind=Kind.TYPE_TAG,
    name_len=128,
    flag_on_tags=False,
    tags_first=True,
    layout_header=False,
)
"""Those of 5.17, the first kernel with TYPE_TAG."""


class Change(NamedTuple):
    """What a release changed."""

    since: str
    what: str
    is_in: Callable[[Btf, str | None], bool]
    """Whether a kernel has it, from its BTF and its release, if that is known."""
    sets: dict[str, Any]


def _has_struct(name: str) -> Callable[[Btf, str | None], bool]:
    return lambda base, release: base.find(name, Kind.STRUCT) is not None


def _has_member(struct: str, member: str) -> Callable[[Btf, str | None], bool]:
    def has(base: Btf, release: str | None) -> bool:
        found = base.find(struct, Kind.STRUCT)
        return found is not None and any(m.name == member for m in found.members)

    return has


def _has_long_names(base: Btf, release: str | None) -> bool:
    """The buffer for a symbol's name in struct kallsym_iter tells KSYM_NAME_LEN."""
    found = base.find("kallsym_iter", Kind.STRUCT)
    lengths = [
        array.nelems
        for member in (found.members if found else ())
        if member.name == "name" and (array := base[member.type].array)
    ]
    return lengths == [512] if lengths else _is_since(6, 1)(base, release)


def _is_since(*version: int) -> Callable[[Btf, str | None], bool]:
    """For what leaves no trace in BTF.  A kernel of unknown release is taken for an older one."""

    return lambda base, release: _numbers(release or "")[: len(version)] >= version


def _numbers(release: str) -> tuple[int, ...]:
    parts = release.partition("-")[0].split(".")
    return tuple(int(part) if part.isdecimal() else 0 for part in parts)


CHANGES = (
    Change("6.0", "ENUM64 (6089fb325cf7)", _has_struct("btf_enum64"), {"max_kind": Kind.ENUM64}),
    Change("6.1", "longer names (b8a94bfb3395)", _has_long_names, {"name_len": 512}),
    Change("6.15", "kind_flag on tags", _is_since(6, 15), {"flag_on_tags": True}),
    Change(
        "7.1",
        "layout in the header, more kinds and a longer vlen",
        _has_member("btf_header", "layout_off"),
        {"layout_header": True, "info_mask": 0xFFFFFFFF},
    ),
)


@lru_cache(maxsize=4)  # asked for each module, of the same few bases
def rules_of(base: Btf, release: str | None = None) -> Rules:
    """The rules of the kernel whose BTF is *base*."""
    rules = OLDEST
    for change in CHANGES:
        if change.is_in(base, release):
            rules = rules._replace(**change.sets)
    return rules


def rules_of_distilled(release: str | None = None) -> Rules:
    """Those of a kernel of which only a distilled base and the release are there.

    No kernel before 6.11 takes distilled bases.
    """
    version = max(_numbers(release or ""), (6, 11))
    rules = OLDEST
    for change in CHANGES:
        if _numbers(change.since) <= version:
            rules = rules._replace(**change.sets)
    return rules
