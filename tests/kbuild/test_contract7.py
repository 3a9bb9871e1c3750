# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The contract of Linux 7.0: detached BTF, distilled, sorted by name, with ids resolved to it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kbtf import Btf, BtfBuilder, ElfImage, Kind, Module, read_ids, relocate
from kbtf.btf.raw import RawBtf
from kbtf.testing import make_base, make_ids, make_module

from .gen_btf import RESOLVE_FLAGS, gen_btf
from .implicit import kfunc_ids, text
from .standins import RESOLVE_BTFIDS, call

pytestmark = pytest.mark.integration

SPLITS = ("ac", "atl1c", "bridge", "extcon-core", "i2c-dev", "rfkill", "snd-ctxfi", "usblp")


def sorted_by_name(btf: Btf) -> Btf:
    """The same types in the order of their names: plainly, with new strings."""
    own = list(btf)
    order = sorted(own, key=lambda t: (t.name.encode(), t.id))
    ids = {t.id: btf.start_id + at for at, t in enumerate(order)}
    out = BtfBuilder(btf.base, byte_order=btf.byte_order)
    for t in order:
        out.add_copy(t, ids)
    return out.build()


@pytest.fixture
def vmlinux_btf(corpus_base: Btf, run_dir: Path) -> Path:
    """The base of the corpus in the current directory."""
    path = run_dir / "vmlinux"
    path.write_bytes(corpus_base.to_bytes())
    return path


@pytest.mark.parametrize("name", SPLITS)
def test_modules_without_ids_get_what_libbpf_distils_sorted_by_name(
    name: str, corpus: Path, vmlinux_btf: Path, libbpf: Path
) -> None:
    Path("m.ko").write_bytes(make_module())
    shutil.copy(corpus / "split" / f"{name}.btf", "m.ko.BTF.1")

    assert gen_btf("m.ko", "vmlinux", *RESOLVE_FLAGS, encode=False).code == 0

    module = Module.open("m.ko")
    base = (corpus / "distilled" / f"{name}.base").read_bytes()
    distilled = Btf.parse((corpus / "distilled" / f"{name}.split").read_bytes(), Btf.parse(base))
    assert module.image.data(".BTF.base") == base
    assert module.btf is not None
    assert text(module.btf) == text(sorted_by_name(distilled))
    # Only types move: the strings stay as libbpf put them.
    assert module.btf.index.strings() == distilled.index.strings()
    assert not Path("m.ko.BTF_ids").exists()
    command = [str(libbpf), "relocate", "vmlinux", "m.ko.BTF.base", "m.ko.BTF", "out"]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("name", ["fou", "tcp_dctcp", "xfrm_interface"])
@pytest.mark.parametrize("distilled", [True, False])
def test_ids_are_those_that_debians_resolve_btfids_finds_in_the_outcome(
    name: str, distilled: bool, corpus: Path, vmlinux_btf: Path, resolve_btfids: Path
) -> None:
    unresolved = corpus / "btf_ids" / f"{name}.unresolved.ko"
    Path("m.ko.BTF.1").write_bytes(ElfImage(unresolved.read_bytes()).data(".BTF") or b"")
    subprocess.run(["objcopy", "--remove-section=.BTF", unresolved, "m.ko"], check=True)
    shutil.copy("m.ko", "theirs.ko")
    flags = ["--distill_base"] if distilled else []

    assert gen_btf("m.ko", "vmlinux", *flags, encode=False).code == 0

    made = Module.open("m.ko").image
    assert (made.data(".BTF.base") is not None) is distilled
    for suffix in (".BTF", ".BTF.base") if distilled else (".BTF",):
        added = f"--add-section={suffix}=m.ko{suffix}"
        subprocess.run(["objcopy", added, "theirs.ko"], check=True)
    subprocess.run([resolve_btfids, "-b", "vmlinux", "theirs.ko"], check=True)
    assert made.data(".BTF_ids") == Module.open("theirs.ko").image.data(".BTF_ids")
    assert made.data(".BTF_ids") == Path("m.ko.BTF_ids").read_bytes()


def test_a_real_module_from_dwarf_to_sections(
    kfunc_module: Path, vmlinux: Path, run_dir: Path, bpftool: Path
) -> None:
    shutil.copy(kfunc_module, "m.ko")

    said = gen_btf("m.ko", vmlinux, *RESOLVE_FLAGS)

    assert said.code == 0, said
    module = Module.open("m.ko")
    assert module.btf is not None
    assert module.btf_base is not None
    names = [t.name for t in module.btf]
    assert names == sorted(names)
    ids = read_ids(module.image)
    assert ids is not None
    assert len(ids.sets) == 1
    kfuncs = {module.btf[ids.words[at]] for at in ids.sets[0].id_words}
    assert {t.name for t in kfuncs} == {slot.name for slot in ids.slots}
    tagged = {t.type for t in module.btf if t.kind is Kind.DECL_TAG and t.name == "bpf_kfunc"}
    assert tagged == {t.id for t in kfuncs}
    subprocess.run([bpftool, "btf", "dump", "file", "m.ko"], check=True, capture_output=True)
    relocate(module.btf, Btf.parse(ElfImage(vmlinux.read_bytes()).data(".BTF") or b""))


def test_a_kernel_without_module_btf_is_distilled_for_all_the_same(small: Path) -> None:
    Path("m.ko").write_bytes(make_module(ids=kfunc_ids(("plain", 1)), intree=True))
    assert gen_btf("m.ko", "vmlinux", "--distill_base", encode=False).code == 0
    assert Module.open("m.ko").btf_base is not None


def test_a_split_that_needs_no_base_gets_one_type_pinned(run_dir: Path) -> None:
    base = make_base().build()
    split = BtfBuilder(base)
    split.add_func("f", split.add_func_proto(0))
    Path("vmlinux").write_bytes(base.to_bytes())
    Path("m.ko.BTF.1").write_bytes(split.to_bytes())
    Path("m.ko").write_bytes(make_module(ids=make_ids(lists={"l": [("func", "f")]})))
    assert gen_btf("m.ko", "vmlinux", "--distill_base", encode=False).code == 0
    made = Module.open("m.ko")
    assert made.btf_base is not None
    assert [t.name for t in made.btf_base] == ["int"]
    assert Path("m.ko.BTF_ids").read_bytes() == (3).to_bytes(4, "little")


def test_what_could_not_be_relocated_keeps_plain_split_btf(run_dir: Path) -> None:
    base = make_base()
    twice = base.add_composite(Kind.STRUCT, "twice", 8)
    base.add_composite(Kind.STRUCT, "twice", 8)
    split = BtfBuilder(base.build())
    split.add_ref(Kind.TYPEDEF, split.add_ref(Kind.PTR, twice), "t")
    Path("vmlinux").write_bytes(base.to_bytes())
    Path("m.ko.BTF.1").write_bytes(split.to_bytes())
    Path("m.ko").write_bytes(make_module())

    said = gen_btf("m.ko", "vmlinux", "--distill_base", encode=False)

    assert said.code == 0
    assert not Path("m.ko.BTF.base").exists()
    assert any("keeps plain split BTF" in line and "twice" in line for line in said.err)
    assert len(Btf.parse(Path("m.ko.BTF").read_bytes(), base.build())) == 2


def test_fatal_warnings_are_fatal_and_leave_no_file(small: Path) -> None:
    Path("m.ko").write_bytes(make_module(ids=make_ids(lists={"l": [("func", "gone")]})))
    args = ["-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko"]
    assert call(RESOLVE_BTFIDS, "--fatal_warnings", *args).code == 255
    assert sorted(p.name for p in small.iterdir()) == ["m.ko", "m.ko.BTF.1", "vmlinux"]

    said = call(RESOLVE_BTFIDS, *args)
    assert said.code == 0
    assert said.words == ["WARN: resolve_btfids: unresolved symbol gone"]
    assert Path("m.ko.BTF_ids").read_bytes() == bytes(4)


def test_a_vmlinux_is_sorted_too(run_dir: Path) -> None:
    kernel = make_base()
    proto = kernel.add_func_proto(0)
    for name in ("zeta", "alpha"):
        kernel.add_func(name, proto)
    Path("vmlinux.BTF.1").write_bytes(kernel.to_bytes())
    ids = make_ids(set8s={"kfuncs": [("func", "zeta", 1), ("func", "alpha", 2)]})
    Path("vmlinux").write_bytes(make_module(ids=ids))

    assert call(RESOLVE_BTFIDS, "--btf", "vmlinux.BTF.1", "vmlinux").code == 0

    made = Btf.parse(Path("vmlinux.BTF").read_bytes())
    assert [t.name for t in made] == [
        "", "alpha", "bpf_kfunc", "bpf_kfunc", "int", "module", "zeta"
    ]  # fmt: skip
    assert Path("vmlinux.BTF_ids").read_bytes() == b"".join(
        word.to_bytes(4, "little") for word in (2, 1, 2, 2, 7, 1)
    )


def test_the_contract_can_be_chosen_where_options_leave_it_open(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elf = make_module(ids=make_ids(lists={"l": [("func", "plain")]}))
    Path("m.ko").write_bytes(elf)
    shutil.copy("m.ko.BTF.1", "other")
    monkeypatch.setenv("KBTF_CONTRACT", "7")
    assert call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "other", "m.ko").code == 0
    assert Path("m.ko").read_bytes() == elf
    assert Path("m.ko.BTF").exists()
    monkeypatch.setenv("KBTF_CONTRACT", "6")
    assert call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko").code == 0
    assert Path("m.ko").read_bytes() != elf


def test_a_contract_that_does_not_exist_is_refused(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elf = make_module(ids=make_ids(lists={"l": [("func", "plain")]}))
    Path("m.ko").write_bytes(elf)
    monkeypatch.setenv("KBTF_CONTRACT", "8")

    said = call(RESOLVE_BTFIDS, "-b", "vmlinux", "--btf", "m.ko.BTF.1", "m.ko")

    assert said.code == 255
    assert said.err[0].endswith("unknown KBTF_CONTRACT 8; known are 6, 7")
    assert Path("m.ko").read_bytes() == elf


def test_patching_replaces_the_section_and_nothing_else(run_dir: Path) -> None:
    elf = make_module(ids=make_ids(lists={"l": [("func", "f"), ("func", "g")]}))
    Path("m.ko").write_bytes(elf)
    Path("blob").write_bytes(b"12345678")
    assert call(RESOLVE_BTFIDS, "--patch_btfids=blob", "m.ko").code == 0
    section = ElfImage(elf).section(".BTF_ids")
    assert section is not None
    at = section.offset
    assert Path("m.ko").read_bytes() == elf[:at] + b"12345678" + elf[at + 8 :]


@pytest.mark.parametrize(
    ("blob", "ids", "words"),
    [
        (b"1234", True, ".BTF_ids section in m.ko is 8 bytes, blob is 4 bytes"),
        (b"12345678", False, "FAILED: section .BTF_ids not found in m.ko"),
        (None, True, "FAILED to stat blob: No such file or directory"),
    ],
)
def test_patching_what_does_not_fit_is_an_error(
    blob: bytes | None, ids: bool, words: str, run_dir: Path
) -> None:
    made = make_ids(lists={"l": [("func", "f"), ("func", "g")]}) if ids else None
    elf = make_module(ids=made)
    Path("m.ko").write_bytes(elf)
    if blob is not None:
        Path("blob").write_bytes(blob)
    said = call(RESOLVE_BTFIDS, "--patch_btfids", "blob", "m.ko")
    assert said.code == 255
    assert words in said.words[0]
    assert Path("m.ko").read_bytes() == elf


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_sorting_is_a_renaming_of_ids(byte_order: str) -> None:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("z", 4)
    b.add_array(integer, integer, 3)
    b.add_composite(Kind.STRUCT, "m", 8, [("a", 4, 0), ("b", integer, 32)])
    b.add_ref(Kind.TYPEDEF, 2, "m")
    b.add_datasec(".data", 4, [(b.add_var("v", 4), 0, 4)])
    b.add_enum("e", 4, [("one", 1)])
    b.add_enum64("b", 8, [("two", 2)])
    btf = b.build()
    raw = RawBtf(btf)
    raw.sort_by_name()
    made = raw.build()
    assert text(made) == text(sorted_by_name(btf))
    assert made.index.strings() == btf.index.strings()
    assert made.byte_order == byte_order
