# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The BTF-to-BTF step: what resolve_btfids of 7.3 makes of kfuncs."""

from __future__ import annotations

from kbtf import BtfBuilder, Kfuncs, Kind, Module, deduplicate, read_ids, sort_types
from kbtf import transform_kfuncs as transform
from kbtf.btf.dump.raw import dump_raw
from kbtf.testing.modules import make_base, make_ids, make_module

ARENA_RET, ARENA_ARG1, ARENA_ARG2, IMPLICIT_ARGS = (1 << bit for bit in (13, 14, 15, 16))

# What resolve_btfids of 7.3.4 printed as M.ko.BTF for the types below.
EXPECTED = """\
[4] PTR '(anon)' type_id=3
[5] PTR '(anon)' type_id=17
[6] FUNC_PROTO '(anon)' ret_type_id=5 vlen=3
	'p' type_id=5
	'q' type_id=5
	'aux' type_id=4
[7] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
	'p__arena' type_id=5
	'n' type_id=1
[8] FUNC_PROTO '(anon)' ret_type_id=5 vlen=2
	'p' type_id=5
	'q' type_id=5
[9] PTR '(anon)' type_id=12
[10] FUNC_PROTO '(anon)' ret_type_id=9 vlen=2
	'p' type_id=9
	'q' type_id=9
[11] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
	'p__arena' type_id=9
	'n' type_id=1
[12] TYPE_TAG 'address_space(1)' type_id=17
[13] FUNC 'both' type_id=10 linkage=static
[14] FUNC 'both_impl' type_id=6 linkage=static
[15] DECL_TAG 'bpf_kfunc' type_id=13 component_idx=-1
[16] DECL_TAG 'bpf_kfunc' type_id=18 component_idx=-1
[17] STRUCT 'mine' size=4 vlen=1
	'n' type_id=1 bits_offset=0
[18] FUNC 'named' type_id=11 linkage=static
"""


def test_implicit_and_arena_arguments_are_treated_as_resolve_btfids_treats_them() -> None:
    base = make_base()
    base.add_composite(Kind.STRUCT, "bpf_prog_aux", 8)
    s = BtfBuilder(base.build())
    aux = s.add_ref(Kind.PTR, 3)
    mine = s.add_composite(Kind.STRUCT, "mine", 4, [("n", 1, 0)])
    one, other = s.add_ref(Kind.PTR, mine), s.add_ref(Kind.PTR, mine)
    both = s.add_func_proto(one, [("p", one), ("q", other), ("aux", aux)])
    s.add_func("both", both, linkage=0)
    s.add_func("named", s.add_func_proto(1, [("p__arena", one), ("n", 1)]), linkage=0)
    flags = ARENA_RET | ARENA_ARG1 | ARENA_ARG2 | IMPLICIT_ARGS
    kfuncs = [("func", "both", flags), ("func", "named", 0)]
    ids = read_ids(Module(make_module(ids=make_ids(set8s={"kfuncs": kfuncs}))).image)
    assert ids is not None

    made = sort_types(deduplicate(transform(Kfuncs(s.build(), ids))))

    assert "".join(dump_raw(made)) == EXPECTED
