# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The schemas hold every document that kbtf prints, and name every key in it."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator

import kbtf
from bpf.objects import Function, compile_c, make_kmod, make_vmlinux
from conftest import missing
from kbtf import BtfBuilder, Kind, distill, open_btf
from kbtf.cli.commands.schema import FOLDER, names
from kbtf.cli.inventory import inventory
from kbtf.testing import make_base, make_module
from kbuild.kdirs import small_kdir
from oracles.build import Missing
from real import encoding_cases

if TYPE_CHECKING:
    from collections.abc import Iterator

KBTF = str(Path(sys.executable).with_name("kbtf"))
DEMO = Path(kbtf.__file__).parent / "demo"
PROGRAM = """
extern u32 a_one(u32 a) KSYM;
extern u32 both(u64 a) KSYM;
extern u32 hidden(u32 a) KSYM;
extern u32 nowhere(u32 a) KSYM WEAK;
extern const u32 a_counter KSYM;
extern const void typeless KSYM;
SEC("syscall") int program(void *ctx)
{ return a_one(1) + both(2) + hidden(3) + (nowhere ? nowhere(4) : 5) + a_counter +
	(long)&typeless; }
"""


class Case(NamedTuple):
    """A command line whose document a schema is for."""

    schema: str
    args: str
    code: int = 0


CASES = (
    Case("run", "run --json --base base.btf -o new.ko plain.ko"),
    Case("run", "run --json --dry-run --base base.btf plain.ko done.ko signed.ko no.ko none.ko", 3),
    Case("show", "show --json plain.ko done.ko done.ko.xz none.ko signed.ko own.ko"),
    Case("check", "check --json --kernel base.btf --kernel resized.btf done.ko own.ko no.ko", 3),
    Case("base", "base --json base.btf"),
    Case("base-diff", "base diff --json base.btf base.btf"),
    Case("base-diff", "base diff --json thing.btf resized.btf", 1),
    Case("base-diff", "base diff --json thing.btf union.btf", 1),
    Case("plugins", "plugins --json"),
    Case("plugins-trace", "plugins --json --base base.btf --trace plain.ko none.ko"),
    Case("plugins-trace", "plugins --json --base base.btf --trace no.ko", 3),
    Case("encode", "encode --json --base case.btf -o new.btf case.ko"),
    Case("encode", "encode --json --base case.btf -o new.btf rust.ko"),
    Case("doctor", "doctor --json -C empty", 1),
    Case("doctor", "doctor --json -C kdir --pahole ./pahole"),
    Case("explain", "explain --json done.ko"),
    Case("explain", "explain --json done.ko nothing", 1),
    Case("explain", "explain --json own.ko"),
    Case("dump", "dump --format json done.ko"),
    Case("dump", "dump --format json base.btf"),
    Case("status", "status --json --root root", 1),
    Case("stats", "stats --json done.ko plain.ko"),
    Case("stats", "stats --json none.ko"),
    Case("dkms", "dkms status --json --root empty", 1),
    Case("dkms", "dkms status --json --root enabled"),
    Case("kfuncs", "kfuncs --json --base base.btf plain.ko done.ko none.ko", 1),
    Case("kfuncs", "kfuncs --json --base small.btf a.ko"),
    Case("kfuncs", "kfuncs --json --against small.btf small.btf"),
    Case("kfuncs-compare", "kfuncs --json --compare a.ko small.btf --base small.btf", 1),
    Case("ksyms", "ksyms --json --base small.btf --module a.ko p.o", 1),
    Case("ksyms", "ksyms --json --base small.btf --base small.btf --module a.ko p.o", 1),
    Case("ksyms", "ksyms --json --loader light --base small.btf --module a.ko p.o", 1),
)


def closed(schema: Any) -> Any:
    """The same schema, but with no keys beside those that it names."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        parts.setdefault("additionalProperties", False)
    return parts


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(closed(json.loads(Path(FOLDER, f"{name}.json").read_text())))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Modules and kernels of all sorts."""
    folder = tmp_path_factory.mktemp("files")
    demo = (DEMO / "kfunc_module.ko").read_bytes()
    (folder / "base.btf").write_bytes(lzma.decompress((DEMO / "vmlinux.btf.xz").read_bytes()))
    (folder / "plain.ko").write_bytes(demo)
    (folder / "none.ko").write_bytes(make_module())
    run(folder, "run -q --base base.btf -o done.ko plain.ko")
    done = (folder / "done.ko").read_bytes()
    (folder / "done.ko.xz").write_bytes(lzma.compress(done, check=lzma.CHECK_CRC32))
    # struct module_signature: algo, hash, id_type, two lengths, padding, sig_len
    info = struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, 7)
    (folder / "signed.ko").write_bytes(done + b"PKCS#7!" + info + b"~Module signature appended~\n")
    kernels(folder)
    machine(folder)
    cases = encoding_cases()
    shutil.copy(cases / "base.131.btf", folder / "case.btf")
    for name, case in (("case", "by-value"), ("rust", "rust-excluded")):
        shutil.copy(cases / "cases" / case / "m.ko", folder / f"{name}.ko")
    return folder


def kernels(folder: Path) -> None:
    """A struct that a module embeds, in two sizes."""
    for name, size in (("thing", 16), ("resized", 32)):
        b = make_base()
        b.add_composite(Kind.STRUCT, "thing", size)
        (folder / f"{name}.btf").write_bytes(b.to_bytes())
    b = make_base()
    b.add_composite(Kind.UNION, "thing", 16)
    b.add_composite(Kind.STRUCT, "more", 16)
    (folder / "union.btf").write_bytes(b.to_bytes())
    split = BtfBuilder(open_btf(str(folder / "thing.btf")))
    split.add_composite(Kind.STRUCT, "mine", 24, [("thing", 3, 64)])
    made = distill(split.build())
    module = make_module(btf=made.split.to_bytes(), btf_base=made.base.to_bytes(), intree=True)
    (folder / "own.ko").write_bytes(module)
    installed = folder / "root/lib/modules/6.12.0-test/kernel"
    installed.mkdir(parents=True)
    shutil.copy(folder / "own.ko", installed)
    (folder / "root/boot").mkdir()
    shutil.copy(folder / "resized.btf", folder / "root/boot/vmlinux-6.12.0-test")


def machine(folder: Path) -> None:
    """What doctor and dkms look at."""
    for name in ("empty", "enabled"):
        (folder / name).mkdir()
    run(folder, f"dkms enable --root enabled --program {KBTF}")
    small_kdir(folder / "kdir", PAHOLE_VERSION="130")
    (folder / "pahole").write_text("#!/bin/sh\necho v1.30\n")
    (folder / "pahole").chmod(0o755)


@pytest.fixture(scope="module")
def program(files: Path) -> None:
    """A BPF object, and what it takes and does not find."""
    try:
        compile_c(PROGRAM, files / "p.o")
    except Missing as error:
        missing(error)
    base = make_vmlinux((Function("kernel_plain"),))
    (files / "small.btf").write_bytes(base.btf.to_bytes())
    functions = (Function("a_one"), Function("both"), Function("hidden", is_kfunc=False))
    module = make_kmod("a", base, functions, variables=["a_counter"])
    (files / "a.ko").write_bytes(module.to_bytes())


def run(folder: Path, args: str, code: int = 0) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("KBTF_")}
    command = [KBTF, *args.split()]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout.decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.args)
def test_a_document_is_as_its_schema_says(
    case: Case, files: Path, request: pytest.FixtureRequest
) -> None:
    if "small.btf" in case.args:
        request.getfixturevalue("program")

    document = json.loads(run(files, case.args, case.code))
    if case.schema == "dump":
        document["types"] = some_of_each_kind(document["types"])

    errors = [error.message for error in validator(case.schema).iter_errors(document)]
    assert errors == []


def some_of_each_kind(types: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A few of them, for a kernel has a hundred thousand."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for each in types:
        kinds.setdefault(each["kind"], []).append(each)
    return [each for found in kinds.values() for each in found[:40]]


def test_every_schema_has_a_document_and_every_document_a_schema() -> None:
    assert {case.schema for case in CASES} == set(names())
    assert {command.name for command in inventory() if command.json} <= set(names())


@pytest.mark.parametrize("name", names())
def test_a_schema_is_one_and_explains_all_its_keys(name: str, files: Path) -> None:
    schema = json.loads(run(files, f"schema {name}"))

    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:kbtf:schema:{name}:1"
    for properties in objects(schema):
        assert all("$ref" in value or value.get("description") for value in properties.values())


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """The properties of all objects in a schema."""
    if isinstance(schema, list):
        for part in schema:
            yield from objects(part)
    elif isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and "type" in schema:
            yield schema["properties"]
        for part in schema.values():
            yield from objects(part)


def test_every_kind_of_type_is_in_the_schema_of_a_dump(files: Path) -> None:
    schema = json.loads(run(files, "schema dump"))
    kinds = {
        kind for each in schema["$defs"].values() for kind in each["properties"]["kind"]["enum"]
    }
    assert kinds == {kind.name for kind in Kind if kind}


def test_without_a_name_all_are_listed(files: Path) -> None:
    listed = run(files, "schema").splitlines()[1:]
    assert [line.split()[0] for line in listed] == names()
