"""The BTF-to-BTF step of resolve_btfids 7.0: what BPF programs are to see of kfuncs.

Source: btf2btf() in tools/bpf/resolve_btfids/main.c.  Up to 7.1 a kfunc is one that pahole gave
the declaration tag ``bpf_kfunc``; bpf-next takes those of the sets and adds the tag itself, and
marks arena pointers, which pahole did before.  Here both count, and what is there is not added
again.  bpf-next then deduplicates all types; pahole has done so, thus only what is added here is
looked for in the base and the split first.
"""

from __future__ import annotations

from itertools import takewhile

from kbtf.btf.kinds import KFUNC_TAG, Kind
from kbtf.btf.raw import RawBtf
from kbtf.kbuild.console import Failure
from kbtf.kfunc_flags import ARENA_ARG1, ARENA_ARG2, ARENA_RET, FASTCALL, IMPLICIT_ARGS
from kbtf.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType, Param
    from kbtf.btf_ids import BtfIds

_FASTCALL_TAG = "bpf_fastcall"
_ARENA_ARGS = (ARENA_ARG1, ARENA_ARG2)
_IMPLICIT = ("bpf_prog_aux", "btf_struct_meta")
_ARENA = "address_space(1)"
_ARENA_SUFFIXES = ("__arena", "__arena__nullable")
_WHOLE = 0xFFFFFFFF  # component_idx -1
_QUALIFIERS = (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG)


class Transformed(NamedTuple):
    """The BTF after the step, and what is probably wrong, in the original's words."""

    btf: Btf
    warnings: list[str]


class _Step:
    def __init__(self, btf: Btf, ids: BtfIds) -> None:
        self.btf = btf
        self.raw = RawBtf(btf)
        self.ids = ids
        self.warnings: list[str] = []
        self.tags: dict[int, list[BtfType]] = {}
        self.functions: dict[str, BtfType] = {}
        for own in btf:
            if own.kind is Kind.DECL_TAG and own.type is not None:
                self.tags.setdefault(own.type, []).append(own)
            elif own.kind is Kind.FUNC:
                self.functions.setdefault(own.name, own)
        self.flags: dict[int, int] = {}
        self.same: dict[tuple[int, ...], int] | None = None

    def collect(self) -> None:
        """The kfuncs and their flags: what kfunc sets hold, and what has the tag in any set8."""
        tagged = {func for func in self.tags if self._has_tag(func, KFUNC_TAG)}
        slots = {slot.at: slot.name for slot in self.ids.slots if slot.kind is Kind.FUNC}
        for id_set in sorted(self.ids.sets, key=lambda s: s.name, reverse=True):
            if not id_set.is_set8:
                continue
            is_of_kfuncs = self.ids.is_kfunc_set(id_set)
            for entry, at in enumerate(id_set.id_words):
                func = self.functions.get(slots.get(at, ""))
                if func is not None and (is_of_kfuncs or func.id in tagged):
                    self._add(func, self.ids.words[at + 1])
                elif is_of_kfuncs and func is None:
                    what = (
                        f"BTF func for kfunc {slots[at]} in" if at in slots else "BTF ID symbol for"
                    )
                    which = "" if at in slots else f" entry {entry}"
                    self._warn(f"no {what} {id_set.name}{which}")

    def _warn(self, what: str) -> None:
        self.warnings.append(f"WARN: resolve_btfids: {what}")

    def _add(self, func: BtfType, flags: int) -> None:
        known = self.flags.setdefault(func.id, flags)
        if known != flags:
            raise Failure(
                f"ERROR: resolve_btfids: kfunc {func.name} has inconsistent flags across "
                f"BTF ID sets: {known:#x} != {flags:#x}",
                "ERROR: resolve_btfids: failed to collect kfuncs from BTF",
            )

    def transform(self) -> None:
        for func_id in sorted(self.flags):
            flags, func = self.flags[func_id], self.btf[func_id]
            self._tag(func, KFUNC_TAG)
            if flags & FASTCALL:
                self._tag(func, _FASTCALL_TAG)
            proto = self.btf[func.type or 0]
            returned, params = proto.size_or_type, proto.params
            if flags & IMPLICIT_ARGS:
                self._add_impl(func, fastcall=bool(flags & FASTCALL))
                params = tuple(takewhile(lambda param: not self._is_implicit(param), params))
            if flags & ARENA_RET:
                returned = self._in_arena(returned, func)
            params = tuple(
                param._replace(type=self._in_arena(param.type, func))
                if _is_arena(param, at, flags)
                else param
                for at, param in enumerate(params)
            )
            if (returned, params) != (proto.size_or_type, proto.params):
                self.raw.set_target(func.id, self._proto(returned, params))

    def _has_tag(self, func_id: int, name: str) -> bool:
        return any(
            tag.name == name and tag.component_idx == -1 and not tag.kind_flag
            for tag in self.tags.get(func_id, ())
        )

    def _tag(self, func: BtfType, name: str) -> None:
        if not self._has_tag(func.id, name):
            self.raw.add(Kind.DECL_TAG, name, func.id, _WHOLE)

    def _add_impl(self, func: BtfType, *, fastcall: bool) -> None:
        """Keep the full prototype for ``<name>_impl``."""
        impl = f"{func.name}_impl"
        if impl in self.functions:
            return
        impl_id = self.raw.add(Kind.FUNC, impl, func.type or 0, vlen=func.vlen)
        tags = [tag for tag in self.tags.get(func.id, ()) if tag.name != KFUNC_TAG]
        for tag in tags:
            self.raw.add(Kind.DECL_TAG, tag.name, impl_id, *tag.words, kind_flag=tag.kind_flag)
        if fastcall and not self._has_tag(func.id, _FASTCALL_TAG):
            self.raw.add(Kind.DECL_TAG, _FASTCALL_TAG, impl_id, _WHOLE)

    def _in_arena(self, pointer: int, func: BtfType) -> int:
        """A pointer to the same type in another address space."""
        found = self.btf[pointer]
        if found.kind is not Kind.PTR:
            raise Failure(f"ERROR: resolve_btfids: kfunc {func.name}: arena type is not a pointer")
        target = self.btf[found.type or 0]
        if target.kind is Kind.TYPE_TAG and target.kind_flag and target.name == _ARENA:
            return pointer
        tag = self._reuse(Kind.TYPE_TAG, _ARENA, target.id, kind_flag=True)
        return self._reuse(Kind.PTR, "", tag)

    def _proto(self, returned: int, params: tuple[Param, ...]) -> int:
        words = [word for p in params for word in (self.raw.add_string(p.name), p.type)]
        return self._reuse(Kind.FUNC_PROTO, "", returned, *words, vlen=len(params))

    def _reuse(
        self,
        kind: Kind,
        name: str,
        target: int,
        *words: int,
        vlen: int = 0,
        kind_flag: bool = False,
    ) -> int:
        """The id of such a type, which is added if neither the base nor the split has it."""
        if self.same is None:
            self.same = {}
            for raw in ([RawBtf(self.btf.base)] if self.btf.base else []) + [self.raw]:
                self.same = {**_by_words(raw), **self.same}
        # As RawBtf.add() would write it.
        info = kind_flag << 31 | kind << 24 | vlen
        key = (self.raw.add_string(name), info, target, *words)
        if key not in self.same:
            added = self.raw.add(kind, name, target, *words, vlen=vlen, kind_flag=kind_flag)
            self.same[key] = added
        return self.same[key]

    def _is_implicit(self, param: Param) -> bool:
        pointer = self._unqualified(param.type)
        if pointer.kind is not Kind.PTR:
            return False
        target = self._unqualified(pointer.type or 0)
        return target.kind is Kind.STRUCT and target.name in _IMPLICIT

    def _unqualified(self, type_id: int) -> BtfType:
        found = self.btf[type_id]
        while found.kind in _QUALIFIERS:
            found = self.btf[found.type or 0]
        return found


def _is_arena(param: Param, at: int, flags: int) -> bool:
    by_flag = at < len(_ARENA_ARGS) and flags & _ARENA_ARGS[at]
    return bool(by_flag) or param.name.endswith(_ARENA_SUFFIXES)


def _by_words(raw: RawBtf) -> dict[tuple[int, ...], int]:
    """Own types of the kinds that the step adds, by all that they consist of: their first ids."""
    kinds = (Kind.PTR, Kind.FUNC_PROTO, Kind.TYPE_TAG)
    found: dict[tuple[int, ...], int] = {}
    ends = [*raw.starts[1:], len(raw.words)]
    for at, (start, end) in enumerate(zip(raw.starts, ends, strict=True)):
        if raw.words[start + 1] >> 24 & 0x7F in kinds:
            found.setdefault(tuple(raw.words[start:end]), raw.start_id + at)
    return found


def transform(btf: Btf, ids: BtfIds) -> Transformed:
    """Take the step for the kfuncs that *ids*, as the linker left them, speak of."""
    step = _Step(btf, ids)
    step.collect()
    if not step.flags:
        return Transformed(btf, step.warnings)
    step.transform()
    return Transformed(step.raw.build(), step.warnings)
