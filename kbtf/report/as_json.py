# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.report.tally import tally
from kbtf.report.words import count_kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbtf.check.result import Result


def render(results: Sequence[Result]) -> str:
    """The document, one result a line; ASCII, bytes that are not UTF-8 as lone surrogates."""
    import json

    lines = ",\n".join(json.dumps(as_dict(result)) for result in results)
    return f'{{"results": [\n{lines}\n],\n"summary": {json.dumps(summary(results))}}}\n'


def as_dict(result: Result) -> dict[str, Any]:
    """The object of one result.

    ``btf`` says what happens to the module's BTF, ``loading`` what happens to the module itself.
    """
    return {
        "module": result.module,
        "name": result.name,
        "kernel": result.kernel,
        "source": result.source,
        "verdict": result.verdict.value,
        "btf": result.btf.value,
        "loading": result.loading.value,
        "findings": [finding.as_dict() for finding in result.findings],
        "error": result.error,
    }


def summary(results: Sequence[Result]) -> dict[str, int]:
    """The numbers of modules, kernels, and results with each verdict."""
    return {
        "modules": len({result.module for result in results}),
        "kernels": count_kernels(results),
        **{verdict.value: count for verdict, count in tally(results).items()},
    }
