# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What packages do around Kbuild, by the drop-in for dkms.

Each module gets the bytes that ``kbtf run`` gives it as it is linked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.program import main

from .test_dkms import EXAMPLE, NAME, ONE_MODULE, expected, make_root, sections

if TYPE_CHECKING:
    from collections.abc import Callable

    from .dkms_root import DkmsRoot

pytestmark = pytest.mark.integration

__all__ = ["expected", "make_root"]  # fixtures

KBUILD = "make -C ${kernel_source_dir} M="
SCRIPT = """\
#!/bin/sh -e
scratch=$(mktemp -d)
cp -r . $scratch
make -C $1 M=$scratch modules
cp $scratch/*.ko .
rm -r $scratch
"""
AFTER = """\
ifneq ($(KBUILD_EXTMOD),)
obj-m := kfunc_module.o
else
all:
	$(MAKE) -C $(KERNELDIR) M=$(CURDIR) modules
	{}
endif
"""
IN_MAKEFILE = "make KERNELDIR=${kernel_source_dir}"
SHAPES = {
    "plain": (KBUILD + "${dkms_tree}/kfunc_module/1.0/build modules", {}),
    "stripped by its Makefile": (
        IN_MAKEFILE,
        {"Makefile": AFTER.format("strip -g kfunc_module.ko")},
    ),
    "an old time stamp": (
        IN_MAKEFILE,
        {"Makefile": AFTER.format("touch -d 2020-01-01 kfunc_module.ko")},
    ),
    "a scratch directory": ("./build.sh ${kernel_source_dir}", {"build.sh": SCRIPT}),
    "M= elsewhere": (
        "cp -r . ../elsewhere; " + KBUILD + "${dkms_tree}/kfunc_module/1.0/elsewhere modules;"
        " cp ../elsewhere/kfunc_module.ko .; rm -r ../elsewhere",
        {},
    ),
    "one target": (KBUILD + "${dkms_tree}/kfunc_module/1.0/build kfunc_module.ko", {}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_packages_of_every_shape(
    shape: str,
    headers: Path,
    make_root: Callable[[Path], DkmsRoot],
    expected: dict[str, bytes | None],
) -> None:
    root = make_root(headers)
    command, files = SHAPES[shape]
    package = root.add_package(EXAMPLE, NAME, f'MAKE[0]="{command}"\n{ONE_MODULE}')
    for name, text in files.items():
        (package / name).write_text(text)
        (package / name).chmod(0o755)
    root.enable()

    root.install(NAME)

    assert sections(root.installed(NAME)) == expected
    assert main(["dkms", "status", "--root", str(root.root)]) == 0


def test_status_says_how_to_build_again(
    make_root: Callable[[], DkmsRoot], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of headers without vmlinux, installed before the kernel's image."""
    root = make_root()
    root.add_package(EXAMPLE, NAME)
    root.enable()
    root.install(NAME, KBTF_BASE="/nowhere/vmlinux")

    assert main(["dkms", "status", "--root", str(root.root)]) == 1

    said = capsys.readouterr().out
    assert f"/{NAME}.ko" in said
    assert ": no BTF: " in said
    assert f"dkms build --force {NAME}/1.0 -k {root.release}" in said


def test_status_tells_kbuilds_btf_from_that_of_kbtf(
    make_root: Callable[[Path], DkmsRoot], headers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of headers with vmlinux, where Kbuild's step makes BTF once kbtf failed."""
    root = make_root(headers)
    root.add_package(EXAMPLE, NAME)
    root.enable()
    root.install(NAME, KBTF_BASE="/nowhere/vmlinux")

    assert sections(root.installed(NAME))[".BTF"] is not None
    assert main(["dkms", "status", "--root", str(root.root)]) == 1

    assert ": only Kbuild's BTF: /nowhere/vmlinux: no such file" in capsys.readouterr().out
