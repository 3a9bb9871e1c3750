# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a start imports: that is most of what a run on one module takes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import kbtf

DEMO = Path(kbtf.__file__).parent / "demo"

# What argparse itself imports is not here: re, enum, gettext, locale.
SLOW = frozenset(
    {
        "_hashlib",
        "atexit",
        "bz2",
        "compression.zstd",
        "backports.zstd",
        "dataclasses",
        "elftools",
        "glob",
        "hashlib",
        "heapq",
        "importlib.metadata",
        "importlib.util",
        "inspect",
        "json",
        "kbtf.btf.builder",
        "kbtf.cli.terminal.as_json",
        "kbtf.files.compression",
        "kbtf.files.helper",
        "kbtf.hooks.loading",
        "kbtf.hooks.pluggy_calls",
        "kbtf.ids.btf2btf",
        "kbtf.kernel.boot_image",
        "kbtf.kernel.flat_image",
        "kbtf.run.trace",
        "logging",
        "lzma",
        "pathlib",
        "platform",
        "pluggy",
        "random",
        "shutil",
        "subprocess",
        "tempfile",
        "threading",
        "tomllib",
        "traceback",
        "weakref",
        "zlib",
    }
)


def imported(*args: str) -> set[str]:
    """The modules that ``kbtf`` with these arguments imports, beyond those of Python's start."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from kbtf.program import main; code = main(sys.argv[1:])\n"
        "print(*set(sys.modules) - before, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-P", "-c", code, *args]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_version_imports_no_command() -> None:
    ours = {name for name in imported("--version") if name.startswith("kbtf.")}
    native = {"kbtf.native", "kbtf.native._native"}
    assert (
        ours
        <= {
            "kbtf.cli",
            "kbtf.cli.command",
            "kbtf.errors",
            "kbtf.program",
            "kbtf.say",
            "kbtf.version",
        }
        | native
    )


def test_help_needs_no_plugin_manager_where_no_plugin_is_installed() -> None:
    modules = imported("--help")
    assert "argparse" in modules
    assert sorted(modules & (SLOW | {"kbtf.hooks.manager"})) == []


def test_run_imports_nothing_slow(run_dir: Path) -> None:
    base, module = run_dir / "vmlinux.btf", run_dir / "kfunc_module.ko"
    base.write_bytes(kbtf.open_btf(str(DEMO / "vmlinux.btf.xz"), cache=False).to_bytes())
    module.write_bytes((DEMO / module.name).read_bytes())
    modules = imported("run", "--base", str(base), str(module))
    assert "kbtf.hooks.manager" in modules
    assert sorted(modules & SLOW) == []


# kbtf/files/helper.py has the core's functions for processes, kbtf/btf/btf.py its types.
USE_THE_CORE = {"btf", "encode", "files", "program.py"}


def test_only_the_rooms_that_wrap_the_c_core_import_it() -> None:
    """import-linter does not see imports from an extension module."""
    package = Path(kbtf.__file__).parent
    sources = list(package.rglob("*.py"))
    assert package / "btf" / "btf.py" in sources
    users = {path.relative_to(package).parts[0] for path in sources if imports_the_core(path)}
    assert users == USE_THE_CORE


def imports_the_core(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        if any(f"{name}.".startswith("kbtf.native.") for name in names):
            return True
    return False
