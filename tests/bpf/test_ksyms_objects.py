# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`kbtf ksyms`: what it prints, and objects that it refuses in one line."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING

import pytest

from bpf.externs import (
    BAD,
    LINKED,
    SIMPLE,
    SUBPROGRAMS,
    VMLINUX_FUNCTIONS,
    WEAK,
    modules,
    run_command,
    target_of,
)
from bpf.objects import compile_c, make_vmlinux
from kbtf import BtfError, ElfError, ElfImage, KbtfError
from kbtf.bpf.ksyms import link
from kbtf.bpf.object import read_object
from kbtf.bpf.resolve import Loader
from kbtf.errors import LoaderError
from kbtf.program import main

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("needs_clang")


def test_an_extern_of_another_object_is_one_line(tmp_path: Path) -> None:
    compiled = compile_c(LINKED["user"], tmp_path / "o")
    with pytest.raises(LoaderError, match=r"helper: is in no section.*'bpftool gen object'"):
        read_object(compiled.read_bytes())
    compiled = compile_c(ELSEWHERE, tmp_path / "o")
    with pytest.raises(LoaderError, match=r"counter: is in .*'bpftool gen object'"):
        read_object(compiled.read_bytes())


ELSEWHERE = """
extern int counter;
SEC("syscall") int elsewhere(void *ctx) { return counter; }
"""
MAP = """
struct bpf_map_def { u32 type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def __attribute__((section("SECTION"), used)) seen = { 1, 4, 8, 16, 0 };
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
SEC("xdp") int with_map(void *ctx) { u32 key = 0; return bpf_map_lookup_elem(&seen, &key) != 0; }
"""


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("maps", "section maps: has legacy map definitions, so libbpf 1.x does not open"),
        ("maps/seen", "function with_map: refers to section maps/seen, which libbpf does not know"),
    ],
)
def test_maps_as_before_libbpf_1_are_refused(tmp_path: Path, section: str, text: str) -> None:
    compiled = compile_c(MAP.replace("SECTION", section), tmp_path / "o")

    with pytest.raises(LoaderError, match=text) as caught:
        read_object(compiled.read_bytes())
    assert caught.value.exit_code == 1


def test_sections_that_libbpf_knows_are_taken(tmp_path: Path) -> None:
    for section in (".maps", ".data.x", ".rodata.y", ".bss.z"):
        text = MAP.replace("SECTION", section)
        text = text if section != ".bss.z" else text.replace(" = { 1, 4, 8, 16, 0 }", "")
        assert read_object(compile_c(text, tmp_path / "o").read_bytes()).functions


def test_an_object_without_btf_or_symbols_is_one_line(tmp_path: Path) -> None:
    bare = compile_c(SIMPLE, tmp_path / "bare", "bpfel", "-g0").read_bytes()
    with pytest.raises(BtfError, match=r"has externs .* but no section \.BTF; compile it with -g"):
        read_object(bare)
    image = ElfImage(compile_c(SIMPLE, tmp_path / "o").read_bytes())
    image.remove_section(".symtab")
    with pytest.raises(ElfError, match="has no symbol table"):
        read_object(image.to_bytes())


def test_a_symbol_that_btf_does_not_have_is_one_line(tmp_path: Path) -> None:
    image = ElfImage(compile_c(SIMPLE, tmp_path / "o").read_bytes())
    names = image.data(".strtab") or b""
    image.set_section(".strtab", names.replace(b"\0a_one\0", b"\0x_one\0"))
    with pytest.raises(BtfError, match="extern x_one: is not in the object's"):
        read_object(image.to_bytes())


@pytest.mark.parametrize("what", ["other machine", "executable", "module"])
def test_what_is_no_bpf_object_is_one_line(tmp_path: Path, what: str) -> None:
    data = bytearray(compile_c(SIMPLE, tmp_path / "o").read_bytes())
    if what == "other machine":
        data[18] = 62
    elif what == "executable":
        data[16] = 2
    else:
        data = bytearray(modules("a")[0].to_bytes())
    with pytest.raises(ElfError, match="not a BPF object"):
        read_object(bytes(data))


def test_broken_objects_never_end_in_a_traceback(tmp_path: Path) -> None:
    data = compile_c(SUBPROGRAMS, tmp_path / "o").read_bytes()
    target = target_of("a", "b")
    chance = random.Random(7)  # noqa: S311 - no secret
    broken = [data[:size] for size in range(0, len(data), 97)]
    for _ in range(700):
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(data))] = chance.choice([0, 1, 127, 255])
        broken.append(bytes(changed))
    said = []
    for blob in broken:
        for loader in Loader:
            try:
                link(read_object(blob), target, loader)
            except KbtfError as error:
                said.append(str(error))
    assert len(said) > 200
    assert not any("\n" in text for text in said)


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_command(tmp_path, SIMPLE, capsys)

    assert code == 0
    assert re.search(r"^a_one +FUNC +a +\d+ +1 +1 +a_ids$", out, re.MULTILINE)
    assert re.search(r"^b_one +FUNC +b +\d+ +2 +2 +b_ids$", out, re.MULTILINE)
    assert "both is in a and b: " in err


def test_an_object_of_the_other_byte_order_does_not_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run_command(tmp_path, SIMPLE, capsys, "--json", machine="bpfeb")
    said = json.loads(out)

    assert (code, said["loads"]) == (1, False)
    assert [found["code"] for found in said["findings"] if found["severity"] == "error"] == [
        "byte-order"
    ]

    code, _, err = run_command(tmp_path, SIMPLE, capsys, machine="bpfeb")
    assert code == 1
    assert "kbtf: error: the object is big-endian" in err


def test_findings_are_printed_with_their_severity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run_command(tmp_path, TYPELESS, capsys)

    assert code == 0
    assert "kbtf: note: jiffies has no type: " in err


TYPELESS = """
extern const void jiffies KSYM;
SEC("syscall") int typeless(void *ctx) { return *(volatile int *)&jiffies; }
"""


def test_the_command_shows_both_prototypes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run_command(tmp_path, BAD["a pointer for a number"], capsys)

    assert code == 1
    assert "a_one: argument 1: PTR in the program, INT 'u32' in the kernel\n" in out
    assert "    program  u32 a_one(void *)\n    a        u32 a_one(u32 p0)\n" in out


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_command(tmp_path, WEAK, capsys, "--json", "--loader", "light")
    said = json.loads(out)

    assert (code, said["loads"], said["loader"]) == (0, True, "light")
    by_name = {extern["name"]: extern for extern in said["externs"]}
    assert by_name["nowhere"]["status"] == "missing"
    assert (
        by_name["both"]["difference"] == "argument 1: PTR in the program, INT 'u32' in the kernel"
    )
    assert [row["off"] for row in by_name["a_one"]["instructions"]] == [66]


def test_the_command_refuses_bad_input_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o").write_bytes(b"\x7fELF nothing")
    code = main(["ksyms", "--base", str(tmp_path / "o"), str(tmp_path / "o")])

    assert code == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_each_base_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compiled = compile_c(
        "extern u32 kernel_plain(u32 a) KSYM;\n"
        'SEC("tc") int prog(void *ctx) { return kernel_plain(1); }\n',
        tmp_path / "o",
    )
    for name, functions in (("with", VMLINUX_FUNCTIONS), ("without", ())):
        (tmp_path / name).write_bytes(make_vmlinux(functions).btf.to_bytes())
    bases = [word for name in ("without", "with") for word in ("--base", str(tmp_path / name))]

    assert main(["ksyms", "--json", *bases, str(compiled)]) == 1
    assert [one["loads"] for one in json.loads(capsys.readouterr().out)] == [False, True]
    assert main(["ksyms", *bases, str(compiled)]) == 1
    assert f"{tmp_path / 'with'}:" in capsys.readouterr().out
