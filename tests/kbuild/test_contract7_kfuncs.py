# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The contract of Linux 7.0: prototypes of kfuncs with implicit arguments and with arenas."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbtf import Btf, BtfBuilder, Kind, Module
from kbtf.testing import make_base, make_module

from .gen_btf import gen_btf
from .implicit import KF_FASTCALL, KF_IMPLICIT_ARGS, implicit_split, kfunc_ids, text
from .standins import RESOLVE_BTFIDS, call

pytestmark = pytest.mark.integration


def test_implicit_arguments_are_hidden_and_kept_for_impl(small: Path) -> None:
    ids = kfunc_ids(
        ("first", KF_IMPLICIT_ARGS), ("second", KF_IMPLICIT_ARGS | KF_FASTCALL), ("plain", 1)
    )
    Path("m.ko").write_bytes(make_module(ids=ids))

    assert gen_btf("m.ko", "vmlinux", encode=False).code == 0

    base = Btf.parse(Path("vmlinux").read_bytes())
    made = Btf.parse(Path("m.ko.BTF").read_bytes(), base)
    # Worked out by hand from btf2btf() of 7.0 and bpf-next: per kfunc by id its missing tags,
    # <name>_impl with the tags of the kfunc but bpf_kfunc, the cut prototype, which both share
    # once it is deduplicated; then sorted.
    assert (
        text(made)
        == """\
[4] CONST '(anon)' type_id=3
[5] PTR '(anon)' type_id=4
[6] CONST '(anon)' type_id=5
[7] FUNC_PROTO '(anon)' ret_type_id=1 vlen=3
	'x' type_id=1
	'aux' type_id=6
	'y' type_id=1
[8] FUNC_PROTO '(anon)' ret_type_id=0 vlen=0
[9] FUNC_PROTO '(anon)' ret_type_id=1 vlen=1
	'x' type_id=1
[10] DECL_TAG 'bpf_fastcall' type_id=20 component_idx=-1
[11] DECL_TAG 'bpf_fastcall' type_id=21 component_idx=-1
[12] DECL_TAG 'bpf_kfunc' type_id=15 component_idx=-1
[13] DECL_TAG 'bpf_kfunc' type_id=20 component_idx=-1
[14] DECL_TAG 'bpf_kfunc' type_id=19 component_idx=-1
[15] FUNC 'first' type_id=9 linkage=static
[16] FUNC 'first_impl' type_id=7 linkage=static
[17] DECL_TAG 'mine' type_id=15 component_idx=0
[18] DECL_TAG 'mine' type_id=16 component_idx=0
[19] FUNC 'plain' type_id=8 linkage=global
[20] FUNC 'second' type_id=9 linkage=global
[21] FUNC 'second_impl' type_id=7 linkage=global"""
    )


def test_an_impl_that_is_there_is_kept(run_dir: Path) -> None:
    split = implicit_split()
    assert split.base is not None
    impl = split.add_func("first_impl", split.next_id - 1)
    del impl
    Path("vmlinux").write_bytes(split.base.to_bytes())
    Path("m.ko.BTF.1").write_bytes(split.to_bytes())
    Path("m.ko").write_bytes(make_module(ids=kfunc_ids(("first", KF_IMPLICIT_ARGS))))

    assert call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko").code == 0

    made = Btf.parse(Path("m.ko.BTF").read_bytes(), split.base)
    assert len(made.find_all("first_impl", Kind.FUNC)) == 1
    first = made.find("first", Kind.FUNC)
    assert first is not None
    assert len(made[first.type or 0].params) == 1


def test_a_kfunc_without_btf_is_warned_of(small: Path) -> None:
    Path("m.ko").write_bytes(make_module(ids=kfunc_ids(("gone", 1))))
    args = ["-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko"]
    said = call(RESOLVE_BTFIDS, *args)
    assert said.code == 0
    assert "WARN: resolve_btfids: no BTF func for kfunc gone in kfuncs" in said.words
    assert call(RESOLVE_BTFIDS, "--fatal_warnings", *args).code == 255


def test_flags_that_differ_between_two_sets_are_an_error(small: Path) -> None:
    ids = kfunc_ids(("first", 3), ("plain", 1), more=(("first", 3), ("plain", 2)))
    Path("m.ko").write_bytes(make_module(ids=ids))

    said = call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko")

    assert said.code == 255
    assert said.words[0].startswith(
        "ERROR: resolve_btfids: kfunc plain has inconsistent flags across BTF ID sets: 0x"
    )
    assert not Path("m.ko.BTF").exists()


def arena_module(*, tagged: bool = False) -> Btf:
    """Kfuncs a and b of one prototype; c, whose parameters are named for it; d without pointers."""
    base = make_base()
    base.add_composite(Kind.STRUCT, "page", 64)
    split = BtfBuilder(base.build())
    target = 3
    if tagged:
        target = split.add(Kind.TYPE_TAG, "address_space(1)", kind_flag=True, size_or_type=3)
    pointer = split.add_ref(Kind.PTR, target)
    proto = split.add_func_proto(pointer, [("p", pointer), ("q", pointer)])
    split.add_func("a", proto)
    split.add_func("b", proto)
    named = [("n", 1), ("x__arena", pointer), ("y__arena__nullable", pointer), ("z", pointer)]
    split.add_func("c", split.add_func_proto(0, named))
    split.add_func("d", split.add_func_proto(1, [("n", 1)]))
    Path("vmlinux").write_bytes(base.to_bytes())
    Path("m.ko.BTF.1").write_bytes(split.to_bytes())
    return base.build()


def arena_prototype(base: Btf, name: str) -> str:
    """The prototype as C would have it, @ for what is in the arena."""
    made = Btf.parse(Path("m.ko.BTF").read_bytes(), base)

    def spell(type_id: int) -> str:
        t = made[type_id]
        if t.kind is Kind.PTR:
            return spell(t.type or 0) + "*"
        if t.kind is Kind.TYPE_TAG:
            assert (t.name, t.kind_flag) == ("address_space(1)", True)
            return spell(t.type or 0) + "@"
        return t.name

    func = made.find(name, Kind.FUNC)
    assert func is not None
    proto = made[func.type or 0]
    return ", ".join([spell(proto.type or 0), *(spell(p.type) for p in proto.params)])


ARENA_RET, ARENA_ARG1, ARENA_ARG2 = 1 << 13, 1 << 14, 1 << 15


@pytest.mark.parametrize(
    ("flags", "prototype"),
    [
        (ARENA_RET, "page@*, page*, page*"),
        (ARENA_ARG1, "page*, page@*, page*"),
        (ARENA_ARG2 | 1, "page*, page*, page@*"),
        (ARENA_RET | ARENA_ARG1 | ARENA_ARG2, "page@*, page@*, page@*"),
    ],
)
def test_a_kfunc_of_arenas_gets_a_prototype_of_its_own(
    flags: int, prototype: str, run_dir: Path
) -> None:
    base = arena_module()
    Path("m.ko").write_bytes(make_module(ids=kfunc_ids(("a", flags), ("b", 1), ("c", 1))))

    said = call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko")

    assert said.code == 0, said
    assert arena_prototype(base, "a") == prototype
    assert arena_prototype(base, "b") == "page*, page*, page*"
    assert arena_prototype(base, "c") == "void, int, page@*, page@*, page*"


def test_marks_of_arenas_are_distilled_for_a_kernel_that_knows_them(run_dir: Path) -> None:
    """Since 6.15 tags may have kind_flag; nothing in the base tells, the module's release does."""
    arena_module()
    ids = kfunc_ids(("a", ARENA_RET))
    Path("m.ko").write_bytes(make_module(ids=ids, release="7.1.0"))

    assert gen_btf("m.ko", "vmlinux", "--distill_base", encode=False).code == 0

    made = Module.open("m.ko")
    assert made.btf_base is not None
    assert made.btf is not None
    (tag,) = (t for t in made.btf if t.kind is Kind.TYPE_TAG)
    assert tag.kind_flag


def test_arenas_that_pahole_marked_are_not_marked_again(run_dir: Path) -> None:
    base = arena_module(tagged=True)
    Path("m.ko").write_bytes(make_module(ids=kfunc_ids(("a", ARENA_RET | ARENA_ARG1))))

    assert call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko").code == 0

    assert arena_prototype(base, "a") == "page@*, page@*, page@*"
    before = Btf.parse(Path("m.ko.BTF.1").read_bytes(), base)
    assert len(Btf.parse(Path("m.ko.BTF").read_bytes(), base)) == len(before) + 1  # bpf_kfunc


def test_an_arena_that_is_no_pointer_is_an_error(run_dir: Path) -> None:
    arena_module()
    Path("m.ko").write_bytes(make_module(ids=kfunc_ids(("d", ARENA_ARG1))))

    said = call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko")

    assert said.code == 255
    assert said.words == ["ERROR: resolve_btfids: kfunc d: arena type is not a pointer"]


def test_what_hides_an_argument_is_found_in_the_base_first(run_dir: Path) -> None:
    """The cut prototype is there already: as libbpf's deduplication would have it."""
    base = make_base()
    base.add_composite(Kind.STRUCT, "bpf_prog_aux", 8)
    cut = base.add_func_proto(1, [("module", 1)])
    split = BtfBuilder(base.build())
    aux = split.add_ref(Kind.PTR, 3)
    func = split.add_func("f", split.add_func_proto(1, [("module", 1), ("aux", aux)]))
    Path("vmlinux").write_bytes(base.to_bytes())
    Path("m.ko.BTF.1").write_bytes(split.to_bytes())
    Path("m.ko").write_bytes(make_module(ids=kfunc_ids(("f", KF_IMPLICIT_ARGS))))
    assert func

    assert call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko").code == 0

    made = Btf.parse(Path("m.ko.BTF").read_bytes(), base.build())
    found = made.find("f", Kind.FUNC)
    assert found is not None
    assert found.type == cut


def test_fmodret_ids_are_said_to_be_left_out(small: Path) -> None:
    Path("m.ko").write_bytes(make_module())

    said = gen_btf("m.ko", "vmlinux", "--fmodret_error_injection", "--distill_base", encode=False)

    assert said.code == 0
    assert said.err == ["kbtf-resolve-btfids: m.ko: .BTF_fmodret_ids is not made"]
    assert not Path("m.ko.BTF_fmodret_ids").exists()
