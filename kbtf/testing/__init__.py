"""What tests of plugins need: ELF files and small modules, made in memory."""

from kbtf.btf_ids import SET8_KFUNCS
from kbtf.testing.elfwriter import ElfSymbol, write_elf
from kbtf.testing.modules import Ids, make_base, make_ids, make_module

__all__ = ["SET8_KFUNCS", "ElfSymbol", "Ids", "make_base", "make_ids", "make_module", "write_elf"]
