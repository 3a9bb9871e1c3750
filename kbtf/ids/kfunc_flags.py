# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The flags of kfuncs in their sets, and which kernels know them.

Source: include/linux/btf.h; the commits are those that added each flag.
"""

from __future__ import annotations

from typing import NamedTuple


class Flag(NamedTuple):
    """One bit of the second word of a pair in a kfunc set."""

    bit: int
    name: str
    commit: str
    since: str
    """The first release with it."""
    meaning: str
    until: str | None = None
    """The first release without it; its bit has not been reused."""


FLAGS = (
    Flag(0, "KF_ACQUIRE", "a4703e318432", "6.0", "returns a reference that must be released"),
    Flag(1, "KF_RELEASE", "a4703e318432", "6.0", "releases the reference that it is given"),
    Flag(2, "KF_RET_NULL", "a4703e318432", "6.0", "the pointer returned may be NULL"),
    Flag(3, "KF_KPTR_GET", "a4703e318432", "6.0", "returned a reference to a kptr", "6.4"),
    Flag(
        4,
        "KF_TRUSTED_ARGS",
        "56e948ffc098",
        "6.0",
        "takes trusted pointers only; since 7.0 every kfunc does, flag or not",
    ),
    Flag(5, "KF_SLEEPABLE", "fa96b24204af", "6.1", "may sleep: for sleepable programs"),
    Flag(6, "KF_DESTRUCTIVE", "4dd48c6f1f83", "6.1", "takes CAP_SYS_BOOT"),
    Flag(7, "KF_RCU", "fca1aa75518c", "6.2", "takes trusted or RCU pointers"),
    Flag(8, "KF_ITER_NEW", "215bf4962f6c", "6.4", "begins an iterator"),
    Flag(9, "KF_ITER_NEXT", "215bf4962f6c", "6.4", "takes the next element of an iterator"),
    Flag(10, "KF_ITER_DESTROY", "215bf4962f6c", "6.4", "ends an iterator"),
    Flag(11, "KF_RCU_PROTECTED", "dfab99df147b", "6.7", "is for RCU critical sections"),
    Flag(12, "KF_FASTCALL", "da7d71bcb063", "6.13", "leaves registers alone that are not its own"),
    Flag(13, "KF_ARENA_RET", "ea145d530a2d", "6.15", "returns a pointer into an arena"),
    Flag(14, "KF_ARENA_ARG1", "ea145d530a2d", "6.15", "argument 1 points into an arena"),
    Flag(15, "KF_ARENA_ARG2", "ea145d530a2d", "6.15", "argument 2 points into an arena"),
    Flag(16, "KF_IMPLICIT_ARGS", "64e1360524b9", "7.0", "the verifier passes its last arguments"),
    Flag(17, "KF_SPINLOCK_SAFE", "", "7.3", "may be called while a bpf_spin_lock is held"),
    Flag(18, "KF_PERFMON", "", "7.3", "takes CAP_PERFMON"),
)

ACQUIRE = 1 << 0
RELEASE = 1 << 1
RET_NULL = 1 << 2
TRUSTED_ARGS = 1 << 4
SLEEPABLE = 1 << 5
DESTRUCTIVE = 1 << 6
RCU = 1 << 7
ITER_NEW = 1 << 8
ITER_NEXT = 1 << 9
ITER_DESTROY = 1 << 10
RCU_PROTECTED = 1 << 11
FASTCALL = 1 << 12
ARENA_RET = 1 << 13
ARENA_ARG1 = 1 << 14
ARENA_ARG2 = 1 << 15
IMPLICIT_ARGS = 1 << 16
SPINLOCK_SAFE = 1 << 17
PERFMON = 1 << 18

IMPLICIT_STRUCTS = ("bpf_prog_aux", "btf_struct_meta")
"""The structs that the verifier passes pointers to as implicit arguments."""

_KNOWN = sum(1 << flag.bit for flag in FLAGS)


def flag_names(flags: int) -> list[str]:
    """The names of the bits that are set, ascending."""
    return [flag.name for flag in FLAGS if flags >> flag.bit & 1]


def unknown_bits(flags: int) -> int:
    """The bits without a meaning in any kernel."""
    return flags & ~_KNOWN


def spell_flags(flags: int) -> str:
    """The flags as in C, unknown bits in hex: ``KF_ACQUIRE | 0x800000``."""
    unknown = unknown_bits(flags)
    return " | ".join(flag_names(flags) + ([f"{unknown:#x}"] if unknown else []))
