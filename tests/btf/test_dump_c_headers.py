# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A module's header in BPF programs: alone, behind vmlinux.h, with weak kfuncs."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from oracles.build import Missing, libbpf
from packages.tools import with_kbtf
from shown import block, sh

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

PAGE = "docs/ksyms.md"
# reads from a type of the module on into one of the kernel, uses helpers, a map and kfuncs
PROGRAM = """
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __be16);
} seen SEC(".maps");

SEC("syscall")
int visit(void *ctx)
{
	struct kfunc_module_ticket *ticket = kfunc_module_ticket_take();

	if (!ticket)
		return 1;
	bpf_printk("%d", ticket->number);
	kfunc_module_ticket_return(ticket);
	return MISSING_TEST kfunc_module_serve(2);
}

SEC("fentry/kfunc_module_serve")
int pid(struct kfunc_module_counter **counter)
{
	return (*counter)->opener->signal->nr_threads;
}

char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture(scope="module")
def folder(kfunc_module: Path, vmlinux: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("headers")
    shutil.copy(kfunc_module, folder)
    shutil.copy(kfunc_module, folder / "linked.ko")
    (folder / "vmlinux").symlink_to(vmlinux)
    sh(f"kbtf run -q --base vmlinux {kfunc_module.name}", folder)
    return folder


def compiled(folder: Path, includes: str, test: str = "") -> Path:
    if not shutil.which("clang"):
        missing("clang is not installed")
    try:
        headers = libbpf() / "include"
    except Missing as error:
        missing(error)
    program = folder / "program.bpf.c"
    program.write_text(includes + PROGRAM.replace("MISSING_TEST", test))
    made = folder / "program.bpf.o"
    options = f"-target bpf -O2 -g -Wall -Werror -I{headers}"
    sh(f"clang {options} -c {program} -o {made}", folder)
    return made


def recipe(folder: Path, name: str, program: str) -> str:
    """Run the commands of a recipe; the first lines of the program that goes with it."""
    sh(block(PAGE, name).replace("mymodule", "kfunc_module"), folder)
    return block(PAGE, program).replace("mymodule", "kfunc_module") + "\n"


ALONE = ("header alone", "header alone program")
BEHIND = ("header behind vmlinux.h", "header behind vmlinux.h program")
WEAK = ("header with weak kfuncs", "header with weak kfuncs program")


def loads(folder: Path, made: Path, *modules: str) -> int:
    """The exit code of kbtf ksyms."""
    with_modules = " ".join(f"--module {module}" for module in modules)
    command = ["sh", "-c", f"kbtf ksyms --base vmlinux {with_modules} {made}"]
    done = subprocess.run(command, cwd=folder, env=with_kbtf(), check=False, capture_output=True)
    return done.returncode


def test_alone_it_has_the_kernels_types_too(folder: Path) -> None:
    made = compiled(folder, recipe(folder, *ALONE))

    assert loads(folder, made, "kfunc_module.ko") == 0
    assert loads(folder, made) == 1  # its kfuncs are not weak


def test_behind_vmlinux_h_its_own_types_are_enough(folder: Path) -> None:
    includes = recipe(folder, *BEHIND)

    assert loads(folder, compiled(folder, includes), "kfunc_module.ko") == 0
    assert "struct task_struct {" not in (folder / "kfunc_module.h").read_text()


def test_a_header_that_serves_alone_serves_behind_vmlinux_h_too(folder: Path) -> None:
    recipe(folder, *BEHIND)
    includes = recipe(folder, *ALONE)

    compiled(folder, f'#include "vmlinux.h"\n{includes}')


def test_a_program_with_weak_kfuncs_loads_without_the_module(folder: Path) -> None:
    includes = recipe(folder, *WEAK)
    made = compiled(folder, includes, "bpf_ksym_exists(kfunc_module_serve) &&")

    assert "__weak __ksym;" in (folder / "kfunc_module.h").read_text()
    assert loads(folder, made) == 0


def test_kfuncs_are_declared_although_no_tag_says_what_they_are(folder: Path) -> None:
    """pahole 1.24 writes no tags."""
    sh("kbtf run -q --encoder pahole --base vmlinux -o untagged.ko linked.ko", folder)
    assert "bpf_kfunc" not in sh("kbtf dump --base vmlinux untagged.ko", folder)

    text = sh("kbtf dump --format c --base vmlinux untagged.ko", folder)

    assert text.count(" __ksym;\n") == 6
