# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BPF objects with externs, the modules that have them, and what libbpf makes of both."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bpf.objects import Function, compile_c, make_kmod, make_vmlinux
from kbtf.bpf.kernel import make_target
from kbtf.bpf.ksyms import Linking, link
from kbtf.bpf.object import read_object
from kbtf.program import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from kbtf import Module
    from kbtf.bpf.kernel import Target
    from kbtf.bpf.resolve import Loader

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


def run_command(
    tmp_path: Path,
    text: str,
    capsys: pytest.CaptureFixture[str],
    *words: str,
    machine: str = "bpfel",
) -> tuple[int, str, str]:
    """The exit code and what the command prints, with the modules a and b."""
    compile_c(text, tmp_path / "p.bpf.o", machine)
    base = make_vmlinux(VMLINUX_FUNCTIONS, ["counter"])
    (tmp_path / "vmlinux").write_bytes(base.btf.to_bytes())
    command = ["ksyms", "--no-cache", "--base", str(tmp_path / "vmlinux"), *words]
    for module in modules("a", "b"):
        (tmp_path / module.path).write_bytes(module.to_bytes())
        command += ["--module", str(tmp_path / module.path)]
    code = main([*command, str(tmp_path / "p.bpf.o")])
    out, err = capsys.readouterr()
    return code, out, err
