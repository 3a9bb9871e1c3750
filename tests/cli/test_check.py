# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf check``, ``kbtf relocate`` and ``kbtf undistill`` as commands."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kbtf import Btf, BtfBuilder, ElfImage, Kind, Module, distill, relocate
from kbtf.program import main
from kbtf.testing import make_base, make_ids, make_module

RELEASE = "6.12.0-test"
KFUNCS = make_ids(set8s={"kfuncs": [("func", "use", 0x20), ("func", "act", 0x10)]})


def base(size: int = 16, *, first: str = "") -> BtfBuilder:
    b = BtfBuilder(byte_order="little")
    if first:
        b.add_int(first, 2)
    shift = b.next_id - 1
    for t in make_base().build():
        b.add_copy(t, {at: at + shift for at in range(1, 4)})
    b.add_composite(Kind.STRUCT, "thing", size)
    return b


@pytest.fixture
def kernels(run_dir: Path) -> Path:
    """Three kernels as unpacked packages have them: the module's own, a fine one, a bad one."""
    for release, made in (
        (RELEASE, base()),
        ("6.12.1-fine", base(first="short")),
        ("6.12.2-bad", base(32)),
    ):
        folder = run_dir / "kernels" / release / "boot"
        folder.mkdir(parents=True)
        (folder / f"vmlinux-{release}").write_bytes(made.to_bytes())
    return run_dir / "kernels"


@pytest.fixture
def own(kernels: Path) -> Path:
    return kernels / RELEASE / "boot" / f"vmlinux-{RELEASE}"


@pytest.fixture
def module(own: Path, run_dir: Path) -> Path:
    """A distilled module that embeds struct thing, with resolved kfuncs."""
    s = BtfBuilder(base().build())
    s.add_composite(Kind.STRUCT, "mine", 24, [("thing", 3, 64)])
    proto = s.add_func_proto(1)
    s.add_func("act", proto)
    s.add_func("use", proto)
    path = run_dir / "tiny.ko"
    versions = {"__versions": b"\x12\x34\x56\x78".ljust(8, b"\0") + b"printk".ljust(56, b"\0")}
    made = make_module(btf=s.build().to_bytes(), ids=KFUNCS, release=RELEASE, sections=versions)
    path.write_bytes(made)
    assert main(["run", "-q", "--base", str(own), str(path)]) == 0
    return path


def check(*args: object) -> int:
    return main(["check", *map(str, args)])


def test_a_folder_of_kernels_gives_a_row_for_each(
    kernels: Path, module: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("--kernel", kernels, module) == 1

    out = capsys.readouterr().out
    assert "6.12.1-fine" in out
    assert "struct thing is embedded in struct mine (member 'thing')" in out
    assert "16 bytes in the module, 32 in 6.12.2-bad" in out
    assert "2 ok, 0 warnings, 1 rejected, 0 unknown" in out


def test_all_ok_is_exit_code_0_and_quiet_prints_nothing(
    kernels: Path, module: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("-q", "--kernel", own, "--kernel", kernels / "6.12.1-fine", module) == 0
    assert capsys.readouterr().out == ""


def test_json_tells_apart_the_btf_and_the_loading(
    kernels: Path, module: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = kernels / "6.12.2-bad" / "boot"
    (bad / "config-6.12.2-bad").write_text("CONFIG_MODULE_ALLOW_BTF_MISMATCH=y\n")

    assert check("--json", "--kernel", bad, module) == 1

    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert (row["verdict"], row["btf"], row["loading"]) == (
        "rejected",
        "refused",
        "loads without BTF",
    )
    assert [f["code"] for f in row["findings"]] == [
        "embedded-resized",
        "kfuncs-lost",
        "symbols-unchecked",
    ]


def test_tap_junit_and_html_say_the_same(
    kernels: Path, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("--tap", "--kernel", kernels, module) == 1
    tap = capsys.readouterr().out
    assert "1..3" in tap
    assert [line.split(" ")[0] for line in tap.splitlines() if "ok " in line[:7]].count("not") == 1

    assert check("--junit", "--html", "page.html", "--kernel", kernels, module) == 1
    suites = ElementTree.fromstring(capsys.readouterr().out)  # noqa: S314
    assert len(suites.findall(".//testcase")) == 3
    assert len(suites.findall(".//failure")) == 1
    assert "6.12.2-bad" in (run_dir / "page.html").read_text()


def test_a_module_that_cannot_be_read_does_not_stop_the_others(
    module: Path, own: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "bad.ko").write_bytes(b"nothing")

    assert check("--kernel", own, "bad.ko", "absent.ko", module) == 3

    out = capsys.readouterr().out
    assert "not an ELF file" in out
    assert "no such file" in out
    assert "1 ok, 0 warnings, 0 rejected, 2 unknown" in out


@pytest.mark.parametrize("place", ["R/vmlinuz", "R/vmlinux", "boot/vmlinuz-R", "R/build/vmlinux"])
def test_a_kernel_is_found_where_distributions_keep_it(
    place: str, corpus: Path, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fedora, and Debian since 7.3, keep vmlinuz in /lib/modules/R."""
    kernel = run_dir / "modules" / place.replace("R", "6.12.117")
    kernel.parent.mkdir(parents=True)
    shutil.copy(corpus / "base/6.12.117.btf", kernel)

    assert check("--kernel", "modules", module) in (0, 1)

    assert "no kernel in this directory" not in capsys.readouterr().err


def test_a_kernel_that_is_not_there_is_an_error_of_its_own(
    module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("--kernel", "nowhere/vmlinux", module) == 3
    assert "nowhere/vmlinux" in capsys.readouterr().err
    (run_dir / "empty").mkdir()
    assert check("--kernel", "empty", module) == 4
    assert check("--kernel", "0.0.0-none", module) == 4


def test_deep_needs_what_the_module_was_built_against(
    module: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("--deep", "--kernel", own, module) == 2
    assert "--built-against" in capsys.readouterr().err


def test_deep_needs_one_kernel_that_exists(
    kernels: Path, module: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for named, code in ((kernels, 2), ("nosuch", 4), ("0.0.0-none", 4), ("no/such", 3)):
        assert check("--deep", "--built-against", named, "--kernel", own, module) == code
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert "--kernel" not in said.err


def test_a_wrong_kernel_to_compare_with_does_not_hide_the_verdicts(
    kernels: Path, module: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = kernels / "6.12.2-bad/boot/vmlinux-6.12.2-bad"
    deep = ("--deep", "--built-against", bad, "--json")
    assert check(*deep, "--kernel", bad, "--kernel", own, module) == 1

    rejected, accepted = json.loads(capsys.readouterr().out)["results"]
    assert (rejected["verdict"], rejected["loading"]) == ("rejected", "fails, or loads without BTF")
    assert "embedded-resized" in {finding["code"] for finding in rejected["findings"]}
    assert (accepted["verdict"], accepted["btf"]) == ("unknown", "accepted")
    (wrong,) = (f for f in accepted["findings"] if f["code"] == "other-base")
    assert str(bad) in wrong["text"]


def test_deep_shows_what_the_kernel_does_not_see(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def kernel(name: str, order: tuple[str, str]) -> Btf:
        b = make_base()
        members = [(field, 1, 32 * at) for at, field in enumerate(order)]
        b.add_composite(Kind.STRUCT, "thing", 8, members)
        Path(name).write_bytes(b.to_bytes())
        return b.build()

    old = kernel("old.btf", ("first", "second"))
    kernel("new.btf", ("second", "first"))
    s = BtfBuilder(old)
    s.add_func("use", s.add_func_proto(1, [("thing", s.add_ref(Kind.PTR, 3))]))
    made = distill(s.build())
    module = run_dir / "tiny.ko"
    module.write_bytes(
        make_module(btf=made.split.to_bytes(), btf_base=made.base.to_bytes(), release=RELEASE)
    )

    assert check("--kernel", "new.btf", module) == 0
    assert "moved" not in capsys.readouterr().out
    assert check("--deep", "--built-against", "old.btf", "--kernel", "new.btf", module) == 0

    out = capsys.readouterr().out
    assert "warnings" in out
    assert "struct thing: member 'first' moved from byte 0 to byte 4" in out


def test_relocate_writes_what_the_library_gives(kernels: Path, module: Path, run_dir: Path) -> None:
    main(["extract", str(module), ".BTF", "-o", "in.split"])
    main(["extract", str(module), ".BTF.base", "-o", "in.base"])
    fine = kernels / "6.12.1-fine/boot/vmlinux-6.12.1-fine"

    assert main(["relocate", str(fine), "in.base", "in.split", "out.btf"]) == 0

    split = Module.open(str(module)).btf
    assert split is not None
    expected = relocate(split, Btf.parse(fine.read_bytes()))
    assert (run_dir / "out.btf").read_bytes() == expected.to_bytes()


def test_relocate_names_the_type_that_does_not_fit(
    kernels: Path, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["extract", str(module), ".BTF", "-o", "in.split"])
    main(["extract", str(module), ".BTF.base", "-o", "in.base"])
    bad = kernels / "6.12.2-bad/boot/vmlinux-6.12.2-bad"

    assert main(["relocate", str(bad), "in.base", "in.split", "out.btf"]) == 3
    assert "'thing'" in capsys.readouterr().err
    assert not (run_dir / "out.btf").exists()


def test_undistill_gives_plain_split_btf_with_its_ids(
    kernels: Path, module: Path, own: Path
) -> None:
    fine = kernels / "6.12.1-fine/boot/vmlinux-6.12.1-fine"
    distilled = Module.open(str(module))
    assert distilled.btf is not None

    assert main(["undistill", "--base", str(fine), str(module)]) == 0

    plain = Module.open(str(module))
    target = Btf.parse(fine.read_bytes())
    split = Btf.parse(plain.image.data(".BTF") or b"", target)
    assert split.to_bytes() == relocate(distilled.btf, target).to_bytes()
    assert plain.image.section(".BTF.base") is None
    named = {
        split[type_id].name: flags
        for type_id, flags in struct.iter_unpack("<II", (plain.btf_ids or b"")[8:])
    }
    assert named == {"use": 0x20, "act": 0x10}
    assert check("-q", "--kernel", fine, module) in (0, 1)
    assert check("-q", "--kernel", own, module) == 1


def test_undistill_twice_changes_nothing_more(kernels: Path, module: Path, own: Path) -> None:
    assert main(["undistill", "--base", str(own), str(module)]) == 0
    first = module.read_bytes()
    assert main(["undistill", "--base", str(own), str(module)]) == 0
    assert module.read_bytes() == first


def test_undistill_leaves_every_other_section(module: Path, own: Path) -> None:
    before = ElfImage(module.read_bytes())

    assert main(["undistill", "--base", str(own), "-o", "out.ko", str(module)]) == 0

    after = ElfImage(Path("out.ko").read_bytes())
    for section in before.sections:
        if section.name not in (".BTF", ".BTF.base", ".BTF_ids", ".shstrtab"):
            found = after.sections[section.number]
            assert found._replace(offset=section.offset) == section
            assert after.contents(after.sections[section.number]) == before.contents(section)


def test_undistill_onto_a_kernel_that_does_not_fit_leaves_the_module(
    kernels: Path, module: Path
) -> None:
    before = module.read_bytes()
    bad = kernels / "6.12.2-bad/boot/vmlinux-6.12.2-bad"

    assert main(["undistill", "--base", str(bad), str(module)]) == 3
    assert module.read_bytes() == before


def test_a_module_that_cannot_relocate_to_its_own_kernel_keeps_plain_btf_or_is_an_error(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b = base()
    b.add_composite(Kind.STRUCT, "thing", 16)
    (run_dir / "twice.btf").write_bytes(b.to_bytes())
    s = BtfBuilder(b.build())
    s.add_composite(Kind.STRUCT, "mine", 16, [("thing", 3, 0)])
    path = run_dir / "tiny.ko"
    path.write_bytes(make_module(btf=s.build().to_bytes(), release=RELEASE))
    before = path.read_bytes()

    assert main(["run", "--base", "twice.btf", "--distill", "always", str(path)]) == 3
    assert "'thing'" in capsys.readouterr().err
    assert path.read_bytes() == before

    assert main(["run", "--base", "twice.btf", str(path)]) == 0
    assert "keeps plain split BTF" in capsys.readouterr().err
    assert not Module.open(str(path)).has_btf_base


def test_the_demo_module_on_the_corpus_kernels(
    corpus: Path, root: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = root / "kbtf" / "demo"
    module = shutil.copy(demo / "kfunc_module.ko", run_dir)
    assert main(["run", "-q", "--base", str(demo / "vmlinux.btf.xz"), str(module)]) == 0

    assert check("--kernel", corpus / "base", module) == 0
    assert "4 kernels" in capsys.readouterr().out


def test_a_file_that_is_no_kernel_is_passed_over(
    root: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = root / "kbtf" / "demo"
    module = shutil.copy(demo / "kfunc_module.ko", run_dir)
    base = str(shutil.copy(demo / "vmlinux.btf.xz", run_dir / "vmlinux.btf.xz"))
    assert main(["run", "-q", "--base", base, str(module)]) == 0
    (run_dir / "boot").mkdir()
    shutil.copy(base, run_dir / "boot")
    (run_dir / "boot/vmlinuz-6.0-rescue").write_text("no kernel\n")
    capsys.readouterr()

    assert check("--kernel", "boot", module) == 0

    said = capsys.readouterr()
    assert "boot/vmlinuz-6.0-rescue" in said.err
    assert "passed over" in said.err
    assert " ok" in said.out


def test_the_advice_for_a_missing_kernel_is_an_option_of_check(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "tiny.ko").write_bytes(make_module(release="9.9.9-gone"))

    assert check("tiny.ko") == 4

    said = capsys.readouterr()
    assert "with --kernel" in said.out
    assert "--base" not in said.out
