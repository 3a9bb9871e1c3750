# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The options of resolve_btfids, parsed like the kernel's own parser does.

Source: tools/lib/subcmd/parse-options.c and tools/bpf/resolve_btfids/main.c, 6.1 to 7.1.  A value
follows its option or ``=``, a long option may be abbreviated if that is not ambiguous, and the
first word that is not an option ends them.
"""

from __future__ import annotations

from kbtf.kbuild.console import Failure

USAGE_CODE = 129

_FLAGS = ("verbose", "fatal_warnings", "fmodret_error_injection", "distill_base")
_VALUES = ("btf", "btf_base", "patch_btfids")
_SHORT = {"v": "verbose", "b": "btf_base"}
_USAGE = """
 Usage: resolve_btfids [<options>] <ELF object>
    or: resolve_btfids --patch_btfids <.BTF_ids file> <ELF object>

    -b, --btf_base <file>
                          path of file providing base BTF
    -v, --verbose         be more verbose (show errors, etc)
        --btf <file>      path to a file with input BTF data
        --distill_base    distill --btf_base and emit .BTF.base section data
        --fatal_warnings  turn warnings into errors
        --fmodret_error_injection
                          target kernel enables CONFIG_FUNCTION_ERROR_INJECTION
        --patch_btfids <file>
                          path to .BTF_ids section data blob to patch into ELF file
"""


class Options:
    """The parsed options; *elf* is the file."""

    __slots__ = ("elf", "flags", "values", "verbose")

    def __init__(self) -> None:
        self.elf = ""
        self.verbose = 0
        self.flags: set[str] = set()
        self.values: dict[str, str] = {}


def parse(args: list[str]) -> Options:
    """Parse the command line; Failure with the usage and its exit code if it is invalid."""
    options = Options()
    words = list(args)
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            _read_long(word[2:], words, options)
        else:
            _read_short(word[1:], words, options)
    if len(words) != 1:
        raise _usage()
    options.elf = words[0]
    return options


def _read_long(word: str, words: list[str], options: Options) -> None:
    given, equals, value = word.partition("=")
    negated = given.startswith("no-")
    name = _full_name(given.removeprefix("no-"))
    if name in _FLAGS or negated:
        if equals:
            raise _usage(f" Error: option `{given}' takes no value")
        _set(name, options, negated=negated)
    elif equals:
        options.values[name] = value
    elif words:
        options.values[name] = words.pop(0)
    else:
        raise _usage(f" Error: option `{name}' requires a value")


def _full_name(given: str) -> str:
    if given in _FLAGS or given in _VALUES:
        return given
    matches = [name for name in (*_FLAGS, *_VALUES) if given and name.startswith(given)]
    if len(matches) > 1:
        names = " or ".join(f"--{name}" for name in matches)
        raise _usage(f" Error: Ambiguous option: {given} (could be {names})")
    if not matches:
        raise _usage(*[] if given == "help" else [f"  Error: unknown option `{given}'"])
    return matches[0]


def _set(name: str, options: Options, *, negated: bool) -> None:
    if name == "verbose":
        options.verbose = 0 if negated else options.verbose + 1
    elif not negated:
        options.flags.add(name)
    else:
        options.flags.discard(name)
        options.values.pop(name, None)


def _read_short(letters: str, words: list[str], options: Options) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        name = _SHORT.get(letter)
        if name is None:
            raise _usage(*[] if letter == "h" else [f"  Error: unknown switch `{letter}'"])
        if name in _FLAGS:
            _set(name, options, negated=False)
        elif letters or words:
            options.values[name] = letters or words.pop(0)
            return
        else:
            raise _usage(f" Error: switch `{letter}' requires a value")


def _usage(*lines: str) -> Failure:
    return Failure(*lines, *_USAGE.split("\n"), code=USAGE_CODE)
