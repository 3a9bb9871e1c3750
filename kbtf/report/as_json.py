"""Results for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.report.tally import tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbtf.check.model import Result


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
        "findings": [
            {
                "severity": finding.severity.value,
                "code": finding.code,
                "text": finding.text,
                "type": finding.type,
                "hint": finding.hint,
            }
            for finding in result.findings
        ],
        "error": result.error,
    }


def summary(results: Sequence[Result]) -> dict[str, int]:
    """How many modules, kernels, and results of each verdict."""
    return {
        "modules": len({result.module for result in results}),
        "kernels": len({(result.kernel, result.source) for result in results}),
        **{verdict.value: count for verdict, count in tally(results).items()},
    }
