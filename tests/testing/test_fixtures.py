# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The fixtures of kbtf.testing, as authors of plugins get them: in a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

AUTHORS = '''
import os
from kbtf import Btf, Module, distill, open_btf
from kbtf.testing import ElfSymbol, make_kfuncs, make_module


def test_a_module_is_as_its_build_leaves_it(kbtf_module, kbtf_base):
    path = kbtf_module("tiny", kfuncs=["a", "b"], sections={".mine": b"1"})
    module = Module.open(str(path), find_base=lambda module: open_base(kbtf_base))
    assert module.name == "tiny" and module.release == "6.12.0-test"
    assert module.image.data(".mine") == b"1"
    assert not module.has_btf_base
    assert [t.name for t in module.btf if t.name in ("a", "b")] == ["a", "b"]


def open_base(kbtf_base):
    from kbtf import open_base
    return open_base(str(kbtf_base.path))


def test_a_run_gives_it_all(kbtf_module, kbtf_run):
    path = kbtf_module(kfuncs=["a", "b"], flags=0x20)
    done = kbtf_run("run", path)
    assert done.code == 0 and done.err == ""
    module = Module.open(str(path))
    assert module.has_btf_base
    words = memoryview(module.btf_ids).cast("I").tolist()
    assert words[0] == 2 and words[3::2] == [0x20, 0x20]
    assert [module.btf[i].name for i in words[2::2]] == ["a", "b"]


def test_a_module_without_anything_is_skipped(kbtf_module, kbtf_run):
    assert "skipped" in kbtf_run("run", kbtf_module(kfuncs=(), btf=None)).out


def test_an_elf_file(kbtf_elf, kbtf_run):
    path = kbtf_elf("file.o", {".text": b"code"}, (ElfSymbol("f", ".text"),), bits=32)
    assert path.read_bytes()[:5] == b"\\x7fELF\\x01"
    done = kbtf_run("extract", path, ".text", "-o", "text")
    assert done.code == 0, done.err
    assert path.with_name("text").read_bytes() == b"code"


def test_errors_are_told(kbtf_run):
    done = kbtf_run("run", "absent.ko")
    assert done.code == 3 and done.err.startswith("kbtf: error: absent.ko: ")


def test_the_folder_is_the_current_one_and_no_variable_counts(kbtf_dir):
    assert os.getcwd() == str(kbtf_dir)
    assert [name for name in os.environ if name.startswith("KBTF_")] == []


class TestAnotherKernel:
    import pytest

    @pytest.fixture
    def kbtf_base(self, kbtf_dir):
        """A kernel that cannot relocate BTF (before 6.11)."""
        from kbtf.testing import make_base
        from kbtf.testing.fixtures import BaseFile
        path = kbtf_dir / "old.btf"
        path.write_bytes(make_base(module_members=["btf_data"]).to_bytes())
        return BaseFile(path, open_btf(str(path)))

    def test_a_module_keeps_plain_btf(self, kbtf_module, kbtf_run):
        path = kbtf_module()
        done = kbtf_run("run", path)
        assert done.code == 0 and "cannot relocate" in done.err
        assert not Module.open(str(path)).has_btf_base
'''


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "KBTF_BASE": "/of/the/author", "KBTF_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # As strict as can be: a warning of ours would fail the tests of others.
    command = [str(Path(sys.executable).parent / "pytest"), "-q", "-W", "error", "-p", "no:xdist"]
    return subprocess.run(
        [*command, *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("way", ["option", "module", "conftest", "conftest that imports"])
def test_authors_get_the_fixtures_in_each_way_that_pytest_has(way: str, tmp_path: Path) -> None:
    names = 'pytest_plugins = ["kbtf.testing"]\n'
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(AUTHORS + (names if way == "module" else ""))
    if way.startswith("conftest"):
        head = "from kbtf.testing import make_module\n" if "imports" in way else ""
        (tmp_path / "conftest.py").write_text(head + names)

    done = run_pytest(tmp_path, *(["-p", "kbtf.testing"] if way == "option" else []))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_who_does_not_ask_gets_nothing(tmp_path: Path) -> None:
    """A pytest of anybody who has kbtf installed neither loads it nor has its fixtures."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it(): assert not [m for m in sys.modules if m.startswith('kbtf')]\n"
    )

    done = run_pytest(tmp_path)

    assert done.returncode == 0, done.stdout
    assert "kbtf_run" not in run_pytest(tmp_path, "--fixtures").stdout


def test_the_functions_need_no_pytest() -> None:
    code = "import sys, kbtf.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
