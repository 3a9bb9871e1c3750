# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results as a document for scripts."""

from __future__ import annotations

import json

from kbtf.check.rules.load import failed
from kbtf.errors import KbtfError
from kbtf.report import as_json
from kbtf.report.words import scope
from report.samples import FEW, HOSTILE, KERNELS, hostile


def test_a_result_says_what_happens_to_the_btf_and_to_the_module() -> None:
    document = json.loads(as_json.render(FEW))
    assert document["results"][0] == {
        "module": "/m/one.ko",
        "name": "one",
        "kernel": KERNELS[0],
        "source": f"/boot/vmlinuz-{KERNELS[0]}",
        "verdict": "rejected",
        "btf": "refused",
        "loading": "loads without BTF",
        "findings": [
            {
                "severity": "error",
                "code": "embedded-resized",
                "text": "struct device_type is embedded in struct extcon_cable (member 'x') and "
                "is 48 bytes in 6.12.117, 56 in 6.12.115",
                "type": "struct device_type",
                "hint": "build the module against this kernel",
            },
            {
                "severity": "note",
                "code": "kfuncs-lost",
                "text": "the size of an enum is not compared",
                "type": None,
                "hint": None,
            },
        ],
        "error": None,
    }
    assert document["results"][4]["error"] == "/m/three.ko: is not an ELF file"


def test_the_summary_counts_every_verdict() -> None:
    assert json.loads(as_json.render(FEW))["summary"] == {
        "modules": 3,
        "kernels": 2,
        "ok": 3,
        "warnings": 1,
        "rejected": 1,
        "unknown": 1,
    }


def test_names_are_as_they_were_and_a_result_is_a_line() -> None:
    text = as_json.render(hostile())
    assert text.isascii()
    assert [each["kernel"] for each in json.loads(text)["results"]] == list(HOSTILE)
    assert len(text.splitlines()) == len(HOSTILE) + 3


def test_nothing_is_a_document_too() -> None:
    document = json.loads(as_json.render([]))
    assert document["results"] == []
    assert document["summary"]["modules"] == 0


def test_a_module_that_cannot_be_read_is_on_no_kernel() -> None:
    unread = failed("/m/none.ko", KbtfError("is empty", file="/m/none.ko"))
    found = as_json.summary([*FEW[:1], unread])
    assert (found["modules"], found["kernels"]) == (2, 1)
    assert scope([*FEW[:1], unread]) == "2 modules on 1 kernel"
