# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Verdicts: what the kernel does with a module's BTF, and why, in words."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from check.loads import RELEASE, base, embedding, kernel, module_of, only, pointing
from kbtf import Btf, BtfBuilder, Kind, Module
from kbtf.check.result import BtfFate, Loading, Verdict
from kbtf.check.rules.load import judge
from kbtf.findings.finding import Severity
from kbtf.testing import make_base, make_ids, make_module

if TYPE_CHECKING:
    from pathlib import Path


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


def test_the_module_with_the_kernels_own_btf_is_left_alone() -> None:
    module = Module(make_module(name="btf_vmlinux", btf=base().to_bytes()), "btf_vmlinux.ko")

    result = judge(module, kernel(base().build()))

    assert (result.verdict, result.loading) == (Verdict.OK, Loading.LOADS)
    assert only(result).code == "kernel-btf"


def test_a_kind_that_nobody_knows_cannot_be_judged() -> None:
    target = base().build()
    strings = b"strange\0"
    types = struct.pack("<4I", target.end_str, 23 << 24 | 1, 0, 0)
    layout = bytes(4 * 23) + struct.pack("<BBH", 0, 4, 0)
    places = (0, len(types), len(types) + len(layout), len(strings), len(types), len(layout))
    btf = struct.pack("<HBB7I", 0xEB9F, 1, 0, 32, *places) + types + layout + strings

    result = judge(Module(make_module(btf=btf, release=RELEASE), "tiny.ko"), kernel(target))

    assert (result.verdict, result.btf) == (Verdict.UNKNOWN, BtfFate.UNKNOWN)
    assert result.loading is Loading.UNKNOWN
    assert only(result).code == "unknown-kind"
    assert "cannot judge kind 23" in only(result).text


@pytest.mark.parametrize(
    ("sign", "expected"),
    [("btf_enum64", "judged as 6.0 or later"), ("thing", "judged as an old one")],
)
def test_a_kernel_of_unknown_release_is_judged_by_signs_and_that_is_said(
    sign: str, expected: str
) -> None:
    target = base(add=lambda b: b.add_composite(Kind.STRUCT, sign, 12) if sign != "thing" else 0)
    unknown = kernel(target.build())._replace(name="raw.btf", release=None)

    result = judge(module_of(pointing(base())), unknown)

    assert result.verdict is Verdict.OK
    assert only(result).code == "judged-by-signs"
    assert expected in only(result).text
    assert "the release of raw.btf is not known" in only(result).text


def test_a_resized_embedded_struct_is_explained_with_its_member_and_both_sizes() -> None:
    result = judge(module_of(embedding(base(16))), kernel(base(24).build()))

    finding = only(result)
    assert finding.code == "embedded-resized"
    assert finding.type == "struct thing"
    assert "struct thing is embedded in struct mine (member 'things')" in finding.text
    assert f"16 bytes in the module, 24 in {RELEASE}" in finding.text


def test_extcon_core_against_an_older_kernel_is_explained(corpus: Path, corpus_base: Btf) -> None:
    old = Btf.parse((corpus / "base/6.12.115.btf").read_bytes())
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
    result = judge(module_of(pointing(base()), distilled=False), kernel(make_base().build()))

    assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.REFUSED)
    assert only(result).code == "stale"
    assert "name offset" in only(result).text


def test_a_distilled_base_that_was_removed_is_named() -> None:
    """As an initramfs or a package makes it that removes sections by name."""
    large = base()
    for number in range(100):
        large.add_composite(Kind.STRUCT, f"some_struct_of_the_kernel_{number}", 8)
    module = module_of(pointing(large))
    module.remove_section(".BTF.base")

    result = judge(Module(module.to_bytes()), kernel(large.build()))

    assert (result.verdict, only(result).code) == (Verdict.REJECTED, "base-removed")
    assert ".BTF.base was removed" in only(result).text


def test_plain_btf_that_fits_by_chance_is_misread() -> None:
    # Its names are then valid ones from the middle of others, which no kernel looks at.
    other = BtfBuilder(byte_order="little")
    other.add_int("char", 1)
    for member in make_base().build():
        other.add_copy(member, {1: 2})

    result = judge(module_of(pointing(base()), distilled=False), kernel(other.build()))

    assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.ACCEPTED)
    assert only(result).code == "misread"
    assert "type [" in only(result).text


def test_plain_btf_is_ok_on_its_own_kernel_and_doubted_on_another_release() -> None:
    module = module_of(pointing(base()), distilled=False)

    assert judge(module, kernel(base().build())).verdict is Verdict.OK
    result = judge(module, kernel(base().build(), release="6.12.1-test"))
    assert result.verdict is Verdict.WARNINGS
    assert only(result).code == "plain-other-release"


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


def test_a_refusal_is_named_after_any_number_of_warnings() -> None:
    s = pointing(base())
    for _ in range(100):
        s.add_func_proto(0, [("x", 0), ("y", 0)])
    s.add_fwd("")

    result = judge(module_of(s), kernel(base().build()))

    assert result.verdict is Verdict.REJECTED
    assert [f.code for f in result.findings] == ["rule", *["unchecked"] * 8]
