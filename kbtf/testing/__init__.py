# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Helpers for tests of plugins: ELF files, bases and small modules.

The functions return bytes, and need only kbtf.  For pytest, ``-p kbtf.testing`` (or
``pytest_plugins = ["kbtf.testing"]``) provides the fixtures of `kbtf.testing.fixtures`, which
create files and run kbtf.

PYTEST_DONT_REWRITE: there are no assertions here, and tests import this before pytest does.
"""

from kbtf.ids.btf_ids import SET8_KFUNCS
from kbtf.testing.elfwriter import ElfSymbol, write_elf
from kbtf.testing.modules import Ids, make_base, make_ids, make_kfuncs, make_module

__all__ = [
    "SET8_KFUNCS",
    "ElfSymbol",
    "Ids",
    "make_base",
    "make_ids",
    "make_kfuncs",
    "make_module",
    "write_elf",
]

# pytest reads this from a plugin, so the fixtures and pytest need not be imported here.
pytest_plugins = ["kbtf.testing.fixtures"]
