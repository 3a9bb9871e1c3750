"""Verdicts: what the kernel does with a module's BTF, and why, in words."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, BtfBuilder, Kind, Module, distill, read_ids, resolve_ids
from kbtf.btf.rules import OLDEST
from kbtf.btf.support import module_btf_support
from kbtf.check.judge import judge
from kbtf.check.kernel import Kernel
from kbtf.check.model import BtfFate, Loading, Severity, Verdict
from kbtf.testing import ElfSymbol, make_base, make_ids, make_module, write_elf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kbtf.check.model import Finding, Result
    from kbtf.testing import Ids

RULES = OLDEST._replace(max_kind=Kind.ENUM64, name_len=512)
RELEASE = "6.12.0-test"


def kernel(btf: Btf, *, release: str = RELEASE, allow_mismatch: bool | None = True) -> Kernel:
    support = module_btf_support(btf)
    return Kernel(release, "vmlinux", release, btf, support, RULES, allow_mismatch)


def base(size: int = 16, *, add: Callable[[BtfBuilder], object] | None = None) -> BtfBuilder:
    """int [1], struct module [2], struct thing [3]."""
    b = make_base()
    b.add_composite(Kind.STRUCT, "thing", size)
    if add:
        add(b)
    return b


def module_of(split: BtfBuilder, *, distil: bool = True, ids: Ids | None = None) -> Module:
    """A module with that split BTF; *ids* resolved against what it carries."""
    btf = split.build()
    made = distill(btf) if distil else None
    if ids is not None:
        read = read_ids(Module(make_module(ids=ids)).image)
        assert read is not None
        ids = ids._replace(data=resolve_ids(read, made.split if made else btf).ids.to_bytes())
    data = make_module(
        btf=made.split.to_bytes() if made else btf.to_bytes(),
        btf_base=made.base.to_bytes() if made else None,
        ids=ids,
        release=RELEASE,
    )
    return Module(data, "tiny.ko")


def pointing(b: BtfBuilder) -> BtfBuilder:
    """A module with a pointer to struct thing."""
    s = BtfBuilder(b.build())
    s.add_func("use", s.add_func_proto(1, [("thing", s.add_ref(Kind.PTR, 3))]))
    return s


def embedding(b: BtfBuilder) -> BtfBuilder:
    """A module with struct thing in a struct of its own, behind a typedef and an array."""
    s = BtfBuilder(b.build())
    array = s.add_array(s.add_ref(Kind.TYPEDEF, 3, "thing_t"), 1, 2)
    s.add_composite(Kind.STRUCT, "mine", 40, [("count", 1, 0), ("things", array, 64)])
    return s


def only(result: Result) -> Finding:
    (finding,) = (f for f in result.findings if f.code != "kfuncs-lost")
    return finding


def test_a_distilled_module_is_ok_where_all_types_are_found() -> None:
    shifted = base(add=lambda b: b.add_int("more", 8))
    module = module_of(pointing(base()), ids=make_ids(set8s={"k": [("func", "use", 0)]}))

    result = judge(module, kernel(shifted.build()))

    assert (result.verdict, result.btf, result.loading) == (
        Verdict.OK,
        BtfFate.ACCEPTED,
        Loading.LOADS,
    )
    assert result.findings == ()


@pytest.mark.parametrize(
    ("allow", "loading"),
    [
        (True, Loading.LOADS_WITHOUT_BTF),
        (False, Loading.FAILS),
        (None, Loading.DEPENDS),
    ],
)
def test_what_a_refusal_does_to_the_module_depends_on_the_configuration(
    allow: bool | None, loading: Loading
) -> None:
    result = judge(module_of(embedding(base())), kernel(base(24).build(), allow_mismatch=allow))

    assert (result.verdict, result.btf, result.loading) == (
        Verdict.REJECTED,
        BtfFate.REFUSED,
        loading,
    )


def test_a_resized_embedded_struct_is_explained_with_its_member_and_both_sizes() -> None:
    result = judge(module_of(embedding(base(16))), kernel(base(24).build()))

    finding = only(result)
    assert finding.code == "embedded-resized"
    assert finding.type == "struct thing"
    assert "struct thing is embedded in struct mine (member 'things')" in finding.text
    assert f"16 bytes in the module, 24 in {RELEASE}" in finding.text


def test_extcon_core_against_an_older_kernel_is_explained(corpus: Path, corpus_base: Btf) -> None:
    old = Btf.parse(lzma.decompress((corpus / "base/6.12.115.btf.xz").read_bytes()))
    distilled = corpus / "distilled/extcon-core"
    data = make_module(
        "extcon_core",
        btf=distilled.with_suffix(".split").read_bytes(),
        btf_base=distilled.with_suffix(".base").read_bytes(),
    )
    module = Module(data, "extcon-core.ko")

    finding = only(judge(module, kernel(old, release="6.12.115")))

    assert finding.code == "embedded-resized"
    assert finding.text.startswith("struct device_type is embedded in struct extcon_dev (member '")
    assert finding.text.endswith("and is 56 bytes in the module, 48 in 6.12.115")
    assert judge(module, kernel(corpus_base)).verdict is Verdict.OK


def test_a_type_that_is_gone_is_unmapped() -> None:
    finding = only(judge(module_of(pointing(base())), kernel(make_base().build())))

    assert finding.code == "unmapped"
    assert finding.text == f"{RELEASE} has no struct thing, which the module refers to"


@pytest.mark.parametrize("union", [False, True])
def test_a_declaration_that_became_a_definition_is_a_quirk_of_the_matching(union: bool) -> None:
    b = make_base()
    b.add_fwd("thing", union=union)
    s = BtfBuilder(b.build())
    s.add_ref(Kind.PTR, 3)
    defined = make_base()
    kind, bits = (Kind.UNION, 0) if union else (Kind.STRUCT, 3)
    defined.add_composite(kind, "thing", 8, [("a", 1, 0, bits)])

    result = judge(module_of(s), kernel(defined.build()))

    assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.REFUSED)
    assert only(result).code == "matcher-quirk"
    assert "only declared" in only(result).text


def test_two_types_that_fit_are_ambiguous() -> None:
    twice = base(add=lambda b: b.add_composite(Kind.STRUCT, "thing", 16))

    finding = only(judge(module_of(pointing(base())), kernel(twice.build())))

    assert finding.code == "ambiguous"
    assert "struct thing [3] and struct thing [4]" in finding.text


def test_a_resized_struct_behind_a_pointer_is_a_note() -> None:
    result = judge(module_of(pointing(base())), kernel(base(24).build()))

    assert result.verdict is Verdict.OK
    assert only(result).severity is Severity.NOTE
    assert only(result).code == "resized-behind-pointer"


def test_a_resized_struct_by_value_outside_of_structs_is_warned_of() -> None:
    s = BtfBuilder(base().build())
    s.add_func("take", s.add_func_proto(0, [("it", 3)]))

    result = judge(module_of(s), kernel(base(24).build()))

    assert (result.verdict, result.btf) == (Verdict.WARNINGS, BtfFate.ACCEPTED)
    assert only(result).code == "by-value-resized"
    assert "parameter 'it'" in only(result).text


def test_a_struct_that_became_a_union_is_warned_of() -> None:
    b = make_base()
    b.add_composite(Kind.UNION, "thing", 16)

    result = judge(module_of(pointing(base())), kernel(b.build()))

    assert (result.verdict, result.btf) == (Verdict.WARNINGS, BtfFate.ACCEPTED)
    assert only(result).code == "kind-changed"
    assert "struct thing is union thing" in only(result).text


def test_an_old_kernel_cannot_relocate() -> None:
    old = make_base(module_members=("btf_data",))
    result = judge(module_of(pointing(base())), kernel(old.build()))

    assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.REFUSED)
    assert only(result).code == "too-old"


def test_a_kernel_without_module_btf_ignores_it() -> None:
    none = make_base(module_members=("name",))
    result = judge(module_of(pointing(base())), kernel(none.build()))

    assert (result.verdict, result.btf, result.loading) == (
        Verdict.OK,
        BtfFate.IGNORED,
        Loading.LOADS,
    )


def test_plain_btf_of_another_vmlinux_is_stale_and_says_how_that_shows() -> None:
    result = judge(module_of(pointing(base()), distil=False), kernel(make_base().build()))

    assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.REFUSED)
    assert only(result).code == "stale"
    assert "name offset" in only(result).text


def test_plain_btf_that_fits_by_chance_is_misread() -> None:
    # Its names are then valid ones from the middle of others, which no kernel looks at.
    other = BtfBuilder(byte_order="little")
    other.add_int("char", 1)
    for member in make_base().build():
        other.add_copy(member, {1: 2})

    result = judge(module_of(pointing(base()), distil=False), kernel(other.build()))

    assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.ACCEPTED)
    assert only(result).code == "misread"
    assert "type [" in only(result).text


def test_a_kfunc_set_with_what_is_no_function_makes_the_init_fail() -> None:
    ids = make_ids(set8s={"k": [("func", "use", 0)]})
    fine = module_of(pointing(base()), ids=ids)
    data = fine.image.data(".BTF_ids") or b""
    wrong = ids._replace(data=data[:8] + b"\x01\0\0\0" + data[12:])
    module = Module(
        make_module(btf=fine.image.data(".BTF"), btf_base=fine.image.data(".BTF.base"), ids=wrong)
    )

    result = judge(module, kernel(base().build()))

    assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.ACCEPTED)
    assert result.loading is Loading.DEPENDS_ON_INIT
    assert only(result).code == "ids-no-func"


def test_an_unresolved_kfunc_in_a_set_makes_the_init_fail() -> None:
    ids = make_ids(set8s={"k": [("func", "use", 0), ("func", "absent", 0)]})

    result = judge(module_of(pointing(base()), ids=ids), kernel(base().build()))

    assert (result.verdict, result.loading) == (Verdict.REJECTED, Loading.DEPENDS_ON_INIT)
    assert only(result).code == "ids-no-func"
    assert "set k has an unresolved kfunc" in only(result).text


def test_kfuncs_are_known_by_their_registration_where_symbols_are_stripped() -> None:
    registers = ElfSymbol("register_btf_kfunc_id_set", None)
    data = write_elf({".modinfo": b"name=tiny\0"}, (registers,))

    result = judge(Module(data), kernel(base().build()))

    assert (result.verdict, only(result).code) == (Verdict.REJECTED, "no-btf")


def test_a_copy_of_a_kernel_struct_under_a_kfunc_is_warned_of() -> None:
    s = BtfBuilder(base().build())
    copy = s.add_composite(Kind.STRUCT, "thing", 16, [("own", 1, 0)])
    s.add_func("use", s.add_func_proto(1, [("thing", s.add_ref(Kind.PTR, copy))]))
    ids = make_ids(set8s={"k": [("func", "use", 0)]})

    result = judge(module_of(s, ids=ids), kernel(base().build()))

    assert result.verdict is Verdict.WARNINGS
    assert only(result).code == "own-copy"
    assert only(result).text.startswith("struct thing of kfunc use is the module's own copy")


def test_plain_btf_is_ok_on_its_own_kernel_and_doubted_on_another_release() -> None:
    module = module_of(pointing(base()), distil=False)

    assert judge(module, kernel(base().build())).verdict is Verdict.OK
    result = judge(module, kernel(base().build(), release="6.12.1-test"))
    assert result.verdict is Verdict.WARNINGS
    assert only(result).code == "plain-other-release"


def test_kfunc_sets_without_btf_are_an_error_and_a_module_without_both_is_ok() -> None:
    ids = make_ids(set8s={"k": [("func", "use", 0)]})

    with_ids = judge(Module(make_module(ids=ids)), kernel(base().build()))
    without = judge(Module(make_module()), kernel(base().build()))

    assert (with_ids.verdict, with_ids.btf) == (Verdict.REJECTED, BtfFate.NONE)
    assert with_ids.loading is Loading.LOADS
    assert (without.verdict, without.btf) == (Verdict.OK, BtfFate.NONE)


def test_ids_that_are_unresolved_or_of_another_base_are_errors_of_their_own() -> None:
    ids = make_ids(set8s={"k": [("func", "use", 0)]})
    fine = module_of(pointing(base()), ids=ids)
    unresolved = Module(
        make_module(btf=fine.image.data(".BTF"), btf_base=fine.image.data(".BTF.base"), ids=ids)
    )
    wrong = Module(
        make_module(
            btf=fine.image.data(".BTF"),
            btf_base=fine.image.data(".BTF.base"),
            ids=ids._replace(data=ids.data[:8] + b"\x01\0\0\0" + ids.data[12:]),
        )
    )

    for module, code in ((unresolved, "ids-unresolved"), (wrong, "ids-no-func")):
        result = judge(module, kernel(base().build()))
        assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.ACCEPTED)
        assert only(result).code == code


def test_a_list_that_the_kernel_does_not_relocate_is_warned_of() -> None:
    ids = make_ids(lists={"mine": [("func", "use")]})

    result = judge(module_of(pointing(base()), ids=ids), kernel(base().build()))

    assert result.verdict is Verdict.WARNINGS
    assert only(result).code == "ids-list"


def test_an_empty_distilled_base_is_refused() -> None:
    s = BtfBuilder(base().build())
    s.add_composite(Kind.STRUCT, "own", 8)

    result = judge(module_of(s), kernel(base().build()))

    assert result.verdict is Verdict.REJECTED
    assert only(result).code == "rule"
    assert "empty" in only(result).text


def test_what_the_kernel_refuses_by_its_rules_is_named() -> None:
    s = pointing(base())
    s.add_float("odd", 3)

    result = judge(module_of(s), kernel(base().build()))

    assert result.verdict is Verdict.REJECTED
    assert only(result).text.endswith("FLOAT has 3 bytes")
