# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf doctor``, and what users reported in public: each made to happen, and what kbtf says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import BtfBuilder, Kind, Module
from kbtf.program import main
from kbtf.testing import make_base, make_ids, make_module

from . import kdirs
from .diagnosis import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable

    from .diagnosis import Said

STRIPPERS = (["objcopy", "-R", ".BTF", "-R", ".BTF.base"], ["strip", "-g", "-R", ".BTF"])


def test_no_vmlinux_and_no_other_base(run_dir: Path, doctor: Callable[..., Said]) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir")
    (kdir / "vmlinux").rename(run_dir / "elsewhere")

    said = doctor("-C", kdir)
    assert said.code == 1
    assert "Skipping BTF generation" in said.text("vmlinux")
    assert "was found, looked for" in said.text("base")
    assert "name its vmlinux, vmlinuz or raw BTF with --base" in said.text("base")

    said = doctor("-C", kdir, "--base", run_dir / "elsewhere")
    assert said.severity("vmlinux") == "note"
    assert said.severity("base") == "note"


@pytest.mark.integration
def test_plain_make_without_vmlinux_skips_btf(
    headers: Path, run_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """rtw89 #132, 8821au #166, nixpkgs #278471: the line that alarms, and what it loses."""
    bare = kdirs.shadow(headers, run_dir / "bare", "vmlinux")
    project = kdirs.three_modules(run_dir / "three")
    done = plain_make(bare, project / "provider")
    assert done.returncode == 0
    assert "Skipping BTF generation" in done.stderr
    module = project / "provider/provider.ko"
    assert not Module.open(str(module)).has_btf

    assert main(["build", "-C", str(bare), str(project / "provider")]) == 0

    assert "Skipping" not in capfd.readouterr().out
    assert Module.open(str(module)).has_btf_base


@pytest.mark.integration
def test_btf_of_the_running_kernel_for_a_build_of_another(
    headers: Path,
    kfunc_module: Path,
    run_dir: Path,
    doctor: Callable[..., Said],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """lunatik #189, appliance-build #740: cp /sys/kernel/btf/vmlinux KDIR."""
    other = run_dir / f"linux-headers-{OTHER}/vmlinux"
    other.parent.mkdir()
    shutil.copy(headers / "vmlinux", other)

    said = doctor("-C", headers, "--base", other)
    assert said.code == 1
    assert f"is for {OTHER}: refused" in said.text("base")

    before = kfunc_module.read_bytes()
    assert main(["run", "--base", str(other), str(kfunc_module)]) == 3
    assert "--allow-other-release" in capsys.readouterr().err
    assert kfunc_module.read_bytes() == before


@pytest.mark.integration
def test_resolve_btfids_is_missing_from_the_headers(
    headers: Path, run_dir: Path, doctor: Callable[..., Said]
) -> None:
    """rtl8188eus #263, vmware-host-modules #220."""
    kdir = kdirs.shadow(headers, run_dir / "kdir", "tools/bpf")
    provider = kdirs.three_modules(run_dir / "three") / "provider"
    done = plain_make(kdir, provider)
    assert done.returncode != 0
    assert "resolve_btfids: not found" in done.stderr

    said = doctor("-C", kdir)
    assert said.code == 0
    assert "make alone fails" in said.text("resolve-btfids")
    assert "kbtf-resolve-btfids" in said.text("resolve-btfids")

    assert main(["build", "-C", str(kdir), str(provider)]) == 0
    ids = Module.open(str(provider / "provider.ko")).btf_ids
    assert ids
    assert any(ids[8:12])


def test_pahole_is_absent(run_dir: Path, doctor: Callable[..., Said]) -> None:
    arguments = ("-C", kdirs.small_kdir(run_dir / "kdir"), "--pahole", "no-such-pahole")
    said = doctor(*arguments)

    assert said.code == 0
    assert said.severity("pahole") == "note"
    assert "kbtf does not need it, make alone does" in said.text("pahole")

    said = doctor(*arguments, "--encoder", "pahole")

    assert said.code == 1
    assert "no-such-pahole is not installed" in said.text("pahole")
    assert "install the package pahole" in said.text("pahole")


@pytest.mark.parametrize(
    ("installed", "expected", "level", "words"),
    [
        ("1.19", "124", "error", "1.19 is too old"),
        ("1.24", "130", "note", "expects 1.30"),
        ("1.24", "124", "note", "it adds no declaration tags for kfuncs"),
        ("1.28", "128", "note", "it may lose declaration tags of kfuncs"),
        ("1.30", "130", "note", "it repeats types of kernels since 6.15"),
        ("1.31", "124", "note", "expects 1.24"),
        ("1.32", "0", "note", "1.32 is installed; with libbpf 1.7 or 1.8 it repeats typedefs"),
    ],
)
def test_pahole_is_older_or_newer_than_the_kernel_expects(
    run_dir: Path,
    doctor: Callable[..., Said],
    pahole: Callable[[str], Path],
    installed: str,
    expected: str,
    level: str,
    words: str,
) -> None:
    """sched-ext/scx #1128, intel/tdx-tools #434."""
    kdir = kdirs.small_kdir(run_dir / "kdir", PAHOLE_VERSION=expected)

    said = doctor("-C", kdir, "--encoder", "pahole", "--pahole", pahole(installed))

    assert said.severity("pahole") == level
    assert words in said.text("pahole")
    assert said.code == (level == "error")


@pytest.mark.integration
def test_plain_make_fails_with_an_older_pahole_and_kbtf_does_not(
    headers: Path, run_dir: Path
) -> None:
    """Options for pahole 1.30, from the kernel's configuration, are too much for Debian's 1.24."""
    version = subprocess.run(["pahole", "--version"], capture_output=True, text=True, check=True)
    if version.stdout.strip() not in ("v1.24", "v1.25"):
        pytest.skip("the pahole here knows --btf_features")
    kdir = kdirs.shadow(headers, run_dir / "kdir", "include/config/auto.conf")
    config = (headers / "include/config/auto.conf").read_text()
    newer = config.replace("CONFIG_PAHOLE_VERSION=124", "CONFIG_PAHOLE_VERSION=130")
    (kdir / "include/config/auto.conf").write_text(newer)
    provider = kdirs.three_modules(run_dir / "three") / "provider"
    done = plain_make(kdir, provider)
    assert done.returncode != 0
    assert "btf_features" in done.stderr

    assert main(["build", "-C", str(kdir), str(provider)]) == 0
    assert Module.open(str(provider / "provider.ko")).has_btf_base


def test_btf_is_stale_after_an_update_of_the_kernel(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """bpftune #68, v4l2loopback #596: failed to validate module BTF: -22."""
    old, new = make_base(), make_base()
    new.add_int("something new", 8)
    for base in (old, new):
        base.add_composite(Kind.STRUCT, "list_head", 16)
    for name, base in (("old", old), ("new", new)):
        (run_dir / f"{name}.btf").write_bytes(base.to_bytes())
    split = BtfBuilder(old.build())
    proto = split.add_func_proto(1, [("list", split.add_ref(Kind.PTR, 3))])
    split.add_func("use", proto)
    (run_dir / "m.ko").write_bytes(make_module(btf=split.to_bytes(), release=kdirs.RELEASE))

    assert main(["check", "--kernel", "new.btf", "m.ko"]) == 1
    assert "rejected" in capsys.readouterr().out

    assert main(["run", "--base", "old.btf", "m.ko"]) == 0
    assert main(["check", "--kernel", "new.btf", "--kernel", "old.btf", "m.ko"]) == 0


@pytest.mark.integration
def test_a_truncated_vmlinux(headers: Path, run_dir: Path, doctor: Callable[..., Said]) -> None:
    """omarchy #12856: the build breaks."""
    kdir = kdirs.shadow(headers, run_dir / "kdir", "vmlinux")
    whole = (headers / "vmlinux").read_bytes()
    (kdir / "vmlinux").write_bytes(whole[: len(whole) // 2])
    provider = kdirs.three_modules(run_dir / "three") / "provider"
    assert plain_make(kdir, provider).returncode != 0

    said = doctor("-C", kdir)
    assert said.code == 0
    assert f"{kdir}/vmlinux: " in said.text("vmlinux")
    assert "'kbtf build' ignores it" in said.text("vmlinux")
    assert "reinstall the headers" in said.text("vmlinux")
    assert str(kdir) not in said.text("base")

    assert main(["build", "-v", "-C", str(kdir), str(provider)]) == 0
    assert Module.open(str(provider / "provider.ko")).has_btf_base


def test_a_truncated_vmlinux_and_no_other_base(run_dir: Path, doctor: Callable[..., Said]) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir")
    whole = (kdir / "vmlinux").read_bytes()
    (kdir / "vmlinux").write_bytes(whole[: len(whole) // 2])

    said = doctor("-C", kdir)

    assert said.code == 1
    assert f"{kdir}/vmlinux" in said.text("base")


@pytest.mark.integration
@pytest.mark.parametrize("tool", STRIPPERS)
def test_packaging_stripped_btf(
    vmlinux: Path,
    kfunc_module: Path,
    run_dir: Path,
    tool: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """azurelinux #13813, dkms #427: the module was right before it was packaged."""
    module = Path(shutil.copy(kfunc_module, run_dir))
    assert main(["run", "--base", str(vmlinux), str(module)]) == 0
    assert main(["check", "--kernel", str(vmlinux), str(module)]) == 0

    subprocess.run([*tool, module], check=True)
    capsys.readouterr()

    assert main(["check", "--kernel", str(vmlinux), str(module)]) == 1
    assert "has kfunc sets but no BTF" in capsys.readouterr().out


def test_a_set_of_kfuncs_that_this_kernel_does_not_have(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """lunatik #128: a set that names a kfunc which the module does not have here."""
    base = make_base()
    (run_dir / "vmlinux.btf").write_bytes(base.to_bytes())
    split = BtfBuilder(base.build())
    split.add_func("here", split.add_func_proto(1))
    ids = make_ids(set8s={"kfuncs": [("func", "here", 0), ("func", "not_here", 0)]})
    (run_dir / "m.ko").write_bytes(make_module(btf=split.to_bytes(), ids=ids))

    assert main(["run", "--base", "vmlinux.btf", "m.ko"]) == 0
    assert "unresolved symbol not_here" in capsys.readouterr().err


@pytest.mark.integration
def test_a_loader_wants_the_btf_of_a_module_before_it_is_loaded(
    vmlinux: Path, kfunc_module: Path, run_dir: Path, bpftool: Path
) -> None:
    """cilium/ebpf #1774, aya #1594, btfhub #70: split BTF on the kernel that it is to run on."""
    module = Path(shutil.copy(kfunc_module, run_dir))
    assert main(["run", "-q", "--base", str(vmlinux), str(module)]) == 0

    assert main(["undistill", str(module), "--base", str(vmlinux), "-o", "plain.ko"]) == 0
    assert main(["extract", "plain.ko", ".BTF", "-o", "plain.btf"]) == 0

    command = [str(bpftool), "-B", str(vmlinux), "btf", "dump", "file", "plain.btf", "format", "c"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "struct kfunc_module_counter {" in shown
    assert "struct task_struct *opener;" in shown


def plain_make(kdir: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Kbuild without kbtf."""
    command = ["make", "-C", str(kdir), f"M={folder}", "modules"]
    env = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_a_directory_that_kbuild_cannot_build_in(
    run_dir: Path, doctor: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_dir / "my driver"
    folder.mkdir()
    (folder / "Makefile").write_text("obj-m := driver.o\n")
    kdir = kdirs.small_kdir(run_dir / "kdir")
    monkeypatch.chdir(folder)

    said = doctor("-C", kdir)

    assert said.code == 1
    assert "with a space in its path -> use --work DIR" in said.text("sources")


def test_sources_that_are_below(run_dir: Path, doctor: Callable[..., Said]) -> None:
    (run_dir / "Makefile").write_text("all:\n\t$(MAKE) -C src\n")
    (run_dir / "src").mkdir()
    (run_dir / "src/Kbuild").write_text("obj-m := driver.o\n")

    said = doctor("-C", kdirs.small_kdir(run_dir / "kdir"))

    assert said.severity("sources") == "note"
    assert said.text("sources").endswith(f"run it in {run_dir}/src")


def test_a_vmlinux_of_the_running_kernel_in_another_ones_directory(
    run_dir: Path, doctor: Callable[..., Said]
) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir", release=OTHER)
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        pytest.skip("this kernel has no BTF")
    (kdir / "vmlinux").unlink()
    (kdir / "vmlinux").symlink_to("/sys/kernel/btf/vmlinux")

    said = doctor("-C", kdir)

    assert said.code == 1
    assert said.severity("base") == "error"
