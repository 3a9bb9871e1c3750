# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Findings of ``kbtf doctor``: what a build would do, and what is missing."""

from __future__ import annotations

from kbtf.findings.table import Row, Table, error, note, ok

BUILD = Table(
    Row(
        "kernel",
        "the kernel build directory, and its release",
        unusable=error("{kdir} {why}", "{hint}"),
        unnamed=note("{kdir} does not name its release"),
        running=ok("{kdir} is for {release}"),
        other=ok("{kdir} is for {release}, not for the running kernel, {running}"),
    ),
    Row(
        "configuration",
        "the kernel's configuration",
        error(
            "{kdir} has no include/config/auto.conf",
            "reinstall the headers, or run 'make modules_prepare' in the kernel's sources",
        ),
    ),
    Row(
        "kernel-btf",
        "CONFIG_DEBUG_INFO_BTF",
        unset=error(
            "CONFIG_DEBUG_INFO_BTF is not set: the kernel has no BTF and accepts no module BTF",
            "use a kernel with CONFIG_DEBUG_INFO_BTF=y",
        ),
        set=ok("CONFIG_DEBUG_INFO_BTF is set"),
    ),
    Row(
        "module-btf",
        "CONFIG_DEBUG_INFO_BTF_MODULES",
        unset=error(
            "CONFIG_DEBUG_INFO_BTF_MODULES is not set: the kernel accepts no module BTF",
            "use a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y; this one cannot register kfuncs",
        ),
        set=ok("CONFIG_DEBUG_INFO_BTF_MODULES is set"),
    ),
    Row(
        "dwarf",
        "whether modules have DWARF, which BTF is made from",
        unset=error(
            "CONFIG_DEBUG_INFO is not set: modules have no DWARF to make BTF from",
            "build with KCFLAGS=-g",
        ),
        split=error(
            "CONFIG_DEBUG_INFO_SPLIT is set: the types of modules are in separate .dwo files",
            "build with CONFIG_DEBUG_INFO_SPLIT=",
        ),
    ),
    Row(
        "mismatch",
        "CONFIG_MODULE_ALLOW_BTF_MISMATCH",
        allowed=note(
            "CONFIG_MODULE_ALLOW_BTF_MISMATCH is set: a module whose BTF does not fit loads "
            "without BTF and without its kfuncs",
            "test modules with 'kbtf check', because insmod succeeds",
        ),
        fatal=note(
            "CONFIG_MODULE_ALLOW_BTF_MISMATCH is not set: a module whose BTF does not fit fails "
            "to load",
            "run 'kbtf check' for the kernels it should load into",
        ),
    ),
    Row("make", "the program", error("make is not installed", "install the package make")),
    Row(
        "compiler",
        "the compiler that the kernel was built with",
        missing=error("{program} is not installed", "install {program}"),
        clang=note("the kernel was built with {version}", "build modules with LLVM=1"),
        gcc=ok("the kernel was built with {version}"),
    ),
    Row(
        "base",
        "the base BTF that a build would use",
        missing=error("{why}", "{hint}; the vmlinuz in the kernel's image package is enough"),
        other_release=error(
            "{source} is for {found}: refused for modules of {release}",
            "name the vmlinux, vmlinuz or raw BTF of {release} with --base",
        ),
        unnamed=note(
            "{source}, {types} types: its release is not known",
            "make sure that it belongs to this kernel; kbtf refuses modules that do not fit it",
        ),
        found=ok("{source} of {found}, {types} types"),
    ),
    Row(
        "vmlinux",
        "the vmlinux in the directory, which make alone needs",
        missing=note(
            "{kdir} has none: make alone prints 'Skipping BTF generation' and makes no BTF; 'kbtf "
            "build' uses the base"
        ),
        unreadable=note(
            "{why}: make alone fails, 'kbtf build' ignores it",
            "reinstall the headers, or remove the file",
        ),
        found=ok("{path}"),
    ),
    Row(
        "relocation",
        "whether the kernel relocates the BTF of modules",
        relocates=ok("the kernel can relocate: modules get .BTF.base"),
        exact=note(
            "the kernel cannot relocate BTF (before 6.11): modules get plain split BTF, valid for "
            "this build of the kernel only",
            "rebuild modules after every kernel update, as DKMS does",
        ),
        none=error(
            "the kernel accepts no module BTF: its struct module has no member for it",
            "use a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y",
        ),
    ),
    Row(
        "pahole",
        "the program, which make alone needs, and kbtf with `--encoder pahole`",
        needed=error("{why}", "{hint}"),
        unneeded=note(
            "{why}: kbtf does not need it, make alone does",
            "for make alone: PAHOLE=$(command -v kbtf-pahole)",
        ),
        faulty=note("{installed}; {faults}", "omit '--encoder pahole': kbtf has no such fault"),
        found=ok("{installed}"),
    ),
    Row(
        "resolve-btfids",
        "the program, which make alone needs",
        missing=note(
            "{path} is missing: make alone fails if there is a vmlinux, 'kbtf build' does not "
            "need it",
            "for make alone: RESOLVE_BTFIDS=$(command -v kbtf-resolve-btfids)",
        ),
        found=ok("{path}"),
    ),
    Row(
        "signing",
        "whether the kernel requires signatures",
        note(
            "{what}",
            "sign modules after kbtf, which changes them, or use '--sign KEY CERT'{no_program}",
        ),
    ),
    Row(
        "compression",
        "how `modules_install` compresses",
        ok("'modules_install' compresses with {kind}; BTF does not change"),
    ),
    Row(
        "sources",
        "the current directory, if it or its `src` has sources of modules",
        path=error("{folder}: {why}", "{hint}"),
        below=note("{folder} lists no modules: a build there makes none", "run it in {inner}"),
    ),
    Row(
        "dkms",
        "whether dkms, if it has packages, builds their modules with kbtf",
        disabled=note(
            "modules of DKMS packages get the BTF that make alone makes",
            "sudo kbtf dkms enable",
        ),
        broken=error(
            "the drop-in for dkms does not work: {problems}",
            "sudo kbtf dkms enable",
        ),
        enabled=ok("dkms builds modules with {program}"),
    ),
    Row(
        "dkms-btf",
        "modules that dkms built for this kernel",
        note(
            "no BTF in {names}, built by dkms",
            "run 'kbtf dkms status', which says why, and how to build them again",
        ),
    ),
)
