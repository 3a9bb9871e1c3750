# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`kbtf ksyms`, offline, beside libbpf's own code, which is made to run without a kernel."""

from __future__ import annotations

import json
import random
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from bpf.objects import Function, btf_of, compile_c, make_kmod, make_vmlinux
from conftest import missing
from kbtf import BtfBuilder, BtfError, ElfError, ElfImage, KbtfError, Kind, UsageError
from kbtf.bpf.kernel import make_target
from kbtf.bpf.ksyms import Linking, link
from kbtf.bpf.object import read_object
from kbtf.bpf.proto import declaration, difference, essential_name
from kbtf.bpf.resolve import HIGHEST_FD_INDEX, FdArray, Loader, Status
from kbtf.cli import main
from kbtf.testing import make_base
from oracles import build as oracles
from oracles.ksyms import ksyms_oracle

if TYPE_CHECKING:
    from pathlib import Path

    from kbtf import Module
    from kbtf.bpf.kernel import Target

VMLINUX_FUNCTIONS = (
    Function("kernel_plain"),
    Function("kernel_task", ("struct task *",), "struct task *"),
    Function("kernel_enum", ("enum mood",), "void"),
    Function("everywhere"),
)
A_FUNCTIONS = (
    Function("a_one"),
    Function("a_two", ("u64", "struct task *"), "u64"),
    Function("both"),
    Function("everywhere"),
    Function("a_hidden", is_kfunc=False),
)
B_FUNCTIONS = (Function("b_one"), Function("both"), Function("b_void", (), "void"))

SIMPLE = """
extern u32 kernel_plain(u32 a) KSYM;
extern u32 a_one(u32 a) KSYM;
extern u32 b_one(u32 a) KSYM;
extern u32 both(u32 a) KSYM;
extern u32 everywhere(u32 a) KSYM;
SEC("syscall") int simple(void *ctx)
{ return a_one(1) + both(2) + b_one(a_one(3)) + kernel_plain(4) + everywhere(5); }
"""
WEAK = """
extern u32 nowhere(u32 a) KSYM WEAK;
extern u32 a_one(u32 a) KSYM WEAK;
extern u32 both(void *a) KSYM WEAK;
extern const u32 no_variable KSYM WEAK;
SEC("syscall") int weak(void *ctx)
{ return (nowhere ? nowhere(1) : 2) + (both ? both(ctx) : 3) + a_one(4) + (&no_variable != 0); }
"""
FLAVOURS = """
extern u32 a_one(u32 a) KSYM;
extern u32 a_one___old(u64 a) KSYM WEAK;
extern u32 a_one___old___older(u32 a) KSYM WEAK;
extern u32 a_one____four(u32 a) KSYM WEAK;
extern u32 a_one___two(u32 a, u32 b) KSYM WEAK;
SEC("syscall") int flavours(void *ctx)
{ return a_one(1) + a_one___old(2) + (a_one___old___older ? a_one___old___older(3) : 0) +
	(a_one____four ? a_one____four(4) : 0) + (a_one___two ? a_one___two(1, 2) : 0); }
"""
VARIABLES = """
extern const u32 counter KSYM;
extern const u32 a_counter KSYM;
extern u32 a_one(u32 a) KSYM;
SEC("syscall") int variables(void *ctx) { return counter + a_counter + (long)a_one; }
"""
SUBPROGRAMS = """
extern u32 b_one(u32 a) KSYM;
extern u32 a_one(u32 a) KSYM;
extern void b_void(void) KSYM;
int NOINLINE global_sub(int a) { b_void(); return a + b_one(a); }
static int NOINLINE inner(int a) { return a_one(a) + global_sub(a + 1) + a_one(b_one(a)); }
static int NOINLINE outer(int a) { return inner(a) ^ global_sub(a); }
SEC("syscall") int first(void *ctx) { return outer(b_one(1)) + inner(2); }
SEC("?tc") int second(void *ctx) { return global_sub(1) + outer(3); }
SEC("tc") int third(void *ctx) { return 0; }
"""
PROTOTYPES = """
struct task;
struct task { int x; };
typedef const struct task *task_ptr;
extern struct task *kernel_task(task_ptr task) KSYM;
enum mood { one };
extern void kernel_enum(enum mood mood) KSYM;
extern long a_two(int a, struct task *task) KSYM;
SEC("syscall") int prototypes(struct task *ctx)
{ kernel_enum(one); return a_two(1, kernel_task(ctx)); }
"""
NO_EXTERNS = 'SEC("syscall") int nothing(void *ctx) { return 0; }\n'
LINKED = {
    "user": """
extern int helper(int a);
extern u32 a_one(u32 a) KSYM;
SEC("syscall") int user(void *ctx) { return helper(a_one(1)); }
""",
    "helper": """
extern u32 b_one(u32 a) KSYM;
extern u32 nowhere(u32 a) KSYM WEAK;
int helper(int a) { return b_one(a) + (nowhere ? nowhere(2) : 3); }
""",
}
GOOD = {
    "simple": SIMPLE,
    "weak": WEAK,
    "flavours": FLAVOURS,
    "variables": VARIABLES,
    "subprograms": SUBPROGRAMS,
    "prototypes": PROTOTYPES,
    "no-externs": NO_EXTERNS,
}
BAD = {
    "missing function": "extern u32 nowhere(u32 a) KSYM;\n"
    'SEC("syscall") int p(void *c) { return nowhere(1); }\n',
    "an argument more": "extern u32 a_one(u32 a, u32 b) KSYM;\n"
    'SEC("syscall") int p(void *c) { return a_one(1, 2); }\n',
    "another return type": "extern void *a_one(u32 a) KSYM;\n"
    'SEC("syscall") int p(void *c) { return !a_one(1); }\n',
    "a pointer for a number": "extern u32 a_one(void *a) KSYM;\n"
    'SEC("syscall") int p(void *c) { return a_one(c); }\n',
    "a declaration for a struct": "struct task; extern u64 a_two(u64 a, struct task *t) KSYM;\n"
    'SEC("syscall") int p(void *c) { return a_two(1, c); }\n',
    "missing variable": "extern const u32 nowhere KSYM;\n"
    'SEC("syscall") int p(void *c) { return nowhere; }\n',
    "weak variable of another type": "extern void *const counter KSYM WEAK;\n"
    'SEC("syscall") int p(void *c) { return &counter != 0; }\n',
    "flavour of a variable": "extern const u32 counter___old KSYM;\n"
    'SEC("syscall") int p(void *c) { return counter___old; }\n',
}


@pytest.fixture(scope="session")
def oracle() -> Path:
    """libbpf's code for externs."""
    try:
        oracles.need("clang")
        return ksyms_oracle()
    except oracles.Missing as error:
        missing(error)


@pytest.fixture(autouse=True)
def needs_clang() -> None:
    try:
        oracles.need("clang")
    except oracles.Missing as error:
        missing(error)


def modules(*names: str, plain: bool = False) -> list[Module]:
    """Modules ``a`` and ``b`` in that order."""
    base = make_vmlinux(VMLINUX_FUNCTIONS, ["counter"])
    made = {
        "a": make_kmod("a", base, A_FUNCTIONS, plain=plain, variables=["a_counter"]),
        "b": make_kmod("b", base, B_FUNCTIONS, plain=plain),
    }
    return [made[name] for name in names]


def target_of(*names: str, plain: bool = False) -> Target:
    base = make_vmlinux(VMLINUX_FUNCTIONS, ["counter"])
    return make_target(base, modules(*names, plain=plain))


def link_c(
    text: str, path: Path, target: Target, loader: Loader, machine: str = "bpfel"
) -> Linking:
    compiled = compile_c(text, path, machine)
    return link(read_object(compiled.read_bytes(), str(compiled)), target, loader)


def ask_libbpf(oracle: Path, compiled: Path, target: Target) -> tuple[int, list[str]]:
    """The exit status and the lines of tests/oracles/ksyms_oracle.c."""
    folder = compiled.parent
    (folder / "vmlinux").write_bytes(target.vmlinux.btf.to_bytes())
    words: list[str | Path] = [oracle, "libbpf", compiled, folder / "vmlinux"]
    for module in target.modules:
        (folder / module.name).write_bytes(module.btf.to_bytes())
        words += [module.name, folder / module.name]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout.splitlines()


def libbpf_lines(linking: Linking, target: Target) -> list[str]:
    """The instructions as the oracle prints them."""
    fds = {module.name: 5000 + at for at, module in enumerate(target.modules)}
    lines = []
    for found in linking.resolutions:
        fd = fds.get(found.found_in.name, 0) if found.found_in is not None else 0
        for row in linking.written[found.number]:
            last = 0 if row.is_call else fd if row.next_imm is None else row.next_imm
            fields = (found.extern.name, row.src_reg, row.imm, row.off, last)
            lines.append(f"insn {row.program} {row.insn} {' '.join(map(str, fields))}")
    return lines


@pytest.mark.parametrize("order", ["a b", "b a"])
@pytest.mark.parametrize("name", GOOD)
def test_the_instructions_are_those_of_libbpf(
    oracle: Path, tmp_path: Path, name: str, order: str
) -> None:
    target = target_of(*order.split())
    linking = link_c(GOOD[name], tmp_path / "o", target, Loader.LIBBPF)
    status, lines = ask_libbpf(oracle, tmp_path / "o", target)

    assert status == 0, lines
    expected = [line for line in lines if line.startswith("insn ")]
    assert sorted(libbpf_lines(linking, target)) == sorted(expected)
    assert bool(expected) == (name != "no-externs")


@pytest.mark.parametrize("name", BAD)
def test_what_libbpf_refuses_fails(oracle: Path, tmp_path: Path, name: str) -> None:
    target = target_of("a", "b")
    linking = link_c(BAD[name], tmp_path / "o", target, Loader.LIBBPF)
    status, lines = ask_libbpf(oracle, tmp_path / "o", target)

    (found,) = linking.resolutions
    assert found.status is Status.FAILED
    assert linking.is_refused_somewhere
    assert status == 1
    assert any(f"ksym) '{found.extern.name}': " in line for line in lines)


@pytest.mark.parametrize("name", GOOD)
def test_the_slots_are_those_of_the_light_skeletons_maker(
    oracle: Path, tmp_path: Path, name: str
) -> None:
    linking = link_c(GOOD[name], tmp_path / "o", target_of("a", "b"), Loader.LIGHT)
    done = subprocess.run([oracle, "light", tmp_path / "o"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

    wanted = [int(line.split()[1]) for line in done.stdout.splitlines() if line[:4] == "slot"]
    names = {found.number: found.extern.name for found in linking.resolutions}
    assert wanted == [
        slot
        for program in linking.programs
        for slot in sorted(
            {
                row.slot
                for number in names
                for row in linking.written[number]
                if row.program == program.name and row.slot is not None
            }
        )
    ]
    relocated = re.findall(r"emit_relo \(\d+\): (\S+) at (\d+) (call|ld64)", done.stdout)
    assert sorted(relocated) == sorted(
        (names[number], str(row.insn), "call" if row.is_call else "ld64")
        for number, rows in linking.written.items()
        for row in rows
    )


@pytest.mark.parametrize("loader", Loader)
@pytest.mark.parametrize("name", GOOD)
def test_the_byte_order_of_the_object_makes_no_difference(
    tmp_path: Path, name: str, loader: Loader
) -> None:
    target = target_of("a", "b")
    little = link_c(GOOD[name], tmp_path / "le", target, loader, "bpfel")
    big = link_c(GOOD[name], tmp_path / "be", target, loader, "bpfeb")

    assert big._replace(warnings=[]) == little._replace(warnings=[])
    assert "the object is big-endian" in big.warnings[0]


def test_plain_split_btf_gives_the_same_as_distilled(tmp_path: Path) -> None:
    plain = link_c(SIMPLE, tmp_path / "o", target_of("a", "b", plain=True), Loader.LIBBPF)
    distilled = link_c(SIMPLE, tmp_path / "o", target_of("a", "b"), Loader.LIBBPF)

    assert plain.written == distilled.written


def test_a_statically_linked_object(oracle: Path, bpftool: Path, tmp_path: Path) -> None:
    target = target_of("a", "b")
    for name in LINKED:
        compile_c(LINKED[name], tmp_path / f"{name}.o")
    linked = tmp_path / "linked.o"
    oracles.run(bpftool, "gen", "object", linked, *(tmp_path / f"{name}.o" for name in LINKED))
    linking = link(read_object(linked.read_bytes()), target, Loader.LIBBPF)
    status, lines = ask_libbpf(oracle, linked, target)

    assert status == 0, lines
    expected = [line for line in lines if line.startswith("insn ")]
    assert sorted(libbpf_lines(linking, target)) == sorted(expected)
    assert [f.extern.name for f in linking.resolutions] == ["a_one", "b_one", "nowhere"]


def test_an_extern_of_another_object_is_one_line(tmp_path: Path) -> None:
    compiled = compile_c(LINKED["user"], tmp_path / "o")
    with pytest.raises(BtfError, match="extern helper: is in no section; declare it with __ksym"):
        read_object(compiled.read_bytes())


def test_a_weak_call_is_poisoned_by_libbpf_and_cleared_by_a_light_skeleton(tmp_path: Path) -> None:
    target = target_of("a")
    rows = {}
    for loader in Loader:
        linking = link_c(WEAK, tmp_path / "o", target, loader)
        number = next(f.number for f in linking.resolutions if f.extern.name == "nowhere")
        rows[loader] = [(r.src_reg, r.imm, r.off) for r in linking.written[number] if r.is_call]
    assert rows[Loader.LIBBPF] == [(0, 2002000000 + 3, 0)]  # a_one, both, no_variable, nowhere
    assert rows[Loader.LIGHT] == [(2, 0, 0)]


def test_a_light_skeleton_looks_for_whole_names_and_compares_nothing(tmp_path: Path) -> None:
    linking = link_c(FLAVOURS, tmp_path / "o", target_of("a"), Loader.LIGHT)
    status = {found.extern.name: found.status for found in linking.resolutions}
    assert [name for name, s in status.items() if s is Status.RESOLVED] == ["a_one"]

    linking = link_c(BAD["an argument more"], tmp_path / "o", target_of("a"), Loader.LIGHT)
    assert linking.resolutions[0].status is Status.RESOLVED
    assert "do not compare" in linking.warnings[0]


def test_a_typeless_extern_cannot_be_told(tmp_path: Path) -> None:
    text = 'extern const void some KSYM;\nSEC("tc") int p(void *c) { return (long)&some; }\n'
    linking = link_c(text, tmp_path / "o", target_of(), Loader.LIBBPF)

    assert linking.resolutions[0].status is Status.TYPELESS
    assert not linking.is_refused_somewhere
    assert "kallsyms" in linking.warnings[0]


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

    assert "module a: .BTF_ids is not resolved, its kfunc sets are empty" in linking.warnings
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
    assert "module a: this kernel has none of its BTF" in linking.warnings[0]
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


@pytest.mark.parametrize(
    ("name", "essential"),
    [
        ("name", "name"),
        ("name___x", "name"),
        ("name___x___y", "name___x"),
        ("name____x", "name____x"),
        ("name___", "name___"),
        ("___x", "___x"),
        ("a___b", "a"),
        ("", ""),
    ],
)
def test_a_flavour_is_what_follows_three_underscores(name: str, essential: str) -> None:
    assert essential_name(name) == essential


OFTEN = [Kind.PTR, *[Kind.FUNC_PROTO] * 5]
ALL = [
    *[Kind.PTR, Kind.ARRAY, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FWD],
    *[Kind.TYPEDEF, Kind.CONST, Kind.TYPE_TAG, Kind.FUNC_PROTO],
]


def random_types(chance: random.Random) -> tuple[BtfBuilder, list[int]]:
    """Types of all kinds that refer to earlier ones."""
    types = BtfBuilder()
    ids = [0]
    ids.append(types.add_int("int", 4, encoding=1))
    word = 4 << 16 | 4
    ids.append(types.add(Kind.INT, "bits", size_or_type=4, words=(word,)))
    ids.append(types.add_float("float", 4))
    for at in range(40):
        kind = chance.choice(OFTEN + ALL)
        one = chance.choice(ids[-8:])
        if kind is Kind.ARRAY:
            new = types.add_array(one or 1, 1, at)
        elif kind in (Kind.STRUCT, Kind.UNION):
            new = types.add_composite(kind, f"s{at}", at)
        elif kind is Kind.ENUM:
            new = types.add_enum(f"e{at}", 4)
        elif kind is Kind.ENUM64:
            new = types.add_enum64(f"e{at}", 8)
        elif kind is Kind.FWD:
            new = types.add_fwd(f"f{at}", union=chance.random() < 0.5)
        elif kind is Kind.FUNC_PROTO:
            params = [("", chance.choice(ids)) for _ in range(chance.randrange(3))]
            new = types.add_func_proto(one, params)
        elif kind in (Kind.TYPEDEF, Kind.TYPE_TAG):
            new = types.add_ref(kind, one, f"t{at}")
        else:
            new = types.add_ref(kind, one)
        ids.append(new)
    return types, ids


def compare_with_libbpf(
    oracle: Path,
    folder: Path,
    builders: tuple[BtfBuilder, BtfBuilder],
    pairs: list[tuple[int, int]],
) -> int:
    """How many of the pairs are compatible, which must be the same ones as for libbpf."""
    local, target = (builder.build() for builder in builders)
    (folder / "local").write_bytes(local.to_bytes())
    (folder / "target").write_bytes(target.to_bytes())
    asked = "".join(f"{one} {other}\n" for one, other in pairs)
    command: list[str | Path] = [oracle, "compat", folder / "local", folder / "target"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    answers = re.findall(r"^-?\d+$", done.stdout, re.MULTILINE)
    expected = [int(answer) > 0 for answer in answers]
    assert [difference(local, one, target, other) is None for one, other in pairs] == expected
    return sum(expected)


def test_prototypes_are_compared_as_by_libbpf(oracle: Path, tmp_path: Path) -> None:
    fitting = 0
    for seed in range(12):
        chance = random.Random(seed)  # noqa: S311 - no secret
        (local, ids), (target, others) = random_types(chance), random_types(chance)
        pairs = [(one, other) for one in ids for other in others]
        fitting += compare_with_libbpf(oracle, tmp_path, (local, target), pairs)
    assert fitting > 300


@pytest.mark.parametrize("depth", [30, 31, 32, 33])
def test_pointers_and_prototypes_are_followed_as_deep_as_by_libbpf(
    oracle: Path, tmp_path: Path, depth: int
) -> None:
    deep = BtfBuilder()
    pointer = proto = deep.add_int("int", 4)
    for _ in range(depth):
        pointer = deep.add_ref(Kind.PTR, pointer)
        proto = deep.add_func_proto(0, [("f", proto)])
    returning = deep.add_func_proto(pointer)
    pairs = [(t, t) for t in (pointer, proto, returning)]

    compare_with_libbpf(oracle, tmp_path, (deep, deep), pairs)


def test_a_ring_of_typedefs_is_one_line() -> None:
    ring = BtfBuilder()
    first = ring.add_ref(Kind.TYPEDEF, 2, "first")
    ring.add_ref(Kind.TYPEDEF, 1, "second")
    btf = ring.build()

    with pytest.raises(BtfError, match="ring"):
        difference(btf, first, btf, first)


def test_a_prototype_in_c(tmp_path: Path) -> None:
    btf = btf_of(compile_c(PROTOTYPES, tmp_path / "o"))
    func = btf.find("a_two", Kind.FUNC)
    assert func is not None
    assert declaration(btf, func.size_or_type, func.name) == "long a_two(int, struct task *)"


def test_an_object_without_btf_or_symbols_is_one_line(tmp_path: Path) -> None:
    bare = compile_c(SIMPLE, tmp_path / "bare", "bpfel", "-g0").read_bytes()
    with pytest.raises(BtfError, match=r"has externs .* but no section \.BTF; compile it with -g"):
        read_object(bare)
    image = ElfImage(compile_c(SIMPLE, tmp_path / "o").read_bytes())
    image.remove_section(".symtab")
    with pytest.raises(ElfError, match="has no symbol table"):
        read_object(image.to_bytes())


def test_a_symbol_that_btf_does_not_have_is_one_line(tmp_path: Path) -> None:
    image = ElfImage(compile_c(SIMPLE, tmp_path / "o").read_bytes())
    names = image.data(".strtab") or b""
    image.set_section(".strtab", names.replace(b"\0a_one\0", b"\0x_one\0"))
    with pytest.raises(BtfError, match="extern x_one: is not in the object's"):
        read_object(image.to_bytes())


@pytest.mark.parametrize("what", ["other machine", "executable", "module"])
def test_what_is_no_bpf_object_is_one_line(tmp_path: Path, what: str) -> None:
    data = bytearray(compile_c(SIMPLE, tmp_path / "o").read_bytes())
    if what == "other machine":
        data[18] = 62
    elif what == "executable":
        data[16] = 2
    else:
        data = bytearray(modules("a")[0].to_bytes())
    with pytest.raises(ElfError, match="not a BPF object"):
        read_object(bytes(data))


def test_broken_objects_never_end_in_a_traceback(tmp_path: Path) -> None:
    data = compile_c(SUBPROGRAMS, tmp_path / "o").read_bytes()
    target = target_of("a", "b")
    chance = random.Random(7)  # noqa: S311 - no secret
    broken = [data[:size] for size in range(0, len(data), 97)]
    for _ in range(700):
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(data))] = chance.choice([0, 1, 127, 255])
        broken.append(bytes(changed))
    said = []
    for blob in broken:
        for loader in Loader:
            try:
                link(read_object(blob), target, loader)
            except KbtfError as error:
                said.append(str(error))
    assert len(said) > 200
    assert not any("\n" in text for text in said)


def run_command(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """The exit code and what the command prints, with the modules a and b."""
    compile_c(text, tmp_path / "p.bpf.o")
    base = make_vmlinux(VMLINUX_FUNCTIONS, ["counter"])
    (tmp_path / "vmlinux").write_bytes(base.btf.to_bytes())
    command = ["ksyms", "--no-cache", "--base", str(tmp_path / "vmlinux"), *words]
    for module in modules("a", "b"):
        (tmp_path / module.path).write_bytes(module.to_bytes())
        command += ["--module", str(tmp_path / module.path)]
    code = main([*command, str(tmp_path / "p.bpf.o")])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_command(tmp_path, SIMPLE, capsys)

    assert code == 0
    assert re.search(r"^a_one +FUNC +a +\d+ +1 +1 +a_ids$", out, re.MULTILINE)
    assert re.search(r"^b_one +FUNC +b +\d+ +2 +2 +b_ids$", out, re.MULTILINE)
    assert "both is in a and b: " in err


def test_the_command_shows_both_prototypes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run_command(tmp_path, BAD["a pointer for a number"], capsys)

    assert code == 1
    assert "a_one: argument 1: PTR in the program, INT 'u32' in the kernel\n" in out
    assert "    program  u32 a_one(void *)\n    a        u32 a_one(u32 p0)\n" in out


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_command(tmp_path, WEAK, capsys, "--json", "--loader", "light")
    said = json.loads(out)

    assert (code, said["loads"], said["loader"]) == (0, True, "light")
    by_name = {extern["name"]: extern for extern in said["externs"]}
    assert by_name["nowhere"]["status"] == "missing"
    assert (
        by_name["both"]["difference"] == "argument 1: PTR in the program, INT 'u32' in the kernel"
    )
    assert [row["off"] for row in by_name["a_one"]["instructions"]] == [66]


def test_the_command_refuses_bad_input_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o").write_bytes(b"\x7fELF nothing")
    code = main(["ksyms", "--base", str(tmp_path / "o"), str(tmp_path / "o")])

    assert code == 3
    assert capsys.readouterr().err.count("\n") == 1
