# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``--sign``: what the kernel's sign-file signs, as modinfo and openssl see it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.files.compression import compress
from kbtf.testing import make_module
from signing import fake_kdir, make_pair, modinfo, openssl, split, state, verifies

if TYPE_CHECKING:
    from sign_place import Place
    from signing import Pair

pytest_plugins = ["sign_place"]
pytestmark = pytest.mark.usefixtures("programs")


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
    place.run("--sign", *rsa, "--distill", "never")
    before = place.module.read_bytes()
    capsys.readouterr()

    assert place.run() == 3, "its BTF would be distilled"

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

    assert place.run("--config", "kbtf.toml") == 0
    assert modinfo(place.module)["sig_hashalgo"] == "sha384"


@pytest.mark.parametrize(
    "line", ['sign = "key"', 'sign = ["key"]', 'sign = ["key", 1]', 'sign = ["a", "b", "c"]']
)
def test_a_configuration_that_names_no_pair(
    place: Place, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("kbtf.toml").write_text(line)

    assert place.run("--config", "kbtf.toml") == 2
    assert capsys.readouterr().err.startswith("kbtf: error: kbtf.toml: sign = ")


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
    # One wrong passphrase in 256 gives valid padding, and openssl other words.
    assert re.search(r"locked\.pem: \w", capsys.readouterr().err)
    assert place.module.read_bytes() == before
    monkeypatch.setenv("KBUILD_SIGN_PIN", "secret")
    assert place.run("--sign", "locked.pem", rsa.cert) == 0
    assert verifies(place.module.read_bytes(), rsa)


def test_a_key_of_a_token_goes_to_sign_file_as_it_is(place: Place, rsa: Pair) -> None:
    kdir = fake_kdir(Path("kdir"), f'printf "%s\\n" "$@" > {Path.cwd()}/said; exit 1')

    assert place.run("-C", kdir, "--sign", "pkcs11:token=t;object=k", rsa.cert) == 4
    said = Path("said").read_text().splitlines()
    assert said[:3] == ["sha256", "pkcs11:token=t;object=k", str(rsa.cert)]


def test_what_signs_is_among_what_the_output_depends_on(place: Place, rsa: Pair) -> None:
    assert place.run("--sign", *rsa, "--depfile", "tiny.d") == 0
    _, _, needs = Path("tiny.d").read_text().partition(": ")
    assert {str(path) for path in rsa} <= set(needs.split())


def test_a_dry_run_signs_nothing(place: Place, rsa: Pair) -> None:
    before = state(place.module)
    assert place.run("--dry-run", "--sign", *rsa) == 0
    assert state(place.module) == before


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
