# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What dkms installs of packages that call ``kbtf build``, and by the drop-in of all others."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf import Module
from kbtf.program import main
from shown import block
from signing import verifies

from . import kdirs
from .dkms_root import DkmsRoot, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/kfunc_module"
PAGE = "docs/dkms.md"
NAME = "kfunc_module"
SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")
WITH_KBTF = block(PAGE, "dkms.conf")
ONE_MODULE = 'BUILT_MODULE_NAME[0]="kfunc_module"\nDEST_MODULE_LOCATION[0]="/updates"\n'


def sections(module: Path) -> dict[str, bytes | None]:
    image = Module.open(str(module)).image
    return {name: image.data(name) for name in SECTIONS}


@pytest.fixture
def make_root(headers: Path, tmp_path: Path) -> Callable[..., DkmsRoot]:
    """A dkms for headers, by default those without their vmlinux, as most distributions' are."""

    def make(kdir: Path | None = None) -> DkmsRoot:
        release = headers.name.removeprefix("linux-headers-")
        kdir = kdir or kdirs.shadow(headers, tmp_path / "bare", "vmlinux")
        (tmp_path / "root").mkdir()
        try:
            return DkmsRoot(tmp_path / "root", kdir, release)
        except kdirs.Missing as error:
            missing(error)

    return make


@pytest.fixture
def root(make_root: Callable[..., DkmsRoot]) -> DkmsRoot:
    return make_root()


@pytest.fixture
def expected(kfunc_module: Path, vmlinux: Path, tmp_path: Path) -> dict[str, bytes | None]:
    """What ``kbtf run`` makes of the same sources as Kbuild links them."""
    module = Path(shutil.copy(kfunc_module, tmp_path / "reference.ko"))
    assert main(["run", "-q", "--base", str(vmlinux), str(module)]) == 0
    found = sections(module)
    assert all(found.values())
    return found


@pytest.fixture
def relocates(vmlinux: Path, libbpf: Path, tmp_path: Path) -> Callable[[Path], None]:
    """Has libbpf relocate an installed module's BTF, and kbtf predict how it will load."""

    def check(installed: Path) -> None:
        for name, data in sections(installed).items():
            (tmp_path / name[1:]).write_bytes(data or b"")
        words = (libbpf, "relocate", vmlinux, "BTF.base", "BTF", "out")
        subprocess.run(words, cwd=tmp_path, check=True)
        assert main(["check", "--kernel", str(vmlinux), str(installed)]) == 0

    return check


@pytest.fixture
def ids_are_right(
    kfunc_module: Path, vmlinux: Path, resolve_btfids: Path, tmp_path: Path
) -> Callable[[Path], None]:
    """Has Debian's resolve_btfids fill the linked example with an installed one's BTF."""

    def check(installed: Path) -> None:
        module = tmp_path / "linked.ko"
        adding = []
        for name in (".BTF", ".BTF.base"):
            (tmp_path / name[1:]).write_bytes(sections(installed)[name] or b"")
            adding += ["--add-section", f"{name}={tmp_path / name[1:]}"]
        subprocess.run(["objcopy", *adding, kfunc_module, module], check=True)
        subprocess.run([resolve_btfids, "-b", vmlinux, module], check=True)
        assert sections(module) == sections(installed)

    return check


@pytest.mark.integration
def test_a_package_that_builds_with_kbtf(
    root: DkmsRoot,
    expected: dict[str, bytes | None],
    relocates: Callable[[Path], None],
    ids_are_right: Callable[[Path], None],
) -> None:
    """With headers that have no vmlinux; stripped, signed and compressed by dkms after that."""
    root.add_package(EXAMPLE, NAME, WITH_KBTF + ONE_MODULE)

    log = root.install(NAME)

    module = root.installed(NAME)
    assert module.name == f"{NAME}.ko.xz"
    assert sections(module) == expected
    assert Module.open(str(module)).image.section(".debug_info") is None
    assert verifies(unpacked(module), root.mok)
    relocates(module)
    ids_are_right(module)
    assert "Skipping" not in log


@pytest.mark.integration
@pytest.mark.parametrize("suffix", ["gz", "zst", ""])
def test_all_compressions_of_dkms(
    root: DkmsRoot, expected: dict[str, bytes | None], suffix: str
) -> None:
    root.add_package(EXAMPLE, NAME)
    root.compress(suffix)
    root.enable()

    root.install(NAME)

    module = root.installed(NAME)
    assert module.suffix.removeprefix(".") == (suffix or "ko")
    assert unpacked(module).startswith(b"\x7fELF")
    assert sections(module) == expected
    assert verifies(unpacked(module), root.mok)


IN_TREE = "-C ${kernel_source_dir} M=${dkms_tree}/kfunc_module/1.0/build"
MAKE_COMMANDS = {
    "default": "",
    "make": f'MAKE[0]="make {IN_TREE} modules"\n',
    "quoted": f"MAKE[0]=\"'make' KERNEL=${{kernelver}} {IN_TREE} modules\"\n",
    "matched": f'MAKE[0]="false"\nMAKE[1]="make {IN_TREE}"\nMAKE_MATCH[1]="^6"\n',
    "twice": f'MAKE[0]="make {IN_TREE} clean; make {IN_TREE}"\n',
    "script": 'MAKE[0]="sh build.sh ${kernel_source_dir}"\n',
}


@pytest.mark.integration
@pytest.mark.parametrize("command", MAKE_COMMANDS)
def test_the_drop_in_does_so_for_every_package(
    make_root: Callable[..., DkmsRoot],
    headers: Path,
    expected: dict[str, bytes | None],
    relocates: Callable[[Path], None],
    ids_are_right: Callable[[Path], None],
    command: str,
) -> None:
    """Headers have their vmlinux here: Kbuild would make BTF of its own."""
    root = make_root(headers)
    package = root.add_package(EXAMPLE, NAME, MAKE_COMMANDS[command] + ONE_MODULE)
    (package / "build.sh").write_text("top=$PWD\nmkdir sub\ncd sub\nexec make -C $1 M=$top\n")
    root.enable()

    log = root.install(NAME)

    module = root.installed(NAME)
    assert sections(module) == expected
    relocates(module)
    ids_are_right(module)
    assert f"{NAME}.ko: .BTF " in log
    assert "Skipping BTF" not in log


@pytest.mark.integration
def test_three_modules_in_two_folders(root: DkmsRoot, relocates: Callable[[Path], None]) -> None:
    """Not stripped the second, the third under another name."""
    package = root.add_package(
        kdirs.THREE,
        "three",
        """\
BUILT_MODULE_NAME[0]="provider"
BUILT_MODULE_LOCATION[0]="provider/"
DEST_MODULE_LOCATION[0]="/extra"
BUILT_MODULE_NAME[1]="adder-user"
BUILT_MODULE_LOCATION[1]="users"
DEST_MODULE_LOCATION[1]="/extra"
STRIP[1]="no"
BUILT_MODULE_NAME[2]="weigher"
BUILT_MODULE_LOCATION[2]="users"
DEST_MODULE_NAME[2]="scales"
DEST_MODULE_LOCATION[2]="/extra"
STRIP[2]="yes"
""",
    )
    (package / "Kbuild").write_text("obj-m += provider/ users/\nccflags-y := -I$(src)/provider\n")
    for makefile in package.glob("users/Makefile"):
        makefile.write_text(f"ccflags-y := -I$(src)/../provider\n{makefile.read_text()}")
    root.enable()

    root.install("three")

    for name in ("provider", "adder-user", "scales"):
        relocates(root.installed(name))
    debug = [
        Module.open(str(root.installed(name))).image.section(".debug_info") is not None
        for name in ("provider", "adder-user", "scales")
    ]
    assert debug == [False, True, False]


@pytest.mark.integration
def test_what_is_installed_without_btf_is_built_again(
    root: DkmsRoot, expected: dict[str, bytes | None]
) -> None:
    """After dkms it is too late, as in POST_BUILD: DWARF is gone."""
    root.add_package(EXAMPLE, NAME)
    assert "due to unavailability of vmlinux" in root.install(NAME)
    module = root.installed(NAME)
    assert sections(module)[".BTF"] is None
    assert main(["run", str(module)]) == 3
    assert main(["run", "--strip-signature", str(module)]) == 3

    root.enable()
    here = {
        "MODULE/VERSION": f"{NAME}/1.0",
        "RELEASE": root.release,
        "dkms install": "dkms install --no-depmod",
    }
    again = root.sh(block(PAGE, "again", here))
    assert again.returncode == 0, again.stdout

    assert sections(root.installed(NAME)) == expected


@pytest.mark.integration
def test_a_module_that_kbtf_cannot_do_is_installed_as_make_left_it(root: DkmsRoot) -> None:
    root.add_package(EXAMPLE, NAME)
    root.enable()

    log = root.install(NAME, KBTF_BASE="/nowhere/vmlinux")

    assert "kbtf: error: /nowhere/vmlinux: no such file" in log
    assert f"{NAME}.ko: Kbuild's own BTF step takes over" in log
    assert sections(root.installed(NAME))[".BTF"] is None


@pytest.mark.integration
def test_a_package_that_calls_kbtf_itself_fails_with_it(root: DkmsRoot) -> None:
    root.add_package(EXAMPLE, NAME, WITH_KBTF + ONE_MODULE)

    done = root("build", f"{NAME}/1.0", "-k", root.release, KBTF_BASE="/nowhere/vmlinux")

    assert done.returncode == 10
    assert "kbtf: error: /nowhere/vmlinux: no such file" in root.log(NAME)


@pytest.mark.integration
def test_errors_of_the_compiler_fail_the_build_as_ever(root: DkmsRoot) -> None:
    package = root.add_package(EXAMPLE, NAME)
    (package / f"{NAME}.c").write_text("nonsense\n")
    root.enable()

    done = root("build", f"{NAME}/1.0", "-k", root.release)

    assert done.returncode == 10
    assert f"{NAME}.c:1" in root.log(NAME)
    assert "kbtf" not in root.log(NAME).replace(str(root.root), "")


@pytest.mark.integration
@pytest.mark.parametrize("what", ["without resolve_btfids", "truncated vmlinux"])
def test_headers_that_break_the_build_of_make_alone(
    make_root: Callable[..., DkmsRoot],
    headers: Path,
    tmp_path: Path,
    expected: dict[str, bytes | None],
    what: str,
) -> None:
    """As users of Realtek drivers and of Omarchy saw."""
    if what == "truncated vmlinux":
        kdir = kdirs.shadow(headers, tmp_path / "odd", "vmlinux")
        (kdir / "vmlinux").write_bytes((headers / "vmlinux").read_bytes()[:100_000])
    else:
        kdir = kdirs.shadow(headers, tmp_path / "odd", "tools/bpf/resolve_btfids")
    root = make_root(kdir)
    root.add_package(EXAMPLE, NAME)
    assert root("build", f"{NAME}/1.0", "-k", root.release).returncode == 10

    root.enable()
    root.install(NAME)

    assert sections(root.installed(NAME)) == expected


@pytest.mark.integration
@pytest.mark.parametrize("way", ["kbtf build", "drop-in"])
def test_a_kernel_built_with_clang(
    make_root: Callable[..., DkmsRoot], headers: Path, tmp_path: Path, way: str
) -> None:
    """dkms appends CC=clang, or LLVM=1 since 3.1, to whatever the make command is."""
    try:
        arguments = " ".join(kdirs.compiler_arguments("clang"))
    except kdirs.Missing as error:
        missing(error)
    kdir = kdirs.shadow(headers, tmp_path / "clang", "vmlinux", ".config")
    (kdir / ".config").write_text("CONFIG_CC_IS_CLANG=y\n")
    command = way if way == "kbtf build" else "make"
    root = make_root(kdir)
    conf = f'MAKE[0]="{command} {IN_TREE} {arguments}"\n'
    root.add_package(EXAMPLE, NAME, conf + ONE_MODULE)
    if way == "drop-in":
        root.enable()

    root.install(NAME)

    image = Module.open(str(root.installed(NAME))).image
    assert b"clang" in (image.data(".comment") or b"")
    assert all(sections(root.installed(NAME)).values())


@pytest.mark.integration
def test_a_path_that_dkms_cannot_take_is_said(root: DkmsRoot) -> None:
    root.add_package(EXAMPLE, NAME)
    root.enable()

    done = root("status", PATH="/usr/sbin:/usr/bin:/mnt/c/Program Files:/bin")

    assert "PATH has a character that dkms cannot take" in done.stdout
    assert f"{NAME}/1.0" not in done.stdout
    assert done.returncode == 0


@pytest.mark.integration
def test_disabled_dkms_is_as_before(root: DkmsRoot) -> None:
    root.add_package(EXAMPLE, NAME)
    root.enable()
    assert main(["dkms", "disable", "--root", str(root.root)]) == 0

    root.install(NAME)

    assert sections(root.installed(NAME))[".BTF"] is None
