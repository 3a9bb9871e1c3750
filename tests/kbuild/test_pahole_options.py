# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf-pahole``: what it makes of options for the pahole that is there."""

from __future__ import annotations

import pytest

from kbtf.encode import pahole as backend
from kbtf.kbuild.pahole.options import flags, for_module, lacks, read

from .paholes import LIST, words

SINGLE = "-J --btf_gen_floats -j --lang_exclude=rust --btf_base vmlinux m.ko"
SINGLE_125 = (
    "-J --btf_gen_floats -j --skip_encoding_btf_inconsistent_proto --btf_gen_optimized "
    "--btf_base vmlinux m.ko"
)

LISTED = (
    f"-J -j --btf_features={LIST},decl_tag_kfuncs --lang_exclude=rust "
    "--btf_features=distilled_base --btf_base vmlinux m.ko"
)
REPRODUCIBLE = f"-J -j4 --btf_features={LIST} --btf_features=+reproducible_build --btf_base v m.ko"


@pytest.mark.parametrize(
    ("args", "version", "expected", "lacking"),
    [
        (SINGLE, (1, 24), "-j --btf_gen_floats --lang_exclude=rust", ""),
        (SINGLE, (1, 22), "-j --btf_gen_floats", "--lang_exclude=rust"),
        (SINGLE, (1, 31), "-j --btf_gen_floats --lang_exclude=rust", ""),
        (SINGLE_125, (1, 24), "-j --btf_gen_floats", "consistent_func optimized_func"),
        (
            LISTED,
            (1, 24),
            "-j --btf_gen_floats --btf_encode_force --lang_exclude=rust",
            "consistent_func decl_tag_kfuncs distilled_base optimized_func",
        ),
        (
            LISTED,
            (1, 25),
            "-j --btf_gen_floats --btf_encode_force --lang_exclude=rust --btf_gen_optimized "
            "--skip_encoding_btf_inconsistent_proto",
            "decl_tag_kfuncs distilled_base",
        ),
        (
            LISTED,
            (1, 27),
            f"-j --btf_features={LIST},decl_tag_kfuncs,distilled_base --lang_exclude=rust",
            "distilled_base",
        ),
        (
            REPRODUCIBLE,
            (1, 28),
            f"-j4 --btf_features={LIST},decl_tag_kfuncs,reproducible_build",
            "",
        ),
        (
            "-J --btf_features=default vmlinux",
            (1, 30),
            f"--btf_features={LIST},decl_tag_kfuncs",
            "",
        ),
        ("-J --btf_features=var,new_thing v", (1, 30), "--btf_features=var,new_thing", ""),
        (
            "-J --btf_features=var,new_thing v",
            (1, 24),
            "--skip_encoding_btf_decl_tag --skip_encoding_btf_type_tag --skip_encoding_btf_enum64",
            "new_thing",
        ),
        ("-J --skip_encoding_btf_vars v", (1, 21), "--skip_encoding_btf_vars", ""),
        ("-J -V --skip_encoding_btf_vars v", (1, 30), "-V --skip_encoding_btf_vars", ""),
    ],
)
def test_options_are_put_into_those_of_the_installed_version(
    args: str, version: tuple[int, int], expected: str, lacking: str
) -> None:
    request = read(args.split())
    assert request.encode
    assert words(" ".join(flags(request, version))) == words(expected)
    assert " ".join(lacks(request, version)) == lacking


@pytest.mark.parametrize("args", [SINGLE, SINGLE_125, LISTED])
def test_a_module_is_encoded_with_what_kbtf_run_asks_for(args: str) -> None:
    for version in ((1, 24), (1, 25), (1, 26), (1, 31)):
        made = flags(for_module(read(args.split()), version), version)
        ours = backend.flags_for(version)
        ignored = ("--lang_exclude=", "--btf_encode_force")
        alike, expected = (
            words(" ".join(flag for flag in each if not flag.startswith(ignored)))
            for each in (made, ours)
        )
        assert alike == expected


def test_a_command_line_is_taken_apart() -> None:
    request = read(["--btf_base=v", "-J", "--btf_encode_detached", "m.BTF.1", "-j8", "m.ko"])
    assert (request.base, request.detached, request.file) == ("v", "m.BTF.1", "m.ko")
    assert request.jobs == "-j8"
    assert not read(["--version"]).encode
