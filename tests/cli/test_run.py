# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf run`` on small modules: what each gets, what stays, what is said."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.runs import KFUNCS, RELEASE, SLEEPABLE, TRUSTED, kfuncs_on, make_kernel, run, write_module
from kbtf import BtfBuilder, ElfImage, Kind, Module, distill, read_ids, resolve_ids
from kbtf.program import main
from kbtf.testing import make_base, make_ids, make_module

if TYPE_CHECKING:
    from cli.runs import Kernel


def test_an_out_of_tree_module_gets_a_base_and_ids_on_it(kernel: Kernel, run_dir: Path) -> None:
    split = kfuncs_on(kernel.btf)
    path = write_module(run_dir, split)

    assert run("--base", kernel.path, path) == 0

    module = Module.open(str(path))
    expected = distill(split)
    assert module.image.data(".BTF") == expected.split.to_bytes()
    assert module.image.data(".BTF.base") == expected.base.to_bytes()
    before = read_ids(Module(make_module(btf=split.to_bytes(), ids=KFUNCS)).image)
    assert before is not None
    assert module.btf_ids == resolve_ids(before, expected.split).ids.to_bytes()


def test_a_second_run_changes_nothing_and_does_not_touch_the_file(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    run("--base", kernel.path, path)
    first = path.read_bytes()
    os.utime(path, ns=(1, 1))
    capsys.readouterr()

    assert run("--base", kernel.path, path) == 0

    assert path.read_bytes() == first
    assert path.stat().st_mtime_ns == 1
    assert "(unchanged)" in capsys.readouterr().out


def test_ids_resolved_by_the_build_follow_the_types_and_flags_stay_with_their_kfunc(
    kernel: Kernel, run_dir: Path
) -> None:
    split = kfuncs_on(kernel.btf)
    path = write_module(run_dir, split)
    run("--base", kernel.path, "--distill", "never", path)
    plain = Module.open(str(path)).btf_ids or b""
    assert struct.unpack("<6I", plain)[2:] == (6, SLEEPABLE, 7, TRUSTED)

    assert run("--base", kernel.path, path) == 0

    module = Module.open(str(path))
    assert module.btf is not None
    kept = {
        module.btf[type_id].name: flags
        for type_id, flags in struct.iter_unpack("<II", (module.btf_ids or b"")[8:])
    }
    assert kept == {"do_sleep": SLEEPABLE, "do_add": TRUSTED}
    count, flags, *ids = struct.unpack("<6I", module.btf_ids or b"")
    assert (count, flags) == (2, 1)
    assert ids[0] < ids[2]


@pytest.mark.parametrize(
    ("release", "kind"), [("6.12.0-test", Kind.ENUM64), ("6.15.0-test", Kind.TYPE_TAG)]
)
def test_a_second_run_without_a_base_knows_what_its_kernel_takes(
    release: str, kind: Kind, run_dir: Path
) -> None:
    # ENUM64 since 6.0, kind_flag on tags since 6.15; the distilled base shows neither
    base = make_base()
    base.add_composite(Kind.STRUCT, "btf_enum64", 12)
    kernel = base.build()
    (run_dir / "vmlinux.btf").write_bytes(kernel.to_bytes())
    s = BtfBuilder(kernel)
    s.add(
        kind, "own", kind_flag=kind is Kind.TYPE_TAG, size_or_type=8 - 7 * (kind is Kind.TYPE_TAG)
    )
    path = run_dir / "tiny.ko"
    path.write_bytes(make_module(btf=s.to_bytes(), release=release))
    assert run("--base", "vmlinux.btf", path) == 0
    done = path.read_bytes()
    (run_dir / "vmlinux.btf").unlink()

    assert run(path) == 0
    assert path.read_bytes() == done


def test_ids_resolved_against_another_base_are_refused(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b = make_base()
    b.add_composite(Kind.STRUCT, "list_head", 16)
    b.add_ref(Kind.PTR, 3)
    b.add_int("new", 1)
    s = BtfBuilder(b.build())
    proto = s.add_func_proto(1)
    s.add_func("do_sleep", proto)
    s.add_func("do_add", proto)
    other = run_dir / "other.btf"
    other.write_bytes(b.to_bytes())
    path = write_module(run_dir, s.build())
    run("--base", other, "--distill", "never", path)
    resolved = Module.open(str(path)).btf_ids
    again = make_module(
        btf=kfuncs_on(kernel.btf).to_bytes(),
        ids=KFUNCS._replace(data=resolved or b""),
        release=RELEASE,
    )
    path.write_bytes(again)

    assert run("--base", kernel.path, path) == 3
    assert ".BTF_ids: is not resolved against" in capsys.readouterr().err
    assert path.read_bytes() == again


def test_distill_never_gives_plain_split_btf(kernel: Kernel, run_dir: Path) -> None:
    split = kfuncs_on(kernel.btf)
    path = write_module(run_dir, split)

    assert run("--base", kernel.path, "--distill", "never", path) == 0

    module = Module.open(str(path))
    assert module.image.data(".BTF") == split.to_bytes()
    assert module.image.data(".BTF.base") is None
    assert (module.btf_ids or b"")[8:12] == struct.pack("<I", 6)


def test_an_in_tree_module_keeps_plain_split_btf_unless_always(
    kernel: Kernel, run_dir: Path
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf), intree=True)
    run("--base", kernel.path, path)
    assert not Module.open(str(path)).has_btf_base

    run("--base", kernel.path, "--distill", "always", path)
    assert Module.open(str(path)).has_btf_base


@pytest.mark.parametrize(
    ("members", "words"),
    [(("btf_data",), "cannot relocate"), (("name",), "accepts no module BTF")],
)
def test_a_kernel_that_cannot_relocate_gets_plain_split_btf_and_says_so(
    members: tuple[str, ...], words: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = make_kernel(run_dir, members)
    path = write_module(run_dir, kfuncs_on(kernel.btf))

    assert run("--base", kernel.path, path) == 0
    assert words in capsys.readouterr().err
    assert not Module.open(str(path)).has_btf_base

    assert run("--base", kernel.path, "--distill", "always", path) == 0
    assert words in capsys.readouterr().err
    assert Module.open(str(path)).has_btf_base


def test_a_module_that_refers_to_nothing_gets_a_pinned_type(kernel: Kernel, run_dir: Path) -> None:
    s = BtfBuilder(kernel.btf)
    own = s.add_composite(Kind.STRUCT, "own", 8)
    s.add_ref(Kind.TYPEDEF, own, "alias")
    s.add_func("do_add", s.add_func_proto(0, [("own", own + 1)]))
    ids = make_ids(set8s={"kfuncs": [("func", "do_add", TRUSTED)]})
    path = write_module(run_dir, s.build(), ids)

    assert run("--base", kernel.path, path) == 0

    module = Module.open(str(path))
    assert module.btf_base is not None
    assert module.btf is not None
    assert [(t.kind, t.name, t.size) for t in module.btf_base] == [(Kind.INT, "int", 4)]
    assert [(t.id, t.kind, t.name, t.type) for t in module.btf] == [
        (2, Kind.STRUCT, "own", None),
        (3, Kind.TYPEDEF, "alias", 2),
        (4, Kind.FUNC_PROTO, "", 0),
        (5, Kind.FUNC, "do_add", 4),
    ]
    assert module.btf[4].params == (("own", 3),)
    assert (module.btf_ids or b"")[8:12] == struct.pack("<I", 5)


def test_sections_that_nobody_knows_are_kept(run_dir: Path) -> None:
    base = make_base().build()
    Path("vmlinux").write_bytes(base.to_bytes())
    split = BtfBuilder(base)
    split.add_func("f", split.add_func_proto(1))
    others = {".BTF.inline": b"inline sites", ".BTF.extra": b"more"}
    Path("m.ko").write_bytes(make_module(btf=split.to_bytes(), sections=others))

    assert main(["run", "-q", "--base", "vmlinux", "m.ko"]) == 0

    image = ElfImage(Path("m.ko").read_bytes())
    assert image.data(".BTF.base")
    assert {name: image.data(name) for name in others} == others


def test_the_module_with_the_kernels_own_btf_is_skipped(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = make_module(name="btf_vmlinux", btf=make_base().to_bytes())
    Path("btf_vmlinux.ko").write_bytes(before)

    assert main(["run", "--base", "btf_vmlinux.ko", "btf_vmlinux.ko"]) == 0

    assert "skipped: contains the kernel's own BTF" in capsys.readouterr().out
    assert Path("btf_vmlinux.ko").read_bytes() == before


def test_without_dwarf_and_btf_a_module_is_skipped(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, None, None)

    assert run("--base", kernel.path, path) == 0
    assert "skipped: neither DWARF nor BTF" in capsys.readouterr().out


def test_without_dwarf_and_btf_but_with_ids_it_is_an_error(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, None)

    assert run("--base", kernel.path, path) == 3
    assert "neither BTF nor DWARF" in capsys.readouterr().err


def test_a_plain_list_of_a_distilled_module_is_warned_of(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = {
        "my_ids": [("struct", "list_head")],
        "my_dtor_ids": [("func", "do_add")],
        "__bpf_trace_btf_ids_event": [("func", "do_add")],
    }
    path = write_module(run_dir, kfuncs_on(kernel.btf), make_ids(lists=lists))

    run("--base", kernel.path, path)

    warned = [line for line in capsys.readouterr().err.splitlines() if "relocates" in line]
    assert [line.split("list ")[1].split(":")[0] for line in warned] == ["my_ids", "my_dtor_ids"]


def test_kbtf_base_stands_between_command_line_and_configuration(
    kernel: Kernel, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    (run_dir / "ci.toml").write_text("base = 'nowhere'\n")
    assert run("--config", "ci.toml", path) == 3
    monkeypatch.setenv("KBTF_BASE", str(kernel.path))
    assert run("--config", "ci.toml", "--dry-run", path) == 0
    assert run("--base", "nowhere", path) == 3


def test_a_base_of_another_release_is_refused_unless_allowed(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_dir / "usr/src/linux-headers-6.12.1-other"
    folder.mkdir(parents=True)
    kernel = make_kernel(folder)
    vmlinux = kernel.path.rename(folder / "vmlinux")
    path = write_module(run_dir, kfuncs_on(kernel.btf))

    assert run("--base", vmlinux, path) == 3
    assert "6.12.1-other" in capsys.readouterr().err
    assert run("--base", vmlinux, "--allow-other-release", path) == 0
    assert "6.12.1-other" in capsys.readouterr().err


def test_a_base_of_unknown_release_that_does_not_fit_is_refused(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    before = path.read_bytes()
    b = BtfBuilder(byte_order="little")
    for name in ("unsigned", "shifted", "names", "of_the_other", "base"):
        b.add_int(name, 4)
    other = run_dir / "other.btf"
    other.write_bytes(b.to_bytes())

    assert run("--base", other, path) == 3
    assert "does not fit the base" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("words", ["--", "-q --", "tiny.ko -v --"])
@pytest.mark.parametrize("command", ["run", "check", "show", "stats"])
def test_a_name_may_start_with_a_dash(kernel: Kernel, command: str, words: str) -> None:
    module = write_module(kernel.path.parent, kfuncs_on(kernel.btf))
    module.with_name("-weird.ko").write_bytes(module.read_bytes())
    base = {"run": ["--base", "vmlinux.btf"], "check": ["--kernel", "vmlinux.btf"]}
    words = words if command in base else words.replace("-v", "").replace("-q", "")

    code = main([command, *base.get(command, []), *words.split(), "-weird.ko"])

    assert code == (1 if command == "check" else 0)


def test_stripped_symbols_of_unresolved_ids_are_said(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The BTF is made all the same; the kfuncs of the module will not be there."""
    path = write_module(run_dir, kfuncs_on(kernel.btf), KFUNCS._replace(symbols=()))

    assert run("--base", kernel.path, path) == 0

    assert ".BTF_ids: its symbols were stripped" in capsys.readouterr().err
