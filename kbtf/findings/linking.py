# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Findings of ``kbtf ksyms``: a BPF object on a kernel."""

from __future__ import annotations

from kbtf.findings.table import Row, Table, error, note, warning

_MISSING = "{type} is missing, and {program} calls it without testing it: the verifier refuses "
_TEST_IT = "test it with bpf_ksym_exists({type})"

LINKING = Table(
    Row(
        "byte-order",
        "the kernel accepts no program of the other byte order",
        error("the object is {order}-endian, the kernel is not: it does not accept the program"),
    ),
    Row(
        "module-refused",
        "the kernel refuses the BTF of a named module",
        warning("module {type}: this kernel refuses its BTF: {why}"),
    ),
    Row(
        "ids-unresolved",
        "`.BTF_ids` of a module is not resolved",
        warning("module {type}: .BTF_ids is not resolved, its kfunc sets are empty"),
    ),
    Row(
        "raw-btf",
        "raw BTF without tags does not show which functions are kfuncs",
        warning(
            "module {type} is raw BTF without kfunc tags: without the .ko, it is not known which "
            "functions are kfuncs, and for which programs"
        ),
    ),
    Row(
        "kconfig",
        "externs in `.kconfig`, which kbtf ignores",
        note("ignored: values of the kernel's configuration (.kconfig), {number}"),
    ),
    Row(
        "typeless",
        "an extern without a type, whose address only the running kernel knows",
        note("{type} has no type: its address comes from kallsyms and is not known offline"),
    ),
    Row(
        "no-kfunc",
        "a function that is in no kfunc set",
        warning("{type} is in no kfunc set of {provider}: the verifier refuses its calls"),
    ),
    Row(
        "prototype",
        "a prototype that differs, which light skeletons do not check",
        warning("{type}: {difference}; light skeletons do not compare prototypes"),
    ),
    Row(
        "name-shared",
        "a name that several modules have, or that vmlinux has too",
        variable=warning(
            "{type} is a variable of {first} and {others}: the loader uses the type of the "
            "first, but "
            "the kernel looks up the address by name alone, so programs read that of {last}",
            "rename one of them",
        ),
        function=warning(
            "{type} is in {first} and {others}: the kernel takes types and flags from the first, "
            "but looks up the address by name alone and calls that of {last}"
        ),
        hidden=warning("{type} of {others} is hidden by that of {first}"),
    ),
    Row(
        "untested",
        "a program calls a missing kfunc without testing its address",
        refused=error(_MISSING + "the program", _TEST_IT),
        maybe_constant=warning(
            _MISSING + "the program, unless a constant prevents the call", _TEST_IT
        ),
    ),
)
