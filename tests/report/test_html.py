# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The page of results: what is in it, and what Chromium makes of it."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf.report import html
from report import webdriver
from report.samples import FEW, HOSTILE, KERNELS, NOTE, hostile, many, result
from report.webdriver import CONTROL, DOWN, END, ENTER, ESCAPE, RIGHT, Browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kbtf.check.result import Result

BUDGET = 2_000_000  # bytes of a page for 4,000 modules and 3 kernels

# Time from the first byte that was parsed to the first row, and of each key from the event to the
# end of the layout that it caused.
OPENED = "return performance.getEntriesByName('rows shown')[0].startTime"
TYPED = """
const box = document.getElementById("query"), times = [];
for (let at = 1; at <= arguments[0].length; at++) {
  const start = performance.now();
  box.value = arguments[0].slice(0, at);
  box.dispatchEvent(new Event("input", {bubbles: true}));
  document.getElementById("grid").getBoundingClientRect();
  times.push(performance.now() - start);
}
return times;
"""


def test_the_page_is_the_same_for_the_same_results() -> None:
    assert html.render(FEW) == html.render(FEW)


def test_the_page_names_no_other_address() -> None:
    page = html.render(FEW).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]|url\(|@import| src=", page.split('id="data"')[0])


def test_what_repeats_is_in_the_page_once() -> None:
    data = html.page_data([result(f"/m/{at}.ko", KERNELS[0], NOTE) for at in range(100)])
    assert len(data["findings"]) == len(data["outcomes"]) == 1


def test_every_code_that_occurs_has_an_entry() -> None:
    codes = {finding.code for each in FEW for finding in each.findings}

    page = html.render(FEW)

    assert set(re.findall(r'<dt id="finding-([\w-]+)"', page)) == codes
    assert "a struct that the module embeds in one of its own has another size (error)" in page


def test_a_page_of_a_whole_distribution_is_small() -> None:
    assert len(html.render(many()).encode()) < BUDGET


def test_names_cannot_end_the_script_that_holds_them() -> None:
    page = html.render(hostile(), title="</title><script>@DATA@")
    assert "<script>alert" not in page
    assert page.count("</script>") == 2
    assert "&lt;/title&gt;&lt;script&gt;@DATA@" in page


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    try:
        with webdriver.browser(tmp_path_factory.mktemp("chromium")) as made:
            yield made
    except webdriver.MissingError as reason:
        missing(reason)


@pytest.fixture
def window(chromium: Browser) -> Iterator[Browser]:
    """A window whose pages must not complain, nor ask for anything but themselves."""
    chromium.open("about:blank")
    chromium.resize(1400, 900)
    chromium.console()
    chromium.requests()
    yield chromium
    assert chromium.console() == []
    assert not [url for url in chromium.requests() if not url.startswith(("file:", "blob:"))]


def show(window: Browser, folder: Path, results: list[Result], fragment: str = "") -> Path:
    path = folder / "report.html"
    path.write_text(html.render(results), encoding="utf-8")
    window.open(f"{path.as_uri()}{fragment}")
    return path


def names(window: Browser) -> list[str]:
    return window.texts("#grid tbody .name")


def choose(window: Browser, selector: str, value: str) -> None:
    window.run(
        "const [s, v] = arguments, e = document.querySelector(s); e.value = v;"
        "e.dispatchEvent(new Event('change', {bubbles: true}))",
        selector,
        value,
    )


@pytest.mark.integration
def test_thousands_open_and_filter_at_once(
    window: Browser, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    path = show(window, tmp_path, many())
    opened = window.run(OPENED)
    typed = window.run(TYPED, "driver_123")
    figures = {
        "page bytes": path.stat().st_size,
        "ms to first rows": round(opened, 1),
        "ms a key": [round(each, 1) for each in typed],
    }
    for what, figure in figures.items():
        record_property(what, figure)
    print(json.dumps(figures))
    assert window.text("#status") == "10 of 4,000 modules"
    assert sorted(names(window)) == [f"driver_{at}" for at in range(1230, 1240)]


@pytest.mark.integration
def test_the_document_stays_small_and_scrolls_to_the_last_row(
    window: Browser, tmp_path: Path
) -> None:
    show(window, tmp_path, many(), "#sort=name")
    assert names(window)[0] == "driver_0000"
    assert len(names(window)) < 100
    window.run("const s = document.getElementById('scroller'); s.scrollTop = s.scrollHeight")
    window.wait(lambda: names(window)[-1] == "driver_3999")
    assert len(names(window)) < 100


@pytest.mark.integration
def test_filters_by_verdict_code_kernel_and_difference(window: Browser, tmp_path: Path) -> None:
    show(window, tmp_path, FEW)
    assert names(window) == ["one", "three", "two"]
    assert window.texts("#kernels tbody label") == [KERNELS[0], KERNELS[1]]
    assert window.texts("#kernels tbody tr:first-child .count") == ["1", "0", "1", "1"]

    window.click("#verdicts input[value=ok]")
    assert names(window) == ["one", "three"]
    window.click("#verdicts input[value=ok]")

    choose(window, "#code", "kfuncs-lost")
    assert names(window) == ["one", "two"]
    choose(window, "#code", "")

    window.click("#differing")
    assert names(window) == ["one", "three"]
    window.click("#kernels tbody tr:first-child input")
    assert window.texts("#grid thead th") == ["Module", KERNELS[1]]
    assert names(window) == []
    window.click("#all-kernels")
    window.click("#all-kernels")
    assert window.texts("#grid thead th") == ["Module"]
    assert window.text("#empty") == "No module matches these filters."

    window.click("#reset")
    assert len(names(window)) == 3
    assert window.run("return document.getElementById('empty').hidden")


@pytest.mark.integration
def test_sorts_by_name_and_by_one_kernel(window: Browser, tmp_path: Path) -> None:
    show(window, tmp_path, FEW)
    window.click("#grid thead th:nth-child(1) button")
    assert names(window) == ["one", "three", "two"]
    window.click("#grid thead th:nth-child(1) button")
    assert names(window) == ["two", "three", "one"]
    script = "return document.querySelector('#grid thead th').getAttribute('aria-sort')"
    assert window.run(script) == "descending"
    window.click("#grid thead th:nth-child(3) button")
    assert names(window) == ["one", "three", "two"]
    assert window.run("return document.getElementById('sort').value") == "kernel 1"


@pytest.mark.integration
def test_a_click_shows_the_reasons(window: Browser, tmp_path: Path) -> None:
    show(window, tmp_path, FEW)
    window.click("#cell-0-1")
    assert window.text("#details h2") == "one"
    said = window.text("#details")
    for words in (KERNELS[0], "rejected", "loads without BTF", "embedded-resized", "56 in 6.12"):
        assert words in said
    assert "build the module against this kernel" in said
    window.click("#cell-1-0")
    assert "/m/three.ko: is not an ELF file" in window.text("#details")
    assert window.texts("#details h3") == [KERNELS[0], KERNELS[1]]
    window.click("#details .close")
    assert window.run("return document.getElementById('details').hidden")


@pytest.mark.integration
@pytest.mark.parametrize("width", [1400, 480])
def test_a_code_leads_to_its_meaning(window: Browser, tmp_path: Path, width: int) -> None:
    window.resize(width, 900)
    show(window, tmp_path, FEW, "#q=one")
    window.click("#cell-0-1")
    window.click("#details a.code")
    code = window.text("#meanings dt:focus")
    assert window.run("return document.activeElement.id") == f"finding-{code}"
    box = "const box = document.activeElement.getBoundingClientRect();"
    assert window.run(f"{box} return box.top >= 0 && box.bottom <= innerHeight")
    assert names(window) == ["one"]


@pytest.mark.integration
def test_everything_can_be_done_with_keys(window: Browser, tmp_path: Path) -> None:
    show(window, tmp_path, many())
    window.press("/")
    window.type("#query", "driver_00")
    window.wait(lambda: window.text("#status") == "100 of 4,000 modules")
    window.run("document.getElementById('grid').focus()")
    window.press(DOWN)
    window.press(RIGHT)
    window.press(ENTER)
    script = "return document.getElementById('grid').getAttribute('aria-activedescendant')"
    assert window.run(script) == "cell-1-2"
    assert window.texts("#details h3") == [KERNELS[1]]
    window.press(DOWN)
    assert window.text("#details h2") == names(window)[2]
    window.press(CONTROL, END)
    assert window.run(script) == "cell-99-3"
    assert window.run("return document.querySelector('#cell-99-3') !== null")
    window.press(ESCAPE)
    assert window.run("return document.getElementById('details').hidden")
    assert window.run("return document.activeElement.id") == "grid"


@pytest.mark.integration
def test_hostile_names_are_text(window: Browser, tmp_path: Path) -> None:
    show(window, tmp_path, hostile())
    shown = set(names(window))
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[5], HOSTILE[6]} <= shown
    assert {"two\\nlines", "over\\u202egnp.ko", "escape\\x1b[31m", "byte\\xff"} <= shown
    assert window.run("return document.querySelectorAll('img, script').length") == 2
    for at in range(len(HOSTILE)):
        window.run("document.getElementById('scroller').scrollLeft = 0")
        window.run("document.getElementById(arguments[0]).click()", f"cell-{at}-0")
        assert "unmapped" in window.text("#details")
    choose(window, "#sort", "kernel 2")
    window.wait(lambda: "sort=" in window.run("return location.hash"))
    assert window.run("return document.querySelectorAll('img, script').length") == 2


@pytest.mark.integration
def test_the_address_holds_what_is_shown(window: Browser, tmp_path: Path) -> None:
    show(window, tmp_path, FEW)
    window.type("#query", "o")
    window.click("#verdicts input[value=rejected]")
    window.click("#differing")
    choose(window, "#sort", "name")
    window.click("#cell-0-2")
    window.wait(lambda: "module=" in window.run("return location.hash"))
    address = window.run("return location.href")
    before = window.text("main")
    window.open("about:blank")
    window.open(address)
    assert window.text("main") == before
    assert window.run("return document.getElementById('query').value") == "o"
    assert window.text("#details h3") == KERNELS[1]
    window.run("location.hash = '#code=nonsense&hide=none&module=gone&verdicts=ok,bad'")
    window.wait(lambda: window.run("return document.getElementById('details').hidden"))
    assert window.text("#status") == "2 of 3 modules"


@pytest.mark.integration
def test_exports_what_is_shown(window: Browser, tmp_path: Path) -> None:
    show(window, tmp_path, [*FEW, result('/m/=1,"one".ko', KERNELS[0])])
    window.type("#query", "one")
    text = window.run("return toCsv()")
    head, *lines = csv.reader(text.splitlines())
    assert head[:5] == ["module", "name", "kernel", "source", "verdict"]
    assert [line[:3] for line in lines[:2]] == [
        ["/m/one.ko", "one", KERNELS[0]],
        ["/m/one.ko", "one", KERNELS[0]],
    ]
    assert ['/m/=1,"one".ko', '\'=1,"one"', KERNELS[0]] in [line[:3] for line in lines]
    window.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    window.click("#export")
    saved = tmp_path / "kbtf-check.csv"
    window.wait(saved.exists)
    window.wait(lambda: saved.read_bytes().decode() == text)


@pytest.mark.integration
def test_paper_has_every_row_and_the_reasons(window: Browser, tmp_path: Path) -> None:
    show(window, tmp_path, many(300))
    window.run("dispatchEvent(new Event('beforeprint'))")
    assert len(names(window)) == 300
    assert len(window.texts("#grid .reasons")) > 100
    window.run("dispatchEvent(new Event('afterprint'))")
    assert len(names(window)) < 100


@pytest.mark.integration
@pytest.mark.parametrize("results", [[], [result()]], ids=["none", "one"])
def test_hardly_anything_is_a_page_too(
    window: Browser, tmp_path: Path, results: list[Result]
) -> None:
    show(window, tmp_path, results)
    assert len(names(window)) == len(results)


@pytest.mark.integration
def test_without_scripts_the_page_says_what_to_do(window: Browser, tmp_path: Path) -> None:
    window.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        path = tmp_path / "report.html"
        path.write_text(html.render(FEW), encoding="utf-8")
        window.open(path.as_uri())
        source = window.source()
    finally:
        window.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert "3 ok, 1 warnings, 1 rejected, 1 unknown" in source
    assert "JavaScript is disabled" in source


@pytest.mark.integration
def test_a_phone_shows_every_count_with_its_word(window: Browser, tmp_path: Path) -> None:
    window.resize(480, 900)
    show(window, tmp_path, FEW)

    script = "return [...document.querySelectorAll('#kernels tbody .count')].map(e => [{}])"
    content = "getComputedStyle(e, '::after').content.match(/[a-z]+/)[0], e.offsetParent !== null"
    words = ["ok", "warnings", "rejected", "unknown"]
    assert window.run(script.format(content)) == [[word, True] for word in words] * 2
    lines = """return [...document.querySelectorAll('#kernels tbody tr')].map(row => new Set(
        [...row.querySelectorAll('label, .count')]
            .map(e => e.getBoundingClientRect().top | 0)).size)"""
    assert window.run(lines) == [2, 2]  # the name, and all counts below it
    wide = "const e = document.documentElement; return e.scrollWidth <= e.clientWidth"
    assert window.run(wide)
