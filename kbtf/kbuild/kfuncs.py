"""The BTF-to-BTF step of resolve_btfids 7.0: what BPF programs are to see of kfuncs.

Source: btf2btf() in tools/bpf/resolve_btfids/main.c.  Up to 7.1 a kfunc is one that pahole gave
the declaration tag ``bpf_kfunc``; bpf-next takes those of the sets and adds the tag itself.  Here
both count, and a tag that is there is not added again.
"""

from __future__ import annotations

from typing import NamedTuple

from kbtf.btf.kinds import Kind
from kbtf.kbuild.raw import RawBtf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType, Param
    from kbtf.btf_ids import BtfIds

# include/linux/btf.h
KF_FASTCALL = 1 << 12
KF_IMPLICIT_ARGS = 1 << 16

_KFUNC, _FASTCALL = "bpf_kfunc", "bpf_fastcall"
_IMPLICIT = ("bpf_prog_aux", "btf_struct_meta")
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

    def collect(self) -> None:
        """The kfuncs and their flags: what kfunc sets hold, and what has the tag in any set8."""
        tagged = {func for func in self.tags if self._has_tag(func, _KFUNC)}
        slots = {slot.at: slot.name for slot in self.ids.slots if slot.kind is Kind.FUNC}
        for id_set in sorted(self.ids.sets, key=lambda s: s.name, reverse=True):
            if not id_set.is_set8:
                continue
            is_of_kfuncs = self.ids.is_kfunc_set(id_set)
            for at in id_set.id_words:
                func = self.functions.get(slots.get(at, ""))
                if func is None:
                    if is_of_kfuncs and at in slots:
                        self.warnings.append(
                            f"WARN: resolve_btfids: no BTF func for kfunc {slots[at]} "
                            f"in {id_set.name}"
                        )
                elif is_of_kfuncs or func.id in tagged:
                    self._add(func, self.ids.words[at + 1])

    def _add(self, func: BtfType, flags: int) -> None:
        known = self.flags.setdefault(func.id, flags)
        if known != flags:
            # bpf-next fails here; 7.0 takes the flags of the first set.
            self.warnings.append(
                f"WARN: resolve_btfids: kfunc {func.name} has inconsistent flags across "
                f"BTF ID sets: {known:#x} != {flags:#x}"
            )

    def transform(self) -> None:
        for func_id in sorted(self.flags):
            flags, func = self.flags[func_id], self.btf[func_id]
            self._tag(func, _KFUNC)
            if flags & KF_FASTCALL:
                self._tag(func, _FASTCALL)
            if flags & KF_IMPLICIT_ARGS:
                self._hide_implicit(func, fastcall=bool(flags & KF_FASTCALL))

    def _has_tag(self, func_id: int, name: str) -> bool:
        return any(
            tag.name == name and tag.component_idx == -1 and not tag.kind_flag
            for tag in self.tags.get(func_id, ())
        )

    def _tag(self, func: BtfType, name: str) -> None:
        if not self._has_tag(func.id, name):
            self.raw.add(Kind.DECL_TAG, name, func.id, _WHOLE)

    def _hide_implicit(self, func: BtfType, *, fastcall: bool) -> None:
        """Keep the full prototype for ``<name>_impl``, and cut that of the kfunc itself."""
        proto = self.btf[func.type or 0]
        impl = f"{func.name}_impl"
        if impl not in self.functions:
            impl_id = self.raw.add(Kind.FUNC, impl, proto.id, vlen=func.vlen)
            tags = [tag for tag in self.tags.get(func.id, ()) if tag.name != _KFUNC]
            for tag in tags:
                self.raw.add(Kind.DECL_TAG, tag.name, impl_id, *tag.words, kind_flag=tag.kind_flag)
            if fastcall and not self._has_tag(func.id, _FASTCALL):
                self.raw.add(Kind.DECL_TAG, _FASTCALL, impl_id, _WHOLE)
        words: list[int] = []
        for param in proto.params:
            if self._is_implicit(param):
                break
            words += (self.raw.add_string(param.name), param.type)
        cut = self.raw.add(Kind.FUNC_PROTO, "", proto.size_or_type, *words, vlen=len(words) // 2)
        self.raw.set_target(func.id, cut)

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


def transform(btf: Btf, ids: BtfIds) -> Transformed:
    """Take the step for the kfuncs that *ids*, as the linker left them, speak of."""
    step = _Step(btf, ids)
    step.collect()
    if not step.flags:
        return Transformed(btf, step.warnings)
    step.transform()
    return Transformed(step.raw.build(), step.warnings)
