# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Split BTF that repeats, almost repeats and refers to its base, for deduplication to untangle.

One graph of types is written several times, each time in another order and with some types
changed: into the base, and into the split, whose types may also refer to those of the base.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from kbtf import Btf, BtfBuilder, Kind

Refs = dict[int, int]
"""Ids in BTF by node."""

LINKS = (Kind.PTR, Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG)
COMPOSITES = (Kind.STRUCT, Kind.UNION)
ENUMS = (Kind.ENUM, Kind.ENUM64)
KINDS = (
    *(Kind.INT, Kind.FLOAT, Kind.ARRAY, Kind.FWD, Kind.FUNC, *LINKS, *ENUMS, *ENUMS, Kind.UNION),
    *(Kind.PTR, Kind.PTR, Kind.TYPEDEF, Kind.TYPEDEF, Kind.FUNC_PROTO, Kind.FUNC_PROTO),
    *(Kind.STRUCT, Kind.STRUCT, Kind.STRUCT),
)
RARE = (*KINDS, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG)
UNNAMED = (*LINKS[:-1], Kind.ARRAY, Kind.FUNC_PROTO)
VOID = -1


@dataclass(frozen=True)
class Node:
    """A type of the graph; `refs` are other nodes, or void."""

    kind: Kind
    name: str = ""
    flag: bool = False
    size: int = 0
    refs: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()


def make_node(r: Random, kind: Kind, nr: int, names: list[str]) -> Node:
    """Any type of a kind that refers to any of *nr* nodes."""
    name = "" if kind in UNNAMED else r.choice(names)
    if kind in (*COMPOSITES, *ENUMS) and r.random() < 0.3:
        name = ""
    count = r.randrange(4) if kind in (*COMPOSITES, *ENUMS, Kind.FUNC_PROTO, Kind.DATASEC) else 0
    refs = {
        **dict.fromkeys((*ENUMS, Kind.INT, Kind.FLOAT, Kind.FWD), 0),
        **dict.fromkeys((*COMPOSITES, Kind.DATASEC), count),
        Kind.ARRAY: 2,
        Kind.FUNC_PROTO: count + 1,
    }
    labels = "XY" if kind in ENUMS else ("a", "b", "")
    return Node(
        kind,
        name,
        kind in (Kind.FWD, *ENUMS, Kind.TYPE_TAG) and r.random() < 0.2,
        r.choice((4, 4, 8)),
        tuple(r.randrange(VOID, nr) for _ in range(refs.get(kind, 1))),
        tuple(r.choice(labels) for _ in range(count)),
        tuple(r.randrange(2) for _ in range(count or 1)),
    )


def settle(r: Random, nodes: list[Node]) -> list[Node]:
    """Let cycles go through structs and typedefs, and a FUNC have a FUNC_PROTO."""
    protos = [at for at, node in enumerate(nodes) if node.kind is Kind.FUNC_PROTO]
    out = []
    for at, node in enumerate(nodes):
        if node.kind is Kind.FUNC:
            changed = {"refs": (r.choice(protos),)} if protos else {"kind": Kind.PTR, "name": ""}
            node = replace(node, **changed)
        if node.kind not in (*COMPOSITES, Kind.TYPEDEF, Kind.FUNC) and r.random() > 0.01:
            refs = (
                ref if ref < at or nodes[ref].kind in COMPOSITES else r.randrange(VOID, at)
                for ref in node.refs
            )
            node = replace(node, refs=tuple(refs))
        out.append(node)
    return out


def change(r: Random, nodes: list[Node], names: list[str], share: float) -> list[Node]:
    """The graph with a *share* of its types replaced, declared only, or turned elsewhere."""
    out = []
    for node in nodes:
        if r.random() < share:
            way = r.randrange(5)
            if way == 0:
                node = make_node(r, node.kind, len(nodes), names)
            elif way == 1 and node.kind in COMPOSITES and node.name:
                node = Node(Kind.FWD, node.name, node.kind is Kind.UNION)
            elif way == 2 and node.kind in ENUMS:
                node = Node(node.kind, node.name, size=4)
            elif way == 3 and node.refs:
                node = replace(node, refs=(r.randrange(VOID, len(nodes)), *node.refs[1:]))
            elif way == 4:
                node = make_node(r, r.choice(RARE), len(nodes), names)
        out.append(node)
    return settle(r, out)


def add(b: BtfBuilder, node: Node, ids: list[int]) -> None:
    """Write one type that refers to *ids*."""
    labels = [b.add_string(label) for label in node.labels] if node.labels else []
    words: list[int] = []
    size_or_type = node.size
    vlen = len(node.labels)
    match node.kind:
        case Kind.STRUCT | Kind.UNION:
            step = 0 if node.kind is Kind.UNION else 32
            for at, (label, ref) in enumerate(zip(labels, ids, strict=True)):
                words += (label, ref, at * step)
        case Kind.ENUM | Kind.ENUM64:
            high = (0,) if node.kind is Kind.ENUM64 else ()
            for label, number in zip(labels, node.numbers, strict=False):
                words += (label, number, *high)
        case Kind.FUNC_PROTO:
            size_or_type = ids[0]
            for label, ref in zip(labels, ids[1:], strict=True):
                words += (label, ref)
        case Kind.DATASEC:
            for at, ref in enumerate(ids):
                words += (ref, 4 * at, 4)
        case Kind.ARRAY:
            words, vlen, size_or_type = [*ids, 1 + node.numbers[0]], 0, 0
        case Kind.INT:
            words, vlen = [node.numbers[0] << 24 | 32], 0
        case Kind.VAR | Kind.DECL_TAG:
            words, vlen, size_or_type = [node.numbers[0]], 0, ids[0]
        case Kind.FWD | Kind.FLOAT:
            size_or_type = node.size if node.kind is Kind.FLOAT else 0
        case _:
            size_or_type = ids[0]
    b.add(
        node.kind,
        node.name,
        vlen=vlen,
        kind_flag=node.flag,
        size_or_type=size_or_type,
        words=words,
    )


def write_copy(
    r: Random, b: BtfBuilder, nodes: list[Node], known: list[Refs], reuse: float
) -> Refs:
    """Write some of the types in some order; the ids that they got.

    A reference goes to this copy, with the chance *reuse* to one of the *known* ones.
    """
    order = list(range(len(nodes)))
    if r.random() < 0.6:
        r.shuffle(order)
    if r.random() < 0.5:
        order = order[: r.randrange(1, len(order) + 1)]
    own = {at: b.next_id + nr for nr, at in enumerate(order)}
    protos = [own[at] for at in order if nodes[at].kind is Kind.FUNC_PROTO]

    def find(ref: int) -> int:
        if ref == VOID:
            return 0
        if known and r.random() < reuse:
            return r.choice(known).get(ref) or find(ref)
        if ref in own:
            return own[ref]
        return next((ids[ref] for ids in known if ref in ids), r.choice(list(own.values())))

    for at in order:
        node = nodes[at]
        if node.kind is Kind.FUNC and not protos:
            node = Node(Kind.FLOAT, node.name, size=8)
        ids = [r.choice(protos)] if node.kind is Kind.FUNC else [find(ref) for ref in node.refs]
        add(b, node, ids)
    return own


def tangled(seed: int, byte_order: str | None = None) -> Btf:
    """Split BTF on a base of its own; each seed has another."""
    r = Random(seed)  # noqa: S311 - for tests
    names = ["s", "t", "u", "v", "w"][: r.choice((1, 2, 3, 5))]
    nr = r.randrange(1, r.choice((4, 8, 20, 40)))
    nodes = settle(r, [make_node(r, r.choice(KINDS), nr, names) for _ in range(nr)])
    base = BtfBuilder(byte_order=byte_order)
    known: list[Refs] = []
    changed = r.choice((0, 0.1, 0.3))
    for _ in range(r.choice((0, 1, 1, 1, 2, 3))):
        known.append(write_copy(r, base, change(r, nodes, names, changed), [], 0))
    split = BtfBuilder(base.build())
    if r.random() < 0.2:
        split.add_string("used by no type")
    changed, reuse = r.choice((0, 0.05, 0.2, 0.5)), r.choice((0, 0, 0.1, 0.5))
    for _ in range(r.choice((1, 1, 2, 3, 6))):
        write_copy(r, split, change(r, nodes, names, changed), known, reuse)
    return split.build()
