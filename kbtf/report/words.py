"""How results are put into words, alike in every format for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kbtf.check.model import Finding, Result

_Key = TypeVar("_Key")

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """*text* in one line and without what steers a terminal, hides or reorders characters.

    Names come from strangers: control characters, bidirectional overrides, zero-width characters
    and bytes that are not UTF-8 are shown as escapes.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape kept
        code -= 0xDC00
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def sentence(finding: Finding) -> str:
    """What was found and what to do, in one line; the type is named if the text does not."""
    text = finding.text
    if finding.type is not None and finding.type not in text:
        text = f"{finding.type}: {text}"
    return visible(f"{text}; {finding.hint}" if finding.hint else text)


def module_labels(results: Iterable[Result]) -> dict[str, str]:
    """What to call each module path: its name, or the path where modules share a name."""
    names = {result.module: result.name for result in results}
    return _unlike(names, {path: path for path in names})


def kernel_labels(results: Iterable[Result]) -> dict[tuple[str, str], str]:
    """What to call each kernel and source: the kernel, and its source where others share it."""
    kernels = {(result.kernel, result.source): result.kernel for result in results}
    return _unlike(kernels, {key: f"{key[0]} ({key[1]})" for key in kernels})


def _unlike(short: dict[_Key, str], long: dict[_Key, str]) -> dict[_Key, str]:
    seen: dict[str, int] = {}
    for label in short.values():
        seen[label] = seen.get(label, 0) + 1
    return {key: visible(label if seen[label] == 1 else long[key]) for key, label in short.items()}


def by_module(results: Iterable[Result]) -> list[list[Result]]:
    """The results of each module, modules and kernels in the order in which they came."""
    modules: dict[str, list[Result]] = {}
    for result in results:
        modules.setdefault(result.module, []).append(result)
    return list(modules.values())


def plural(count: int, noun: str) -> str:
    """``1 module``, ``4,000 modules``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def scope(results: Sequence[Result]) -> str:
    """``4,000 modules on 3 kernels``."""
    modules = plural(len({result.module for result in results}), "module")
    kernels = plural(len({(result.kernel, result.source) for result in results}), "kernel")
    return f"{modules} on {kernels}"
