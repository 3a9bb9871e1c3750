# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Findings of ``kbtf kfuncs`` about kfuncs."""

from __future__ import annotations

from kbtf.findings.kfunc_sets import SETS
from kbtf.findings.table import Row, Table, error, note, warning

_CALLS_REFUSED = "the verifier refuses every call"
_SET_REFUSED = "the kernel refuses to register the set"
_PARAMETER = "parameter '{param}' of {type}"
_VOID = _PARAMETER + " points to void and no __sz or __szk follows; " + _CALLS_REFUSED
_NAME_IT = "declare the type it points to, or end its name in __ign"
_ITER_RETURN = "{type} returns {spelt}, not {wanted}; " + _SET_REFUSED

KFUNCS = Table(
    *SETS,
    Row(
        "too-many-args",
        "more than five parameters; twelve since 7.2 if the JIT passes arguments on the stack",
        error("{type} has {number} parameters; BPF programs pass at most {most}"),
    ),
    Row(
        "variadic",
        "variable arguments",
        error("{type} takes variable arguments, which no BPF program can pass"),
    ),
    Row(
        "arg-type",
        "a struct by value, a pointer to a pointer or to a struct that is only declared; since 7.3 "
        "also a pointer to a struct with pointers, if a size follows",
        value=error(
            _PARAMETER + " is {spelt}, neither an integer nor a pointer; " + _CALLS_REFUSED
        ),
        target=error(
            _PARAMETER
            + " is {spelt}, which points neither to integers nor to a defined struct; "
            + _CALLS_REFUSED
        ),
        sized=error(
            _PARAMETER
            + " is {spelt} with a size after it, and not all members of the struct are integers; "
            + _CALLS_REFUSED,
            "rename the size, or have the members in a struct of their own",
        ),
    ),
    Row(
        "arg-void",
        "`void *` without a size after it",
        any=error(_VOID, _NAME_IT),
        nullable=warning(_VOID + " with anything but NULL", _NAME_IT),
    ),
    Row(
        "dynptr",
        "`struct bpf_dynptr_kern *`, although programs pass `struct bpf_dynptr *`",
        error(
            _PARAMETER + " is struct {inner} *, the kernel's internal form of a dynptr, but "
            "BPF programs pass struct {outer} *; " + _CALLS_REFUSED,
            "declare it as struct {outer} * and cast it in the function",
        ),
    ),
    Row(
        "suffix",
        "the suffix of a parameter does not match its type, see below",
        since=warning(_PARAMETER + ": {suffix} has an effect only since {release}"),
        until=warning(_PARAMETER + ": {suffix} has an effect only until {release}"),
        ignored=warning(_PARAMETER + ": {suffix} is for {fits}, and this is {spelt}"),
        refused=error(
            _PARAMETER + ": {suffix} is for {fits}, and this is {spelt}; " + _CALLS_REFUSED
        ),
        never=error(_PARAMETER + ": {suffix} is for {fits}; " + _CALLS_REFUSED),
    ),
    Row(
        "unknown-suffix",
        "looks like a suffix, but no kernel knows it",
        note(_PARAMETER + ": no kernel knows the suffix {ending}"),
    ),
    Row(
        "constants",
        "two parameters that the verifier would store as its only constant",
        error(
            "{type} has {number} that the verifier would store as its only {what} ({names}); "
            + _CALLS_REFUSED
        ),
    ),
    Row(
        "return-type",
        "a struct by value, or a pointer to something without a size",
        struct=error("{type} returns {spelt} by value; " + _CALLS_REFUSED),
        no_size=error(
            "{type} returns {spelt}, which points to something without a size; " + _CALLS_REFUSED
        ),
        unreadable=warning("{type} returns {spelt}, which BPF programs cannot read"),
    ),
    Row(
        "narrow-return",
        "a result of less than 32 bits, such as `bool`: compilers do not clear the rest of the "
        "register, but BPF programs test it. Return `int`",
        warning(
            "{type} returns {spelt}: the kernel's compiler leaves the upper bits of the register "
            "undefined, but BPF programs test them",
            "return int",
        ),
    ),
    Row(
        "acquire",
        "KF_ACQUIRE, but no pointer to a struct is returned",
        error(
            "{type} has KF_ACQUIRE but returns {spelt}, not a pointer to a struct; "
            + _CALLS_REFUSED
        ),
    ),
    Row(
        "release",
        "KF_RELEASE, but no parameter is a pointer, or none points to a struct",
        none=error("{type} has KF_RELEASE but no pointer parameter; " + _CALLS_REFUSED),
        no_struct=warning("{type} has KF_RELEASE but no parameter that points to a struct"),
    ),
    Row(
        "ret-null",
        "KF_RET_NULL, but no pointer is returned",
        warning(
            "{type} has KF_RET_NULL but returns {spelt}, which the verifier does not treat as a "
            "pointer"
        ),
    ),
    Row(
        "iter-flag",
        "more than one KF_ITER flag, or none on a function named like part of an iterator",
        several=error("{type} has {flags}, of which only one is allowed; " + _SET_REFUSED),
        none=warning(
            "{type} is named like part of an iterator, but has no KF_ITER flag: the verifier "
            "treats it as an ordinary kfunc"
        ),
    ),
    Row(
        "iter-arg",
        "the first parameter is not a `struct bpf_iter_<type> *`",
        error(
            "the first parameter of {type} is not a pointer to a struct bpf_iter_<type>; "
            + _SET_REFUSED
        ),
    ),
    Row(
        "iter-size",
        "the size of that struct is not a multiple of 8",
        error(
            "the iterator struct of {type} has {size} bytes, which is not a multiple of 8; "
            + _SET_REFUSED
        ),
    ),
    Row(
        "iter-name",
        "the name is not `bpf_iter_<type>_{new,next,destroy}`",
        error("{type} is not named {wanted}, as {flag} requires; " + _SET_REFUSED),
    ),
    Row(
        "iter-args",
        "additional parameters, which only `new` can have",
        error(
            "{type} has {number} parameters, which only bpf_iter_<type>_new can have; "
            + _SET_REFUSED
        ),
    ),
    Row(
        "iter-return",
        "`next` does not return a pointer, or `destroy` does not return void",
        error(_ITER_RETURN),
    ),
    Row(
        "iter-null",
        "`next` without KF_RET_NULL: the loop does not end",
        warning(
            "{type} has KF_ITER_NEXT without KF_RET_NULL: to the verifier, the loop does not end"
        ),
    ),
    Row(
        "flags",
        "flags that contradict each other",
        trusted_rcu=warning("{type} has KF_TRUSTED_ARGS and KF_RCU; the weaker KF_RCU applies"),
        release_rcu=warning(
            "{type} has KF_RELEASE and KF_RCU, but it can only release a reference"
        ),
        sleepable_rcu=warning(
            "{type} has KF_SLEEPABLE, which forbids calls in RCU critical sections, and "
            "KF_RCU_PROTECTED, which allows them only there: kernels since 6.18 accept no call"
        ),
    ),
    Row(
        "fastcall",
        "KF_FASTCALL for a real function, which overwrites registers",
        warning(
            "{type} has KF_FASTCALL, which is for functions that the verifier inlines; a call of "
            "a module's function overwrites registers that programs rely on"
        ),
    ),
    Row(
        "arena",
        "a KF_ARENA flag for something that is not a pointer",
        warning("{type} has {flag}, but {what} is not a pointer"),
    ),
    Row(
        "implicit-args",
        "KF_IMPLICIT_ARGS without the `_impl` function that resolve_btfids makes",
        no_impl=error(
            "{type} has KF_IMPLICIT_ARGS, but the BTF has no {type}_impl: kernels since 7.0 refuse "
            "every call",
            "make the BTF with kbtf, or with resolve_btfids of 7.0 or later",
        ),
        not_last=warning(
            "{type} has KF_IMPLICIT_ARGS, but {type}_impl does not end in an argument that the "
            "verifier supplies"
        ),
    ),
    Row(
        "unknown-flags",
        "flags that this kernel does not know",
        bits=warning("{type} has flags that no kernel knows: {bits:#x}"),
        since=warning("{type} has {flag}, which only kernels since {release} know"),
    ),
    Row(
        "old-flag",
        "a flag that newer kernels no longer use",
        warning("{type} has {flag}, which kernels since {release} no longer use"),
    ),
    Row(
        "dtor",
        "a destructor that is not `void f(T *)`",
        error(
            "table {table}: {prototype} is not a destructor: a destructor returns void and takes "
            "one pointer; the kernel refuses to register the destructors"
        ),
    ),
    Row(
        "no-tag",
        "no declaration tags `bpf_kfunc`; `kbtf run --kfunc-tags` adds them",
        note(
            "{without} of {kfuncs} {have} no declaration tag bpf_kfunc; kernels do not need "
            "it, but bpftool uses it to list kfuncs",
            "run 'kbtf run --kfunc-tags' on it",
        ),
    ),
    Row(
        "no-base",
        "no base was found, so names were not compared",
        note(
            "no base was found, so names were not compared with those of vmlinux",
            "name it with --base",
        ),
    ),
    Row(
        "raw-btf",
        "raw BTF, as in /sys/kernel/btf, which has no sets",
        warning("is raw BTF: sets and flags are only in the .ko, so nothing was audited"),
    ),
)
