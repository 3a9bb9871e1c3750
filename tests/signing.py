# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Keys to sign modules with, and what other programs say of a module's signature."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

# struct module_signature stands between the PKCS#7 message and this: linux/module_signature.h
MAGIC = b"~Module signature appended~\n"
INFO_LEN = 12


class Pair(NamedTuple):
    """A private key and its certificate."""

    key: Path
    cert: Path


def openssl(*args: object) -> str:
    """What openssl prints."""
    command = ["openssl", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def make_pair(folder: Path, name: str, kind: str = "rsa:2048", *options: str) -> Pair:
    """A key of that kind and a certificate for *name*, signed by itself."""
    pair = Pair(folder / "key.pem", folder / "cert.pem")
    made = ["-newkey", kind, *options, "-nodes", "-keyout", pair.key, "-out", pair.cert]
    # in capitals, as modinfo prints it
    openssl("req", "-x509", "-subj", f"/CN={name}/", "-set_serial", 0x4B627466, *made)
    return pair


def split(signed: bytes) -> tuple[bytes, bytes]:
    """What is signed, and the PKCS#7 message."""
    assert signed.endswith(MAGIC)
    body = signed.removesuffix(MAGIC)
    length = int.from_bytes(body[-4:], "big")
    end = len(body) - INFO_LEN
    return body[: end - length], body[end - length : end]


def verifies(signed: bytes, pair: Pair) -> bool:
    """Whether openssl finds a signature by that certificate over what stands before it."""
    content, cms = split(signed)
    with TemporaryDirectory() as folder:
        for name, data in (("content", content), ("cms", cms)):
            (Path(folder) / name).write_bytes(data)
        files = ["-in", "cms", "-content", "content", "-certfile", str(pair.cert.absolute())]
        form = ["-binary", "-inform", "DER", "-nointern", "-noverify", "-out", os.devnull]
        done = subprocess.run(
            ["openssl", "cms", "-verify", *form, *files],
            cwd=folder,
            capture_output=True,
            check=False,
        )
    return done.returncode == 0


def modinfo(module: Path) -> dict[str, str]:
    """The fields that modinfo prints of a module on one line, without the colons of numbers."""
    done = subprocess.run(["modinfo", module], capture_output=True, check=True)
    pairs = (line.partition(":") for line in done.stdout.decode(errors="replace").splitlines())
    found = {key: value.strip() for key, _, value in pairs}
    if "sig_key" in found:
        found["sig_key"] = found["sig_key"].replace(":", "")
    return found


def state(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    facts = path.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def fake_kdir(folder: Path, script: str, **config: str) -> Path:
    """A build directory whose sign-file is a shell script."""
    (folder / "scripts").mkdir(parents=True)
    program = folder / "scripts/sign-file"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (folder / "include/config").mkdir(parents=True)
    lines = [f"CONFIG_{name}={value}\n" for name, value in config.items()]
    (folder / "include/config/auto.conf").write_text("".join(lines))
    return folder
