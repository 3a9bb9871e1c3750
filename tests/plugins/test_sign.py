# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``--sign``: what the kernel's sign-file signs, as modinfo and openssl see it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from conftest import missing
from kbtf import BtfBuilder, Kind
from kbtf.cli import main
from kbtf.elf.unpack import compress
from kbtf.testing import make_base, make_module
from oracles.build import Missing, need
from signing import make_pair, modinfo, openssl, split, verifies

if TYPE_CHECKING:
    from signing import Pair


class Place(NamedTuple):
    """A folder with a module, and what signs it."""

    module: Path
    headers: Path

    def run(self, *args: object, module: Path | None = None) -> int:
        """``kbtf run`` for a kernel whose headers have sign-file."""
        options = ["--base", "vmlinux.btf", "-C", str(self.headers)]
        return main(["run", *options, *map(str, args), str(module or self.module)])


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    try:
        need("openssl", "modinfo")
    except Missing as error:
        missing(error)


@pytest.fixture(scope="session")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("rsa"), "kbtf tests")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("other"), "somebody else")


@pytest.fixture
def place(run_dir: Path, headers: Path) -> Place:
    base = make_base(module_members=("btf_data", "btf_base_data"))
    (run_dir / "vmlinux.btf").write_bytes(base.to_bytes())
    split_btf = BtfBuilder(base.build())
    split_btf.add_ref(Kind.TYPEDEF, 1, "own_t")
    module = run_dir / "tiny.ko"
    module.write_bytes(make_module(btf=split_btf.to_bytes(), release="6.12.0-test"))
    return Place(module, headers)


def packed(module: Path, suffix: str) -> Path:
    """The module in a file with that suffix, compressed accordingly."""
    path = module.with_suffix(suffix)
    kind = suffix.removeprefix(".ko").removeprefix(".")
    data = module.read_bytes()
    path.write_bytes(compress(data, kind) if kind else data)
    return path


UNPACK = {
    ".ko": ["cat"],
    ".ko.gz": ["gzip", "-dc"],
    ".ko.xz": ["xz", "-dc"],
    ".ko.zst": ["zstdcat"],
}


@pytest.mark.parametrize("suffix", UNPACK)
def test_the_signature_is_over_what_stands_before_it(place: Place, rsa: Pair, suffix: str) -> None:
    module = packed(place.module, suffix)

    assert place.run("--sign", *rsa, module=module) == 0

    signed = subprocess.run([*UNPACK[suffix], module], capture_output=True, check=True).stdout
    Path("plain.ko").write_bytes(signed)
    # Debian's kmod knows no gzip.
    facts = modinfo(Path("plain.ko") if suffix == ".ko.gz" else module)
    assert facts["signer"] == "kbtf tests"
    assert facts["sig_hashalgo"] == "sha256"
    assert f"serial={facts['sig_key']}\n" == openssl("x509", "-in", rsa.cert, "-noout", "-serial")
    assert b".BTF.base" in signed
    assert verifies(signed, rsa)
    assert not verifies(signed.replace(b"own_t", b"new_t"), rsa)


def test_what_is_signed_is_what_comes_out_unsigned(place: Place, rsa: Pair) -> None:
    place.run("-o", "unsigned.ko")
    place.run("--sign", *rsa)

    assert split(place.module.read_bytes())[0] == Path("unsigned.ko").read_bytes()


@pytest.mark.parametrize("suffix", [".ko", ".ko.xz"])
def test_the_same_key_a_second_time_changes_nothing(
    place: Place, rsa: Pair, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = packed(place.module, suffix)
    place.run("--sign", *rsa, module=module)
    before = module.stat()
    capsys.readouterr()

    assert place.run("--sign", *rsa, module=module) == 0

    assert module.stat().st_mtime_ns == before.st_mtime_ns
    assert module.stat().st_ino == before.st_ino
    assert "(unchanged)" in capsys.readouterr().out


def test_another_key_or_hash_renews_the_signature(place: Place, rsa: Pair, other: Pair) -> None:
    place.run("--sign", *rsa)
    unsigned, _ = split(place.module.read_bytes())

    assert place.run("--sign", *other, "--hash", "sha512") == 0

    assert modinfo(place.module)["signer"] == "somebody else"
    assert modinfo(place.module)["sig_hashalgo"] == "sha512"
    data = place.module.read_bytes()
    assert split(data)[0] == unsigned
    assert verifies(data, other)
    assert not verifies(data, rsa)


def test_all_of_several_signatures_are_renewed(place: Place, rsa: Pair, other: Pair) -> None:
    """As when Kbuild's modules_install signs a module that is signed."""
    place.run("--sign", *rsa)
    once = place.module.read_bytes()
    sign_file = place.headers / "scripts/sign-file"
    subprocess.run([sign_file, "sha256", *other, place.module], check=True)

    assert place.run("--sign", *rsa) == 0

    assert place.module.read_bytes() == once


def test_a_signed_module_is_still_refused_without_the_option(
    place: Place, rsa: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    place.run("--sign", *rsa)
    before = place.module.read_bytes()
    capsys.readouterr()

    assert place.run() == 3

    assert ": is signed, and any change" in capsys.readouterr().err
    assert place.module.read_bytes() == before


def test_stripping_alone_gives_the_unsigned_module(place: Place, rsa: Pair) -> None:
    place.run("--sign", *rsa)
    unsigned, _ = split(place.module.read_bytes())

    assert place.run("--strip-signature") == 0
    assert place.module.read_bytes() == unsigned
    assert "signer" not in modinfo(place.module)


def test_a_module_without_btf_is_signed_all_the_same(place: Place, rsa: Pair) -> None:
    """Under Secure Boot it would not load else."""
    place.module.write_bytes(make_module(release="6.12.0-test"))
    unsigned = place.module.read_bytes()

    assert place.run("--sign", *rsa) == 0

    assert split(place.module.read_bytes())[0] == unsigned
    assert verifies(place.module.read_bytes(), rsa)


@pytest.mark.parametrize("name", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_hashes(place: Place, rsa: Pair, name: str) -> None:
    assert place.run("--sign", *rsa, "--hash", name) == 0
    assert modinfo(place.module)["sig_hashalgo"] == name
    assert verifies(place.module.read_bytes(), rsa)


@pytest.mark.parametrize("name", ["sha3-256", "sha3-384", "sha3-512"])
def test_hashes_that_modinfo_of_kmod_30_does_not_know(place: Place, rsa: Pair, name: str) -> None:
    assert place.run("--sign", *rsa, "--hash", name) == 0
    _, cms = split(place.module.read_bytes())
    Path("cms").write_bytes(cms)
    assert f"algorithm: {name} " in openssl(
        "cms", "-cmsout", "-print", "-inform", "DER", "-in", "cms"
    )


def test_an_elliptic_curve(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("ec")
    curve = make_pair(folder, "curve", "ec", "-pkeyopt", "ec_paramgen_curve:P-384")

    assert place.run("--sign", *curve) == 0
    assert verifies(place.module.read_bytes(), curve)
    assert place.run("--sign", *curve) == 0
    assert verifies(place.module.read_bytes(), curve)


def test_key_and_certificate_in_the_configuration(place: Place, rsa: Pair) -> None:
    Path("kbtf.toml").write_text(f'sign = ["{rsa.key}", "{rsa.cert}"]\nhash = "sha384"\n')

    assert place.run() == 0
    assert modinfo(place.module)["sig_hashalgo"] == "sha384"


@pytest.mark.parametrize(
    "line", ['sign = "key"', 'sign = ["key"]', 'sign = ["key", 1]', 'sign = ["a", "b", "c"]']
)
def test_a_configuration_that_names_no_pair(
    place: Place, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("kbtf.toml").write_text(line)

    assert place.run() == 2
    assert capsys.readouterr().err.startswith("kbtf: error: kbtf.toml: sign = ")


def fake_kdir(folder: Path, script: str, **config: str) -> Path:
    """A build directory whose sign-file is a shell script."""
    (folder / "scripts").mkdir(parents=True)
    program = folder / "scripts/sign-file"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (folder / "include/config").mkdir(parents=True)
    lines = [f"CONFIG_{name}={value}\n" for name, value in config.items()]
    (folder / "include/config/auto.conf").write_text("".join(lines))
    return folder


@pytest.mark.parametrize("value", ["sha512", '"sha512"'])
def test_the_default_hash_is_the_kernels(place: Place, rsa: Pair, value: str) -> None:
    """Older kernels quote it in auto.conf."""
    real = place.headers / "scripts/sign-file"
    kdir = fake_kdir(Path("kdir"), f'exec {real} "$@"', MODULE_SIG_HASH=value)

    assert place.run("-C", kdir, "--sign", *rsa) == 0
    assert modinfo(place.module)["sig_hashalgo"] == "sha512"


def test_a_passphrase_comes_from_the_variable_of_kbuild(
    place: Place, rsa: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KBUILD_SIGN_PIN", raising=False)
    openssl("pkey", "-in", rsa.key, "-aes256", "-passout", "pass:secret", "-out", "locked.pem")
    before = place.module.read_bytes()

    assert place.run("--sign", "locked.pem", rsa.cert) == 4
    assert "locked.pem: the key is encrypted" in capsys.readouterr().err
    monkeypatch.setenv("KBUILD_SIGN_PIN", "wrong")
    assert place.run("--sign", "locked.pem", rsa.cert) == 4
    assert "locked.pem: bad decrypt" in capsys.readouterr().err
    assert place.module.read_bytes() == before
    monkeypatch.setenv("KBUILD_SIGN_PIN", "secret")
    assert place.run("--sign", "locked.pem", rsa.cert) == 0
    assert verifies(place.module.read_bytes(), rsa)


def test_a_key_of_a_token_goes_to_sign_file_as_it_is(place: Place, rsa: Pair) -> None:
    kdir = fake_kdir(Path("kdir"), f'printf "%s\\n" "$@" > {Path.cwd()}/said; exit 1')

    assert place.run("-C", kdir, "--sign", "pkcs11:token=t;object=k", rsa.cert) == 4
    said = Path("said").read_text().splitlines()
    assert said[:3] == ["sha256", "pkcs11:token=t;object=k", str(rsa.cert)]


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
    before = place.module.stat()

    assert place.run("--sign", *(names.get(word, word) for word in words)) == code

    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert place.module.stat() == before


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
    before = place.module.stat()

    assert place.run("-C", fake_kdir(Path("kdir"), script), "--sign", *rsa) in (3, 4)

    assert said in capsys.readouterr().err
    assert place.module.stat() == before
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
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves no place where sign-file is looked for but those of -C and the release."""
    monkeypatch.setattr("kbtf.plugins.sign._OTHERS", ())


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


def test_what_signs_is_among_what_the_output_depends_on(place: Place, rsa: Pair) -> None:
    assert place.run("--sign", *rsa, "--depfile", "tiny.d") == 0
    _, _, needs = Path("tiny.d").read_text().partition(": ")
    assert {str(path) for path in rsa} <= set(needs.split())


def test_a_dry_run_signs_nothing(place: Place, rsa: Pair) -> None:
    before = place.module.stat()
    assert place.run("--dry-run", "--sign", *rsa) == 0
    assert place.module.stat() == before


def test_other_plugins_finish_before(place: Place, rsa: Pair) -> None:
    Path("late.py").write_text(
        "from kbtf import hookimpl\n"
        "@hookimpl(trylast=True)\n"
        "def kbtf_finish(output):\n"
        "    output.data += b'late'\n"
    )

    assert place.run("-p", "./late.py", "--sign", *rsa) == 0
    assert split(place.module.read_bytes())[0].endswith(b"late")
    assert verifies(place.module.read_bytes(), rsa)
