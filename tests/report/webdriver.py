"""Headless Chromium, driven through chromedriver by the WebDriver protocol over plain HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENTER, ESCAPE, DOWN, RIGHT, END, CONTROL = (
    "\ue007",
    "\ue00c",
    "\ue015",
    "\ue014",
    "\ue010",
    "\ue009",
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
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class MissingError(Exception):
    """Chromium or its driver is not installed."""


class Browser:
    """A window of Chromium."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._session = ""

    def start(self, profile: Path, downloads: Path) -> None:
        """Start Chromium with an empty profile."""
        options = {
            "binary": shutil.which("chromium"),
            "args": [*_FLAGS, f"--user-data-dir={profile}"],
            "prefs": {"download.default_directory": str(downloads)},
        }
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{made['sessionId']}"

    def quit(self) -> None:
        """End Chromium."""
        if self._session:
            self._call("DELETE", self._session)

    def open(self, url: str) -> None:
        """Go to *url* and wait until it is loaded."""
        self.do("POST", "/url", {"url": url})

    def run(self, script: str, *args: object) -> Any:
        """What the JavaScript function body returns."""
        return self.do("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self, selector: str) -> str:
        """The text that is seen in the first element of *selector*."""
        text = self.run("return document.querySelector(arguments[0]).innerText", selector)
        assert isinstance(text, str)
        return text

    def texts(self, selector: str) -> list[str]:
        """The text of each element of *selector*."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
        texts = self.run(script, selector)
        assert isinstance(texts, list)
        return texts

    def click(self, selector: str) -> None:
        """Click as a user does: only what is in sight and not covered."""
        self.do("POST", f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, keys: str) -> None:
        """Type into an element."""
        self.do("POST", f"/element/{self._find(selector)}/value", {"text": keys})

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is, all down before the first is up."""
        actions = [{"type": "keyDown", "value": key} for key in keys]
        actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.do("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})

    def resize(self, width: int, height: int) -> None:
        """Make the window so large, in pixels."""
        self.do("POST", "/window/rect", {"width": width, "height": height})

    def devtools(self, command: str, **params: object) -> Any:
        """A command of the DevTools protocol."""
        return self.do("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.do("GET", "/screenshot"))

    def console(self) -> list[dict[str, Any]]:
        """What the page and the browser said on the console since the last call."""
        log = self.do("POST", "/se/log", {"type": "browser"})
        assert isinstance(log, list)
        return log

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        log = self.do("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in log]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def wait(self, for_what: Callable[[], bool], seconds: float = 10) -> None:
        """Wait until *for_what* is true."""
        end = time.monotonic() + seconds
        while not for_what():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)

    def _find(self, selector: str) -> str:
        found = self.do("POST", "/element", {"using": "css selector", "value": selector})
        element = found[_ELEMENT]
        assert isinstance(element, str)
        return element

    def do(self, method: str, path: str, body: object = None) -> Any:
        """A command of the session."""
        return self._call(method, self._session + path, body)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{method} {path}: {value['error']}: {value['message']}")
        return value


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A Chromium that lives in *folder* and ends with the block."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            raise MissingError(f"{program} is not installed")
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as driver:
        try:
            made = Browser(_port_of(driver))
            made.start(folder / "profile", folder)
            try:
                yield made
            finally:
                made.quit()
        finally:
            driver.terminate()


def _port_of(driver: subprocess.Popen[bytes]) -> int:
    assert driver.stdout is not None
    for line in driver.stdout:
        if found := re.search(rb"started successfully on port (\d+)", line):
            return int(found[1])
    raise AssertionError("chromedriver did not start")
