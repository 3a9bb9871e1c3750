"""What tests of plugins need: ELF files, bases and small modules.

The functions make bytes, and need nothing but kbtf.  For pytest, ``-p kbtf.testing`` (or
``pytest_plugins = ["kbtf.testing"]``) brings the fixtures of `kbtf.testing.fixtures`, which make
files and run kbtf.

PYTEST_DONT_REWRITE: there are no assertions here, and tests import this before pytest does.
"""

from kbtf.btf_ids import SET8_KFUNCS
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

# pytest reads this of a plugin; so the fixtures need not be named, nor pytest imported here.
pytest_plugins = ["kbtf.testing.fixtures"]
