# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf status: a root directory with a kernel, modules and an initramfs, and what is said of it."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kbtf import Btf, BtfBuilder, Kind, distill
from kbtf.check.machine.boot import forecast
from kbtf.check.machine.facts import Facts
from kbtf.check.machine.installed import installed_kernels
from kbtf.check.machine.running import without_btf
from kbtf.check.machine.vermagic import held_against, kernel_vermagic
from kbtf.check.result import BtfFate, Loading
from kbtf.testing import make_base, make_module
from kernel.archives import cpio
from shown import block, run_session

if TYPE_CHECKING:
    from collections.abc import Callable

KBTF = str(Path(sys.executable).with_name("kbtf"))
RELEASE = "6.12.0-1-test"


def base(size: int = 16) -> Btf:
    """A kernel with struct thing of this size, which can relocate."""
    b = make_base()
    b.add_composite(Kind.STRUCT, "thing", size)
    return b.build()


def module(name: str, kernel: Btf, *, release: str = RELEASE) -> bytes:
    """A module that embeds the kernel's struct thing, with .BTF.base."""
    split = BtfBuilder(kernel)
    thing = kernel.find("thing", Kind.STRUCT)
    assert thing is not None
    assert thing.size is not None
    split.add_composite(Kind.STRUCT, f"{name}_box", thing.size, [("it", thing.id, 0)])
    made = distill(split.build())
    return make_module(
        name, btf=made.split.to_bytes(), btf_base=made.base.to_bytes(), release=release
    )


class Machine:
    """An installed kernel below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = root / "lib/modules" / RELEASE
        self.boot = root / "boot"
        self.boot.mkdir(parents=True)
        (self.boot / f"vmlinux-{RELEASE}").write_bytes(base().to_bytes())
        self.configure(allow_mismatch=True)
        self.add("kernel/fs/fine.ko", module("fine", base()))

    def configure(self, *, allow_mismatch: bool) -> None:
        line = "CONFIG_MODULE_ALLOW_BTF_MISMATCH=y" if allow_mismatch else "# not set"
        (self.boot / f"config-{RELEASE}").write_text(f"{line}\n")

    def add(self, name: str, data: bytes) -> None:
        path = self.modules / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def make_initramfs(self, scratch: Path, files: dict[str, bytes]) -> None:
        names = {f"usr/lib/modules/{RELEASE}/{name}": data for name, data in files.items()}
        (self.boot / f"initrd.img-{RELEASE}").write_bytes(gzip.compress(cpio(scratch, names)))

    def status(self, *options: str) -> tuple[int, dict[str, Any]]:
        command = [KBTF, "status", "--root", str(self.root), "--json", *options]
        env = {**os.environ, "KBTF_CACHE_DIR": str(self.root / "cache")}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        assert not done.stderr
        return done.returncode, json.loads(done.stdout)

    def problems(self) -> list[tuple[str, str, str, bool]]:
        _, document = self.status()
        (kernel,) = document["kernels"]
        return [
            (p["severity"], p["code"], os.path.relpath(p["module"], self.modules), p["initramfs"])
            for p in kernel["problems"]
        ]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


def test_a_machine_without_problems_is_ok(machine: Machine) -> None:
    code, document = machine.status()
    (kernel,) = document["kernels"]
    assert code == 0
    assert document["ok"]
    assert (kernel["modules"], kernel["with_btf"], kernel["problems"]) == (1, 1, [])


def test_what_the_modules_of_an_initramfs_unpack_to_is_limited_together(
    machine: Machine, tmp_path: Path
) -> None:
    bomb = lzma.compress(bytes(8 << 20), preset=0)
    machine.make_initramfs(tmp_path / "early", {f"kernel/m{n}.ko.xz": bomb for n in range(300)})
    began = os.times()

    assert machine.problems() == [
        ("warning", "initramfs-unreadable", "../../../boot/initrd.img-6.12.0-1-test", True)
    ]

    assert os.times().children_user - began.children_user < 2


@pytest.mark.parametrize(
    ("allow_mismatch", "effect"), [(True, "loads without BTF"), (False, "fails")]
)
def test_a_refused_module_costs_what_the_configuration_says(
    allow_mismatch: bool, effect: str, machine: Machine
) -> None:
    machine.configure(allow_mismatch=allow_mismatch)
    machine.add("updates/dkms/old.ko", module("old", base(size=24)))
    code, document = machine.status()
    (problem,) = document["kernels"][0]["problems"]
    assert code == 1
    assert document["kernels"][0]["refusal_is_fatal"] is not allow_mismatch
    assert (problem["severity"], problem["code"]) == ("error", "embedded-resized")
    assert problem["text"].startswith(effect)


@pytest.mark.parametrize("place", ["updates/dkms/moved.ko", "extra/moved.ko"])
def test_a_module_for_another_kernel_does_not_load(place: str, machine: Machine) -> None:
    machine.add(place, module("moved", base(), release="6.11.0-9-test"))
    code, document = machine.status()
    (kernel,) = document["kernels"]
    (problem,) = kernel["problems"]
    assert code == 1
    assert kernel["with_btf"] == 1
    assert (problem["severity"], problem["code"]) == ("error", "vermagic")
    assert problem["text"].startswith("fails: its vermagic is '6.11.0-9-test SMP mod_unload'")


@pytest.mark.parametrize(
    ("moved", "refused", "what"),
    [
        (1, 0, "1 module may fail to load"),
        (0, 1, "1 module may lose its BTF"),
        (2, 2, "2 modules may fail to load, 2 modules may lose their BTF"),
    ],
)
def test_quietly_a_kernel_with_problems_is_one_line(
    moved: int, refused: int, what: str, machine: Machine
) -> None:
    for nr in range(moved):
        name = f"moved{nr}"
        machine.add(f"updates/{name}.ko", module(name, base(), release="6.11.0-9-test"))
    for nr in range(refused):
        machine.add(f"updates/old{nr}.ko", module(f"old{nr}", base(size=24)))
    command = [KBTF, "status", "--root", str(machine.root), "--no-cache", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stdout == f"kbtf: {RELEASE}: {what}; run 'kbtf status'\n"


def crcs(words: str, release: str) -> Facts:
    """A module with CRCs of symbols."""
    vermagic = f"{release} {words}"
    return Facts(vermagic, True, False, False, "", BtfFate.ACCEPTED, Loading.LOADS, ())


@pytest.mark.parametrize(
    ("words", "codes", "loading"),
    [
        ("SMP mod_unload modversions", ["other-release"], Loading.LOADS),
        ("SMP preempt mod_unload modversions", ["vermagic"], Loading.FAILS),
    ],
)
def test_crcs_stand_for_the_release_but_not_for_the_other_words(
    words: str, codes: list[str], loading: Loading
) -> None:
    own = Facts(f"{RELEASE} SMP mod_unload modversions", *crcs("", "")[1:])
    vermagic = kernel_vermagic(RELEASE, [own._replace(intree=True)])
    judged = held_against(vermagic, crcs(words, "6.11.0-9-test"))
    assert [code for _, code, _ in judged.findings] == codes
    assert judged.loading is loading
    assert held_against(vermagic, own) == own


def test_a_stale_copy_in_the_initramfs_is_found_and_judged(
    machine: Machine, tmp_path: Path
) -> None:
    machine.add("updates/dkms/mine.ko", module("mine", base()))
    stale = module("mine", base(size=24))
    same = module("fine", base())
    machine.make_initramfs(
        tmp_path / "scratch", {"updates/dkms/mine.ko": stale, "kernel/fs/fine.ko": same}
    )
    assert machine.problems() == [
        ("warning", "early-differs", "updates/dkms/mine.ko", True),
        ("error", "embedded-resized", "updates/dkms/mine.ko", True),
    ]


def test_a_copy_that_is_packed_in_another_way_is_the_same(machine: Machine, tmp_path: Path) -> None:
    machine.add("kernel/fs/packed.ko.gz", gzip.compress(module("packed", base())))
    machine.make_initramfs(tmp_path / "scratch", {"kernel/fs/packed.ko": module("packed", base())})
    assert machine.problems() == []


def test_a_kernel_that_requires_signatures_refuses_what_has_none(machine: Machine) -> None:
    config = machine.boot / f"config-{RELEASE}"
    config.write_text(config.read_text() + "CONFIG_MODULE_SIG_FORCE=y\n")
    assert machine.problems() == [("error", "unsigned", "kernel/fs/fine.ko", False)]
    assert machine.status()[1]["kernels"][0]["problems"][0]["loading"] == "fails"


def test_links_out_of_the_root_are_not_followed_to_the_kernel_of_this_machine(
    machine: Machine, tmp_path: Path
) -> None:
    build = tmp_path / "usr/src/linux-headers"
    build.mkdir(parents=True)
    (build / ".config").write_text("CONFIG_MODULE_SIG_FORCE=y\n")
    (build / "vmlinux").write_bytes(base(size=24).to_bytes())
    (machine.modules / "build").symlink_to(build)
    (machine.boot / f"config-{RELEASE}").unlink()
    kernel = machine.status()[1]["kernels"][0]
    assert kernel["source"] == str(machine.boot / f"vmlinux-{RELEASE}")
    assert (kernel["refusal_is_fatal"], kernel["problems"]) == (None, [])


def test_an_absolute_link_is_one_within_the_root(machine: Machine, tmp_path: Path) -> None:
    """weak-updates/ has such links; outside of the root, there may be another module."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "old.ko").write_bytes(module("old", base()))
    machine.add("weak-updates/old.ko", b"")
    weak = machine.modules / "weak-updates/old.ko"
    weak.unlink()
    weak.symlink_to(outside / "old.ko")
    assert machine.problems() == [("warning", "unreadable", "weak-updates/old.ko", False)]

    inside = machine.root / str(outside / "old.ko").lstrip("/")
    inside.parent.mkdir(parents=True)
    inside.write_bytes(module("old", base(size=24)))
    ((severity, code, name, _),) = machine.problems()
    assert (severity, code, name) == ("error", "embedded-resized", "weak-updates/old.ko")


@pytest.mark.parametrize("target", ["/lib", "lib"])
def test_modules_of_this_machine_are_not_those_of_a_root(
    machine: Machine, tmp_path: Path, target: str
) -> None:
    root = tmp_path / "other"
    root.mkdir()
    (root / "lib").symlink_to(machine.root / "lib" if target == "/lib" else target)

    assert not installed_kernels(str(root))


def test_files_behind_absolute_links_are_found_within_the_root(machine: Machine) -> None:
    (machine.root / "usr").mkdir()
    (machine.root / "lib").rename(machine.root / "usr/lib")
    (machine.root / "lib").symlink_to("/usr/lib")
    (machine.boot / f"initrd.img-{RELEASE}").symlink_to("/usr/initrd")
    (machine.root / "usr/initrd").write_bytes(b"")

    (kernel,) = installed_kernels(str(machine.root))

    assert kernel.modules == str(machine.root / "usr/lib/modules" / RELEASE)
    assert kernel.initramfs == str(machine.root / "usr/initrd")


def test_the_configuration_in_the_build_directory_below_the_root_counts(machine: Machine) -> None:
    build = machine.modules / "build"
    build.mkdir()
    (machine.boot / f"config-{RELEASE}").rename(build / ".config")
    assert machine.status()[1]["kernels"][0]["refusal_is_fatal"] is False


def test_loaded_modules_without_btf_are_named_with_the_reason(machine: Machine) -> None:
    machine.add("updates/dkms/old-one.ko", module("old_one", base(size=24)))
    machine.add("kernel/bare.ko", make_module("bare", release=RELEASE))
    shown = machine.root / "sys/kernel/btf"
    shown.mkdir(parents=True)
    for name in ("vmlinux", "fine"):
        (shown / name).touch()
    for name in ("fine", "old_one", "bare", "other"):
        (machine.root / "sys/module" / name).mkdir(parents=True)
        (machine.root / "sys/module" / name / "initstate").write_text("live\n")
    (machine.root / "sys/module/builtin/parameters").mkdir(parents=True)
    (installed,) = installed_kernels(str(machine.root))
    boot = forecast(installed, root=str(machine.root), keep=False)
    reasons = dict(without_btf(boot, str(machine.root)) or ())
    assert sorted(reasons) == ["bare", "old_one", "other"]
    assert reasons["bare"] == "the module has none"
    assert "embedded" in reasons["old_one"]
    assert "another one was loaded" in reasons["other"]


def damaged(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize("damage", [damaged, lambda data: b""], ids=["half", "empty"])
def test_a_damaged_initramfs_is_a_warning(
    damage: Callable[[bytes], bytes], machine: Machine, tmp_path: Path
) -> None:
    machine.make_initramfs(tmp_path / "scratch", {"kernel/fs/fine.ko": module("fine", base())})
    image = machine.boot / f"initrd.img-{RELEASE}"
    image.write_bytes(damage(image.read_bytes()))
    assert [problem[:2] for problem in machine.problems()] == [("warning", "initramfs-unreadable")]


def test_an_initramfs_that_is_a_dangling_link_is_a_warning(machine: Machine) -> None:
    (machine.boot / f"initrd.img-{RELEASE}").symlink_to("absent")
    assert machine.problems() == [
        ("warning", "initramfs-unreadable", f"../../../boot/initrd.img-{RELEASE}", True)
    ]


def test_a_module_that_is_a_dangling_link_is_a_warning(machine: Machine) -> None:
    (machine.modules / "kernel/gone.ko").symlink_to("absent")
    assert machine.problems() == [("warning", "unreadable", "kernel/gone.ko", False)]


def test_what_is_kept_follows_the_files(machine: Machine) -> None:
    assert machine.status()[0] == 0
    assert list((machine.root / "cache").glob("status-*.json"))
    machine.add("kernel/fs/fine.ko", module("fine", base(size=24)))
    assert machine.status()[0] == 1
    machine.add("kernel/fs/fine.ko", module("fine", base()))
    assert machine.status()[0] == 0


@pytest.mark.parametrize("text", ["", "{}", '{"kernel": 1, "files": []}', "[" * 9999])
def test_a_damaged_memory_costs_time_only(text: str, machine: Machine) -> None:
    assert machine.status()[0] == 0
    (kept,) = (machine.root / "cache").glob("status-*.json")
    kept.write_text(text)
    assert machine.status()[0] == 0


def test_a_kernel_without_btf_is_unknown(machine: Machine) -> None:
    (machine.boot / f"vmlinux-{RELEASE}").unlink()
    code, document = machine.status()
    assert code == 1
    assert "no BTF of kernel" in document["kernels"][0]["error"]


def test_a_root_without_kernels_is_an_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [KBTF, "status", "--root", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


def test_the_session_of_the_page_shows_what_happens(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    machine.add("updates/dkms/old.ko", module("old", base(size=24)))
    machine.make_initramfs(
        tmp_path / "scratch",
        {"kernel/fs/fine.ko": module("fine_before", base(16))},
    )
    run_session(block("docs/status.md", "status session"), tmp_path)
