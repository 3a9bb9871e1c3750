# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The ways into the build of one module, each in a directory of its own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from real import BUILD_PRODUCTS
from shown import block

if TYPE_CHECKING:
    from pathlib import Path

    from .installed import Installed

__all__ = ["NAME", "WAYS", "build_each_way"]

NAME = "kfunc_module"
NO_BTF = "PAHOLE=true RESOLVE_BTFIDS=true cmd_btf_ko= quiet_cmd_btf_ko="
KBUILD = "make -s -C $KDIR M=$PWD modules"
PAHOLE = "PAHOLE=$(command -v kbtf-pahole)"
RESOLVE_BTFIDS = "RESOLVE_BTFIDS=$(command -v kbtf-resolve-btfids)"
# /etc/dkms and the trees of dkms are this directory's own, in mounts that nobody else sees.
DKMS = """
mkdir -p var src/kfunc_module-1.0
mv kfunc_module.c Makefile src/kfunc_module-1.0
cat >src/kfunc_module-1.0/dkms.conf <<END
PACKAGE_NAME=kfunc_module
PACKAGE_VERSION=1.0
BUILT_MODULE_NAME[0]=kfunc_module
DEST_MODULE_LOCATION[0]=/updates
END
cp -r /etc/dkms etc
mount --bind etc /etc/dkms
kbtf dkms enable --program $(command -v kbtf)
dkms="dkms --sourcetree $PWD/src --dkmstree $PWD/var"
$dkms add kfunc_module/1.0
$dkms build kfunc_module/1.0 -k $RELEASE || { cat var/kfunc_module/1.0/build/make.log; exit 1; }
cp var/kfunc_module/1.0/$RELEASE/x86_64/module/kfunc_module.ko* .
"""
MESON = "meson setup out; meson compile -C out; cp out/kfunc_module.ko ."
WAYS = {
    "kbuild": KBUILD,
    "run": f"make -s -C $KDIR M=$PWD {NO_BTF} modules; kbtf run -q --base $KDIR/vmlinux *.ko",
    "build": "kbtf build -q -C $KDIR .",
    "fragment": "echo 'include $(shell kbtf makefile)' >>Makefile; make -s KDIR=$KDIR",
    "stand-ins": f"{KBUILD} {PAHOLE} {RESOLVE_BTFIDS}",
    "pahole": f"{KBUILD} {RESOLVE_BTFIDS}",
    "dkms": DKMS,
    "meson": MESON,
}
"""What is typed in the directory of a module; *pahole* is Debian's with our resolve_btfids."""
INSTALL = "make -s KDIR=$KDIR INSTALL_MOD_PATH=$PWD/installed DEPMOD=true modules_install"


def build_each_way(
    kbtf_inside: Installed, which: str, example: Path, work: Path
) -> dict[str, Path]:
    """The module of each way, and as it was installed; *work* gets a directory for each."""
    kbtf_inside.add_meson()
    release = kbtf_inside.debian.release(which)
    kdir = str(kbtf_inside.headers(which))
    made = {}
    for way, script in WAYS.items():
        source = work / way
        shutil.copytree(example, source, ignore=BUILD_PRODUCTS)
        (source / "Makefile").write_text(f"obj-m := {NAME}.o\n")
        _write_meson(source, kdir, release)
        kbtf_inside.sh(script, source, KDIR=kdir, RELEASE=release)
        (made[way],) = source.glob(f"{NAME}.ko*")
    kbtf_inside.sh(INSTALL, work / "fragment", KDIR=kdir)
    (made["modules_install"],) = (work / "fragment/installed").rglob(f"{NAME}.ko*")
    return made


def _write_meson(source: Path, kdir: str, release: str) -> None:
    """The project that docs/meson.md shows."""
    shown = [block("docs/meson.md", name) for name in ("find", "two steps")]
    lines = ["project('m')", *shown[:1], f"kdir = '{kdir}'", f"krel = '{release}'", *shown[1:]]
    (source / "meson.build").write_text("\n".join(lines).replace("hello", NAME))
    (source / "kbtf.toml").touch()
