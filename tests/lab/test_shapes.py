# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What packages do around Kbuild, by every way into a build, for 6.12 and for 7.x.

A module that has BTF without kbtf has it by every way, of the same bytes and with no struct of the
kernel's repeated, and `kbtf check` finds it good.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbtf import Kind, Module, open_btf, relocate
from real import BUILD_PRODUCTS

if TYPE_CHECKING:
    from pathlib import Path

    from kbtf import Btf

    from .installed import Installed

pytestmark = pytest.mark.integration

KERNELS = ("7.x", "6.12.x")
SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")

WITHOUT = 'kbuild() { make -s -C $KDIR "M=$@"; }'
WAYS = {
    "drop-in": 'kbuild() { PATH=/mnt/root/etc/dkms/kbtf:$PATH make -s -C $KDIR "M=$@"; }',
    "fragment": (
        "one=one; kbuild() { cd $1; shift; echo 'include $(shell kbtf makefile)' >>Makefile;"
        ' make -s KDIR=$KDIR "$@"; cd - >/dev/null; }'
    ),
    "build": 'kbuild() { kbtf build -q -C $KDIR "$@"; }',
    "stand-ins": (
        "pahole=$(command -v kbtf-pahole) ids=$(command -v kbtf-resolve-btfids);"
        ' kbuild() { make -s -C $KDIR PAHOLE=$pahole RESOLVE_BTFIDS=$ids "M=$@"; }'
    ),
}
"""How the directory that is named first is built, with the words of make that follow."""

CXX = """\
obj-m := kfunc_module.o
kfunc_module-y := part.o core.o
$(obj)/core.o: $(obj)/core.o_shipped
\tcp $< $@; touch $(dir $@).core.o.cmd
"""
COMPILE_CXX = """\
echo 'struct Core { int a; virtual int b() { return a; } }; int get(Core *c) { return c->b(); }' |
    g++ -g -O2 -c -ffreestanding -fno-exceptions -fno-rtti -fno-pic -mcmodel=kernel -mno-sse \\
        -mno-red-zone -fcf-protection=none -x c++ - -o core.o_shipped
mv kfunc_module.c part.c
"""


PAHOLE_OF_ITS_OWN = """\
printf '#!/bin/sh\\nexec pahole "$@" --lang_exclude=c++,rust\\n' >pahole.sh
chmod +x pahole.sh
kbuild $PWD PAHOLE=$PWD/pahole.sh modules
"""
CONFIGURE = """\
touch confdefs.h; mkdir build
echo '#include <linux/module.h>
int probe(void) { return 0; } MODULE_LICENSE("GPL"); MODULE_DESCRIPTION("");' >build/conftest.c
echo 'obj-m := conftest.o' >build/Makefile
kbuild $PWD/build modules
rm confdefs.h
kbuild $PWD modules
"""


class Shape(NamedTuple):
    """A package: what it does in its directory, and where its modules are then."""

    script: str
    makefile: str = "obj-m := kfunc_module.o\n"
    modules: tuple[str, ...] = ("kfunc_module.ko",)
    kernels: tuple[str, ...] = KERNELS
    ways: tuple[str, ...] = tuple(WAYS)
    unencoded: tuple[str, ...] = ()
    """Modules that nobody loads; the drop-in, which nobody asked for them, leaves them alone."""


SHAPES = {
    "two directories": Shape(
        "mkdir sub; cp kfunc_module.c sub/other.c; echo 'obj-m := other.o' >sub/Makefile\n"
        "kbuild $PWD modules",
        "obj-m := kfunc_module.o sub/\n",
        ("kfunc_module.ko", "sub/other.ko"),
    ),
    "stripped, with an old time stamp": Shape(
        "kbuild $PWD modules; strip -g kfunc_module.ko; touch -d 2020-01-01 kfunc_module.ko"
    ),
    "a scratch directory": Shape(
        "scratch=$(mktemp -d); cp -r . $scratch; kbuild $scratch modules; cp $scratch/*.ko ."
    ),
    "a pahole of its own": Shape(
        PAHOLE_OF_ITS_OWN,
        ways=("drop-in", "fragment", "build"),  # it displaces the stand-in
    ),
    "configure": Shape(CONFIGURE, unencoded=("build/conftest.ko",), kernels=("6.12.x",)),
    "one target": Shape(
        "kbuild $PWD ${one:-kfunc_module.ko}",
        "obj-m := kfunc_module.o\none: ; +$(KBTF_BUILD) kfunc_module.ko\n",
    ),
    "an object of C++": Shape(f"{COMPILE_CXX}kbuild $PWD modules", CXX),
    "MO=": Shape(
        "mkdir out; kbuild $PWD modules MO=$PWD/out",
        modules=("out/kfunc_module.ko",),
        kernels=("7.x",),
    ),
    "KBUILD_EXTMOD_OUTPUT=": Shape(
        "mkdir out; kbuild $PWD modules KBUILD_EXTMOD_OUTPUT=$PWD/out",
        modules=("out/kfunc_module.ko",),
        kernels=("7.x",),
    ),
    "KBUILD_EXTMOD_OUTPUT in the environment": Shape(
        "mkdir out; export KBUILD_EXTMOD_OUTPUT=$PWD/out; kbuild $PWD modules",
        modules=("out/kfunc_module.ko",),
        kernels=("7.x",),
    ),
}
CASES = [(which, name) for name, shape in SHAPES.items() for which in shape.kernels]


def sections(module: Path) -> dict[str, bytes | None]:
    """The sections that kbtf makes."""
    image = Module.open(str(module)).image
    return {name: image.data(name) for name in SECTIONS}


@pytest.fixture(scope="module")
def bases(lab_kbtf: Installed) -> dict[str, Btf]:
    """The BTF of the kernels."""
    debian = lab_kbtf.debian
    return {which: open_btf(str(debian.vmlinux(debian.release(which)))) for which in KERNELS}


@pytest.mark.parametrize(("which", "name"), CASES)
def test_every_way_gives_what_kbuild_would_or_better(
    which: str, name: str, lab_kbtf: Installed, bases: dict[str, Btf], root: Path, tmp_path: Path
) -> None:
    shape = SHAPES[name]
    kdir = str(lab_kbtf.headers(which))
    lab_kbtf.sh("kbtf dkms enable --root root", tmp_path)
    for way in ("without", *shape.ways):
        kbuild = WAYS.get(way, WITHOUT)
        work = tmp_path / way
        shutil.copytree(root / "examples/kfunc_module", work, ignore=BUILD_PRODUCTS)
        (work / "Makefile").write_text(shape.makefile)
        lab_kbtf.sh(f"cd {way}\n{kbuild}\n{shape.script}", tmp_path, KDIR=kdir)

    for module in shape.modules:
        assert sections(tmp_path / "without" / module)[".BTF"]
        expected = sections(tmp_path / "build" / module)
        assert all(expected.values())
        for way in shape.ways:
            assert sections(tmp_path / way / module) == expected, way
        assert not repeated(tmp_path / "build" / module, bases[which])
    for module in shape.unencoded:
        assert not any(sections(tmp_path / "drop-in" / module).values())
    assert verdicts(lab_kbtf, kdir, tmp_path, shape) == {"ok"}


def repeated(module: Path, base: Btf) -> set[str]:
    """The structs of a module's own that the kernel has under the same name."""
    btf = Module.open(str(module)).btf
    assert btf is not None
    plain = relocate(btf, base)
    own = {t.name for t in plain if t.kind is Kind.STRUCT and t.name and t.id >= plain.start_id}
    return {name for name in own if base.find(name, Kind.STRUCT)}


def verdicts(kbtf_inside: Installed, kdir: str, work: Path, shape: Shape) -> set[str]:
    """What `kbtf check` says of the modules of all ways."""
    modules = " ".join(f"{way}/{module}" for way in shape.ways for module in shape.modules)
    said = kbtf_inside.sh(f"kbtf check --json --kernel {kdir}/vmlinux {modules}", work)
    return {result["verdict"] for result in json.loads(said)["results"]}
