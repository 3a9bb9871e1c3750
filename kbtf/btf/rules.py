# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The checks of kernels that load BTF, as data: the oldest rules, and each change since.

The changes that a kernel has are derived from its own BTF if that shows them.
Source: btf_parse_hdr(), btf_check_all_metas() and btf_check_type_tags() in kernel/bpf/btf.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf.btf.cached import once_a_btf
from kbtf.btf.kinds import Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf


class Rules(NamedTuple):
    """The checks of one kernel."""

    info_mask: int
    """The bits of a type's info that it knows."""
    max_kind: int
    """The highest kind that it knows."""
    name_len: int
    """KSYM_NAME_LEN: the most bytes an identifier may have."""
    flag_on_tags: bool
    """kind_flag is allowed on TYPE_TAG and DECL_TAG."""
    tags_first: bool
    """In a chain of modifiers, a TYPE_TAG may only follow other TYPE_TAGs."""
    layout_header: bool
    """It knows the header of 32 bytes; otherwise everything beyond 24 must be zero.  It accepts the
    sections in any order; otherwise the types must be first."""
    unique_kfuncs: bool = False
    """It refuses to register a module's kfunc whose name another function has."""


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


class Sign(NamedTuple):
    """A feature of a kernel's BTF: a type, a member of it, an array with that many elements."""

    kind: Kind
    name: str
    member: str = ""
    nelems: int = 0

    def is_in(self, base: Btf) -> bool:
        """Whether the BTF *base* of a kernel has it."""
        found = base.find(self.name, self.kind)
        if found is None or not self.member:
            return found is not None
        types = [member.type for member in found.members if member.name == self.member]
        if not self.nelems:
            return bool(types)
        return any((array := base[t].array) and array.nelems == self.nelems for t in types)

    def __str__(self) -> str:
        words = f"{self.kind.name.lower()} `{self.name}`"
        if self.member:
            words += f" with `{self.member}`"
        return words + (f" of {self.nelems}" if self.nelems else "")


class Change(NamedTuple):
    """A change in a release."""

    since: str
    what: str
    sets: dict[str, Any]
    shown_by: Sign | None = None
    """A sign that only kernels with the change have."""
    denied_by: Sign | None = None
    """A sign that only kernels without it have."""


CHANGES = (
    Change(
        "6.0",
        "`ENUM64` is known (6089fb325cf7)",
        {"max_kind": Kind.ENUM64},
        Sign(Kind.STRUCT, "btf_enum64"),
    ),
    Change(
        "6.1",
        "names may have 512 characters, not 128 (b8a94bfb3395)",
        {"name_len": 512},
        Sign(Kind.STRUCT, "kallsym_iter", "name", 512),
        Sign(Kind.STRUCT, "kallsym_iter", "name", 128),
    ),
    Change(
        "6.15",
        "`TYPE_TAG` and `DECL_TAG` may have kind_flag",
        {"flag_on_tags": True},
        Sign(Kind.STRUCT, "bpf_res_spin_lock"),
    ),
    Change(
        "7.1",
        "the header has 32 bytes, its sections may be in any order, and one of them is a layout",
        {"layout_header": True},
        Sign(Kind.STRUCT, "btf_header", "layout_off"),
        Sign(Kind.STRUCT, "btf_header", "str_len"),
    ),
    Change(
        "7.2",
        "vlen has 24 bits, not 16, and a kind 7 bits, not 5",
        {"info_mask": 0xFFFFFFFF},
        Sign(Kind.ENUM, "btf_max"),
    ),
    Change(
        "7.2",
        "a `TYPE_TAG` may follow `CONST`, `VOLATILE`, `RESTRICT` and `TYPEDEF`",
        {"tags_first": False},
        Sign(Kind.FUNC, "btf_check_modifier_chain_length"),
        Sign(Kind.FUNC, "btf_check_type_tags"),
    ),
    Change(
        "7.2",
        "a kfunc set is refused if vmlinux or another module has a function of the same name",
        {"unique_kfuncs": True},
        Sign(Kind.FUNC, "btf_check_modifier_chain_length"),
        Sign(Kind.FUNC, "btf_check_type_tags"),
    ),
)
"""In the order of releases.  A kernel has a change if it shows its sign, and lacks it if it shows
the opposite sign; if it shows neither, its release decides."""


@once_a_btf
def rules_of(base: Btf, release: str | None = None) -> Rules:
    """The rules of the kernel whose BTF is *base*.

    If the release is not known, the newest change that *base* shows is used instead.
    """
    version = numbers(release or version_shown(base))
    rules = OLDEST
    for change in CHANGES:
        if _has(base, change, version):
            rules = rules._replace(**change.sets)
    return rules


@once_a_btf
def version_shown(base: Btf) -> str:
    """The release of the newest change that the kernel whose BTF is *base* shows, or ""."""
    shown = [c.since for c in CHANGES if c.shown_by is not None and c.shown_by.is_in(base)]
    return shown[-1] if shown else ""


def _has(base: Btf, change: Change, version: tuple[int, ...]) -> bool:
    if change.shown_by is not None and change.shown_by.is_in(base):
        return True
    if change.denied_by is not None and change.denied_by.is_in(base):
        return False
    return version >= numbers(change.since)


def rules_of_distilled(release: str | None = None) -> Rules:
    """The rules of a kernel of which only a distilled base and the release are known.

    No kernel before 6.11 accepts distilled bases.
    """
    version = max(numbers(release or ""), (6, 11))
    rules = OLDEST
    for change in CHANGES:
        if numbers(change.since) <= version:
            rules = rules._replace(**change.sets)
    return rules


def numbers(release: str) -> tuple[int, ...]:
    """The version in a release: ``6.12.117-amd64`` is (6, 12, 117)."""
    parts = release.partition("-")[0].split(".")
    return tuple(int(part) if part.isdecimal() else 0 for part in parts)
