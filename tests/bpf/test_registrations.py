# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Which hooks the code of a module registers its sets for, as compilers make that code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpf.sets import ALIKE, THREE, Recipe
from kbtf.bpf.audit.hooks import audit_hooks
from kbtf.bpf.kfuncs import read_kfuncs
from kbtf.bpf.registrations import Registration, read_registrations
from oracles.build import Missing, need, run

if TYPE_CHECKING:
    from pathlib import Path

CODE = r"""
struct btf_kfunc_id_set { void *owner; void *set; void *filter; };
int register_btf_kfunc_id_set(int type, const struct btf_kfunc_id_set *set);
int printk(const char *text, ...);
extern char module[];
#define SET(name) \
	asm(".pushsection .BTF_ids, \"a\"; __BTF_ID__set8__" #name ":;" #name ": .long 0, 0, 0, 0;" \
	".size __BTF_ID__set8__" #name ", 16; .popsection"); \
	extern char name[]; \
	static const struct btf_kfunc_id_set set_##name = { module, name, 0 };
SET(one) SET(two)
int init(void);
int init(void)
{
	int err = register_btf_kfunc_id_set(FIRST, &set_one);

	if (err)
		printk("%d", err);
	return err ? err : register_btf_kfunc_id_set(SECOND, &set_two);
}
"""
COMPILERS = [
    ("gcc", "-O2", "-mcmodel=kernel", "-fno-pie"),
    ("gcc", "-Os", "-fPIE"),
    ("clang", "-O2", "-mcmodel=kernel", "-fno-pie"),
    ("clang", "--target=aarch64-linux-gnu", "-O2"),
    ("aarch64-linux-gnu-gcc", "-O2", "-fno-section-anchors"),
]


def compiled(folder: Path, compiler: tuple[str, ...], first: int, second: int) -> bytes:
    try:
        need(compiler[0])
    except Missing as error:
        pytest.skip(str(error))
    source, made = folder / "code.c", folder / "code.o"
    source.write_text(CODE)
    run(*compiler, f"-DFIRST={first}", f"-DSECOND={second}", "-c", str(source), "-o", str(made))
    return made.read_bytes()


@pytest.mark.parametrize("compiler", COMPILERS, ids=" ".join)
def test_calls_show_set_and_hook(compiler: tuple[str, ...], tmp_path: Path) -> None:
    for first, second, hooks in (
        (6, 6, ("xdp", "xdp")),
        (26, 29, ("tracing", "tracing")),
        (0, 31, ("every program type", "syscall")),
    ):
        assert read_registrations(compiled(tmp_path, compiler, first, second)) == [
            Registration("one", hooks[0]),
            Registration("two", hooks[1]),
        ]


def test_a_second_set_for_a_hook_is_an_error() -> None:
    sets = {"one": THREE[:1], "two": THREE[1:], "none": []}
    kfuncs = read_kfuncs(Recipe(ALIKE, sets).module())

    def found(*registrations: tuple[str, str]) -> list[str]:
        calls = tuple(Registration(*one) for one in registrations)
        return [finding.text for finding in audit_hooks(kfuncs._replace(registrations=calls))]

    assert found(("one", "xdp"), ("two", "syscall"), ("none", "xdp")) == []
    assert found(("one", "xdp"), ("two", "xdp")) == [
        "sets one and two are registered for one hook (xdp): the kernel refuses the second "
        "registration and then frees all sets of the module"
    ]
    assert found(("one", "tracing"), ("one", "tracing")) == [
        "set one is registered twice for one hook (tracing): the kernel refuses the second "
        "registration and then frees all sets of the module"
    ]
