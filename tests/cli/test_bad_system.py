# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the system refuses: one line that says so, and every file as it was."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from cli.folders import BAD_INPUT, DEMO, ENVIRONMENT, GOOD, RUN
from conftest import missing
from kbtf import Module

if TYPE_CHECKING:
    from cli.folders import Folder


def without_power_over_permissions() -> tuple[str, ...]:
    """What keeps root from reading and writing where its permissions say no."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        missing("setpriv is not installed")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def test_a_read_only_folder_is_named(folder: Folder) -> None:
    before = without_power_over_permissions()
    folder.path.chmod(0o555)

    folder.refuses(
        *RUN, "good.ko", before=before, code=ENVIRONMENT, names="good.ko", says="permission denied"
    )


def test_a_file_that_may_not_be_read_is_named(folder: Folder) -> None:
    before = without_power_over_permissions()
    (folder.path / "good.ko").chmod(0)

    folder.refuses(
        *RUN, "good.ko", before=before, code=ENVIRONMENT, names="good.ko", says="permission denied"
    )


def test_a_base_that_may_not_be_read_is_named(folder: Folder) -> None:
    before = without_power_over_permissions()
    (folder.path / "vmlinux.btf").chmod(0)

    folder.refuses(
        *RUN, "good.ko", before=before,
        code=ENVIRONMENT, names="vmlinux.btf", says="permission denied",
    )  # fmt: skip


def test_an_output_folder_that_is_not_there_is_named(folder: Folder) -> None:
    folder.refuses(*RUN, "-o", "absent/out.ko", "good.ko", code=BAD_INPUT, names="absent")


def test_a_disk_that_is_full_is_named(folder: Folder) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        missing("only root may mount")
    (folder.path / "disk").mkdir()
    script = """
mount -t tmpfs -o size=64k tmpfs disk || exit 99
cp -p good.ko disk/good.ko
cp /dev/zero disk/filler 2>/dev/null
"$@"
code=$?
cmp -s good.ko disk/good.ko && [ ! disk/good.ko -nt good.ko ] && echo same
ls -A disk
exit $code
"""
    unshared = ("unshare", "-m", "sh", "-c", script, "sh")

    done = folder.kbtf(*RUN, "disk/good.ko", before=unshared)

    if done.code == 99:
        missing(done.errors)
    (line,) = done.errors
    assert line.startswith("kbtf: error: disk/good.ko: ")
    assert "no space left on device" in line
    assert done.code == ENVIRONMENT
    assert done.out.split() == ["same", "filler", "good.ko"]


def test_a_file_larger_than_is_allowed_is_named(folder: Folder) -> None:
    limited = ("sh", "-c", 'ulimit -f 1; exec "$@"', "sh")

    folder.refuses(
        *RUN, "good.ko", before=limited, code=ENVIRONMENT, names="good.ko", says="too large"
    )


def strace(folder: Folder, call: str, fault: str) -> tuple[str, ...]:
    if not shutil.which("strace"):
        missing("strace is not installed")
    log = str(folder.path.parent / "strace.log")
    return ("strace", "-o", log, "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when=1")


@pytest.mark.parametrize("call", ["fsync", "/^rename"])
def test_a_run_that_is_killed_leaves_the_module_and_the_next_one_cleans_up(
    call: str, folder: Folder
) -> None:
    facts = folder.facts()

    done = folder.kbtf(*RUN, "good.ko", before=strace(folder, call, "signal=KILL"))

    assert done.code == -signal.SIGKILL
    after = folder.facts()
    assert after.items() >= facts.items()
    assert len(after) == len(facts) + 1
    assert folder.kbtf(*RUN, "good.ko").code == 0
    assert folder.facts().keys() == facts.keys()


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("INT", 130)])
@pytest.mark.parametrize("call", ["fsync", "flock"])
def test_a_run_that_is_asked_to_end_leaves_nothing(
    call: str, name: str, code: int, folder: Folder
) -> None:
    facts = folder.facts()

    done = folder.kbtf(*RUN, "good.ko", before=strace(folder, call, f"signal={name}"))

    assert done == (code, "", [])
    assert folder.facts() == facts


@pytest.mark.parametrize(
    ("call", "error"), [("fsync", "EIO"), ("/^rename", "EPERM"), ("fchmod", "EIO")]
)
def test_a_write_that_fails_is_named(call: str, error: str, folder: Folder) -> None:
    folder.refuses(
        *RUN, "good.ko", before=strace(folder, call, f"error={error}"),
        code=ENVIRONMENT, names="good.ko", says=os.strerror(getattr(errno, error)).lower(),
    )  # fmt: skip


FILLERS_OF_STDOUT = {
    "show": ("show", "good.ko"),
    "extract": ("extract", "good.ko", ".BTF"),
    "version": ("--version",),
    "more than a buffer": ("check", "--tap", *["vmlinux.btf"] * 300),
    "many bytes": ("dump", "--format", "c", str(DEMO / "vmlinux.btf.xz")),
}


@pytest.mark.parametrize("args", FILLERS_OF_STDOUT.values(), ids=FILLERS_OF_STDOUT)
def test_standard_output_that_is_full_is_an_error(args: tuple[str, ...], folder: Folder) -> None:
    full = ("sh", "-c", 'exec "$@" >/dev/full', "sh")

    says = "standard output: no space left on device"
    folder.refuses(*args, before=full, code=ENVIRONMENT, names="", says=says)


def test_the_exit_code_tells_where_no_message_can(folder: Folder) -> None:
    full = ("sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh")

    assert folder.kbtf("show", "good.ko", before=full) == (ENVIRONMENT, "", [])
    assert folder.kbtf("show", "none.ko", before=full) == (BAD_INPUT, "", [])


def test_standard_output_that_is_closed_is_no_crash(folder: Folder) -> None:
    closed = ("sh", "-c", 'exec "$@" >&-', "sh")

    done = folder.kbtf(*RUN, "good.ko", before=closed)

    assert not any("Traceback" in line for line in done.errors)
    assert done.code in (0, ENVIRONMENT)


def test_a_reader_of_standard_output_may_leave(folder: Folder) -> None:
    left = ("sh", "-c", '{ sleep 0.2; exec "$@"; } | :', "sh")

    assert folder.kbtf("show", "good.ko", before=left) == (0, "", [])


def test_an_environment_that_refuses_counts_more_than_bad_input(folder: Folder) -> None:
    before = without_power_over_permissions()
    folder.write("bad.ko", b"no module")
    folder.write("secret.ko", GOOD)
    (folder.path / "secret.ko").chmod(0)
    folder.write("last.ko", b"no module")

    done = folder.kbtf(*RUN, "bad.ko", "secret.ko", "last.ko", "good.ko", before=before)

    assert done.code == ENVIRONMENT
    assert [line.split(": ")[2] for line in done.errors] == ["bad.ko", "secret.ko", "last.ko"]
    assert Module.open(str(folder.path / "good.ko")).has_btf_base
