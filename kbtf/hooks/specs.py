# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The hooks that kbtf calls.

A plugin implements them as functions marked ``@kbtf.hookimpl``, with the arguments it needs.
Within a phase, the built-in passes run first, then plugins in the reverse order of loading;
``tryfirst``, ``trylast`` and ``wrapper`` change that, as everywhere in pluggy.  An exception in
any hook ends the processing of that module and leaves its file unchanged: a KbtfError is reported
as it is, any other exception as an error of the plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.hooks.markers import hookspec

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kbtf.btf.base import Base
    from kbtf.elf.module import Module
    from kbtf.hooks.options import Config, OptionGroup
    from kbtf.hooks.output import Output


@hookspec()
def kbtf_add_options(group: OptionGroup) -> None:
    """Called once before the command line is read, to add options and configuration keys.

    *group* takes them through ``group.add()``.  Since 0.1.
    """


@hookspec()
def kbtf_add_commands(subparsers: Any) -> None:
    """Called if the command is not one of kbtf's own, and for ``kbtf --help``.

    *subparsers* is argparse's; ``parser.set_defaults(run=function)`` names the function to call
    with the parsed arguments, which returns an exit code.  Since 0.1.
    """


@hookspec()
def kbtf_configure(config: Config) -> None:
    """Called once before the first module, with all options known.

    A plugin checks its options here, and raises UsageError if they are invalid.  Since 0.1.
    """


@hookspec(firstresult=True)
def kbtf_executor(config: Config) -> Executor | None:
    """Called once before the work starts, to run it elsewhere than in local processes.

    The first executor that is not None gets all modules, and is shut down at the end.  Everything
    submitted to it can be pickled and needs no files of this machine.  Since 0.1.
    """


@hookspec(firstresult=True)
def kbtf_find_base(module: Module, config: Config) -> Base | None:
    """Called when a pass first needs the BTF of the vmlinux that *module* was built for.

    The first result that is not None is used; kbtf's own search comes last.  Since 0.1.
    """


@hookspec()
def kbtf_after_link(module: Module, config: Config) -> None:
    """Phase 1: *module* is as the linker left it.  A pass makes BTF.  Since 0.1."""


@hookspec()
def kbtf_distill(module: Module, config: Config) -> None:
    """Phase 2: ``module.btf`` is split BTF.  A pass may distill it.  Since 0.1."""


@hookspec()
def kbtf_resolve_btfids(module: Module, config: Config) -> None:
    """Phase 3: the BTF is final.  A pass fills ``module.btf_ids``.  Since 0.1."""


@hookspec()
def kbtf_embed_sections(module: Module, config: Config) -> None:
    """Phase 4: BTF and ids go into the image.  A pass may add sections of its own.  Since 0.1."""


@hookspec()
def kbtf_finish(output: Output, config: Config) -> None:
    """Called with the whole file before it is written; may replace ``output.data``.

    Signing belongs here, and kbtf's own signing comes last.  The file is compressed afterwards if
    the module was.  Modules that a phase skipped are passed too.  Since 0.1.
    """


HOOKS = tuple(name for name in dict(vars()) if name.startswith("kbtf_"))
"""In the order in which they are called."""
