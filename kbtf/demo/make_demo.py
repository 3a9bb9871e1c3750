# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Makes the data of ``kbtf demo``: examples/kfunc_module built for an installed kernel.

Run it in the project's root on Debian, with pahole, make, gcc and kernel headers that have
``vmlinux``:  python kbtf/demo/make_demo.py /usr/src/linux-headers-6.12.*-amd64
Both files are made from the Linux kernel or for it and are GPL-2.0-only (see README.md here).
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parent.parent / "examples" / "kfunc_module"


def main(headers: str) -> None:
    """Build, and put the results beside this script."""
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build"
        shutil.copytree(SOURCE, build)
        # As linked, with the split BTF that pahole makes; .BTF_ids stays unresolved.
        make = ["make", "-C", headers, f"M={build}", "RESOLVE_BTFIDS=true", "modules"]
        subprocess.run(
            make, check=True, env={"PATH": "/usr/bin:/bin", "KBUILD_BUILD_TIMESTAMP": "@0"}
        )
        module = HERE / "kfunc_module.ko"
        subprocess.run(
            ["strip", "--strip-debug", "-o", str(module), str(build / "kfunc_module.ko")],
            check=True,
        )
        raw = Path(folder) / "vmlinux.btf"
        dump = ["objcopy", "-O", "binary", "--only-section=.BTF", f"{headers}/vmlinux", str(raw)]
        subprocess.run(dump, check=True)
        packed = lzma.compress(raw.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
    (HERE / "vmlinux.btf.xz").write_bytes(packed)


if __name__ == "__main__":
    main(sys.argv[1])
