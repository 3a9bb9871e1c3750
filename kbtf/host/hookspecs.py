"""The hooks that kbtf calls.

A plugin implements them as functions marked ``@kbtf.hookimpl``, with as many of the arguments as
it needs.  Inside a phase the built-in passes run first, then plugins in the reverse order of
their loading; ``tryfirst``, ``trylast`` and ``wrapper`` change that as everywhere in pluggy.
An exception in any hook stops the module at hand, whose file stays as it was: a KbtfError is
reported as it is, anything else as an error of that plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.host.markers import hookspec

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kbtf.elf.module import Module
    from kbtf.elf.vmlinux import Base
    from kbtf.host.config import Config, OptionGroup
    from kbtf.host.pipeline import Output


@hookspec
def kbtf_add_options(group: OptionGroup) -> None:
    """Called once before the command line is read, to add options and configuration keys.

    *group* takes them through ``group.add()``.  Since 0.1.
    """


@hookspec
def kbtf_add_commands(subparsers: Any) -> None:
    """Called when the command line names no command of kbtf's own, or for ``kbtf --help``.

    *subparsers* is argparse's; ``parser.set_defaults(run=function)`` names what to call with the
    parsed arguments, which returns an exit code.  Since 0.1.
    """


@hookspec
def kbtf_configure(config: Config) -> None:
    """Called once before the first module, with all options known.

    A plugin checks its options here, and raises UsageError if they make no sense.  Since 0.1.
    """


@hookspec(firstresult=True)
def kbtf_executor(config: Config) -> Executor | None:
    """Called once, when it is known what is to be done, to run it elsewhere than in processes here.

    The first executor that is not None gets all modules, and is shut down at the end.  What is
    submitted to it can be pickled and needs no files of this machine.  Since 0.1.
    """


@hookspec(firstresult=True)
def kbtf_find_base(module: Module, config: Config) -> Base | None:
    """Called when a pass first needs the BTF of the vmlinux that *module* was built for.

    The first result that is not None is taken; kbtf's own search comes last.  Since 0.1.
    """


@hookspec
def kbtf_after_link(module: Module, config: Config) -> None:
    """Phase 1: *module* is as the linker left it.  A pass makes BTF.  Since 0.1."""


@hookspec
def kbtf_distill(module: Module, config: Config) -> None:
    """Phase 2: ``module.btf`` is split BTF.  A pass may put it on a distilled base.  Since 0.1."""


@hookspec
def kbtf_resolve_btfids(module: Module, config: Config) -> None:
    """Phase 3: the BTF is final.  A pass fills ``module.btf_ids``.  Since 0.1."""


@hookspec
def kbtf_embed_sections(module: Module, config: Config) -> None:
    """Phase 4: BTF and ids go into the image.  A pass may add sections of its own.  Since 0.1."""


@hookspec
def kbtf_finish(output: Output, config: Config) -> None:
    """Called with the whole file before it is written; may replace ``output.data``.

    Signing belongs here, and kbtf's own comes last.  The file is compressed afterwards if the
    module was.  A module that a phase skipped comes through here too.  Since 0.1.
    """
