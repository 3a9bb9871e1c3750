# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Findings of ``kbtf status`` about the next boot, in addition to those of ``kbtf check``."""

from __future__ import annotations

from kbtf.findings.table import Row, Table, error, warning

_SIGN = "sign it with 'kbtf run --sign KEY CERT'"

BOOT = Table(
    Row("unreadable", "a module could not be read", warning("{why}")),
    Row(
        "vermagic",
        "a module's vermagic differs from the kernel's: it was built for another kernel",
        error("its vermagic is '{made_for}', that of this kernel '{kernel}'"),
    ),
    Row(
        "other-release",
        "a module was built for another release, and has CRCs of the symbols that it uses: the "
        "kernel loads it if they agree with its own, which kbtf does not know",
        warning("was built for {made_for}: loads only if the CRCs of all symbols it uses agree"),
    ),
    Row(
        "unsigned",
        "a module has no signature, and the kernel requires one (CONFIG_MODULE_SIG_FORCE), or its "
        "own modules have one, so Secure Boot would refuse it",
        forced=error("is not signed: this kernel does not load it", _SIGN),
        secure_boot=warning("is not signed: a kernel under Secure Boot does not load it", _SIGN),
    ),
    Row(
        "early-only",
        "the initramfs has a module that is not installed",
        warning("is only in the initramfs"),
    ),
    Row(
        "early-differs",
        "the copy in the initramfs is not the installed module",
        warning(
            "the copy in the initramfs differs from the installed module",
            "regenerate the initramfs",
        ),
    ),
    Row(
        "initramfs-unreadable",
        "the image could not be read, so its copies are unknown",
        warning("cannot be read, so its copies of modules were not checked: {why}"),
    ),
)
