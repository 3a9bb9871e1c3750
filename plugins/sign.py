# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Signs modules with the kernel's sign-file; only on request.

The signature covers the uncompressed file, as with Kbuild's ``modules_install``
(scripts/Makefile.modinst).  With an RSA key, the same file gets the same signature; signatures with
an elliptic curve key differ each time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf import (
    KbtfError,
    Module,
    ToolError,
    UsageError,
    hookimpl,
    is_release,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf import Config, OptionGroup, Output

# Hashes that kernels can be configured for: MODULE_SIG_* in kernel/module/Kconfig.
HASHES = ("sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
_DEFAULT_HASH = "sha256"
_URI = "pkcs11:"
_SIGN_FILE = "scripts/sign-file"
# The build directories of a release.
_BUILD = ("/lib/modules/{}/build", "/usr/src/linux-headers-{}")
# The sign-file of any kernel since 4.3 works.
_OTHERS = ("/usr/lib/linux-kbuild-*", "/lib/modules/*/build")


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--sign",
        nargs=2,
        metavar=("KEY", "CERT"),
        help="sign with this private key (PEM, or a pkcs11: URI) and X.509 certificate, in place "
        "of a signature that is there; $KBUILD_SIGN_PIN is the key's passphrase",
    )
    group.add(
        "--hash",
        choices=HASHES,
        help="the hash algorithm (default: CONFIG_MODULE_SIG_HASH of the kernel build "
        f"directory, else {_DEFAULT_HASH})",
    )


@hookimpl
def kbtf_configure(config: Config) -> None:
    if config["hash"] and not config["sign"]:
        raise UsageError("--hash is for --sign", hint="use --sign KEY CERT too")
    config.signs = config.signs or bool(config["sign"])
    config.files += [path for path in config["sign"] or () if not path.startswith(_URI)]


@hookimpl(trylast=True)
def kbtf_finish(output: Output, config: Config) -> None:
    if not config["sign"]:
        return
    key, cert = config["sign"]
    folders = list(_build_folders(config["kdir"], output.module.release))
    algorithm = config["hash"] or _configured_hash(folders) or _DEFAULT_HASH
    command = [_sign_file(folders), algorithm, _readable_key(key), _readable(cert)]
    output.data = _signed(command, output.data)
    output.module.note(f"signed by {cert} with {algorithm}")


def _build_folders(kdir: str | None, release: str | None) -> Iterator[str]:
    if kdir:
        yield os.path.abspath(kdir)
    # The release comes from the module, and programs in these directories are run.
    if release and is_release(release):
        yield from (place.format(release) for place in _BUILD)


def _configured_hash(folders: Iterable[str]) -> str | None:
    """The hash that the kernel itself signs with, and so can verify."""
    import re

    for folder in folders:
        try:
            with open(f"{folder}/include/config/auto.conf", encoding="utf-8") as file:
                found = re.search(r'^CONFIG_MODULE_SIG_HASH="?([\w-]+)"?$', file.read(), re.M)
        except (OSError, UnicodeDecodeError):
            continue
        if found:
            return found[1]
    return None


def _sign_file(folders: list[str]) -> str:
    """The sign-file of the kernel, else any installed one; ToolError."""
    import glob

    others = (folder for pattern in _OTHERS for folder in sorted(glob.glob(pattern), reverse=True))
    for folder in (*folders, *others):
        path = f"{folder}/{_SIGN_FILE}"
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    looked = ", ".join(f"{folder}/{_SIGN_FILE}" for folder in (*folders, *_OTHERS))
    raise ToolError(
        f"no sign-file was found, looked for {looked}",
        hint="install the kernel's headers (Debian: linux-kbuild), or name others with -C",
    )


def _readable_key(key: str) -> str:
    """The key in a form for sign-file; an error if that cannot read it."""
    if key.startswith(_URI):
        return key
    path = _readable(key)
    with open(path, "rb") as file:
        encrypted = b"ENCRYPTED" in file.read()
    if encrypted and "KBUILD_SIGN_PIN" not in os.environ:
        raise ToolError(
            "the key is encrypted", file=key, hint="set $KBUILD_SIGN_PIN to its passphrase"
        )
    return path


def _readable(path: str) -> str:
    """*path* in a form that cannot be an option, after checking that the file can be read."""
    with open(path, "rb", opener=_open_at_once):
        if not os.path.isfile(path):
            raise KbtfError("is not a regular file", file=path)
    return os.path.abspath(path)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # opening a FIFO would block


def _signed(command: list[str], data: bytes) -> bytes:
    """*data* with the signature that *command* appends to a file; ToolError."""
    from kbtf import temporary_directory  # only on request

    with temporary_directory() as folder:
        path = os.path.join(folder, "module.ko")
        with open(path, "wb") as file:
            file.write(data)
        _run([*command, path])
        with open(path, "rb") as file:
            signed = file.read()
    if not signed.startswith(data) or Module(signed).signature is None:
        raise ToolError(f"{command[0]} wrote no signature")
    return signed


def _run(command: list[str]) -> None:
    from kbtf import run_helper  # only on request

    try:
        done = run_helper(command, secrets=True)
    except OSError as error:  # for example, built for another architecture
        raise ToolError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        words = _reasons(done.stderr.decode(errors="replace"))
        raise ToolError(f"{command[0]} failed ({done.returncode}){words and ': ' + words}")


def _reasons(said: str) -> str:
    """The messages of sign-file and OpenSSL, without numbers and source locations."""
    import re

    reasons = re.findall(r"^- SSL error:[^:]*:[^:]*:[^:]*:([^:]*)", said, re.M)
    where = re.findall(r"^[^:\n]*sign-file: (.*)$", said, re.M)
    parts = [*where, ", ".join(dict.fromkeys(reasons))]
    return ": ".join(filter(None, parts)) if reasons else " ".join(said.split())
