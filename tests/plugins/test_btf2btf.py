# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The passes btf2btf and sort_types: BTF such as the Kbuild of the module's kernel makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbtf import (
    Btf,
    BtfBuilder,
    Kind,
    Module,
    distill,
    ids_mismatch,
    open_base,
    open_btf,
    read_ids,
    resolve_ids,
)
from kbtf.kernel.features import sorts_types
from kbtf.program import main
from kbtf.testing.modules import Ids, make_base, make_ids, make_module

if TYPE_CHECKING:
    from pathlib import Path

IMPLICIT_ARGS, FASTCALL = 1 << 16, 1 << 12
FUNC = Kind.FUNC


def kernel(*, is_sorted: bool) -> BtfBuilder:
    """A kernel with structs for kfuncs, and enough types to see their order."""
    b = make_base()
    task = b.add_composite(Kind.STRUCT, "task", 16, [("pid", 1, 0), ("next", b.next_id + 1, 64)])
    b.add_ref(Kind.PTR, task)
    b.add_ref(Kind.PTR, b.add_composite(Kind.STRUCT, "bpf_prog_aux", 8))
    for n in range(200):
        b.add_composite(Kind.STRUCT, f"zz{n if is_sorted else 200 - n:03}", 4)
    if is_sorted:
        from kbtf.ids.btf2btf import sort_types

        made = BtfBuilder()
        for found in sort_types(b.build()):
            made.add_copy(found)
        return made
    return b


def repeating(base: Btf) -> BtfBuilder:
    """A kfunc that takes a struct of the kernel, of which the module has a copy."""
    s = BtfBuilder(base)
    integer = s.add_int("int", 4, encoding=1)
    task = s.next_id
    s.add_composite(Kind.STRUCT, "task", 16, [("pid", integer, 0), ("next", task + 1, 64)])
    s.add_ref(Kind.PTR, task)
    s.add_func("use", s.add_func_proto(integer, [("task", task + 1)]), linkage=0)
    return s


def kfunc_ids(*flags: int) -> Ids:
    return make_ids(set8s={"kfuncs": [("func", "use", flag) for flag in flags]})


@pytest.fixture(params=[False, True], ids=["through 6.19", "since 7.0"])
def base_file(request: pytest.FixtureRequest, run_dir: Path) -> Path:
    path = run_dir / "vmlinux.btf"
    path.write_bytes(kernel(is_sorted=request.param).to_bytes())
    return path


def run(base_file: Path, module: bytes, *options: str) -> Module:
    path = base_file.with_name("m.ko")
    path.write_bytes(module)
    assert main(["run", "--base", str(base_file), *options, str(path)]) == 0
    return Module(path.read_bytes(), str(path), find_base=lambda _: open_base(str(base_file)))


def names(btf: Btf | None) -> list[tuple[Kind, str]]:
    assert btf is not None
    return [(t.kind, t.name) for t in btf]


def test_a_kernel_tells_whether_it_sorts_its_types() -> None:
    assert sorts_types(kernel(is_sorted=True).build())
    assert not sorts_types(kernel(is_sorted=False).build())
    assert not sorts_types(make_base().build())


def test_no_type_of_the_kernel_is_repeated(
    base_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = repeating(open_btf(str(base_file)))

    made = run(base_file, make_module(btf=split.to_bytes(), ids=kfunc_ids(0)), "-v")

    assert made.btf is not None
    assert all(found.kind is not Kind.STRUCT for found in made.btf)
    assert "copies of the kernel's types left out: 1" in capsys.readouterr().out
    assert made.btf_base is not None
    assert (Kind.STRUCT, "task") in names(made.btf_base)


def test_ids_that_were_resolved_follow_their_types(base_file: Path) -> None:
    base = open_btf(str(base_file))
    split = repeating(base).build()
    image = Module(make_module(ids=kfunc_ids(0)), "m.ko").image
    ids = read_ids(image)
    assert ids is not None
    image.set_section(".BTF_ids", resolve_ids(ids, split).ids.to_bytes())
    image.set_section(".BTF", split.to_bytes())

    made = run(base_file, image.to_bytes(), "--distill", "never")

    assert made.btf is not None
    moved = read_ids(made.image)
    assert moved is not None
    assert moved.is_resolved
    assert ids_mismatch(moved, made.btf) is None
    assert (Kind.STRUCT, "task") not in names(made.btf)


def test_btf_that_repeats_nothing_is_left_as_it_is(run_dir: Path) -> None:
    base_file = run_dir / "vmlinux.btf"
    base_file.write_bytes(kernel(is_sorted=False).to_bytes())
    base = open_btf(str(base_file))
    s = BtfBuilder(base)
    s.add_string("unused")
    for _ in range(2):
        s.add_ref(Kind.CONST, 1)
    s.add_func("use", s.add_func_proto(1, [("task", 4)]), linkage=0)

    made = run(base_file, make_module(btf=s.to_bytes()), "--distill", "never")

    assert made.image.data(".BTF") == s.to_bytes()


def test_a_struct_that_differs_is_named_with_the_cause(
    base_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s = BtfBuilder(open_btf(str(base_file)))
    s.add_ref(Kind.PTR, s.add_composite(Kind.STRUCT, "task", 8, [("pid", 1, 0)]))
    s.add_func("use", s.add_func_proto(1, [("task", s.next_id - 1)]), linkage=0)

    run(base_file, make_module(btf=s.to_bytes(), ids=kfunc_ids(0)))

    said = capsys.readouterr().err
    assert "kfuncs take struct task that the kernel also has, but defines differently" in said
    assert "build it with the headers and the compiler of this kernel" in said


@pytest.mark.parametrize("ids", [kfunc_ids(0), None], ids=["kfuncs", "no kfuncs"])
def test_copies_that_were_distilled_before_are_warned_of(
    ids: Ids | None, base_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Kbuild of 7.2 leaves a module if its pahole cannot join types: its kfuncs are refused."""
    base = open_btf(str(base_file))
    s = BtfBuilder(base)
    s.add_ref(Kind.PTR, s.add_composite(Kind.STRUCT, "module", 64, [("pid", 1, 0)]))
    s.add_func("use", s.add_func_proto(1, [("owner", s.next_id - 1)]), linkage=0)
    small = distill(s.build())
    split, small_base = small.split.to_bytes(), small.base.to_bytes()

    run(base_file, make_module(btf=split, btf_base=small_base, ids=ids))

    said = capsys.readouterr().err
    assert ("repeats types of the kernel" in said) == (ids is not None)


def hidden(base: Btf) -> BtfBuilder:
    """A kfunc whose last argument the verifier passes."""
    aux = next(t.id for t in base if t.kind is Kind.STRUCT and t.name == "bpf_prog_aux")
    pointer = next(t.id for t in base if t.kind is Kind.PTR and t.type == aux)
    integer = next(t.id for t in base if t.kind is Kind.INT)
    s = BtfBuilder(base)
    s.add_composite(Kind.STRUCT, "mine", 4, [("n", integer, 0)])
    proto = s.add_func_proto(integer, [("n", integer), ("aux", pointer)])
    s.add_func("use", proto, linkage=0)
    return s


def test_implicit_arguments_are_hidden_where_the_kernel_wants_it(base_file: Path) -> None:
    base = open_btf(str(base_file))
    module = make_module(btf=hidden(base).to_bytes(), ids=kfunc_ids(IMPLICIT_ARGS | FASTCALL))

    made = run(base_file, module, "--distill", "never").btf

    assert made is not None
    use = next(t for t in made if t.kind is FUNC and t.name == "use")
    proto = made[use.size_or_type]
    if not sorts_types(base):
        assert len(proto.params) == 2
        assert names(made) == names(hidden(base).build())
        return
    assert [param.name for param in proto.params] == ["n"]
    impl = next(t for t in made if t.kind is FUNC and t.name == "use_impl")
    assert [param.name for param in made[impl.size_or_type].params] == ["n", "aux"]
    tags = {(t.name, t.type) for t in made if t.kind is Kind.DECL_TAG}
    assert tags == {("bpf_kfunc", use.id), ("bpf_fastcall", use.id), ("bpf_fastcall", impl.id)}
    assert [t.name for t in made] == sorted(t.name for t in made)


def test_a_second_run_changes_nothing(base_file: Path) -> None:
    base = open_btf(str(base_file))
    module = make_module(btf=hidden(base).to_bytes(), ids=kfunc_ids(IMPLICIT_ARGS))
    first = run(base_file, module).to_bytes()

    assert run(base_file, first).to_bytes() == first


def test_kfuncs_with_two_sets_of_flags_are_refused_where_the_kernel_wants_it(
    base_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = open_btf(str(base_file))
    ids = make_ids(set8s={"one": [("func", "use", 0)], "two": [("func", "use", 1)]})
    path = base_file.with_name("m.ko")
    path.write_bytes(make_module(btf=hidden(base).to_bytes(), ids=ids))

    code = main(["run", "--base", str(base_file), str(path)])

    assert code == (3 if sorts_types(base) else 0)
    assert ("inconsistent flags across BTF ID sets" in capsys.readouterr().err) == (code == 3)


def test_each_pass_can_be_left_out(base_file: Path) -> None:
    split = repeating(open_btf(str(base_file)))
    left_out = ("-p", "no:btf2btf", "-p", "no:sort_types", "--distill", "never")

    made = run(base_file, make_module(btf=split.to_bytes()), *left_out)

    assert made.image.data(".BTF") == split.to_bytes()
