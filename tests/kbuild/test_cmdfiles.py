# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What Kbuild's .cmd files say, depfiles that make and ninja read, and staging."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import missing
from kbtf.errors import KbtfError, UsageError
from kbtf.files.depfile import escape, write_depfile
from kbtf.kbuild.cmdfiles import inputs, read_cmd, read_symvers
from kbtf.kbuild.staging import stage

# As fixdep of 6.12 writes it, shortened.
CMD = """\
savedcmd_/m/a.o :=  gcc -Wp,-MMD,/m/.a.o.d -DX=\\"deps_no := no\\" -c -o /m/a.o /m/a.c

source_/m/a.o := /m/a.c

deps_/m/a.o := \\
    $(wildcard include/config/SMP) \\
  /src/include/linux/compiler-version.h \\
  include/generated/autoconf.h \\
    $(wildcard include/config/CC_VERSION_TEXT) \\
  /m/odd$(pound)name.h \\

/m/a.o: $(deps_/m/a.o)

$(deps_/m/a.o):
"""
MODPOST = (
    "savedcmd_/m/Module.symvers :=  scripts/mod/modpost -M -m -a      -o /m/Module.symvers "
    "-T /m/modules.order -i Module.symvers -e -i /other/Module.symvers \n"
)


def test_sources_and_headers_of_a_cmd_file() -> None:
    assert read_cmd(CMD) == [
        "/m/a.c",
        "/src/include/linux/compiler-version.h",
        "include/generated/autoconf.h",
        "/m/odd#name.h",
    ]


def test_the_symbols_that_modpost_read() -> None:
    assert read_symvers(MODPOST) == ["Module.symvers", "/other/Module.symvers"]


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A kernel's folder and two modules, one of two objects, as Kbuild leaves them."""
    for name in ("kdir/include", "m/sub", "other"):
        (tmp_path / name).mkdir(parents=True)
    m = tmp_path / "m"
    (tmp_path / "kdir/include/k.h").touch()
    (tmp_path / "kdir/Module.symvers").touch()
    (tmp_path / "other/Module.symvers").touch()
    (tmp_path / "other/.Module.symvers.cmd").touch()
    for name in ("Makefile", "a.c", "sub/b.c", "c.c", "a.h", "gone.c", "mod.mod.c"):
        (m / name).touch()
    (m / "mod.mod").write_text(f"{m}/a.o\n{m}/sub/b.o\n")
    (m / "c.mod").write_text(f"{m}/c.o\n")

    def cmd(stem: str, *deps: str) -> None:
        path = m / stem
        names = " \\\n".join(f"  {dep}" for dep in deps)
        text = f"source_{path} := {deps[0]}\n\ndeps_{path} := \\\n{names} \\\n\n"
        path.with_name(f".{path.name}.cmd").write_text(text)

    cmd("a.o", f"{m}/a.c", "a.h", "include/k.h", f"{m}/gone.h")
    cmd("sub/b.o", f"{m}/sub/b.c")
    cmd("c.o", f"{m}/c.c")
    cmd("mod.mod.o", f"{m}/mod.mod.c")
    symvers = f"savedcmd_x := modpost -i Module.symvers -e -i {tmp_path}/other/Module.symvers\n"
    (m / ".Module.symvers.cmd").write_text(symvers)
    return tmp_path


def test_what_a_module_was_made_from(built: Path) -> None:
    found = inputs(str(built / "m"), str(built / "kdir"), [f"{built}/m/mod.ko"])

    assert [str(Path(path).relative_to(built)) for path in found] == [
        "kdir/Module.symvers",
        "kdir/include/k.h",
        "m/Makefile",
        "m/a.c",
        "m/a.h",
        "m/sub/b.c",
        "other/Module.symvers",
    ]


def test_staged_sources_are_named_where_they_are(built: Path) -> None:
    (built / "m/a.c").rename(built / "a.c")
    (built / "m/a.c").symlink_to(built / "a.c")

    found = inputs(str(built / "m"), str(built / "kdir"), [f"{built}/m/mod.ko"])

    assert f"{built}/a.c" in found
    assert f"{built}/m/a.c" not in found


ODD = ("plain", "two words", "#hash", "$dollar", "back\\slash", "end\\ of", "col:on")


def test_make_reads_a_depfile(tmp_path: Path) -> None:
    for name in ODD:
        (tmp_path / name).touch()
    write_depfile(str(tmp_path / "d"), ["out put"], ODD)
    rule = "out\\ put:\n\t@touch '$@'\n"
    (tmp_path / "Makefile").write_text(f"{rule}-include d\n")

    def make() -> str:
        command = ["make", "-C", str(tmp_path), "--no-print-directory", "--trace"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert "touch" in make()
    for name in ODD:
        for old in ODD:
            os.utime(tmp_path / old, (1, 1))
        os.utime(tmp_path / "out put", (2, 2))
        assert "touch" not in make(), name
        os.utime(tmp_path / name, (3, 3))
        assert "touch" in make(), name


def test_ninja_reads_a_depfile(tmp_path: Path) -> None:
    ninja = shutil.which("ninja")
    if ninja is None:
        missing("ninja is not installed")
    write_depfile(str(tmp_path / "d"), ["out"], [str(tmp_path / name) for name in ODD])
    (tmp_path / "build.ninja").write_text(
        "rule r\n  command = cp d dd && touch out\n  depfile = dd\n  deps = gcc\nbuild out: r\n"
    )
    for name in ODD:
        (tmp_path / name).touch()
    subprocess.run([ninja, "-C", tmp_path], check=True, capture_output=True)
    done = subprocess.run([ninja, "-C", tmp_path, "-t", "deps"], capture_output=True, text=True)

    for name in ODD:
        assert f"    {tmp_path}/{name}\n" in done.stdout


def test_a_newline_cannot_stand_in_a_depfile() -> None:
    with pytest.raises(UsageError, match=r"\\n"):
        escape("a\nb")


def test_sources_are_staged_without_what_kbuild_made(tmp_path: Path) -> None:
    source, work = tmp_path / "src", tmp_path / "src/out/work"
    (source / "sub").mkdir(parents=True)
    (source / ".git").mkdir()
    products = ["m.ko", "a.o", ".a.o.cmd", "m.mod", "m.mod.c", "modules.order", ".git/config"]
    for name in ["a.c", "a.h", "Makefile", "sub/b.c", "shipped.o", *products]:
        (source / name).touch()

    stage(str(source), str(work))

    staged = sorted(str(path.relative_to(work)) for path in work.rglob("*") if path.is_symlink())
    assert staged == ["Makefile", "a.c", "a.h", "shipped.o", "sub/b.c"]
    assert (work / "a.c").readlink() == source / "a.c"


def test_staging_again_follows_the_sources_and_keeps_products(tmp_path: Path) -> None:
    source, work = tmp_path / "src", tmp_path / "work"
    source.mkdir()
    for name in ("a.c", "b.c"):
        (source / name).touch()
    stage(str(source), str(work))
    (work / "a.o").touch()
    (work / "mine.txt").symlink_to(tmp_path)
    before = (work / "a.c").lstat().st_ino
    (source / "b.c").rename(source / "c.c")

    stage(str(source), str(work))

    assert sorted(path.name for path in work.iterdir()) == ["a.c", "a.o", "c.c", "mine.txt"]
    assert (work / "a.c").lstat().st_ino == before


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "a.c").touch()
    (source / "again").symlink_to(source)

    stage(str(source), str(tmp_path / "work"))

    assert (tmp_path / "work/a.c").exists()


def test_a_file_of_the_users_is_never_replaced(tmp_path: Path) -> None:
    for folder in ("src", "work"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.c").write_text(folder)

    with pytest.raises(KbtfError, match="in the way"):
        stage(str(tmp_path / "src"), str(tmp_path / "work"))
    with pytest.raises(UsageError, match="directory of the sources"):
        stage(str(tmp_path / "src"), str(tmp_path / "src"))
    assert (tmp_path / "work/a.c").read_text() == "work"
