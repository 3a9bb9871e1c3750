"""``kbtf run`` on small modules: what each gets, what stays, what is said."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbtf import Btf, BtfBuilder, Kind, Module, distill, read_ids, resolve_ids
from kbtf.cli import main
from kbtf.testing import make_base, make_ids, make_module

if TYPE_CHECKING:
    from pathlib import Path

    from kbtf.testing import Ids

RELEASE = "6.12.0-test"
SLEEPABLE, TRUSTED = 0x20, 0x10


class Kernel(NamedTuple):
    """A kernel's BTF in a file, and in memory."""

    path: Path
    btf: Btf


@pytest.fixture
def kernel(run_dir: Path) -> Kernel:
    return make_kernel(run_dir)


def make_kernel(folder: Path, members: tuple[str, ...] = ("btf_data", "btf_base_data")) -> Kernel:
    base = make_base(module_members=members)
    base.add_composite(Kind.STRUCT, "list_head", 16)
    base.add_ref(Kind.PTR, 3)
    path = folder / "vmlinux.btf"
    path.write_bytes(base.to_bytes())
    return Kernel(path, base.build())


def kfuncs_on(base: Btf) -> Btf:
    """Two kfuncs, one with a pointer to a struct of the kernel; ids against their order."""
    s = BtfBuilder(base)
    proto = s.add_func_proto(1, [("head", 4)])
    s.add_func("do_sleep", proto)
    s.add_func("do_add", proto)
    return s.build()


KFUNCS = make_ids(set8s={"kfuncs": [("func", "do_add", TRUSTED), ("func", "do_sleep", SLEEPABLE)]})


def write_module(
    folder: Path, btf: Btf | None, ids: Ids | None = KFUNCS, *, intree: bool = False
) -> Path:
    data = btf.to_bytes() if btf is not None else None
    path = folder / "tiny.ko"
    path.write_bytes(make_module(btf=data, ids=ids, release=RELEASE, intree=intree))
    return path


def run(*args: object) -> int:
    return main(["run", *map(str, args)])


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
    [(("btf_data",), "cannot relocate"), (("name",), "takes no module BTF")],
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


def test_output_goes_to_a_file_or_folder_and_the_module_stays(
    kernel: Kernel, run_dir: Path
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    before = path.read_bytes()
    (run_dir / "out").mkdir()

    assert run("--base", kernel.path, "-o", "new.ko", path) == 0
    assert run("--base", kernel.path, "-o", "out", path) == 0

    assert path.read_bytes() == before
    assert Module.open("new.ko").has_btf_base
    assert (run_dir / "out/tiny.ko").read_bytes() == (run_dir / "new.ko").read_bytes()


def test_two_modules_do_not_go_to_one_file(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))

    assert run("--base", kernel.path, "-o", "one.ko", path, path) == 2
    assert run("--base", kernel.path, "-o", f"{run_dir}/", path, path) == 2
    assert "one file" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    before = path.read_bytes()

    assert run("--base", kernel.path, "--dry-run", path) == 0

    assert path.read_bytes() == before
    assert ".BTF.base" in capsys.readouterr().out


def test_a_depfile_names_what_the_output_depends_on(kernel: Kernel, run_dir: Path) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    spaced = path.rename(run_dir / "a b$c#d.ko")
    (run_dir / "kbtf.toml").write_text("distill = 'always'\n")
    (run_dir / "pass.py").write_text("")

    args = ("--base", kernel.path, "-p", "./pass.py", "--depfile", "out.d", "-o", "out.ko")
    assert run(*args, spaced.name) == 0

    rule = (run_dir / "out.d").read_text()
    escaped = "a\\ b$$c\\#d.ko"
    assert rule == f"out.ko: {escaped} {kernel.path} kbtf.toml ./pass.py\n"
    (run_dir / "Makefile").write_text("include out.d\nout.ko:\n\t@echo $(notdir $^)\n")
    os.utime(spaced, (2**31, 2**31))
    made = subprocess.run(["make", "out.ko"], capture_output=True, text=True, check=True)
    assert made.stdout.split()[-3:] == ["vmlinux.btf", "kbtf.toml", "pass.py"]


def test_json_tells_what_was_done(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))

    assert run("--base", kernel.path, "--json", path, "missing.ko") == 3

    done, missing = json.loads(capsys.readouterr().out)["modules"]
    assert done["module"] == str(path)
    assert done["status"] == "done"
    assert done["release"] == RELEASE
    assert done["base"] == str(kernel.path)
    assert done["btf"]["types"] == 4
    assert done["btf_base"]["types"] == 2
    assert (done["ids"], done["sets"]) == (2, 1)
    assert missing["status"] == "failed"
    assert "missing.ko" in missing["reason"]


def test_kbtf_base_stands_between_command_line_and_configuration(
    kernel: Kernel, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    (run_dir / "kbtf.toml").write_text("base = 'nowhere'\n")
    assert run(path) == 3
    monkeypatch.setenv("KBTF_BASE", str(kernel.path))
    assert run("--dry-run", path) == 0
    assert run("--base", "nowhere", path) == 3


def test_a_signed_module_is_refused_unless_its_signature_may_go(
    kernel: Kernel, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    # struct module_signature: algo, hash, id_type, two lengths, padding, sig_len
    info = struct.pack(">5B3xI", 0, 0, 2, 0, 0, 7)
    signed = path.read_bytes() + b"PKCS#7!" + info + b"~Module signature appended~\n"
    path.write_bytes(signed)

    assert run("--base", kernel.path, path) == 3
    assert "signed" in capsys.readouterr().err
    assert path.read_bytes() == signed

    assert run("--base", kernel.path, "--strip-signature", path) == 0
    assert b"PKCS#7!" not in path.read_bytes()
    assert Module.open(str(path)).has_btf_base


@pytest.mark.parametrize(
    ("suffix", "pack", "unpack"),
    [
        (".gz", ["gzip", "-n"], ["gzip", "-dc"]),
        (".xz", ["xz", "--check=crc32"], ["xz", "-dc"]),
        (".zst", ["zstd", "-q", "--rm"], ["zstd", "-qdc"]),
    ],
)
def test_a_compressed_module_is_written_back_in_its_compression(
    suffix: str, pack: list[str], unpack: list[str], kernel: Kernel, run_dir: Path
) -> None:
    path = write_module(run_dir, kfuncs_on(kernel.btf))
    subprocess.run([*pack, path], check=True)
    packed = path.with_name(path.name + suffix)
    again = write_module(run_dir, kfuncs_on(kernel.btf))
    run("--base", kernel.path, again)

    assert run("--base", kernel.path, packed) == 0

    unpacked = subprocess.run([*unpack, packed], check=True, capture_output=True).stdout
    assert unpacked == again.read_bytes()
    first = packed.read_bytes()
    assert run("--base", kernel.path, packed) == 0
    assert packed.read_bytes() == first


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
