# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf-pahole`` in Kbuild's hands, and what it makes of options for the pahole that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import BtfBuilder, Kind, Module
from kbtf.cli import main
from kbtf.kbuild.pahole_options import flags, for_module, lacks, read
from kbtf.plugins import pahole as plugin
from kbtf.testing import make_base, make_ids, make_module
from real import BUILD_PRODUCTS, build_module
from shown import block, sh

from .standins import PAHOLE, RESOLVE_BTFIDS, Said, call

if TYPE_CHECKING:
    from collections.abc import Callable

SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")
SINGLE = "-J --btf_gen_floats -j --lang_exclude=rust --btf_base vmlinux m.ko"
SINGLE_125 = (
    "-J --btf_gen_floats -j --skip_encoding_btf_inconsistent_proto --btf_gen_optimized "
    "--btf_base vmlinux m.ko"
)
LIST = "encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func"
LISTED = (
    f"-J -j --btf_features={LIST},decl_tag_kfuncs --lang_exclude=rust "
    "--btf_features=distilled_base --btf_base vmlinux m.ko"
)
REPRODUCIBLE = f"-J -j4 --btf_features={LIST} --btf_features=+reproducible_build --btf_base v m.ko"


def words(text: str) -> str:
    """Words in an order that does not depend on ours."""
    return " ".join(
        f"--btf_features={','.join(sorted(word.partition('=')[2].split(',')))}"
        if word.startswith("--btf_features")
        else word
        for word in sorted(text.split())
    )


@pytest.mark.parametrize(
    ("args", "version", "expected", "lacking"),
    [
        (SINGLE, (1, 24), "-j --btf_gen_floats --lang_exclude=rust", ""),
        (SINGLE, (1, 22), "-j --btf_gen_floats", "--lang_exclude=rust"),
        (SINGLE, (1, 31), "-j --btf_gen_floats --lang_exclude=rust", ""),
        (SINGLE_125, (1, 24), "-j --btf_gen_floats", "consistent_func optimized_func"),
        (
            LISTED,
            (1, 24),
            "-j --btf_gen_floats --btf_encode_force --lang_exclude=rust",
            "consistent_func decl_tag_kfuncs distilled_base optimized_func",
        ),
        (
            LISTED,
            (1, 25),
            "-j --btf_gen_floats --btf_encode_force --lang_exclude=rust --btf_gen_optimized "
            "--skip_encoding_btf_inconsistent_proto",
            "decl_tag_kfuncs distilled_base",
        ),
        (
            LISTED,
            (1, 27),
            f"-j --btf_features={LIST},decl_tag_kfuncs,distilled_base --lang_exclude=rust",
            "distilled_base",
        ),
        (
            REPRODUCIBLE,
            (1, 28),
            f"-j4 --btf_features={LIST},decl_tag_kfuncs,reproducible_build",
            "",
        ),
        (
            "-J --btf_features=default vmlinux",
            (1, 30),
            f"--btf_features={LIST},decl_tag_kfuncs",
            "",
        ),
        ("-J --btf_features=var,new_thing v", (1, 30), "--btf_features=var,new_thing", ""),
        (
            "-J --btf_features=var,new_thing v",
            (1, 24),
            "--skip_encoding_btf_decl_tag --skip_encoding_btf_type_tag --skip_encoding_btf_enum64",
            "new_thing",
        ),
        ("-J --skip_encoding_btf_vars v", (1, 21), "--skip_encoding_btf_vars", ""),
        ("-J -V --skip_encoding_btf_vars v", (1, 30), "-V --skip_encoding_btf_vars", ""),
    ],
)
def test_options_are_put_into_those_of_the_installed_version(
    args: str, version: tuple[int, int], expected: str, lacking: str
) -> None:
    request = read(args.split())
    assert request.encode
    assert words(" ".join(flags(request, version))) == words(expected)
    assert " ".join(lacks(request, version)) == lacking


@pytest.mark.parametrize("args", [SINGLE, SINGLE_125, LISTED])
def test_a_module_is_encoded_with_what_kbtf_run_asks_for(args: str) -> None:
    for version in ((1, 24), (1, 25), (1, 26), (1, 31)):
        made = flags(for_module(read(args.split()), version), version)
        ignored = {"--lang_exclude=rust", "--btf_encode_force"}
        assert words(" ".join(w for w in made if w not in ignored)) == words(
            " ".join(plugin.flags_for(version))
        )


def test_a_command_line_is_taken_apart() -> None:
    request = read(["--btf_base=v", "-J", "--btf_encode_detached", "m.BTF.1", "-j8", "m.ko"])
    assert (request.base, request.detached, request.file) == ("v", "m.BTF.1", "m.ko")
    assert request.jobs == "-j8"
    assert not read(["--version"]).encode


@pytest.fixture
def fake(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """A pahole of any version, which notes its arguments in the file `args`."""

    def make(version: str, then: str = "") -> Path:
        program = run_dir / "fake" / "pahole"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\n'
            f'echo "$*" >> {run_dir}/args\n{then}\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("KBTF_PAHOLE", str(program))
        return program

    return make


def encode(*args: object) -> Said:
    return call(PAHOLE, "-J", *args)


def test_what_is_no_encoding_is_paholes_own(run_dir: Path) -> None:
    pahole = shutil.which("pahole") or pytest.skip("no pahole")
    for args in (["--version"], ["--numeric_version"], ["--no-such-option"], ["no-such-file"]):
        assert call(PAHOLE, *args) == call(pahole, *args)


@pytest.mark.integration
def test_kbuilds_own_script_reads_its_version(headers: Path) -> None:
    script = headers / "scripts" / "pahole-version.sh"
    assert call(script, PAHOLE).out == call(script, "pahole").out


@pytest.mark.parametrize(
    "args",
    [
        ["--btf_gen_floats", "vmlinux"],
        ["--btf_features=var,float", "--btf_base", "vmlinux", "in-tree.ko"],
        ["-j2", "--btf_base", "vmlinux", "--btf_encode_detached=m.ko.BTF.1", "m.ko"],
    ],
)
def test_vmlinux_in_tree_modules_and_detached_btf_pass_through(
    args: list[str], fake: Callable[..., Path], run_dir: Path
) -> None:
    fake("v1.31", "exit 7")
    Path("in-tree.ko").write_bytes(make_module(intree=True))
    Path("m.ko").write_bytes(make_module())
    said = encode(*args)
    assert (said.code, said.err) == (7, [])
    assert words(Path("args").read_text()) == words(" ".join(["-J", *args]))


def test_what_pahole_cannot_do_is_said_once(fake: Callable[..., Path], run_dir: Path) -> None:
    fake("v1.24")
    said = encode("--btf_features=var,float,optimized_func", "--btf_features=layout", "vmlinux")
    assert said.code == 0
    assert said.err == ["kbtf-pahole: left out what pahole 1.24 cannot do: layout, optimized_func"]


@pytest.mark.parametrize(("then", "code"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_paholes_failures_are_ours_and_leave_the_module_as_it_was(
    then: str, code: int, fake: Callable[..., Path], run_dir: Path
) -> None:
    fake("v1.31", then)
    Path("m.ko").write_bytes(make_module())
    assert encode("--btf_base", "vmlinux", "m.ko").code == code
    assert Path("m.ko").read_bytes() == make_module()


def test_no_btf_at_all_is_said_though_pahole_calls_it_success(
    fake: Callable[..., Path], run_dir: Path
) -> None:
    fake("v1.31")
    Path("m.ko").write_bytes(make_module())
    said = encode("--btf_base", "vmlinux", "m.ko")
    assert said == Said(0, "", ["kbtf-pahole: m.ko: pahole wrote no BTF"])


def fake_encoder(fake: Callable[..., Path]) -> None:
    """A pahole that finds a typedef in every module, and a vmlinux for it."""
    fake("v1.31", 'for a; do case $a in --btf_encode_detached=*) cp split "${a#*=}";; esac; done')
    base = make_base().build()
    Path("vmlinux").write_bytes(base.to_bytes())
    split = BtfBuilder(base)
    split.add_ref(Kind.TYPEDEF, 1, "number")
    Path("split").write_bytes(split.to_bytes())


def test_a_module_with_an_empty_kfunc_set_is_embedded(
    fake: Callable[..., Path], run_dir: Path
) -> None:
    fake_encoder(fake)
    Path("m.ko").write_bytes(make_module(ids=make_ids(set8s={"k": []})))
    assert encode("--btf_base", "vmlinux", "m.ko") == Said(0, "", [])
    made = Module.open("m.ko")
    assert made.btf_base is not None
    assert [t.name for t in made.btf_base] == ["int"]
    assert call(RESOLVE_BTFIDS, "-b", "vmlinux", "m.ko") == Said(0, "", [])


def test_btf_that_does_not_fit_its_base_is_an_error_and_nothing_is_written(
    fake: Callable[..., Path], run_dir: Path
) -> None:
    fake("v1.31", 'for a; do case $a in --btf_encode_detached=*) cp junk "${a#*=}";; esac; done')
    Path("junk").write_bytes(b"junk")
    Path("vmlinux").write_bytes(make_base().to_bytes())
    Path("m.ko").write_bytes(make_module())
    said = encode("--btf_base", "vmlinux", "m.ko")
    assert said.code == 3
    assert said.err[0].startswith("kbtf-pahole: error: m.ko: ")
    assert Path("m.ko").read_bytes() == make_module()


def test_it_does_not_call_itself(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which("pahole") or pytest.skip("no pahole")
    Path("pahole").symlink_to(PAHOLE)
    monkeypatch.setenv("PATH", f"{run_dir}:{os.environ['PATH']}")
    assert call("pahole", "--version") == call(real, "--version")

    wrapper = run_dir / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {PAHOLE} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("KBTF_PAHOLE", str(wrapper))
    said = call(PAHOLE, "--version")
    assert said.code == 127
    assert "called by itself" in said.err[0]


def test_a_missing_pahole_is_named(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBTF_PAHOLE", "no-such-pahole")
    said = call(PAHOLE, "--version")
    assert said.code == 127
    assert "no-such-pahole is not installed" in said.err[0]


@pytest.fixture
def expected(kfunc_module: Path, vmlinux: Path, run_dir: Path) -> Module:
    """The example as kbtf run makes it of what the linker left."""
    path = shutil.copy(kfunc_module, run_dir / "expected.ko")
    assert main(["run", "--base", str(vmlinux), "-q", str(path)]) == 0
    return Module.open(str(path))


FLAGS = {
    "of the kernel": [],
    "of 6.12 for pahole 1.26 and later": [
        f"PAHOLE_FLAGS=-j --btf_features={LIST},decl_tag_kfuncs --lang_exclude=rust",
        "MODULE_PAHOLE_FLAGS=--btf_features=distilled_base",
    ],
    "of 6.18": [f"PAHOLE_FLAGS=-j --btf_features={LIST},decl_tag_kfuncs,attributes"],
}


@pytest.mark.integration
@pytest.mark.parametrize("resolver", ["ours", "Debian's"])
@pytest.mark.parametrize("asked", FLAGS)
def test_kbuild_with_the_stand_ins_gives_what_kbtf_run_gives(
    asked: str, resolver: str, expected: Module, root: Path, headers: Path, run_dir: Path
) -> None:
    stand_ins = [f"PAHOLE={PAHOLE}"]
    stand_ins += [f"RESOLVE_BTFIDS={RESOLVE_BTFIDS}"] if resolver == "ours" else []
    # Configuration of wherever make runs, or of the module, does not count.
    (run_dir / "kbtf.toml").write_text("nonsense = 1\n")

    built = build_module(
        root / "examples" / "kfunc_module", run_dir / "m", headers, *stand_ins, *FLAGS[asked]
    )

    made = Module.open(str(built))
    for section in SECTIONS:
        assert made.image.data(section), section
        assert made.image.data(section) == expected.image.data(section), section


@pytest.mark.integration
def test_the_command_of_the_documentation(
    expected: Module, root: Path, headers: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(root / "examples/kfunc_module", folder, ignore=BUILD_PRODUCTS)

    sh(block("docs/kbuild.md", "stand-ins", {"KDIR": headers}), folder)

    made = Module.open(str(folder / "kfunc_module.ko"))
    for section in SECTIONS:
        assert made.image.data(section) == expected.image.data(section), section


@pytest.mark.integration
@pytest.mark.parametrize("asked", ["1", "0"])
def test_the_environment_may_ask_for_kfunc_tags(
    asked: str, kfunc_module: Path, vmlinux: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``kbtf run --kfunc-tags``; Kbuild's own command line has no place for it."""
    for name in ("m.ko", "expected.ko"):
        shutil.copy(kfunc_module, name)
    tags = ["--kfunc-tags"] if asked == "1" else []
    assert main(["run", "-q", "--base", str(vmlinux), *tags, "expected.ko"]) == 0
    monkeypatch.setenv("KBTF_KFUNC_TAGS", asked)

    said = encode("--btf_gen_floats", "--btf_base", vmlinux, "m.ko")
    assert (said.code, said.err) == (0, [])
    assert call(RESOLVE_BTFIDS, "-b", vmlinux, "m.ko").code == 0

    made, expected = Module.open("m.ko"), Module.open("expected.ko")
    for section in SECTIONS:
        assert made.image.data(section) == expected.image.data(section)
    assert made.btf is not None
    tagged = [t for t in made.btf if t.kind is Kind.DECL_TAG and t.name == "bpf_kfunc"]
    assert len(tagged) == (6 if asked == "1" or _tags_kfuncs() else 0)


def _tags_kfuncs() -> bool:
    return plugin.version_of("pahole") >= (1, 27)


PLUGIN = """\
from kbtf import hookimpl

@hookimpl
def kbtf_embed_sections(module, config):
    module.set_section(".mark", b"mark")

@hookimpl
def kbtf_finish(output, config):
    output.data += b"never here"
"""


def test_installed_plugins_join_but_for_what_comes_after_kbuild(
    fake: Callable[..., Path], run_dir: Path
) -> None:
    """The file is not finished yet: resolve_btfids is still to come."""
    fake_encoder(fake)
    Path("m.ko").write_bytes(make_module())
    site = run_dir / "site"
    (site / "kbtf_mark-1.0.dist-info").mkdir(parents=True)
    (site / "kbtf_mark-1.0.dist-info/entry_points.txt").write_text("[kbtf.plugins]\nmark = mark\n")
    (site / "mark.py").write_text(PLUGIN)

    said = call(
        PAHOLE,
        *("-J", "--btf_base", "vmlinux", "m.ko"),
        env={**os.environ, "PYTHONPATH": str(site)},
    )

    assert said == Said(
        0,
        "",
        ["kbtf-pahole: plugin mark: kbtf_finish runs only in 'kbtf build' and 'kbtf run'"],
    )
    assert Module.open("m.ko").image.data(".mark") == b"mark"
    assert not Path("m.ko").read_bytes().endswith(b"never here")


@pytest.mark.integration
def test_a_module_that_was_resolved_is_refused_for_the_next_resolver(
    expected: Module, vmlinux: Path, run_dir: Path
) -> None:
    before = Path(expected.path).read_bytes()
    said = encode("--btf_base", vmlinux, expected.path)
    assert said.code == 3
    assert "remove the module and run make again" in said.err[-1]
    assert Path(expected.path).read_bytes() == before


@pytest.mark.integration
def test_an_in_tree_module_is_encoded_by_pahole_alone(
    kfunc_module: Path, vmlinux: Path, run_dir: Path
) -> None:
    pahole = shutil.which("pahole") or pytest.skip("no pahole")
    # As modpost marks its own; the license makes room for it.
    elf = kfunc_module.read_bytes()
    assert elf.count(b"license=GPL\0") == 1
    Path("ours.ko").write_bytes(elf.replace(b"license=GPL\0", b"intree=Y\0GP\0"))
    shutil.copy("ours.ko", "theirs.ko")
    arguments = ["-J", "--btf_gen_floats", "--btf_base", str(vmlinux)]
    subprocess.run([pahole, *arguments, "theirs.ko"], check=True)

    assert call(PAHOLE, *arguments, "ours.ko") == Said(0, "", [])
    assert Path("ours.ko").read_bytes() == Path("theirs.ko").read_bytes()


@pytest.mark.integration
def test_a_module_without_dwarf_fails_as_with_pahole(vmlinux: Path, run_dir: Path) -> None:
    pahole = shutil.which("pahole") or pytest.skip("no pahole")
    elf = make_module()
    codes = []
    for program in (pahole, PAHOLE):
        Path("m.ko").write_bytes(elf)
        codes.append(call(program, "-J", "--btf_base", vmlinux, "m.ko").code)
        assert Path("m.ko").read_bytes() == elf
    assert codes[0] == codes[1]
