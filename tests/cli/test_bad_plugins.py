# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Bad options, configuration and plugins: one line that says so, and every file as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.folders import BAD_INPUT, ENVIRONMENT, GOOD, RUN, USAGE

if TYPE_CHECKING:
    from cli.folders import Folder


BAD_USAGE = {
    "no module": (RUN, "MODULE"),
    "an unknown option": ((*RUN, "--frobnicate", "good.ko"), "--frobnicate"),
    "an option without its value": (("run", "good.ko", "--base"), "--base"),
    "a value that is no choice": ((*RUN, "--distill=maybe", "good.ko"), "maybe"),
    "an unknown command": (("frobnicate", "good.ko"), "frobnicate"),
    "an unknown plugin": ((*RUN, "-p", "frobnicate", "good.ko"), "frobnicate"),
    "leaving out an unknown plugin": ((*RUN, "-p", "no:frobnicate", "good.ko"), "frobnicate"),
    "leaving out an essential plugin": ((*RUN, "-p", "no:embed_sections", "good.ko"), "essential"),
    "two outputs in one file": ((*RUN, "-o", "out", "good.ko", "good.ko"), "out"),
}


@pytest.mark.parametrize("case", BAD_USAGE)
def test_bad_usage_is_refused(case: str, folder: Folder) -> None:
    args, words = BAD_USAGE[case]

    folder.refuses(*args, code=USAGE, names=words)


BAD_TABLES = {
    "an unknown key": ("distil = 'always'\n", "distil"),
    "a key in an unknown table": ("[sign]\nkey = 'k'\n", "sign.key"),
    "a value of another type": ("strip-signature = 'yes'\n", "strip-signature"),
    "a value that is no choice": ("distill = 'maybe'\n", "maybe"),
    "an unknown plugin": ("plugins = ['frobnicate']\n", "frobnicate"),
    "plugins that are no list": ("plugins = 'frobnicate'\n", "plugins"),
    "no TOML": ("distill: always\n", "not TOML"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_configuration_is_refused(case: str, folder: Folder) -> None:
    text, words = BAD_TABLES[case]
    folder.write("kbtf.toml", text.encode())

    folder.refuses(
        *RUN, "--config", "kbtf.toml", "good.ko", code=USAGE, names="kbtf.toml", says=words
    )


def test_a_configuration_that_is_not_there_is_named(folder: Folder) -> None:
    folder.refuses(*RUN, "--config", "a.toml", "good.ko", code=BAD_INPUT, names="a.toml")


HEAD = "from kbtf import hookimpl, KbtfError\n"
BAD_PLUGINS = {
    "raises": ("@hookimpl\ndef kbtf_distill(module): raise ValueError('oh')", "ValueError: oh"),
    "raises two lines": (
        "@hookimpl\ndef kbtf_distill(module): raise ValueError('one\\ntwo')", "one\\ntwo"
    ),
    "raises while options are read": (
        "@hookimpl\ndef kbtf_configure(config): config['absent']", "KeyError"
    ),
    "raises last of all": (
        "@hookimpl\ndef kbtf_finish(output): output.nothing", "AttributeError"
    ),
    "misspelt hook": ("@hookimpl\ndef kbtf_distil(module): pass", "kbtf_distil"),
    "misspelt argument": ("@hookimpl\ndef kbtf_distill(modul): pass", "modul"),
    "hook without its marker": ("def kbtf_distill(module): pass", "@hookimpl"),
    "no Python": ("this is no Python", "SyntaxError"),
    "imports what is absent": ("import absent_module_of_tests", "absent_module_of_tests"),
    "ends the process": ("@hookimpl\ndef kbtf_distill(module): raise SystemExit(0)", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PLUGINS)
def test_a_plugin_that_fails_is_named(case: str, folder: Folder) -> None:
    text, words = BAD_PLUGINS[case]
    folder.write("bad_pass.py", f"{HEAD}{text}\n".encode())

    folder.refuses(
        *RUN, "-p", "./bad_pass.py", "good.ko", code=ENVIRONMENT, names="bad_pass", says=words
    )


def test_a_base_that_is_truncated_while_it_is_read_ends_the_run_in_words(folder: Folder) -> None:
    # The kernel raises SIGBUS where a mapped page is no longer in its file.
    call = "module.base; open('vmlinux.btf', 'w').close()"
    text = f"{HEAD}@hookimpl(tryfirst=True)\ndef kbtf_distill(module): {call}\n"
    folder.write("cut.py", text.encode())

    done = folder.kbtf(*RUN, "-p", "./cut.py", "good.ko")

    assert done.errors == ["kbtf: error: a file was truncated or cannot be read"]
    assert done.code == ENVIRONMENT
    assert (folder.path / "good.ko").read_bytes() == GOOD


def test_a_plugin_that_is_not_there_is_named(folder: Folder) -> None:
    done = folder.kbtf(*RUN, "-p", "./absent.py", "good.ko")

    assert done.code in (USAGE, BAD_INPUT, ENVIRONMENT)
    assert len(done.errors) == 1
    assert "absent.py" in done.errors[0]


BAD_RESULTS = {
    "BTF that cannot be read": "module.set_section('.BTF', b'ruined')",
    "a base that cannot be read": "module.set_section('.BTF.base', b'ruined')",
    "ids of another size": "module.set_section('.BTF_ids', bytes(4))",
}


@pytest.mark.parametrize("case", BAD_RESULTS)
def test_a_pass_may_not_leave_what_cannot_be_read(case: str, folder: Folder) -> None:
    hook = "@hookimpl(trylast=True)\ndef kbtf_embed_sections(module): "
    folder.write("ruin.py", f"{HEAD}{hook}{BAD_RESULTS[case]}\n".encode())

    folder.refuses(*RUN, "-p", "./ruin.py", "good.ko", code=BAD_INPUT, names="good.ko")


def test_debug_shows_where_the_error_of_a_plugin_comes_from(folder: Folder) -> None:
    text, _ = BAD_PLUGINS["raises"]
    folder.write("bad_pass.py", f"{HEAD}{text}\n".encode())

    done = folder.kbtf(*RUN, "-p", "./bad_pass.py", "--debug", "good.ko")

    assert done.errors[0] == "Traceback (most recent call last):"
    assert any("bad_pass.py" in line and "in kbtf_distill" in line for line in done.errors)
    assert done.code == ENVIRONMENT
