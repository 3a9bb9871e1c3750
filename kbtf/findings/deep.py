# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Findings of ``kbtf check --deep``: definitions that differ between two kernels.

The kernel does not look at these, so none is an error.
"""

from __future__ import annotations

from kbtf.findings.table import Row, Table, note, warning

_RESIZED = "{type}: was {was}, is now {now}"

DEEP = Table(
    Row(
        "other-base",
        "the module was not built against the vmlinux that `--built-against` names, so nothing was "
        "compared: the verdict is at least `unknown`",
        warning(
            "was not built against {built_against}: {why}",
            "name the vmlinux it was built for with --built-against",
        ),
    ),
    Row(
        "kind-changed",
        "a struct that is now a union, or the reverse",
        warning("{type} is now {now}"),
    ),
    Row(
        "member-moved",
        "a member is at another offset",
        alone=warning("{type}: member '{member}' moved from {was} to {now}"),
        two=warning(
            "{type}: member '{member}' moved from {was} to {now}, and the member after it by the "
            "same distance"
        ),
        more=warning(
            "{type}: member '{member}' moved from {was} to {now}, and the {behind} members after "
            "it by the same distance"
        ),
    ),
    Row(
        "member-changed",
        "a member has another type or width",
        spelt=warning("{type}: member '{member}' was {was}, is now {now}"),
        alike=warning("{type}: member '{member}' {was} has another definition"),
    ),
    Row("member-gone", "a member was removed", warning("{type}: member '{member}' was removed")),
    Row(
        "type-gone",
        "a type was removed, or is only declared",
        gone=warning("{type} was removed"),
        declared=warning("{type} is now only declared"),
    ),
    Row(
        "typedef-changed",
        "a typedef names another type",
        resized=warning(_RESIZED),
        spelt=warning("{type}: was {was}, is now {now}"),
        alike=warning("{type}: {was} has another definition"),
    ),
    Row(
        "enum-changed",
        "a value of an enum changed",
        resized=warning(_RESIZED),
        gone=warning("{type}: {value} was removed"),
        alone=warning("{type}: {value} was {was}, is now {now}"),
        two=warning(
            "{type}: {value} was {was}, is now {now}, and the value after it changed by as much"
        ),
        more=warning(
            "{type}: {value} was {was}, is now {now}, and the {behind} values after it changed by "
            "as much"
        ),
    ),
    Row(
        "member-added",
        "a new member; the size is the same",
        note("{type}: member '{member}' was added; the size is the same"),
    ),
    Row(
        "embedded-resized",
        "a struct that the module embeds in one of its own has another size",
        warning(_RESIZED + "; it is {use}"),
    ),
    Row(
        "by-value-resized",
        "a type that the module uses by value elsewhere has another size",
        warning(_RESIZED + "; it is {use}"),
    ),
    Row("resized", "a type that the module has only pointers to has another size", note(_RESIZED)),
)
