# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results as JUnit XML, read by an XML parser."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from kbtf.check.result import Result
from kbtf.check.rules.load import failed
from kbtf.errors import KbtfError
from kbtf.report import junit
from report.samples import FEW, HOSTILE, KERNELS, STALE, hostile, result


def parsed(results: list[Result]) -> ET.Element:
    return ET.fromstring(junit.render(results).encode())  # noqa: S314


def test_a_suite_for_each_kernel_and_a_case_for_each_module() -> None:
    root = parsed(FEW)
    assert root.attrib == {"name": "kbtf check", "tests": "6", "failures": "1", "errors": "1"}
    assert [suite.attrib["name"] for suite in root] == [KERNELS[0], KERNELS[1]]
    first, second = root
    assert first.attrib["tests"] == "3"
    assert [case.attrib["name"] for case in first] == ["one", "two", "three"]
    assert {case.attrib["classname"] for case in second} == {KERNELS[1]}


def test_rejected_is_a_failure_and_says_why() -> None:
    case = parsed(FEW)[0][0]
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "embedded-resized"
    assert failure.attrib["message"].startswith("struct device_type is embedded")
    assert failure.text is not None
    assert failure.text.splitlines()[-1] == "BTF refused, module loads without BTF"
    assert case.findtext("system-out") == "note kfuncs-lost: the size of an enum is not compared"


def test_bad_input_is_an_error() -> None:
    error = parsed(FEW)[0][2].find("error")
    assert error is not None
    assert error.attrib == {"type": "bad-input", "message": "/m/three.ko: is not an ELF file"}


def test_a_module_that_cannot_be_read_is_in_a_suite_of_its_own() -> None:
    unread = failed("/m/none.ko", KbtfError("is empty", file="/m/none.ko"))
    first, second = parsed([*FEW[:1], unread])
    assert first.attrib["name"] == KERNELS[0]
    assert second.attrib["name"] == second[0].attrib["classname"] == "no kernel"


def test_warnings_are_output_of_a_case_that_passed() -> None:
    case = parsed([result("/m/one.ko", KERNELS[0], STALE)])[0][0]
    assert [child.tag for child in case] == ["system-out"]
    assert (
        case.findtext("system-out")
        == "warning unchecked: plain split BTF of another build of vmlinux"
    )


def test_xml_is_valid_whatever_the_names() -> None:
    names = [suite.attrib["name"] for suite in parsed(hostile())]
    assert len(names) == len(HOSTILE)
    assert names[0] == HOSTILE[0]
    assert names[3] == "two\\nlines"
    assert names[9:11] == ["byte\\xff", "]]>nul\\x00"]


def test_every_character_can_be_in_a_name() -> None:
    for start in (0, 0x80, 0x2000, 0xD800, 0xDC80, 0xFDD0, 0xFFF0, 0x1FFFE):
        name = "".join(map(chr, range(start, start + 32)))
        parsed([result(f"/m/{name}", name, STALE._replace(text=name))])


def test_nothing_is_a_document_too() -> None:
    assert len(parsed([])) == 0
