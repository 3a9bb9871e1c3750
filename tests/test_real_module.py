# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The example module through kbtf, with Debian's tools as judges."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kbtf import ElfImage, Module
from kbtf.program import main

pytestmark = pytest.mark.integration


BY_PAHOLE = ("--encoder", "pahole", "--pahole")


@pytest.fixture
def module(kfunc_module: Path, run_dir: Path) -> Path:
    return Path(shutil.copy(kfunc_module, run_dir))


def run(*args: object) -> int:
    return main(["run", *map(str, args)])


def dump(bpftool: Path, module: Path, base: Path | None = None) -> str:
    command = ["-B", base] if base else []
    command = [bpftool, *command, "btf", "dump", "file", module]
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def kfuncs_of(source: Path) -> set[str]:
    text = (source / "kfunc_module.c").read_text()
    return set(re.findall(r"BTF_ID_FLAGS\(func, (\w+)", text))


def section(module: Path, name: str) -> bytes:
    data = Module.open(str(module)).image.data(name)
    assert data is not None, name
    return data


def resolved_by_debian(tool: Path, module: Path, base: Path) -> bytes:
    """``.BTF_ids`` as Debian's resolve_btfids writes it for the same .BTF and .BTF.base."""
    copy = module.with_name("debian.ko")
    shutil.copy(module, copy)
    image = bytearray(copy.read_bytes())
    ids = ElfImage(bytes(image)).section(".BTF_ids")
    assert ids is not None
    linked = ElfImage((module.parent / "linked.ko").read_bytes())
    unresolved = linked.data(".BTF_ids")
    assert unresolved is not None
    image[ids.offset : ids.offset + ids.size] = unresolved
    copy.write_bytes(image)
    subprocess.run([tool, "-b", base, copy], check=True)
    return section(copy, ".BTF_ids")


@pytest.fixture
def linked(module: Path) -> Path:
    """A copy of the module as the linker left it, beside the one that is run."""
    return Path(shutil.copy(module, module.with_name("linked.ko")))


def test_the_module_gets_all_three_sections_as_the_peers_write_them(
    module: Path,
    linked: Path,
    vmlinux: Path,
    resolve_btfids: Path,
    bpftool: Path,
    libbpf: Path,
    root: Path,
) -> None:
    assert run("--base", vmlinux, "--distill", "never", "-o", "plain.ko", module) == 0
    assert run("--base", vmlinux, module) == 0

    assert section(module, ".BTF_ids") == resolved_by_debian(resolve_btfids, module, vmlinux)
    plain = module.with_name("plain.ko")
    assert section(plain, ".BTF_ids") == resolved_by_debian(resolve_btfids, plain, vmlinux)

    module.with_name("plain.btf").write_bytes(section(plain, ".BTF"))
    command = [str(libbpf), "distill", str(vmlinux), "plain.btf", "out.base", "out.split"]
    subprocess.run(command, check=True)
    assert section(module, ".BTF.base") == Path("out.base").read_bytes()
    assert section(module, ".BTF") == Path("out.split").read_bytes()

    listed = dump(bpftool, module)
    for kfunc in kfuncs_of(root / "examples/kfunc_module"):
        assert f"FUNC '{kfunc}'" in listed
        assert f"FUNC '{kfunc}'" in dump(bpftool, plain, vmlinux)


def test_every_other_section_stays_as_it_was(module: Path, linked: Path, vmlinux: Path) -> None:
    run("--base", vmlinux, module)

    before, after = (ElfImage(path.read_bytes()) for path in (linked, module))
    changed = {".BTF_ids", ".shstrtab"}
    for old in before.sections:
        new = after.sections[old.number]
        if old.name in changed:
            continue
        assert new._replace(offset=old.offset) == old
        assert after.contents(new) == before.contents(old)
    assert [s.name for s in after.sections[len(before.sections) :]] == [".BTF", ".BTF.base"]
    assert list(after.symbols()) == list(before.symbols())


def test_a_second_run_changes_nothing(module: Path, vmlinux: Path) -> None:
    run("--base", vmlinux, module)
    first = module.read_bytes()
    os.utime(module, ns=(1, 1))

    assert run("--base", vmlinux, module) == 0
    assert module.read_bytes() == first
    assert module.stat().st_mtime_ns == 1


def test_a_module_that_kbuild_resolved_ends_up_the_same(
    module: Path, linked: Path, vmlinux: Path, resolve_btfids: Path
) -> None:
    run("--base", vmlinux, "--distill", "never", module)
    plain = module.read_bytes()
    Path("debian.ko").write_bytes(plain)
    run("--base", vmlinux, linked)

    assert run("--base", vmlinux, module) == 0

    for name in (".BTF", ".BTF.base", ".BTF_ids"):
        assert section(module, name) == section(linked, name)


def test_readers_of_modules_accept_it(module: Path, vmlinux: Path) -> None:
    run("--base", vmlinux, module)

    for command in (["readelf", "-aW"], ["objdump", "-x"], ["modinfo"], ["eu-readelf", "-a"]):
        done = subprocess.run([*command, module], capture_output=True, text=True, check=False)
        assert done.returncode == 0, command
        assert "rror" not in done.stderr, command
    subprocess.run(["strip", "--strip-debug", module], check=True)
    assert Module.open(str(module)).btf is not None


def test_the_base_is_found_by_the_release_of_the_module(
    module: Path, headers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-C", headers, "-v", module) == 0
    assert f"base {headers}/vmlinux" in capsys.readouterr().out


def test_pahole_that_fails_is_shown_in_its_own_words(
    module: Path, vmlinux: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = module.read_bytes()
    pahole = module.with_name("broken-pahole")
    pahole.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo v1.24 && exit\necho no luck >&2; exit 1"
    )
    pahole.chmod(0o755)

    assert run("--base", vmlinux, *BY_PAHOLE, pahole, module) == 4
    assert "no luck" in capsys.readouterr().err
    assert module.read_bytes() == before


def test_a_missing_pahole_is_named_with_what_to_install(
    module: Path, vmlinux: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--base", vmlinux, *BY_PAHOLE, "no-such-pahole", module) == 4
    assert "no-such-pahole is not installed" in capsys.readouterr().err


def test_in_tree_modules_of_debian_keep_plain_split_btf(
    vmlinux: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sorted(Path("/lib/modules").glob("*/kernel/net/ipv4/tcp_dctcp.ko.xz"))
    matching = [path for path in found if path.parts[3] in str(vmlinux)]
    if not matching:
        pytest.skip("the kernel image of the headers is not installed")
    module = Path(shutil.copy(matching[-1], run_dir))
    before = Module.open(str(module))

    assert run("--base", vmlinux, module) == 0  # nothing would change
    assert Module.open(str(module)).signature == before.signature
    assert run("--base", vmlinux, "--distill", "always", module) == 3
    assert "signed" in capsys.readouterr().err
    assert run("--base", vmlinux, "--strip-signature", module) == 0

    after = Module.open(str(module))
    assert after.signature is None
    assert after.image.data(".BTF") == before.image.data(".BTF")
    assert after.image.data(".BTF.base") is None
    assert after.btf_ids == before.btf_ids

    assert run("--base", vmlinux, "--distill", "always", module) == 0
    assert Module.open(str(module)).has_btf_base


def test_the_demo_shows_before_and_after(run_dir: Path) -> None:
    command = [str(Path(sys.executable).parent / "kbtf"), "demo", "-o", "new/folder"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert "plain, " in shown
    assert "distilled, " in shown
    assert "6 resolved" in shown
    assert "make -C" in shown
    assert Module.open("new/folder/kfunc_module.ko").has_btf_base
