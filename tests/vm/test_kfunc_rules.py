# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What `kbtf kfuncs` calls an error is what a kernel refuses, and nothing else is."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import real
from conftest import or_missing
from kbtf import Module, read_ids
from lab import kernels as lab_kernels
from oracles import build as oracles
from vm import kernels, machine, predicted
from vm.variants import kbtf, replace_section

pytestmark = pytest.mark.vm

NAME = "kfunc_rules"
EINVAL, E2BIG = -errno.EINVAL, -errno.E2BIG
REGISTERED = {
    "bad_iter_flag": ("iter-flag", EINVAL),
    "bad_iter_arg": ("iter-arg", EINVAL),
    "bad_iter_size": ("iter-size", EINVAL),
    "bad_iter_name": ("iter-name", EINVAL),
    "bad_iter_args": ("iter-args", EINVAL),
    "bad_iter_next": ("iter-return", EINVAL),
    "bad_iter_destroy": ("iter-return", EINVAL),
    "bad_flag": ("set-flag", EINVAL),
    "bad_struct": ("ids-no-func", EINVAL),
    "bad_lost": ("ids-no-func", EINVAL),
    "bad_id": ("ids-no-func", EINVAL),
    "bad_number": ("too-many", E2BIG),
    "just_enough": (None, 0),
    "doubled": (None, 0),
    "unsorted": (None, 0),
    "called": (None, 0),
    "dtor_result_ids": ("dtor", EINVAL),
    "dtor_two_ids": ("dtor", EINVAL),
    "dtor_number_ids": ("dtor", EINVAL),
    "dtor_lost_ids": ("ids-no-func", EINVAL),
    "dtor_many_ids": ("too-many", E2BIG),
    "dtor_ids": (None, 0),
}
"""The error that is told of a set or of what is in it, and what the kernel returns."""

MUST_POINT = "must point to"
ONE_CONSTANT = "only one constant argument permitted"
NO_REFERENCE = "acquire kernel function does not return PTR_TO_BTF_ID"
CALLED: dict[str, tuple[str | None, int | str]] = {
    "rules_fine": (None, 2),
    "rules_six": ("too-many-args", "has 6 > 5 args"),
    "rules_variadic": ("variadic", "with variable args is unsupported"),
    "rules_by_value": ("arg-type", "Unrecognized arg#0 type STRUCT"),
    "rules_takes_opaque": ("arg-type", MUST_POINT),
    "rules_takes_pointers": ("arg-type", MUST_POINT),
    "rules_takes_void": ("arg-void", MUST_POINT),
    "rules_takes_size": (None, 4),
    "rules_takes_ignored": (None, 0),
    "rules_takes_alloc": ("suffix", "expected pointer to allocated object"),
    "rules_takes_iter": ("suffix", "expected valid iter pointer"),
    "rules_takes_constants": ("constants", ONE_CONSTANT),
    "rules_takes_mixed_constants": ("constants", ONE_CONSTANT),
    "rules_takes_sizes": ("constants", "2 or more rdonly/rdwr_buf_size parameters"),
    "rules_ignores_size": (None, 1),
    "rules_returns_pair": ("return-type", "return type STRUCT is unsupported"),
    "rules_returns_opaque": ("return-type", "returns pointer type FWD rules_opaque"),
    "rules_acquires_int": ("acquire", NO_REFERENCE),
    "rules_acquires_number": ("acquire", NO_REFERENCE),
    "rules_releases_int": ("release", "expects refcounted PTR_TO_BTF_ID"),
    "rules_int_or_null": (None, 1),
    "rules_sizes_thing": (None, MUST_POINT),  # on the stack; the kernel's own would do
    "rules_sizes_pair": (None, 4),
    "rules_sizes_int": (None, 2),
    "rules_first": (None, 11),
    "rules_second": (None, 21),
}
"""The error that is told of a kfunc, and what a program gets of it or why it does not load."""

NO_MEMORY = "memory, len pair leads to invalid memory access"
SINCE_7_3: dict[str, tuple[str | None, int | str]] = {
    "rules_six": (None, "callee expects 6 args, stack arg1 is not initialized"),
    "rules_by_value": ("arg-type", "Unrecognized R1 type STRUCT"),
    "rules_takes_sizes": ("constants", "only one allocation size argument permitted"),
    "rules_ignores_size": (None, NO_MEMORY),
    "rules_releases_int": ("release", "expects referenced PTR_TO_BTF_ID"),
    "rules_sizes_thing": ("arg-type", MUST_POINT),
    "rules_sizes_int": (None, NO_MEMORY),
}
"""What is different there."""


class Subject(NamedTuple):
    """A module and the kernel that it is for."""

    which: str
    module: Path
    vmlinux: Path
    kernel: kernels.Kernel


def spoil(module: Path) -> None:
    """What no build does: ids of other types, sets out of order or with another count."""
    ids = read_ids(Module.open(str(module)).image)
    assert ids is not None
    words = list(ids.words)
    sets = {id_set.name: id_set for id_set in ids.sets}
    # Not that of no type: with a distilled base the kernel then reads wherever it leads.
    words[sets["bad_id"].id_words[0]] = 1
    first, second = sets["unsorted"].id_words
    words[first], words[second] = words[second], words[first]
    words[sets["miscounted"].at] -= 1
    replace_section(module, ".BTF_ids", ids._replace(words=tuple(words)).to_bytes())


@pytest.fixture(scope="module", params=["6.12", "7.x"])
def subject(
    request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Subject:
    """tests/modules/kfunc_rules with a distilled base, and a kernel."""
    source = root / "tests" / "modules" / NAME
    into = tmp_path_factory.mktemp("rules") / "build"
    which = request.param
    with or_missing():
        if which == "6.12":
            headers = request.getfixturevalue("headers")
            oracles.need("pahole")
            built = real.build_module(source, into, headers, "PAHOLE=true", "RESOLVE_BTFIDS=true")
            made = Subject(
                which, built, headers / "vmlinux", kernels.own_kernel(headers, Path("/boot"))
            )
        else:
            lab, inside = (request.getfixturevalue(name) for name in ("lab", "lab_kbtf"))
            release = lab.release(which)
            # This kernel refuses the whole set for a name that is taken.
            built = inside.linked(source, into, which, "KCFLAGS=-DNO_NAME_TAKEN")
            target = lab_kernels.kernel(lab, release)
            made = Subject(which, built, lab.vmlinux(release), target)
    kbtf("run", "--base", made.vmlinux, built)
    spoil(built)
    return made


@pytest.fixture(scope="module")
def told(subject: Subject) -> dict[str, Any]:
    """What `kbtf kfuncs` says of it."""
    said = predicted.told("kfuncs", "--base", subject.kernel.image, subject.module)
    (row,) = said["modules"]
    assert isinstance(row, dict)
    return row


@pytest.fixture(scope="module")
def run(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> machine.Run:
    """The kernel with the module."""
    work = tmp_path_factory.mktemp("rules-guest")
    listed = work / "modules"
    listed.write_text(f"rules {NAME} {NAME}.bpf.o\n")
    with or_missing():
        libbpf = oracles.libbpf()
        files = {
            name: machine.compile_tool(machine.GUEST / f"{name}.c", work, libbpf)
            for name in ("load", "programs")
        }
        program = f"{NAME}.bpf"
        files[f"{program}.o"] = machine.compile_bpf(machine.GUEST / f"{program}.c", work, libbpf)
        files |= {"modules": listed, "variants/rules": subject.module}
        return machine.run_in(subject.kernel, machine.GUEST / "modules.sh", files, work / "run")


@pytest.fixture(scope="module")
def registered(run: machine.Run) -> dict[str, int]:
    """What the kernel returned for each set and table."""
    said = (run.out / "rules" / "dmesg").read_text(errors="replace")
    return {name: int(code) for name, code in re.findall(rf"{NAME}: (\w+) (-?\d+)", said)}


def outcome(run: machine.Run, program: str) -> int | str:
    """What a program returned, or what was said when it was refused."""
    folder = run.out / "rules"
    for line in (folder / "result").read_text().splitlines():
        what, name, *rest = line.split()
        if name == program:
            return int(rest[0]) if what == "returned" else (folder / "programs" / name).read_text()
    raise AssertionError(f"nothing was said of {program}")


def errors_of(told: dict[str, Any], *symbols: str) -> set[str]:
    """The rules that were broken by any of *symbols*."""
    return {
        finding["code"]
        for finding in told["findings"]
        if finding["severity"] == "error" and finding["type"] in symbols
    }


@pytest.mark.parametrize("name", REGISTERED)
def test_what_the_kernel_refuses_to_register_was_told(
    name: str, told: dict[str, Any], registered: dict[str, int]
) -> None:
    rule, code = REGISTERED[name]
    (id_set,) = [one for one in told["sets"] if one["name"] == name]
    functions = [e["name"] for e in id_set["entries"] if e["kind"] == "func" and e["name"]]
    is_shared = name in ("called", "just_enough", "bad_flag", "bad_lost", "bad_number")

    assert registered[name] == code
    about = [name] if is_shared else [name, *functions]
    assert errors_of(told, *about) == ({rule} if rule else set())


@pytest.mark.parametrize("kfunc", CALLED)
def test_what_the_verifier_refuses_was_told(
    kfunc: str, told: dict[str, Any], subject: Subject, run: machine.Run
) -> None:
    since = SINCE_7_3 if subject.which == "7.x" else {}
    rule, expected = since.get(kfunc, CALLED[kfunc])
    came = outcome(run, f"{kfunc}_called")

    if isinstance(expected, int):
        assert came == expected
    else:
        assert expected in str(came)
    assert errors_of(told, kfunc) == ({rule} if rule else set())


@pytest.mark.parametrize("subject", ["6.12"], indirect=True)
def test_a_name_that_is_taken_was_told(told: dict[str, Any], run: machine.Run) -> None:
    assert "do_epoll_create is not allowed" in str(outcome(run, "do_epoll_create_called"))
    assert errors_of(told, "do_epoll_create") == {"name-taken"}


def test_a_pointer_to_void_that_may_be_null_takes_null_alone_until_7_3(
    told: dict[str, Any], subject: Subject, run: machine.Run
) -> None:
    given = outcome(run, "null_given")

    assert MUST_POINT in str(outcome(run, "rules_takes_void_or_null_called"))
    found = [f for f in told["findings"] if f["type"] == "rules_takes_void_or_null"]
    if subject.which == "7.x":
        assert MUST_POINT in str(given)
        assert [(f["code"], f["severity"]) for f in found] == [("arg-void", "error")]
    else:
        assert given == 1
        assert [(f["code"], f["severity"]) for f in found] == [("arg-void", "warning")]


def test_a_size_without_a_pointer_before_it_goes_with_null(run: machine.Run) -> None:
    assert [outcome(run, name) for name in ("null_sized", "null_before_size")] == [4, 1]


def test_a_set_that_counts_less_than_it_holds_was_told(
    told: dict[str, Any], registered: dict[str, int], run: machine.Run
) -> None:
    came = [outcome(run, f"rules_{name}_called") for name in ("counted", "uncounted")]

    assert registered["miscounted"] == 0
    assert errors_of(told, "miscounted") == {"count"}
    # which of them is last depends on the order of the types
    assert sum(isinstance(one, int) for one in came) == 1
    assert sum("is not allowed" in str(one) for one in came) == 1


def test_a_bool_is_tested_with_what_was_in_the_register(
    told: dict[str, Any], run: machine.Run
) -> None:
    # whether 1 and 2 are equal; the lowest byte is what the kfunc set
    said = outcome(run, "rules_equal_called")
    assert isinstance(said, int)
    assert said != 0
    assert said & 0xFF == 0
    codes = [f["code"] for f in told["findings"] if f["type"] == "rules_equal"]
    assert codes == ["narrow-return"]


def test_what_is_only_warned_of_works(told: dict[str, Any], subject: Subject) -> None:
    warned = {(f["type"], f["code"]) for f in told["findings"] if f["severity"] == "warning"}

    assert warned == {
        ("doubled", "duplicate"),
        ("unsorted", "not-sorted"),
        ("rules_int_or_null", "ret-null"),
        ("rules_ignores_size", "suffix"),
        ("rules_sizes_int", "suffix"),
        ("rules_equal", "narrow-return"),
    } | ({("rules_takes_void_or_null", "arg-void")} if subject.which == "6.12" else set())
