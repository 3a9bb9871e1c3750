# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Findings of ``kbtf check``: what a kernel does with the BTF of a module."""

from __future__ import annotations

from kbtf.findings.table import Row, Table, error, note, warning

_RELINK = "relink the module"
_REBUILD = "build the module for that kernel"
_RUN = "run 'kbtf run' on it"
_RELOCATION = error("{type}: {why}", "{hint}")
_MADE_FOR = "its BTF was made for another vmlinux: {why}"
_NO_MODULE_BTF = "this kernel accepts no module BTF (CONFIG_DEBUG_INFO_BTF_MODULES is not set)"
_OWN_COPY = (
    "{type}, which kfunc {func} uses, is the module's own copy, which the verifier treats as "
    "another type than {kernel}'s: "
)

LOADING = Table(
    Row(
        "unmapped",
        "the kernel has no type of that name and kind",
        missing=error("{kernel} has no {type}, which the module refers to", "{hint}"),
        other=_RELOCATION,
    ),
    Row(
        "ambiguous",
        "the kernel has two types that fit",
        error("{kernel} has two types that fit {type} ({size} bytes): {found}", "{hint}"),
    ),
    Row(
        "matcher-quirk",
        "a type that was only declared is now defined: it is the same type, but the kernel refuses "
        "the BTF",
        error(
            "{type} is only declared where the module was built, and defined in {kernel}; it is "
            "the same type, but the kernel does not match the two",
            "{hint}",
        ),
    ),
    Row(
        "resized",
        "no type of that name has the size; or an INT, FLOAT or ENUM changed its size",
        _RELOCATION,
    ),
    Row(
        "embedded-resized",
        "a struct that the module embeds in one of its own has another size",
        member=error(
            "{type} is embedded in {owner} ({member}) and is {size} bytes in the module, {sizes} "
            "in {kernel}",
            "{hint}",
        ),
        other=_RELOCATION,
    ),
    Row(
        "stale",
        "plain split BTF that was made for another vmlinux",
        error(_MADE_FOR, "add .BTF.base with 'kbtf run', or build the module for that kernel"),
    ),
    Row(
        "misread",
        "the same, but the kernel does not notice and misreads the references as other types",
        error(
            _MADE_FOR + "; the kernel does not notice, and misreads its references as other types",
            "add .BTF.base with 'kbtf run', or build the module for that kernel",
        ),
    ),
    Row(
        "base-removed",
        "`.BTF.base` was removed, and `.BTF` cannot be read without it",
        error(
            "its .BTF.base was removed: .BTF continues a distilled base, not a vmlinux",
            "relink the module, and keep .BTF.base when you remove sections",
        ),
    ),
    Row(
        "too-old",
        "the module has `.BTF.base`, and the kernel cannot relocate (before 6.11)",
        error(
            "this kernel cannot relocate BTF (its struct module has no btf_base_data) and would "
            "misread BTF that has a .BTF.base",
            "turn it into plain split BTF for this kernel with 'kbtf undistill'",
        ),
    ),
    Row(
        "rule",
        "breaks a rule that the kernel checks when it loads BTF",
        error("{section}: {violation}"),
    ),
    Row(
        "broken",
        "the BTF cannot be read",
        unreadable=error("its BTF is broken: {why}"),
        relocation=_RELOCATION,
    ),
    Row(
        "no-btf",
        "no BTF: an error if the module has kfunc sets",
        sets=error(
            "has kfunc sets but no BTF: its kfuncs cannot be registered",
            "run 'kbtf run' on the freshly linked module",
        ),
        bare=warning("has no BTF: it loads, but tools cannot trace its types"),
    ),
    Row(
        "ids-unresolved",
        "`.BTF_ids` is not resolved: an error if the module has kfunc sets",
        sets=error(".BTF_ids is not resolved: its kfuncs cannot be registered", _RUN),
        lists=warning(".BTF_ids is not resolved: the ids that the module reads are 0", _RUN),
    ),
    Row(
        "ids-mismatch",
        "`.BTF_ids` was resolved against other BTF",
        error(".BTF_ids is not resolved against {base}: {why}", _RELINK),
    ),
    Row(
        "ids-no-func",
        "a kfunc set contains an id that is not a function: the set cannot be registered, and the "
        "module fails to load if its init function returns that error",
        unresolved=error(
            ".BTF_ids: set {set} has an unresolved kfunc, and the kernel refuses to register the "
            "set",
            "remove functions that do not exist from the set",
        ),
        mismatch=error(
            ".BTF_ids is not resolved against {base}: {why}; the kernel refuses to register a set "
            "with an id that is not a function",
            _RELINK,
        ),
    ),
    Row(
        "ids-odd",
        "a slot of `.BTF_ids` is not aligned, or a set reaches past the end of the section",
        warning(".BTF_ids: {oddity}"),
    ),
    Row(
        "ids-list",
        "a plain `BTF_ID_LIST`, which kernels do not relocate",
        warning(".BTF_ids: the kernel does not relocate the list {list}, which the module reads"),
    ),
    Row(
        "name-taken",
        "vmlinux has a function with the name of a kfunc; kernels since 7.2 refuse the set",
        refused=error(
            "kfunc {type}: {kernel} has a function of that name and refuses to register the set",
            "rename it",
        ),
        hidden=warning(
            "kfunc {type}: {kernel} has a function of that name, which BPF programs call instead",
            "rename it",
        ),
    ),
    Row(
        "kind-changed",
        "a struct that is now a union or an int; the kernel accepts it",
        warning("{type} is {found} in {kernel}, and the kernel accepts it"),
    ),
    Row(
        "own-copy",
        "a kfunc's struct is in the module's own BTF although the kernel has it; to the verifier, "
        "these are different types",
        repeated=warning(
            _OWN_COPY + "the module's BTF was not deduplicated against the kernel's",
            "run 'kbtf run' on the freshly linked module, which deduplicates it",
        ),
        differs=warning(
            _OWN_COPY + "the two are defined differently",
            "make its BTF with the vmlinux that belongs to the headers",
        ),
    ),
    Row(
        "by-value-resized",
        "a type that is used by value outside structs changed its size; the kernel does not check",
        warning(
            "{type} is used by value ({use} of {owner}) and is {size} bytes in the module, {found} "
            "in {kernel}; the kernel does not check this",
            _REBUILD,
        ),
    ),
    Row(
        "raw-btf",
        "raw BTF, as in /sys/kernel/btf, does not show kfunc sets",
        warning(
            "is raw BTF: without the .ko, it is not known which kfunc sets it has and whether the "
            "kernel registers them"
        ),
    ),
    Row(
        "plain-other-release",
        "plain split BTF that fits another release by chance",
        warning(
            "its BTF is plain split BTF made for {made_for}; it fits {release} by chance, or "
            "because both have the same types"
        ),
    ),
    Row(
        "unchecked",
        "breaks a rule of the format that no kernel checks",
        warning("{section}: {violation}"),
    ),
    Row(
        "unknown-kind",
        "a type of a kind that kbtf does not know: the verdict is `unknown`",
        warning("cannot judge {kind}: kbtf does not know it (type [{id}])", "use a newer kbtf"),
    ),
    Row(
        "no-module-btf",
        "the kernel accepts no module BTF at all",
        sets=warning(_NO_MODULE_BTF),
        bare=note(_NO_MODULE_BTF),
    ),
    Row(
        "resized-behind-pointer",
        "a type changed its size, but the module has only pointers to it",
        note(
            "{type} is {size} bytes in the module, {found} in {kernel}; the module has only "
            "pointers to it"
        ),
    ),
    Row(
        "kernel-btf",
        "`btf_vmlinux.ko`, which contains the kernel's own BTF (CONFIG_DEBUG_INFO_BTF=m)",
        note("contains the kernel's own BTF"),
    ),
    Row(
        "judged-by-signs",
        "raw BTF does not name its release, so [what its types "
        "show](kernels.md#rules-that-changed) decides",
        note("the release of {kernel} is not known; going by its types, it is judged as {as_what}"),
    ),
    Row(
        "kfuncs-lost",
        "the effect of a refusal on the module's kfuncs",
        note("its kfuncs are not registered then, and BPF programs cannot call them"),
    ),
    Row(
        "vermagic",
        "built for another release, without symbol versions (CONFIG_MODVERSIONS): the kernel "
        "does not load it",
        warning(
            "its vermagic names {release}, and {who} has no symbol versions (CONFIG_MODVERSIONS): "
            "{kernel} refuses to load it",
            _REBUILD,
        ),
    ),
    Row(
        "symbol-missing",
        "the kernel exports no symbol of that name, and does not load the module",
        warning("{kernel} does not export {names}: it refuses to load the module", _REBUILD),
    ),
    Row(
        "symbol-version",
        "the kernel has another version of a symbol, and does not load the module",
        warning("{kernel} has other versions of {names}: it refuses to load the module", _REBUILD),
    ),
    Row(
        "symbols-unchecked",
        "what was not checked: neither the kernel's Module.symvers nor a vmlinux with symbols was "
        "found, or the release is not known",
        release=note(
            "whether {kernel} accepts its vermagic and has its symbols was not checked: the "
            "kernel's release is not known"
        ),
        exports=note(
            "whether {kernel} has its symbols was not checked: no Module.symvers of that "
            "kernel was found"
        ),
        modules=note("{names} may be exported by {modules}, which was not checked"),
        versions=note("{source} has no versions of symbols, so these were not checked"),
    ),
)
