"""What resilient BTF adds to a tree of modules: numbers, a histogram, a page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kbtf.elf.files import Source
from kbtf.elf.image import ElfImage
from kbtf.elf.module import Module, located
from kbtf.elf.unpack import recognise
from kbtf.record import NamedTuple
from kbtf.report.words import plural, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

_BAR = 40  # characters of the longest bar
_WIDTH, _ROW = 480, 22  # of the page's histogram, in pixels


class ModuleSize(NamedTuple):
    """One module, in bytes; 0 for a section that it has not got."""

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
    """What was added."""
    files: int
    """All files together."""
    largest: ModuleSize | None
    histogram: tuple[Bin, ...]


def measure(path: str) -> ModuleSize:
    """The sizes in one module, as the file holds them; KbtfError if it cannot be read."""
    with Source(path) as source, located(path):
        size = len(source)
        image = Module.open(path).image if recognise(source.data) else ElfImage(source.data)
        sections = {section.name: section.file_size for section in image.sections}
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
    """What to tell, each with its name."""
    told = [
        ("modules", f"{stats.modules:,}"),
        ("with .BTF", f"{stats.with_btf:,}"),
        ("with .BTF.base", f"{stats.with_btf_base:,}"),
    ]
    if stats.largest is not None:
        share = 100 * stats.total / stats.files
        told += [
            ("mean .BTF.base", f"{stats.mean:,.0f} bytes"),
            ("standard deviation", f"{stats.deviation:,.0f} bytes"),
            ("largest", f"{stats.largest.btf_base:,} bytes, {visible(stats.largest.module)}"),
            ("added", f"{stats.total:,} bytes, {share:.1f} % of the files"),
        ]
    return told


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
    """The same as a page of its own, which fetches nothing and needs no script."""
    table = "".join(f"<tr><th>{_html(n)}</th><td>{_html(v)}</td></tr>" for n, v in rows(stats))
    most = max((each.modules for each in stats.histogram), default=0)
    bars = "".join(_bar(at, each, most) for at, each in enumerate(stats.histogram))
    height = _ROW * len(stats.histogram)
    label = f"Histogram of the bytes of .BTF.base: {plural(stats.with_btf_base, 'module')}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_html(title)}</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;margin:2em;color:#222;background:#fff}"
        "th{text-align:left;font-weight:normal;padding-right:2em}svg text{font-size:12px}"
        "rect{fill:#36c}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}"
        "svg text{fill:#ddd}rect{fill:#69f}}"
        f"</style></head><body><h1>{_html(title)}</h1><table>{table}</table>"
        "<h2>Bytes of .BTF.base, and how many modules</h2>"
        f'<svg role="img" aria-label="{_html(label)}" width="{_WIDTH + 240}" height="{height}">'
        f"{bars}</svg></body></html>\n"
    )


def _bar(at: int, each: Bin, most: int) -> str:
    width, text_at = _WIDTH * each.modules // most, _ROW * at + 15
    return (
        f'<text x="150" y="{text_at}" text-anchor="end">{each.least:,} - {each.most:,}</text>'
        f'<rect x="160" y="{_ROW * at + 3}" width="{width}" height="16"/>'
        f'<text x="{166 + width}" y="{text_at}">{each.modules:,}</text>'
    )


def _html(words: str) -> str:
    escaped = visible(words).replace("&", "&amp;").replace("<", "&lt;")
    return escaped.replace(">", "&gt;").replace('"', "&quot;")
