# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results to report: a few of each sort, hostile names, and thousands."""

from __future__ import annotations

from kbtf.check.result import BtfFate, Loading, Result, Verdict, worst
from kbtf.findings.finding import Finding, Severity

RESIZED = Finding(
    Severity.ERROR,
    "embedded-resized",
    "struct device_type is embedded in struct extcon_cable (member 'x') and is 48 bytes in "
    "6.12.117, 56 in 6.12.115",
    "struct device_type",
    "build the module against this kernel",
)
UNMAPPED = Finding(Severity.ERROR, "unmapped", "the kernel has no such type", "union foo", None)
STALE = Finding(Severity.WARNING, "unchecked", "plain split BTF of another build of vmlinux")
NOTE = Finding(Severity.NOTE, "kfuncs-lost", "the size of an enum is not compared")

KERNELS = ("6.12.115+deb13-amd64", "6.12.117+deb13-amd64", "6.12.117+deb13-cloud-amd64")
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"quotes\" & 'more'",
    "</script><script>alert(2)</script>",
    "two\nlines",
    "=cmd|calc # SKIP",
    "\N{PENGUIN} emoji",
    "\u05e9\u05dc\u05d5\u05dd",
    "over\u202egnp.ko",
    "escape\x1b[31m",
    "byte\udcff",
    "]]>nul\x00",
    "line\u2028separator",
)
"""Names as strangers could give them; a path cannot hold NUL, but a .modinfo can say anything."""


def result(
    module: str = "/m/one.ko",
    kernel: str = KERNELS[0],
    *findings: Finding,
    loading: Loading = Loading.LOADS_WITHOUT_BTF,
    error: str | None = None,
) -> Result:
    """A result as a check would give it for these findings."""
    verdict = worst(findings) if error is None else Verdict.UNKNOWN
    refused = verdict is Verdict.REJECTED
    return Result(
        module=module,
        name=module.rsplit("/", 1)[-1].removesuffix(".ko"),
        kernel=kernel,
        source=f"/boot/vmlinuz-{kernel}",
        verdict=verdict,
        btf=BtfFate.REFUSED if refused else BtfFate.ACCEPTED,
        loading=loading if refused else Loading.LOADS,
        findings=findings,
        error=error,
        exit_code=0 if error is None else 3,
    )


FEW = [
    result("/m/one.ko", KERNELS[0], RESIZED, NOTE),
    result("/m/one.ko", KERNELS[1], STALE),
    result("/m/two.ko", KERNELS[0], NOTE),
    result("/m/two.ko", KERNELS[1]),
    result("/m/three.ko", KERNELS[0], error="/m/three.ko: is not an ELF file"),
    result("/m/three.ko", KERNELS[1]),
]


def hostile() -> list[Result]:
    """Every hostile name as module, kernel, type and text."""
    return [
        result(f"/m/{name}", name, UNMAPPED._replace(text=name, type=name, hint=name))._replace(
            name=name
        )
        for name in HOSTILE
    ]


def many(modules: int = 4000, kernels: tuple[str, ...] = KERNELS) -> list[Result]:
    """As many as a distribution has modules: most are well, texts are long and mostly unlike."""
    results = []
    folders = ("net/wireless", "gpu/drm", "media/usb", "iio/adc", "hwmon", "extcon")
    for number in range(modules):
        folder = folders[number % len(folders)]
        path = f"/lib/modules/{KERNELS[1]}/kernel/drivers/{folder}/driver_{number:04d}.ko.xz"
        for column, kernel in enumerate(kernels):
            findings: list[Finding] = []
            if number % 9 == 4 and column != 1:
                text = RESIZED.text.replace("extcon_cable", f"state_{number}")
                findings.append(RESIZED._replace(text=f"{text} on {kernel}"))
            if number % 5 == 2 and column == 2:
                name = f"struct ops_{number % 40}"
                findings.append(UNMAPPED._replace(text=f"no {name} in {kernel}", type=name))
            if number % 11 == 3:
                findings.append(STALE)
            if number % 2:
                findings.append(NOTE)
            error = "cut off in section .BTF" if number % 997 == 5 else None
            each = result(path, kernel, *findings, error=error)
            results.append(each._replace(name=f"driver_{number:04d}"))
    return results
