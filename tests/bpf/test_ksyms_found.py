# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`kbtf ksyms`: weak externs, what tells a kfunc, and where nothing is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpf.externs import (
    A_FUNCTIONS,
    BAD,
    FLAVOURS,
    SIMPLE,
    VMLINUX_FUNCTIONS,
    WEAK,
    link_c,
    modules,
    target_of,
)
from bpf.objects import Function, compile_c, make_kmod, make_vmlinux
from kbtf import BtfBuilder, Kind, Severity, UsageError
from kbtf.bpf.kernel import make_target
from kbtf.bpf.ksyms import link
from kbtf.bpf.object import read_object
from kbtf.bpf.resolve import HIGHEST_FD_INDEX, FdArray, Loader, Status
from kbtf.testing import make_base

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("needs_clang")


def test_a_weak_call_is_poisoned_by_libbpf_and_cleared_by_a_light_skeleton(tmp_path: Path) -> None:
    target = target_of("a")
    rows = {}
    for loader in Loader:
        linking = link_c(WEAK, tmp_path / "o", target, loader)
        number = next(f.number for f in linking.resolutions if f.extern.name == "nowhere")
        rows[loader] = [(r.src_reg, r.imm, r.off) for r in linking.written[number] if r.is_call]
    assert rows[Loader.LIBBPF] == [(0, 2002000000 + 3, 0)]  # a_one, both, no_variable, nowhere
    assert rows[Loader.LIGHT] == [(2, 0, 0)]


NOWHERE = "extern u32 nowhere(u32 a) KSYM WEAK;\n"
UNTESTED = {
    "never": 'SEC("tc") int prog(void *ctx) { return nowhere(1); }',
    "afterwards": """
SEC("tc") int prog(void *ctx) { u32 a = nowhere(1); return nowhere ? a : 2; }
""",
    "tested": 'SEC("tc") int prog(void *ctx) { return nowhere ? nowhere(1) : 2; }',
    "tested by another function": """
static int NOINLINE has(void) { return nowhere != 0; }
SEC("tc") int prog(void *ctx) { return has() ? nowhere(1) : 2; }
""",
    "a constant": """
const volatile int has_it = 0;
SEC("tc") int prog(void *ctx) { return has_it ? nowhere(1) : 2; }
""",
}


@pytest.mark.parametrize("name", UNTESTED)
def test_a_missing_kfunc_must_be_tested_before_it_is_called(tmp_path: Path, name: str) -> None:
    compiled = compile_c(NOWHERE + UNTESTED[name], tmp_path / "o")
    bpf, target = read_object(compiled.read_bytes()), target_of("a")
    refused = [
        link(bpf, target, Loader.LIBBPF, strict=strict).is_refused_somewhere
        for strict in (False, True)
    ]

    expected = {"never": [True, True], "afterwards": [True, True], "a constant": [False, True]}
    assert refused == expected.get(name, [False, False])
    untested = {f.type: f.severity for f in link(bpf, target, Loader.LIBBPF).findings}
    severity = Severity.WARNING if name == "a constant" else Severity.ERROR
    assert untested.get("nowhere") == (severity if refused[1] else None)


def test_a_light_skeleton_looks_for_whole_names_and_compares_nothing(tmp_path: Path) -> None:
    linking = link_c(FLAVOURS, tmp_path / "o", target_of("a"), Loader.LIGHT)
    status = {found.extern.name: found.status for found in linking.resolutions}
    assert [name for name, s in status.items() if s is Status.RESOLVED] == ["a_one"]

    linking = link_c(BAD["an argument more"], tmp_path / "o", target_of("a"), Loader.LIGHT)
    assert linking.resolutions[0].status is Status.RESOLVED
    assert linking.findings[0].code == "prototype"


def test_a_typeless_extern_cannot_be_told(tmp_path: Path) -> None:
    text = 'extern const void some KSYM;\nSEC("tc") int p(void *c) { return (long)&some; }\n'
    linking = link_c(text, tmp_path / "o", target_of(), Loader.LIBBPF)

    assert linking.resolutions[0].status is Status.TYPELESS
    assert not linking.is_refused_somewhere
    assert linking.findings[0].code == "typeless"


def test_a_function_in_no_kfunc_set_is_refused(tmp_path: Path) -> None:
    text = 'extern u32 a_hidden(u32 a) KSYM;\nSEC("tc") int p(void *c) { return a_hidden(1); }\n'
    linking = link_c(text, tmp_path / "o", target_of("a"), Loader.LIBBPF)

    (found,) = linking.resolutions
    assert (found.status, found.is_kfunc, found.in_set) == (Status.RESOLVED, False, None)
    assert linking.is_refused_somewhere


def test_a_set_that_nobody_resolved_is_empty(tmp_path: Path) -> None:
    base = make_vmlinux()
    module = make_kmod("a", base, A_FUNCTIONS, resolved=False)
    linking = link_c(SIMPLE, tmp_path / "o", make_target(base, [module]), Loader.LIBBPF)

    assert linking.findings[0][1:4:2] == ("ids-unresolved", "a")
    by_name = {found.extern.name: found for found in linking.resolutions}
    assert by_name["a_one"].is_kfunc is False


def test_the_tags_of_vmlinux_tell_kfuncs(tmp_path: Path) -> None:
    base = make_vmlinux([Function("kernel_plain"), Function("everywhere")])
    tagged = BtfBuilder()
    for t in base.btf:
        tagged.add_copy(t)
    plain = base.btf.find("kernel_plain", Kind.FUNC)
    assert plain is not None
    tagged.add_decl_tag("bpf_kfunc", plain.id)
    target = make_target(base._replace(btf=tagged.build()), [])
    linking = link_c(SIMPLE, tmp_path / "o", target, Loader.LIBBPF)

    by_name = {found.extern.name: found.is_kfunc for found in linking.resolutions}
    assert by_name["kernel_plain"] is True
    assert by_name["everywhere"] is False
    untagged = link_c(SIMPLE, tmp_path / "o", make_target(base, []), Loader.LIBBPF)
    by_name = {found.extern.name: found.is_kfunc for found in untagged.resolutions}
    assert by_name["everywhere"] is None


def test_nothing_is_found_in_a_module_whose_btf_the_kernel_refuses(tmp_path: Path) -> None:
    other = make_vmlinux(VMLINUX_FUNCTIONS[::-1])
    old = BtfBuilder()
    for t in make_base(module_members=["btf_data"]).build():
        old.add_copy(t)
    too_old = make_vmlinux()._replace(btf=old.build())
    (module,) = modules("a")
    linking = link_c(SIMPLE, tmp_path / "o", make_target(too_old, [module]), Loader.LIBBPF)

    assert linking.resolutions[0].status is Status.FAILED
    assert linking.findings[0].text.startswith("module a: this kernel refuses its BTF: ")
    # the same module on another kernel that takes it has other ids
    elsewhere = make_target(other, [module])
    assert [m.name for m in elsewhere.modules] == ["a"]


def test_two_modules_of_one_name_cannot_be_loaded() -> None:
    with pytest.raises(UsageError, match="two modules a"):
        make_target(make_vmlinux(), modules("a", "a"))


@pytest.mark.parametrize(("number", "fits"), [(256, True), (257, False)])
@pytest.mark.parametrize("loader", Loader)
def test_a_program_calls_at_most_256_kfuncs(
    tmp_path: Path, number: int, fits: bool, loader: Loader
) -> None:
    names = [f"many_{at}" for at in range(number)]
    base = make_vmlinux()
    module = make_kmod("m", base, [Function(name) for name in names])
    text = "".join(f"extern u32 {name}(u32 a) KSYM;\n" for name in names)
    calls = "".join(f"a = {name}(a);" for name in names * 2)
    text += f'SEC("tc") int p(void *c) {{ u32 a = 1; {calls} return a; }}\n'
    linking = link_c(text, tmp_path / "o", make_target(base, [module]), loader)

    assert linking.is_refused_somewhere is not fits
    limit = next(limit for limit in linking.limits if limit.what == "kfuncs")
    assert (limit.used, limit.most, limit.is_exceeded) == (number, 256, not fits)
    offs = {row.off for rows in linking.written.values() for row in rows}
    # a light skeleton has room for 256 names; further ones lie where its maker finds place
    slots = {64 + at if at < 256 else None for at in range(number)}
    assert offs == ({1} if loader is Loader.LIBBPF else slots)


def test_the_highest_fd_index_is_32766() -> None:
    fds = FdArray()
    indices = [fds.index(f"module_{at}") for at in range(HIGHEST_FD_INDEX)]

    assert indices == list(range(1, 32767))
    assert fds.index("one more") is None
    assert fds.index("module_7") == 8
