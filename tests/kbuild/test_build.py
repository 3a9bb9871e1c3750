# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf build``: Kbuild as it is, the phases after it, and nothing done twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import missing
from kbtf import Module, module_btf_support, open_btf, relocate
from kbtf.kernel.features import ModuleBtf
from kbtf.program import main
from shown import block, sh

from . import kdirs
from .builds import KBTF, build

BY_PAHOLE = ("--encoder", "pahole", "--pahole")
INSTALL = ("modules", "modules_install")
SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")


def sections(module: Path) -> dict[str, bytes | None]:
    image = Module.open(str(module)).image
    return {name: image.data(name) for name in SECTIONS}


@pytest.fixture
def bare(headers: Path, tmp_path: Path) -> Path:
    """The headers without their vmlinux, as most distributions have them."""
    return kdirs.shadow(headers, tmp_path / "bare", "vmlinux")


@pytest.fixture
def project(run_dir: Path) -> Path:
    return kdirs.three_modules(run_dir / "three")


@pytest.fixture
def provider(project: Path) -> Path:
    return project / "provider"


@pytest.mark.integration
def test_with_and_without_vmlinux_a_module_gets_the_same(
    headers: Path, bare: Path, provider: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    module = provider / "provider.ko"
    assert build("-C", headers, "-j2", provider) == 0
    with_vmlinux = sections(module)
    assert "LD [M]" in capfd.readouterr().out
    build("-C", headers, "-q", provider, "clean")

    assert build("-C", bare, provider) == 0

    captured = capfd.readouterr()
    assert "Skipping" not in captured.out + captured.err
    assert sections(module) == with_vmlinux
    assert all(with_vmlinux.values())
    btf = Module.open(str(module)).btf
    assert btf is not None
    relocate(btf, open_btf(str(headers / "vmlinux")))


@pytest.mark.integration
def test_the_commands_of_the_documentation(headers: Path, provider: Path) -> None:
    sources = set(kdirs.states(provider))
    here = {
        "kbtf build  ": f"kbtf build -C {headers}  ",
        "kbtf build clean": f"kbtf build -C {headers} clean",
        "/usr/src/linux-headers-6.12.0": headers,
    }
    *building, cleaning = block("docs/kbuild.md", "commands", here).splitlines()

    for command in building:
        sh(command, provider)
        assert all(sections(provider / "provider.ko").values())
    sh(cleaning, provider)
    assert set(kdirs.states(provider)) == sources


@pytest.mark.integration
def test_kbtf_run_on_what_kbuild_links_gives_the_same(
    headers: Path, provider: Path, vmlinux: Path
) -> None:
    linked = provider.with_name("linked.ko")
    assert build("-C", headers, "--module", "provider", "-o", linked, "--raw", provider) == 0
    assert Module.open(str(linked)).image.data(".BTF") is None
    assert sections(provider / "provider.ko") == sections(linked)
    assert main(["run", "--base", str(vmlinux), str(linked)]) == 0

    assert build("-C", headers, provider) == 0

    assert (provider / "provider.ko").read_bytes() == linked.read_bytes()


@pytest.mark.integration
@pytest.mark.parametrize("which", ["headers", "bare"])
def test_a_second_build_writes_nothing(
    which: str, request: pytest.FixtureRequest, provider: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kdir = request.getfixturevalue(which)
    build("-C", kdir, provider)
    before = kdirs.states(provider)
    capfd.readouterr()

    assert build("-C", kdir, provider) == 0

    assert kdirs.states(provider) == before
    said = capfd.readouterr().out
    assert not [word for word in ("CC", "LD", "BTF", "MODPOST") if word in said]


@pytest.mark.integration
def test_three_modules_and_a_change_of_one(headers: Path, project: Path) -> None:
    users = project / "users"
    arguments = kdirs.users_arguments(project)
    assert build("-C", headers, project / "provider") == 0
    assert build("-C", headers, users, *arguments) == 0
    modules = [*users.glob("*.ko"), project / "provider/provider.ko"]
    assert len(modules) == 3
    assert all(Module.open(str(path)).has_btf_base for path in modules)
    before = kdirs.states(users)
    source = users / "adder-user.c"
    source.write_text(source.read_text().replace("heavy", "heaviest"))

    assert build("-C", headers, users, *arguments) == 0

    after = kdirs.states(users)
    assert after["adder-user.ko"] != before["adder-user.ko"]
    assert after["weigher.ko"] == before["weigher.ko"]
    assert Module.open(str(users / "adder-user.ko")).has_btf_base


@pytest.mark.integration
def test_what_is_touched_is_made_again_and_then_no_more(headers: Path, project: Path) -> None:
    users = project / "users"
    arguments = kdirs.users_arguments(project)
    build("-C", headers, project / "provider")
    build("-C", headers, users, *arguments)
    made = sections(users / "weigher.ko")
    before = kdirs.states(users)
    (users / "weigher.c").touch()

    assert build("-C", headers, users, *arguments) == 0

    after = kdirs.states(users)
    assert after["weigher.ko"] != before["weigher.ko"]
    assert after["adder-user.ko"] == before["adder-user.ko"]
    assert sections(users / "weigher.ko") == made
    assert build("-C", headers, users, *arguments) == 0
    assert kdirs.states(users) == after


@pytest.mark.integration
def test_other_options_or_another_base_make_btf_anew(
    bare: Path, provider: Path, vmlinux: Path
) -> None:
    base = provider.with_name("vmlinux")
    shutil.copy(vmlinux, base)
    module = provider / "provider.ko"
    build("-C", bare, "--base", base, provider)
    distilled = sections(module)

    build("-C", bare, "--base", base, "--distill", "never", provider)
    assert sections(module)[".BTF.base"] is None
    build("-C", bare, "--base", base, provider)
    assert sections(module) == distilled

    before = module.stat().st_mtime_ns
    os.utime(base, ns=(1, 1))
    build("-C", bare, "--base", base, provider)
    assert module.stat().st_mtime_ns != before
    assert sections(module) == distilled


@pytest.mark.integration
def test_phases_that_failed_are_made_up_for(
    headers: Path, provider: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert build("-C", headers, *BY_PAHOLE, "no-such-pahole", provider, *INSTALL) == 4
    said = capfd.readouterr()
    assert "no-such-pahole is not installed" in said.err
    assert "provider.ko: Kbuild's own BTF step takes over" in said.err
    assert "INSTALL" not in said.out
    module = Module.open(str(provider / "provider.ko"))
    assert module.has_btf
    assert not module.has_btf_base, "as pahole 1.24 and resolve_btfids make it"

    assert build("-C", headers, provider) == 0

    assert Module.open(str(provider / "provider.ko")).has_btf_base


@pytest.mark.integration
def test_errors_of_the_compiler_are_shown_and_end_it(
    headers: Path, provider: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (provider / "main.c").write_text("nonsense\n")

    assert build("-C", headers, provider) == 2
    assert "main.c:1" in capfd.readouterr().err


@pytest.mark.integration
def test_a_build_apart_from_the_sources(headers: Path, provider: Path, run_dir: Path) -> None:
    before = kdirs.states(provider)
    arguments = ("-C", headers, "--work", "work", "--module", "provider", "-o", "out.ko")

    def again() -> int:
        return build(*arguments, "--depfile", "out.d", provider)

    assert again() == 0
    assert kdirs.states(provider) == before
    assert Module.open("out.ko").has_btf_base
    target, _, rest = Path("out.d").read_text().partition(": ")
    needs = rest.split()
    assert target == "out.ko"
    assert {str(path) for path in provider.rglob("*.[ch]")} <= set(needs)
    assert {f"{provider}/Makefile", f"{headers}/vmlinux", f"{headers}/Module.symvers"} <= set(needs)
    assert all(Path(need).is_file() for need in needs)
    assert not [need for need in needs if "/work/" in need.removeprefix(str(run_dir))]

    first = Path("out.ko").stat()
    assert again() == 0
    assert Path("out.ko").stat() == first
    (provider / "main.c").touch()
    assert again() == 0
    assert Path("out.ko").stat().st_mtime_ns == first.st_mtime_ns, "the same content again"


@pytest.mark.integration
def test_a_module_that_is_not_there_is_named(
    headers: Path, provider: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert build("-C", headers, "--module", "other", "-o", "x.ko", provider) == 3
    assert "no modules other were built there; there are provider.ko" in capfd.readouterr().err
    assert not Path("x.ko").exists()


@pytest.mark.integration
def test_modules_are_installed_with_their_btf_and_cleaned(
    headers: Path, provider: Path, run_dir: Path
) -> None:
    sources = set(kdirs.states(provider))
    goals = (*INSTALL, f"INSTALL_MOD_PATH={run_dir}/dest", "DEPMOD=true")

    assert build("-C", headers, provider, *goals) == 0

    (installed,) = (run_dir / "dest").rglob("provider.ko*")
    assert sections(installed) == sections(provider / "provider.ko")
    assert Module.open(str(installed)).has_btf_base
    assert build("-C", headers, provider, "clean") == 0
    assert set(kdirs.states(provider)) == sources


@pytest.mark.integration
def test_a_dry_run_links_nothing(
    headers: Path, provider: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert build("-C", headers, "--dry-run", provider, "V=1") == 0
    assert capfd.readouterr().out.startswith(f"make -C {headers} M={provider} V=1")
    assert build("-C", headers, provider, "--", "-n") == 0
    assert len(list(provider.iterdir())) == 4


@pytest.mark.integration
def test_a_module_built_with_clang(headers: Path, provider: Path, resolve_btfids: Path) -> None:
    if not shutil.which("clang"):
        missing("clang is not installed")

    assert build("-C", headers, provider, *kdirs.COMPILERS["clang"]) == 0

    module = provider / "provider.ko"
    assert b"clang" in (Module.open(str(module)).image.data(".comment") or b"")
    assert all(sections(module).values())
    assert main(["check", "--kernel", str(headers / "vmlinux"), str(module)]) == 0


@pytest.mark.integration
def test_debians_6_1_has_no_vmlinux_and_gets_plain_split_btf(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        old = kdirs.old_kernel()
    except kdirs.Missing as error:
        missing(error)
    base = open_btf(str(old.vmlinuz))
    assert module_btf_support(base) is ModuleBtf.EXACT
    options = ("-C", old.kdir, "--base", old.vmlinuz)

    assert build(*options, project / "provider") == 0
    assert build(*options, project / "users", *kdirs.users_arguments(project)) == 0

    captured = capfd.readouterr()
    assert "cannot relocate BTF" in captured.err
    modules = [*project.glob("*/*.ko")]
    assert len(modules) == 3
    assert main(["check", "--kernel", str(old.vmlinuz), *map(str, modules)]) == 0
    for path in modules:
        assert Module.open(str(path)).has_btf
        assert not Module.open(str(path)).has_btf_base
    before = kdirs.states(project)
    assert build(*options, project / "provider") == 0
    assert kdirs.states(project) == before


@pytest.mark.integration
def test_a_terminated_build_leaves_nothing_half_written(headers: Path, provider: Path) -> None:
    (provider / "Makefile").write_text(
        "obj-m := provider.o\nprovider-y := main.o sub/parts.o slow.o\n"
        "$(obj)/slow.c:\n\techo half > $@; sleep 60\n"
    )
    command = [KBTF, "build", "-C", str(headers), "-j1", str(provider)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not (provider / "slow.c").exists():
            assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 143

    assert not (provider / "slow.c").exists(), "make removes the target of an interrupted recipe"
