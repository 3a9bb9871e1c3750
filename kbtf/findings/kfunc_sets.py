# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Findings of ``kbtf kfuncs`` about sets and lists in ``.BTF_ids``, and the names in them."""

from __future__ import annotations

from kbtf.findings.table import Row, error, note, warning

_RUN = "run 'kbtf run' on it"
_RELINK = "relink the module"
_NO_FLAG = "set {type} lacks BTF_SET8_KFUNCS: kernels since 6.9 refuse to register it"
_BEGIN = "start it with BTF_KFUNCS_START()"
_SET_REFUSED = "the kernel refuses to register the set"
_DTORS_REFUSED = "the kernel refuses to register the destructors"
_SECOND = (
    "for one hook ({hook}): the kernel refuses the second registration and then "
    "frees all sets of the module"
)
_ONE_SET = "put all kfuncs of a hook into one set"

SETS = (
    Row(
        "no-btf",
        "the module registers kfuncs, destructors or fmodret functions, but has no BTF: the kernel "
        "registers none",
        error(
            "has kfunc sets but no BTF: its kfuncs cannot be registered",
            "run 'kbtf run' on the freshly linked module",
        ),
    ),
    Row(
        "no-set",
        "the module registers kfuncs, but `.BTF_ids` has no kfunc set",
        error(
            "calls {type}(), but .BTF_ids has no kfunc set",
            "define it with BTF_KFUNCS_START(), in a kernel with CONFIG_DEBUG_INFO_BTF",
        ),
    ),
    Row(
        "outside",
        "ids outside `.BTF_ids`, where nothing resolves them",
        error(
            "symbol {type} is outside .BTF_ids, so its id is not resolved and kernels ignore it",
            "use the macros of linux/btf_ids.h",
        ),
    ),
    Row(
        "no-symbols",
        "`.BTF_ids` without its symbols, which cannot be audited",
        warning("the symbols of .BTF_ids were removed, so it cannot be audited"),
    ),
    Row(
        "set-flag",
        "no `BTF_SET8_KFUNCS`, which kernels since 6.9 require; a warning if the module is for a "
        "kernel before 6.11",
        new=error(_NO_FLAG, _BEGIN),
        old=warning(_NO_FLAG, _BEGIN),
    ),
    Row(
        "ids-unresolved",
        "an unresolved set, which is empty to the kernel; an unresolved id in a list",
        set=error(
            "set {type} is not resolved: to the kernel it is empty, and none of its kfuncs can be "
            "called",
            _RUN,
        ),
        dtor=error("table {type}: {name} not resolved (id 0)"),
        ids=warning("{group}: {names} not resolved (id 0)"),
        all=warning("{group} is not resolved", _RUN),
    ),
    Row(
        "ids-no-func",
        "an id that is 0 or not a function: the kernel refuses the whole set. In a module with "
        "`.BTF.base`, the kernel does not check an id that is not a type",
        no_function=error(
            "set {set}: the BTF has no function {type}; once resolved, " + _SET_REFUSED
        ),
        unresolved=error(
            "set {type}: {names} not resolved (id 0); " + _SET_REFUSED,
            "remove functions that do not exist from the set",
        ),
        other=error("set {type}: id {id} is {found}, not a kfunc; " + _SET_REFUSED, _RELINK),
        unchecked=error(
            "set {type}: id {id} is {found}, not a kfunc; the kernel reads past the end of its map "
            "of ids",
            _RELINK,
        ),
        dtor=error("table {table}: {type} is {found}; " + _DTORS_REFUSED),
    ),
    Row(
        "ids-mismatch",
        "resolved against other BTF: an id whose type no symbol names",
        set=error(
            "set {type} contains {name} (id {id}), which none of its symbols names: it was "
            "resolved against other BTF",
            _RELINK,
        ),
        list=error("{group}: the id of {kind} {name} is {found}", _RELINK),
    ),
    Row(
        "ids-list",
        "a list or plain set in a module with `.BTF.base`: kernels do not relocate its ids",
        warning("the kernel does not relocate the {group}, which the module reads"),
    ),
    Row(
        "count",
        "the count of a set is wrong",
        error("the count of set {type} is {said}, but it has room for {room}", _RELINK),
    ),
    Row(
        "too-many",
        "more than 256 kfuncs in a set, or 255 destructors",
        kfuncs=error(
            "set {type} has {number} kfuncs, but a hook takes at most {most}; " + _SET_REFUSED
        ),
        dtors=error(
            "table {type} has {number} destructors, but a module can have at most {most}; "
            + _DTORS_REFUSED
        ),
    ),
    Row(
        "duplicate",
        "a set contains a function twice",
        alike=warning("set {type} contains {name} {times} times"),
        differs=warning(
            "set {type} contains {name} {times} times; which of the flags apply is undefined"
        ),
    ),
    Row(
        "not-sorted",
        "ids are out of order; kernels that can relocate (since 6.11) sort kfunc sets themselves",
        sorts=warning(
            "the ids of set {type} are out of order; kernels since 6.11 sort them, older ones "
            "do not find some"
        ),
        misses=error(
            "the ids of set {type} are out of order, so the kernel does not find some", _RELINK
        ),
    ),
    Row("empty", "a set without kfuncs", note("set {type} is empty")),
    Row(
        "flags-differ",
        "a kfunc has different flags in two sets",
        warning("{type} has different flags in set {one} ({was}) and in set {other} ({flags})"),
    ),
    Row(
        "second-set",
        "two sets for one hook, or one set twice: the kernel refuses the second and frees all",
        two=error("sets {sets} are registered " + _SECOND, _ONE_SET),
        twice=error("set {sets} is registered twice " + _SECOND, _ONE_SET),
    ),
    Row(
        "name-taken",
        "vmlinux has a function of that name, which loaders find first; kernels since 7.2 "
        "refuse the set",
        refused=error("vmlinux also has a function {type}: " + _SET_REFUSED, "rename it"),
        hidden=error(
            "vmlinux also has a function {type}: programs call that one, never the module's",
            "rename it",
        ),
    ),
    Row(
        "name-shared",
        "another module has a function of that name: an error for kernels since 7.2, which "
        "refuse the set",
        refused=error(
            "{other} also has a function {type}: " + _SET_REFUSED + " of the module loaded last",
            "rename one of them",
        ),
        order=warning(
            "{other} also has a function {type}: which of them programs call depends on the "
            "order in which the modules are loaded"
        ),
    ),
)
