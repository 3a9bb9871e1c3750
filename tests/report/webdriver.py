# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Headless Chromium for tests of the page, through selenium."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENTER, ESCAPE, DOWN, RIGHT, END, CONTROL = (
    Keys.ENTER,
    Keys.ESCAPE,
    Keys.DOWN,
    Keys.RIGHT,
    Keys.END,
    Keys.CONTROL,
)
_FLAGS = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # small in containers
)


class MissingError(Exception):
    """Chromium or its driver is not installed."""


class Browser:
    """A window of Chromium, and what tests ask of it."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def open(self, url: str) -> None:
        """Go to *url* and wait until it is loaded."""
        self._driver.get(url)

    def run(self, script: str, *args: object) -> Any:
        """What the JavaScript function body returns."""
        return self._driver.execute_script(script, *args)

    def text(self, selector: str) -> str:
        """The text that is seen in the first element of *selector*."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def texts(self, selector: str) -> list[str]:
        """The text of each element of *selector*."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
        return list(self.run(script, selector))

    def click(self, selector: str) -> None:
        """Click as a user does: only what is in sight and not covered."""
        self._driver.find_element(By.CSS_SELECTOR, selector).click()

    def type(self, selector: str, keys: str) -> None:
        """Type into an element."""
        self._driver.find_element(By.CSS_SELECTOR, selector).send_keys(keys)

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is, all down before the first is up."""
        actions = ActionChains(self._driver)
        for key in keys:
            actions.key_down(key)
        for key in reversed(keys):
            actions.key_up(key)
        actions.perform()

    def resize(self, width: int, height: int) -> None:
        """Make the window so large, in pixels."""
        self._driver.set_window_size(width, height)

    def devtools(self, command: str, **params: object) -> Any:
        """A command of the DevTools protocol."""
        return self._driver.execute_cdp_cmd(command, params)

    def console(self) -> list[dict[str, Any]]:
        """What the page and the browser said on the console since the last call."""
        return self._log("browser")

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def source(self) -> str:
        """The page as it is now, as HTML."""
        return self._driver.page_source

    def _log(self, name: str) -> list[dict[str, Any]]:
        return list(self._driver.get_log(name))  # type: ignore[no-untyped-call]

    def wait(self, for_what: Callable[[], bool], seconds: float = 10) -> None:
        """Wait until *for_what* is true."""
        WebDriverWait(self._driver, seconds, 0.02).until(lambda _: for_what())


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A Chromium that lives in *folder* and ends with the block."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, path in programs.items():
        if path is None:
            raise MissingError(f"{name} is not installed")
    options = ChromeOptions()
    options.binary_location = programs["chromium"] or ""
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, ChromeService(programs["chromedriver"]))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
