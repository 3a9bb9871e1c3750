# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``--sign``: what cannot sign."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.testing import make_module
from signing import fake_kdir, state

if TYPE_CHECKING:
    from sign_place import Place
    from signing import Pair

pytest_plugins = ["sign_place"]
pytestmark = pytest.mark.usefixtures("programs")

ERRORS: dict[str, tuple[list[str], int, str]] = {
    "no such key": (["nowhere.pem", "CERT"], 3, "nowhere.pem: no such file"),
    "no such certificate": (["KEY", "nowhere.pem"], 3, "nowhere.pem: no such file"),
    "a folder as the key": ([".", "CERT"], 3, ".: is a directory"),
    "a FIFO as the key": (["fifo", "CERT"], 3, "fifo: is not a regular file"),
    "a certificate as the key": (["CERT", "CERT"], 4, "sign-file failed (1): "),
    "a key as the certificate": (["KEY", "KEY"], 4, "sign-file failed (1): "),
    "the key of another certificate": (["KEY", "OTHER"], 4, "key does not match certificate"),
    "a hash that no kernel has": (["KEY", "CERT", "--hash", "md4"], 2, "invalid choice: 'md4'"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_sign_is_one_line_and_the_module_stays(
    place: Place, rsa: Pair, other: Pair, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, code, said = ERRORS[case]
    names = {"KEY": rsa.key, "CERT": rsa.cert, "OTHER": other.cert}
    os.mkfifo("fifo")
    before = state(place.module)

    assert place.run("--sign", *(names.get(word, word) for word in words)) == code

    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert state(place.module) == before


FAULTS: dict[str, tuple[str, str]] = {
    "fails": ("echo broken >&2; exit 3", "sign-file failed (3): broken"),
    "is killed halfway": ('echo half >> "$4"; kill -9 $$', "sign-file failed (-9)"),
    "signs nothing": ("exit 0", "sign-file wrote no signature"),
    "writes something else": ('echo other > "$4"', "sign-file wrote no signature"),
    "appends no signature": ('echo more >> "$4"', "sign-file wrote no signature"),
    "removes the file": ('rm "$4"', "no such file"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_sign_file_that(
    place: Place,
    rsa: Pair,
    case: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script, said = FAULTS[case]
    Path("tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(Path("tmp").resolve()))
    before = state(place.module)

    assert place.run("-C", fake_kdir(Path("kdir"), script), "--sign", *rsa) in (3, 4)

    assert said in capsys.readouterr().err
    assert state(place.module) == before
    assert list(Path("tmp").iterdir()) == []


def test_the_temporary_is_private(place: Place, rsa: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Path("said").resolve()
    kdir = fake_kdir(Path("kdir"), f'stat -c %a "$(dirname "$4")" > {said}; exit 1')

    place.run("-C", kdir, "--sign", *rsa)

    assert said.read_text() == "700\n"


def test_a_sign_file_of_another_machine(
    place: Place, rsa: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    kdir = fake_kdir(Path("kdir"), "")
    (kdir / "scripts/sign-file").write_bytes(b"\x7fELF" + bytes(60))

    assert place.run("-C", kdir, "--sign", *rsa) == 4
    assert "sign-file cannot be run: Exec format error" in capsys.readouterr().err


@pytest.fixture
def no_others(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves no place where sign-file is looked for but those of -C and the release."""
    Path("kdir").mkdir()
    monkeypatch.setattr("glob.glob", lambda _: [])


@pytest.mark.usefixtures("no_others")
def test_no_sign_file_says_where_was_looked(
    place: Place,
    rsa: Pair,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert place.run("-C", "kdir", "--sign", *rsa) == 4

    err = capsys.readouterr().err
    assert f"{Path.cwd()}/kdir/scripts/sign-file" in err
    assert "/lib/modules/6.12.0-test/build/scripts/sign-file" in err
    assert "install the kernel's headers" in err


@pytest.mark.usefixtures("no_others")
def test_the_release_of_a_module_leads_to_no_other_folder(
    place: Place,
    rsa: Pair,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What lies there is run."""
    folder = fake_kdir(Path.cwd() / "evil/build", "").parent
    place.module.write_bytes(make_module(release=f"../..{folder}"))

    assert place.run("-C", "kdir", "--sign", *rsa) == 4
    err = capsys.readouterr().err
    assert "no sign-file was found" in err
    assert "evil" not in err


def test_a_hash_without_a_key_is_a_mistake(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--hash", "sha256") == 2
    assert "use --sign KEY CERT too" in capsys.readouterr().err
