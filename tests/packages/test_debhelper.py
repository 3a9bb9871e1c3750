# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``dh $@ --with kbtf``: a real source package, built by dpkg-buildpackage."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf import Module
from kbtf.program import main
from oracles.build import Missing, need
from shown import block
from signing import make_pair, modinfo, verifies

from .tools import PACKAGING, ROOT, with_kbtf

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

PAGE = "docs/packaging.md"

CONTROL = """\
Source: mymodule
Section: kernel
Priority: optional
Maintainer: Nobody <nobody@example.org>
Build-Depends: debhelper-compat (= 13)
Standards-Version: 4.6.2
Rules-Requires-Root: no

Package: mymodule
Architecture: any
Description: a module
"""
CHANGELOG = """\
mymodule (1.0) unstable; urgency=low

  * First.

 -- Nobody <nobody@example.org>  Thu, 01 Jan 2026 00:00:00 +0000
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    try:
        need("dh", "dpkg-buildpackage", "modinfo", "openssl", "make", "gcc")
    except Missing as error:
        missing(error)
    return make_package(tmp_path)


def make_package(folder: Path) -> Path:
    """The sources of a package, with the rules of the documentation."""
    source = folder / "mymodule-1.0"
    ignored = shutil.ignore_patterns("*.ko", "*.o", "*.mod*", ".*", "Module.symvers")
    shutil.copytree(ROOT / "examples" / "kfunc_module", source, ignore=ignored)
    (source / "debian/source").mkdir(parents=True)
    (source / "debian/source/format").write_text("3.0 (native)\n")
    (source / "debian/control").write_text(CONTROL)
    (source / "debian/changelog").write_text(CHANGELOG)
    (source / "debian/rules").write_text(block(PAGE, "debian/rules"))
    (source / "debian/rules").chmod(0o755)
    return source


def build(package: Path, headers: Path, **variables: str) -> Path:
    """Builds the package as Debian does, with the sequence in place; the module in it."""
    perl = package.parent / "perl"
    (perl / "Debian/Debhelper/Sequence").mkdir(parents=True)
    shutil.copy(PACKAGING / "debhelper/kbtf.pm", perl / "Debian/Debhelper/Sequence")
    env = with_kbtf(PERL5LIB=str(perl), KVER=headers.name.removeprefix("linux-headers-"))
    env = {**env, "PATH": f"{PACKAGING / 'debhelper'}:{env['PATH']}", **variables}
    command = ["dpkg-buildpackage", "-us", "-uc", "-b"]
    done = subprocess.run(command, cwd=package, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (deb,) = package.parent.glob("mymodule_1.0_*.deb")
    into = package.parent / "unpacked"
    subprocess.run(["dpkg-deb", "--extract", deb, into], check=True)
    (module,) = into.rglob("kfunc_module.ko*")
    return module


def test_a_packaged_module_has_valid_btf(package: Path, headers: Path) -> None:
    path = build(package, headers)

    module = Module.open(str(path))
    assert module.btf is not None
    assert module.has_btf_base
    assert module.btf_ids
    assert main(["check", "--kernel", str(headers / "vmlinux"), str(path)]) == 0


def test_modules_are_stripped_signed_and_compressed_the_same_in_any_directory(
    package: Path, headers: Path, tmp_path: Path
) -> None:
    pair = make_pair(tmp_path, "kbtf tests")
    paths = []
    for source in (package, make_package(tmp_path / "elsewhere")):
        with (source / "debian/rules").open("a") as rules:
            rules.write("\n" + block(PAGE, "debian/rules that strip, sign and compress"))
        with (source / "kfunc_module.c").open("a") as code:
            code.write("MODULE_INFO(built_from, __FILE__);\n")
        paths.append(build(source, headers, MOK_KEY=str(pair.key), MOK_CERT=str(pair.cert)))

    path = paths[0]
    assert path.name == "kfunc_module.ko.xz"
    assert path.read_bytes() == paths[1].read_bytes()
    assert modinfo(path)["built_from"] == "./kfunc_module.c"
    module = Module.open(str(path))
    assert module.image.data(".debug_info") is None
    assert modinfo(path)["signer"] == "kbtf tests"
    assert verifies(module.to_bytes(), pair)
    assert main(["check", "--kernel", str(headers / "vmlinux"), str(path)]) == 0


def test_a_module_that_kbtf_refuses_fails_the_build(package: Path, headers: Path) -> None:
    (package / "kbtf.toml").write_text('base = "nowhere"\n')

    with pytest.raises(AssertionError, match=r"kbtf\.toml: sets 'base'"):
        build(package, headers)


def test_the_manual_page_has_no_errors() -> None:
    command = ["podchecker", "-warnings", str(PACKAGING / "debhelper/dh_kbtf")]
    subprocess.run(command, check=True)
