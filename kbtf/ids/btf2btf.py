# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The BTF-to-BTF step of resolve_btfids 7.0, which prepares kfuncs for BPF programs.

Source: btf2btf() in tools/bpf/resolve_btfids/main.c.  Through 7.2, a kfunc is a function that
pahole gave the declaration tag ``bpf_kfunc``; 7.3 uses the sets, adds the tag itself, and marks
arena pointers, which pahole did before.  Here both count, and existing tags are not added again.
7.3 then deduplicates all types.
"""

from __future__ import annotations

from itertools import count, repeat, takewhile
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.kinds import KFUNC_TAG, QUALIFIERS, Kind
from kbtf.btf.raw import RawBtf
from kbtf.errors import BtfIdsError
from kbtf.ids.kfunc_flags import (
    ARENA_ARG1,
    ARENA_ARG2,
    ARENA_RET,
    FASTCALL,
    IMPLICIT_ARGS,
    IMPLICIT_STRUCTS,
)

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType, Param
    from kbtf.ids.btf_ids import BtfIds

_FASTCALL_TAG = "bpf_fastcall"
_ARENA_ARGS = (ARENA_ARG1, ARENA_ARG2)
_ARENA = "address_space(1)"
_ARENA_SUFFIXES = ("__arena", "__arena__nullable")
_WHOLE = 0xFFFFFFFF  # component_idx -1
LONGEST_NAME = 511
"""KSYM_NAME_LEN without the NUL: the most bytes in the name of a function."""


class Found(NamedTuple):
    """A message of the step about a set of kfuncs or about its work on a kfunc."""

    text: str
    is_warning: bool
    """Whether it is a warning; otherwise it is shown only with ``-v``."""


class Kfuncs:
    """The kfuncs of a module, from its sets and from the tags in its BTF."""

    def __init__(self, btf: Btf, ids: BtfIds) -> None:
        self.btf = btf
        self.ids = ids
        self.found: list[Found] = []
        self.tags: dict[int, list[BtfType]] = {}
        self.functions: dict[str, BtfType] = {}
        for own in btf:
            if own.kind is Kind.DECL_TAG and own.type is not None:
                self.tags.setdefault(own.type, []).append(own)
            elif own.kind is Kind.FUNC:
                self.functions.setdefault(own.name, own)
        self.flags: dict[int, int] = {}
        """By id of the FUNC."""
        self.conflict: str | None = None
        """How sets contradict one another; this ends the collection."""
        self._collect()

    def _collect(self) -> None:
        """Collect the members of kfunc sets, and tagged functions in any set8."""
        tagged = {func for func in self.tags if self.has_tag(func, KFUNC_TAG)}
        slots = {slot.at: slot.name for slot in self.ids.slots if slot.kind is Kind.FUNC}
        for id_set in sorted(self.ids.sets, key=lambda s: s.name, reverse=True):
            if not id_set.is_set8:
                continue
            is_of_kfuncs = self.ids.is_kfunc_set(id_set)
            for entry, at in enumerate(id_set.id_words):
                func = self.functions.get(slots.get(at, ""))
                if func is not None and (is_of_kfuncs or func.id in tagged):
                    self.note(f"found kfunc {func.name} in {id_set.name}")
                    self._add(func, self.ids.words[at + 1])
                    if self.conflict is not None:
                        return
                elif is_of_kfuncs and func is None:
                    what = (
                        f"BTF func for kfunc {slots[at]} in" if at in slots else "BTF ID symbol for"
                    )
                    which = "" if at in slots else f" entry {entry}"
                    self._warn(f"no {what} {id_set.name}{which}")
            for entry in range(id_set.length, id_set.declared):
                if is_of_kfuncs:
                    self._warn(f"no BTF ID symbol for {id_set.name} entry {entry}")

    def note(self, text: str) -> None:
        """Report something with ``-v``, in the words of resolve_btfids."""
        self.found.append(Found(text, False))

    def _warn(self, what: str) -> None:
        self.found.append(Found(what, True))

    def _add(self, func: BtfType, flags: int) -> None:
        known = self.flags.setdefault(func.id, flags)
        if known != flags:
            self.conflict = (
                f"kfunc {func.name} has inconsistent flags across "
                f"BTF ID sets: {known:#x} != {flags:#x}"
            )

    def has_tag(self, func_id: int, name: str) -> bool:
        """Whether a FUNC as a whole has a declaration tag."""
        return any(
            tag.name == name and tag.component_idx == -1 and not tag.kind_flag
            for tag in self.tags.get(func_id, ())
        )


class _Step:
    def __init__(self, kfuncs: Kfuncs) -> None:
        self.kfuncs = kfuncs
        self.btf = kfuncs.btf
        self.raw = RawBtf(kfuncs.btf)

    def transform(self) -> None:
        for func_id in sorted(self.kfuncs.flags):
            flags, func = self.kfuncs.flags[func_id], self.btf[func_id]
            self._tag(func, KFUNC_TAG)
            if flags & FASTCALL:
                self._tag(func, _FASTCALL_TAG)
            proto = self.btf[func.type or 0]
            params = proto.params
            if flags & IMPLICIT_ARGS:
                self._add_impl(func, fastcall=bool(flags & FASTCALL))
                params = tuple(takewhile(lambda param: not self._is_implicit(param), params))
                self._set_proto(func, proto.size_or_type, params)
                what = "updated BTF for kfunc with implicit args"
                self.kfuncs.note(f"resolve_btfids: {what} {func.name}")
            if flags & ARENA_RET or any(map(_is_arena, params, count(), repeat(flags))):
                self._move_to_arena(func, proto.size_or_type, params, flags)

    def _move_to_arena(
        self, func: BtfType, returned: int, params: tuple[Param, ...], flags: int
    ) -> None:
        """Give a kfunc a prototype of its own, with pointers into the arena.

        In the order of the original: result types, the prototype, argument types.
        """
        if flags & ARENA_RET:
            returned = self._in_arena(returned, func)
        proto = self._set_proto(func, returned, params)
        for at, param in enumerate(params):
            if _is_arena(param, at, flags):
                self.raw.set_param(proto, at, self._in_arena(param.type, func))
        self.kfuncs.note(f"added arena-tagged proto for kfunc {func.name}: {proto}")

    def _tag(self, func: BtfType, name: str) -> None:
        if not self.kfuncs.has_tag(func.id, name):
            self.raw.add(Kind.DECL_TAG, name, func.id, _WHOLE)

    def _add_impl(self, func: BtfType, *, fastcall: bool) -> None:
        """Keep the full prototype for ``<name>_impl``."""
        impl = f"{func.name}_impl"
        if len(impl.encode("utf-8", "surrogateescape")) > LONGEST_NAME:
            raise BtfIdsError(f"function name is too long: {impl}")
        if impl in self.kfuncs.functions:
            self.kfuncs.note(f"resolve_btfids: function {impl} already exists in BTF")
            return
        impl_id = self.raw.add(Kind.FUNC, impl, func.type or 0, vlen=func.vlen)
        tags = [tag for tag in self.kfuncs.tags.get(func.id, ()) if tag.name != KFUNC_TAG]
        for tag in tags:
            self.raw.add(Kind.DECL_TAG, tag.name, impl_id, *tag.words, kind_flag=tag.kind_flag)
        if fastcall and not self.kfuncs.has_tag(func.id, _FASTCALL_TAG):
            self.raw.add(Kind.DECL_TAG, _FASTCALL_TAG, impl_id, _WHOLE)

    def _in_arena(self, pointer: int, func: BtfType) -> int:
        """A pointer to the same type in another address space."""
        found = self.btf[pointer]
        if found.kind is not Kind.PTR:
            raise BtfIdsError("arena type is not a pointer", where=f"kfunc {func.name}")
        target = self.btf[found.type or 0]
        if target.kind is Kind.TYPE_TAG and target.kind_flag and target.name == _ARENA:
            return pointer
        tag = self.raw.add(Kind.TYPE_TAG, _ARENA, target.id, kind_flag=True)
        return self.raw.add(Kind.PTR, "", tag)

    def _set_proto(self, func: BtfType, returned: int, params: tuple[Param, ...]) -> int:
        words = [word for p in params for word in (self.raw.add_string(p.name), p.type)]
        proto = self.raw.add(Kind.FUNC_PROTO, "", returned, *words, vlen=len(params))
        self.raw.set_target(func.id, proto)
        return proto

    def _is_implicit(self, param: Param) -> bool:
        pointer = self.btf.skip(param.type, QUALIFIERS)
        if pointer.kind is not Kind.PTR:
            return False
        target = self.btf.skip(pointer.size_or_type, QUALIFIERS)
        return target.kind is Kind.STRUCT and target.name in IMPLICIT_STRUCTS


def _is_arena(param: Param, at: int, flags: int) -> bool:
    by_flag = at < len(_ARENA_ARGS) and flags & _ARENA_ARGS[at]
    return bool(by_flag) or param.name.endswith(_ARENA_SUFFIXES)


def transform_kfuncs(kfuncs: Kfuncs) -> Btf:
    """The BTF with its kfuncs prepared for BPF programs; it still has to be deduplicated.

    BtfIdsError if sets contradict one another, if a kfunc takes or returns another type in place
    of an arena pointer, or if its name leaves no room for ``_impl``.
    """
    if kfuncs.conflict is not None:
        raise BtfIdsError(kfuncs.conflict)
    if not kfuncs.flags:
        return kfuncs.btf
    step = _Step(kfuncs)
    step.transform()
    return step.raw.build()


def sort_types(btf: Btf) -> Btf:
    """Sort the own types by name, as kernels since 7.0 expect."""
    raw = RawBtf(btf)
    raw.sort_by_name()
    return raw.build()
