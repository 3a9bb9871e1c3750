# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Findings of ``kbtf kfuncs VMLINUX``: the BTF of a kernel's own kfuncs."""

from __future__ import annotations

from kbtf.findings.table import Row, Table, error, warning

_REBUILD = "encode the kernel's BTF again, with a pahole that matches this kernel"

KERNEL = Table(
    Row(
        "kernel-no-func",
        "a set contains a function that BTF lacks, so no program can call it",
        error("kfunc {type} is not in BTF, so no program can call it", _REBUILD),
    ),
    Row(
        "kernel-ids",
        "the ids of a set are not those of its functions: BTF was encoded again after "
        "resolve_btfids ran",
        error(
            "{type}: its ids are not those of {lost} of its functions, such as {name}",
            "run resolve_btfids after encoding BTF, on a freshly linked vmlinux",
        ),
    ),
    Row(
        "kernel-untagged",
        "some kfuncs lack the tag `bpf_kfunc`, so headers made from this BTF do not declare them",
        error("{bare} of {known} kfuncs lack the tag bpf_kfunc: {names}", _REBUILD),
    ),
    Row(
        "kernel-no-tags",
        "no kfunc has the tag, as with pahole before 1.27",
        warning(
            "no kfunc has the tag bpf_kfunc: headers made from this BTF declare none of them",
            _REBUILD,
        ),
    ),
    Row(
        "kernel-implicit",
        "KF_IMPLICIT_ARGS without the `_impl` function, or with an implicit argument in the public "
        "prototype",
        no_impl=error("kfunc {type} has implicit arguments, but BTF has no {type}_impl", _REBUILD),
        left=error("the public prototype of kfunc {type} still has an implicit argument", _REBUILD),
    ),
    Row(
        "kernel-duplicate",
        "a struct that kfuncs use is in BTF more than once; to the verifier, the copies are "
        "different types",
        warning(
            "{type}, which kfunc {func} uses, is in BTF {copies} times: {ids}; to the verifier, "
            "the copies are different types",
            _REBUILD,
        ),
    ),
    Row(
        "kernel-lost",
        "with `--against`: a kfunc of the old kernel was removed",
        error("kfunc {type} was removed"),
    ),
)
