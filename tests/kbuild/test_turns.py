# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Two builds of one folder: the second waits for the first."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from kbtf.errors import KbtfError
from kbtf.kbuild.turns import taking_turns


def test_the_second_says_that_it_waits_and_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    def build() -> None:
        with taking_turns(str(tmp_path)):
            order.append("second")

    said = ""
    second = threading.Thread(target=build)
    with taking_turns(str(tmp_path)):
        second.start()
        while second.is_alive() and not said:
            said = capsys.readouterr().err
            time.sleep(0.01)
        order.append("first")
    second.join(60)

    assert said == f"kbtf: waiting for another build of {tmp_path}\n"
    assert order == ["first", "second"]


def test_a_build_in_the_make_of_another_does_not_wait_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with taking_turns(str(tmp_path)):
        monkeypatch.setenv("KBTF_STEP", "true")
        with taking_turns(str(tmp_path)):
            pass


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(KbtfError, match="no such file"), taking_turns(str(tmp_path / "gone")):
        pass
