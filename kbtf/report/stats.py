# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The size of resilient BTF in a tree of modules: numbers, a histogram, a page."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.split import is_split_btf
from kbtf.elf.files import read_unpacked
from kbtf.elf.image import ElfImage
from kbtf.errors import located
from kbtf.say import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

_BAR = 40  # characters of the longest bar


class ModuleSize(NamedTuple):
    """One module, unpacked, in bytes; 0 for a section that it lacks."""

    module: str
    file: int
    btf: int
    btf_base: int


class Bin(NamedTuple):
    """The modules whose ``.BTF.base`` has from *least* to *most* bytes."""

    least: int
    most: int
    modules: int


class Stats(NamedTuple):
    """A tree in numbers; bytes, and over the modules with ``.BTF.base``."""

    modules: int
    with_btf: int
    with_btf_base: int
    mean: float
    deviation: float
    """The standard deviation of all of them, not estimated from a sample."""
    total: int
    """The bytes that resilient BTF added."""
    files: int
    """All files together, unpacked."""
    largest: ModuleSize | None
    histogram: tuple[Bin, ...]


def measure(path: str) -> ModuleSize:
    """The sizes in one module, unpacked if it is compressed; KbtfError if it cannot be read."""
    data = read_unpacked(path)
    size = len(data)
    if is_split_btf(data):
        return ModuleSize(path, size, size, 0)
    with located(path):
        sections = {section.name: section.file_size for section in ElfImage(data).sections}
    return ModuleSize(path, size, sections.get(".BTF", 0), sections.get(".BTF.base", 0))


def summarise(sizes: Iterable[ModuleSize]) -> Stats:
    """All modules of a tree."""
    modules = list(sizes)
    bases = [module.btf_base for module in modules if module.btf_base]
    mean = sum(bases) / len(bases) if bases else 0.0
    variance = sum((size - mean) ** 2 for size in bases) / len(bases) if bases else 0.0
    return Stats(
        modules=len(modules),
        with_btf=sum(module.btf > 0 for module in modules),
        with_btf_base=len(bases),
        mean=mean,
        deviation=math.sqrt(variance),
        total=sum(bases),
        files=sum(module.file for module in modules),
        largest=max(modules, key=lambda module: module.btf_base) if bases else None,
        histogram=tuple(_bins(bases)),
    )


def _bins(sizes: list[int]) -> Iterable[Bin]:
    """One for each power of two, from the smallest size to the largest."""
    powers = [size.bit_length() - 1 for size in sizes]
    for power in range(min(powers, default=0), max(powers, default=-1) + 1):
        yield Bin(1 << power, (2 << power) - 1, powers.count(power))


def rows(stats: Stats) -> list[tuple[str, str]]:
    """The numbers to show, with their names."""
    shown = [
        ("modules", f"{stats.modules:,}"),
        ("with .BTF", f"{stats.with_btf:,}"),
        ("with .BTF.base", f"{stats.with_btf_base:,}"),
    ]
    if stats.largest is not None:
        share = 100 * stats.total / stats.files
        shown += [
            ("mean .BTF.base", f"{stats.mean:,.0f} bytes"),
            ("standard deviation", f"{stats.deviation:,.0f} bytes"),
            ("largest", f"{stats.largest.btf_base:,} bytes, {visible(stats.largest.module)}"),
            ("added", f"{stats.total:,} bytes, {share:.1f} % of the files, unpacked"),
        ]
    return shown


def text(stats: Stats) -> str:
    """The numbers and the histogram, for a terminal or a log."""
    lines = [f"{name:<18}  {value}" for name, value in rows(stats)]
    if stats.histogram:
        lines += ["", "bytes of .BTF.base    modules"]
    most = max((each.modules for each in stats.histogram), default=0)
    for each in stats.histogram:
        bar = "#" * math.ceil(_BAR * each.modules / most)
        line = f"{each.least:>9,} - {each.most:>9,}  {each.modules:>6,}  {bar}"
        lines.append(line.rstrip())
    return "".join(line + "\n" for line in lines)


def page(stats: Stats, title: str) -> str:
    """The same as a standalone page, which fetches nothing and needs no script."""
    table = "".join(f"<tr><th>{_html(n)}</th><td>{_html(v)}</td></tr>" for n, v in rows(stats))
    most = max((each.modules for each in stats.histogram), default=0)
    bars = "".join(_bar(each, most) for each in stats.histogram)
    head = "<tr><th>Bytes</th><th>Modules</th><td></td></tr>"
    table_of_bars = f'<h2>Sizes of .BTF.base</h2><table class="histogram">{head}{bars}</table>'
    histogram = table_of_bars if bars else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_html(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{_html(title)}</h1><table>{table}</table>"
        f"{histogram}</body></html>\n"
    )


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 1em; color: #222; background: #fff }
table { max-width: 60rem }
th { text-align: left; font-weight: normal; padding-right: 1em; vertical-align: top }
td { overflow-wrap: anywhere }
.histogram { width: 100% }
.histogram th { width: 1%; text-align: right; white-space: nowrap }
svg { display: block; width: 100%; height: 16px }
rect { fill: #36c }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818 }
  rect { fill: #69f }
}
"""


def _bar(each: Bin, most: int) -> str:
    share = 100 * each.modules / most
    return (
        f"<tr><th>{each.least:,} - {each.most:,}</th><th>{each.modules:,}</th>"
        f'<td><svg aria-hidden="true"><rect width="{share:.1f}%" height="16"/></svg></td></tr>'
    )


def _html(words: str) -> str:
    return escape(visible(words))
