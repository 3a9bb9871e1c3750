# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Why types are in a distilled base: ways to them, and which sizes are pinned."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, BtfBuilder, BtfError, Kind, RelocationError, distill, relocate
from kbtf.check.explain import explain, why_absent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kbtf.check.explain import Explanation


class Kernel:
    """A kernel's BTF in the making, and the ids of its types."""

    def __init__(self) -> None:
        b = BtfBuilder()
        self.int = b.add_int("int", 4, encoding=1)
        self.device = b.add_composite(Kind.STRUCT, "device", 16, [("power", self.int, 0)])
        self.union = b.add_composite(Kind.UNION, "value", 8, [("all", self.int, 0)])
        self.enum = b.add_enum("state", 4, [("ON", 1)])
        self.fwd = b.add_fwd("hidden")
        self.device_ptr = b.add_ref(Kind.PTR, self.device)
        self.device_t = b.add_ref(Kind.TYPEDEF, self.device, "device_t")
        self.pair = b.add_composite(
            Kind.STRUCT, "", 24, [("first", self.device, 0), ("second", self.int, 128)]
        )
        self.pair_t = b.add_ref(Kind.TYPEDEF, self.pair, "pair_t")
        self.btf = b.build()
        self.split = BtfBuilder(self.btf)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def only(split: Btf, wanted: str) -> Explanation:
    (found,) = explain(split, wanted)
    return found


def test_a_function_leads_to_what_its_parameters_point_to(kernel: Kernel) -> None:
    s = kernel.split
    s.add_func("probe", s.add_func_proto(kernel.int, [("pdev", kernel.device_ptr)]))

    assert [str(found) for found in explain(s.build())] == [
        "int (4 bytes, size always compared): func probe -> result -> int",
        "struct device (16 bytes): func probe -> parameter 'pdev' -> ptr -> struct device",
    ]


def test_a_struct_that_holds_a_type_by_value_pins_its_size(kernel: Kernel) -> None:
    s = kernel.split
    s.add_composite(Kind.STRUCT, "priv", 16, [("dev", kernel.device, 0)])

    found = only(s.build(), "struct device")

    assert str(found) == (
        "struct device (16 bytes, size pinned): struct priv -> member 'dev' -> struct device"
    )
    assert [str(pin) for pin in found.pins] == ["member 'dev' of struct priv"]
    assert found.pinned


def wrapped(s: BtfBuilder, type_id: int) -> int:
    for kind in (Kind.CONST, Kind.VOLATILE):
        type_id = s.add_ref(kind, type_id)
    for kind in (Kind.TYPEDEF, Kind.TYPE_TAG):
        type_id = s.add_ref(kind, type_id, "alias")
    return s.add_array(type_id, 1, 2)


USES: dict[str, tuple[bool, Callable[[Kernel, BtfBuilder], object]]] = {
    "wrapped": (
        True,
        lambda k, s: s.add_composite(Kind.UNION, "u", 64, [("m", wrapped(s, k.device), 0)]),
    ),
    "pointer": (
        False,
        lambda k, s: s.add_composite(Kind.STRUCT, "p", 8, [("m", k.device_ptr, 0)]),
    ),
    "kernel's typedef": (
        True,
        lambda k, s: s.add_composite(Kind.STRUCT, "p", 16, [("m", k.device_t, 0)]),
    ),
    "variable": (False, lambda k, s: s.add_var("v", k.device)),
    "parameter": (False, lambda k, s: s.add_func("f", s.add_func_proto(0, [("d", k.device)]))),
    "typedef alone": (False, lambda k, s: s.add_ref(Kind.TYPEDEF, k.device, "mine")),
}


@pytest.mark.parametrize("use", USES)
def test_only_members_pin_a_size_through_everything_but_a_pointer(kernel: Kernel, use: str) -> None:
    pins, add = USES[use]
    add(kernel, kernel.split)
    found = only(kernel.split.build(), "device")

    assert found.pinned is pins
    assert found.chain[-1] == "struct device"


def test_a_member_of_a_nameless_struct_is_told_by_its_path(kernel: Kernel) -> None:
    s = kernel.split
    inner = s.add_composite(Kind.STRUCT, "", 16, [("dev", kernel.device, 0)])
    nameless = s.add_composite(Kind.UNION, "", 16, [("in", inner, 0)])
    s.add_composite(Kind.STRUCT, "outer", 40, [("a", nameless, 0), ("", kernel.pair, 128)])

    found = only(s.build(), "device")

    # the nameless types of the kernel come last, where distilling puts them
    assert [str(pin) for pin in found.pins] == [
        "member 'a.in.dev' of struct outer",
        "member 'first' of struct outer",
    ]


def test_a_typedef_names_a_nameless_struct(kernel: Kernel) -> None:
    s = kernel.split
    s.add_var("table", s.add_array(kernel.pair_t, kernel.int, 3))

    found = only(s.build(), "device")

    assert [str(pin) for pin in found.pins] == ["member 'first' of typedef pair_t"]
    assert " -> ".join(found.chain) == (
        "var table -> array of 3 -> typedef pair_t -> anonymous struct -> member 'first' -> "
        "struct device"
    )


def test_declarations_enums_and_unions_have_their_keywords(kernel: Kernel) -> None:
    s = kernel.split
    members = [
        ("hidden", s.add_ref(Kind.PTR, kernel.fwd), 0),
        ("state", kernel.enum, 64),
        ("value", kernel.union, 128),
    ]
    s.add_composite(Kind.STRUCT, "priv", 24, members)

    texts = {str(found).partition(":")[0] for found in explain(s.build())}

    assert texts == {
        "struct hidden (declared only)",
        "enum state (4 bytes, size always compared)",
        "union value (8 bytes, size pinned)",
    }


def test_the_shortest_way_wins_and_functions_before_structs(kernel: Kernel) -> None:
    s = kernel.split
    s.add_composite(Kind.STRUCT, "priv", 8, [("dev", kernel.device_ptr, 0)])
    proto = s.add_func_proto(0, [("dev", kernel.device_ptr)])
    s.add_composite(Kind.STRUCT, "ops", 8, [("probe", s.add_ref(Kind.PTR, proto), 0)])
    s.add_func("probe", proto)

    assert only(s.build(), "device").chain[0] == "func probe"


def test_what_only_local_variables_use_is_explained_too(kernel: Kernel) -> None:
    s = kernel.split
    s.add_ref(Kind.CONST, s.add_ref(Kind.PTR, kernel.device))

    assert only(s.build(), "device").chain == ("const", "ptr", "struct device")


def test_a_ring_that_nothing_leads_into_is_explained_too(kernel: Kernel) -> None:
    s = kernel.split
    at = s.next_id
    s.add_composite(Kind.STRUCT, "", 16, [("d", kernel.device_ptr, 0), ("me", at + 1, 64)])
    s.add_ref(Kind.PTR, at)

    assert only(s.build(), "device").chain[-1] == "struct device"


def test_a_pinned_type_that_nothing_refers_to() -> None:
    b = BtfBuilder()
    b.add_int("int", 4, encoding=1)
    s = BtfBuilder(b.build())
    s.add_composite(Kind.STRUCT, "own", 8)

    (found,) = explain(s.build())

    assert str(found) == "int (4 bytes, size always compared): nothing refers to it"


def test_a_distilled_module_is_explained_as_it_was_before(corpus: Path, corpus_base: Btf) -> None:
    plain = Btf.parse((corpus / "split" / "ixgbe.btf").read_bytes(), corpus_base)

    assert explain(distill(plain).split) == explain(plain)


def test_names_with_and_without_keyword(kernel: Kernel) -> None:
    s = kernel.split
    s.add_composite(Kind.STRUCT, "priv", 16, [("dev", kernel.device, 0)])
    s.add_ref(Kind.TYPEDEF, s.add_ref(Kind.PTR, kernel.pair), "mine")
    split = s.build()

    assert [t.type for t in explain(split, "device")] == ["struct device"]
    assert [t.type for t in explain(split, "struct device")] == ["struct device"]
    assert explain(split, "union device") == []
    assert explain(split, "priv") == []
    assert why_absent(split, "struct priv") == "it is in the module's .BTF itself, as STRUCT"
    assert why_absent(split, "mine") == "it is in the module's .BTF itself, as TYPEDEF"
    assert "does not refer to it" in why_absent(split, "value")


def test_a_base_is_refused(kernel: Kernel) -> None:
    with pytest.raises(BtfError, match="not split BTF"):
        explain(kernel.btf)


def test_long_chains_are_cut_and_do_not_exhaust_the_stack(kernel: Kernel) -> None:
    s = kernel.split
    at = kernel.device
    for _ in range(20_000):
        at = s.add_ref(Kind.CONST, at)
    s.add_var("deep", at)

    found = only(s.build(), "device")

    assert found.chain[0] == "var deep"
    assert re.fullmatch(r"19\d+ more", found.chain[1])
    assert found.chain[-2:] == ("const", "struct device")
    assert len(found.chain) < 50


def test_sizes_are_pinned_where_relocation_refuses_another_size(
    corpus: Path, corpus_base: Btf
) -> None:
    modules = sorted((corpus / "split").glob("*.btf"))
    assert len(modules) == 35
    for path in modules:
        split = distill(Btf.parse(path.read_bytes(), corpus_base)).split
        base = split.base
        assert base is not None
        explained = {found.id: found for found in explain(split)}
        assert explained.keys() == {t.id for t in base}
        for t in base:
            assert explained[t.id].chain, (path, t)
            if t.kind not in (Kind.STRUCT, Kind.UNION):
                continue
            grown = BtfBuilder()
            for other in base:
                more = 8 if other.id == t.id else 0
                grown.add_copy(other._replace(size_or_type=other.size_or_type + more))
            assert explained[t.id].pinned is refuses(split, grown.build(), t.id), (path, t)


def refuses(split: Btf, target: Btf, type_id: int) -> bool:
    try:
        relocate(split, target)
    except RelocationError as error:
        return error.type_id == type_id
    return False


@pytest.mark.integration
def test_extcon_pins_device_type_where_bpftool_sees_it(
    corpus: Path, corpus_base: Btf, bpftool: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base.btf"
    base.write_bytes(corpus_base.to_bytes())
    path = corpus / "split" / "extcon-core.btf"
    command = [str(bpftool), "-B", str(base), "btf", "dump", "file", str(path), "format", "raw"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wanted = corpus_base.find("device_type", Kind.STRUCT)
    assert wanted is not None
    holders = [
        (head[1], member)
        for block in re.split(r"^(?=\[)", text, flags=re.MULTILINE)
        if (head := re.match(r"\[\d+\] STRUCT '(\w+)'", block))
        for member in re.findall(rf"'(\w+)' type_id={wanted.id} ", block)
    ]

    found = only(Btf.parse(path.read_bytes(), corpus_base), "struct device_type")

    assert [(pin.owner, pin.member) for pin in found.pins] == [
        (f"struct {owner}", member) for owner, member in holders
    ]
    assert holders == [("extcon_dev", "extcon_dev_type")]
    assert found.size == wanted.size == 56
