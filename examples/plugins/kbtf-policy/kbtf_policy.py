# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kbtf plugin that fails if ``.BTF.base`` exceeds a budget or kfuncs change."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from kbtf import BtfIdsError, KbtfError, UsageError, hookimpl, read_ids

if TYPE_CHECKING:
    from collections.abc import Generator

    from kbtf import Config, Module, OptionGroup, Output

    Kfuncs = dict[str, dict[str, int]]
    """The flags of each kfunc, by set and name."""


class PolicyError(KbtfError):
    """A valid module that violates the policy."""

    exit_code = 1


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--btf-base-budget",
        key="policy.btf-base-budget",
        type=int,
        metavar="BYTES",
        help="fail if .BTF.base is larger",
    )
    group.add(
        "--kfunc-baseline",
        key="policy.kfunc-baseline",
        metavar="DIR",
        help="fail if the kfuncs of a module are not those recorded there",
    )
    group.add(
        "--record-baseline",
        key="policy.record",
        action="store_true",
        default=False,
        help="record the kfuncs in the baseline instead of comparing",
    )


@hookimpl
def kbtf_configure(config: Config) -> None:
    budget = config["policy.btf-base-budget"]
    if budget is not None and budget < 0:
        raise UsageError(f"policy.btf-base-budget = {budget} is less than nothing")
    if config["policy.record"] and not config["policy.kfunc-baseline"]:
        raise UsageError("--record-baseline needs a --kfunc-baseline to record in")


@hookimpl(wrapper=True)
def kbtf_embed_sections(module: Module, config: Config) -> Generator[None, object, object]:
    """Check the result after every pass of the phase."""
    result = yield
    budget, folder = config["policy.btf-base-budget"], config["policy.kfunc-baseline"]
    size = len(module.image.data(".BTF.base") or b"")
    if budget is not None and size > budget:
        raise PolicyError(
            f"{size} bytes are over the budget of {budget}",
            where=".BTF.base",
            hint="'kbtf explain' tells why a type is there",
        )
    if folder and not config["policy.record"]:
        changes = differences(_recorded(folder, module.name), kfuncs_of(module))
        if changes:
            raise PolicyError(
                "; ".join(changes), where="kfuncs", hint="record that with --record-baseline"
            )
    return result


@hookimpl
def kbtf_finish(output: Output, config: Config) -> None:
    """Record at the end, when nothing more can go wrong with the module."""
    module = output.module
    if config["policy.record"] and not config["dry-run"] and not module.skipped:
        _record(config["policy.kfunc-baseline"], module.name, kfuncs_of(module))


def kfuncs_of(module: Module) -> Kfuncs:
    """The kfuncs of each set, by the ids in the section."""
    ids, btf = read_ids(module.image), module.btf
    if ids is None or btf is None:
        return {}
    sets: Kfuncs = {}
    for id_set in ids.sets:
        if not ids.is_kfunc_set(id_set):
            continue
        flags = sets[id_set.name] = {}
        for at in id_set.id_words:
            type_id = ids.words[at]
            if type_id >= btf.end_id:
                raise BtfIdsError(f"type id {type_id} is not there", where=id_set.name)
            if type_id:  # 0 is a slot that stayed unresolved
                flags[btf[type_id].name] = ids.words[at + 1]
    return sets


def differences(old: Kfuncs, new: Kfuncs) -> list[str]:
    """The changes in words, by set and kfunc."""
    words = []
    for name in sorted({*old, *new}):
        before, after = old.get(name, {}), new.get(name, {})
        for kfunc in sorted({*before, *after}):
            was, now = before.get(kfunc), after.get(kfunc)
            if now is None:
                words.append(f"{kfunc} is gone from {name}")
            elif was is None:
                words.append(f"{kfunc} is new in {name}")
            elif was != now:
                words.append(f"{kfunc} in {name} has the flags 0x{now:x}, it had 0x{was:x}")
    return words


def _recorded(folder: str, module: str) -> Kfuncs:
    """The record for a module; empty if it has no file."""
    path = _path(folder, module)
    if not os.path.isdir(folder):
        raise KbtfError("no such directory", file=folder, hint="record it with --record-baseline")
    try:
        with open(path, encoding="utf-8") as file:
            sets = json.load(file)
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise KbtfError(f"is not JSON: {error}", file=path) from error
    if not _are_kfuncs(sets):
        raise KbtfError("has no sets of kfuncs with their flags", file=path)
    return dict(sets)


def _are_kfuncs(sets: object) -> bool:
    return isinstance(sets, dict) and all(
        isinstance(kfuncs, dict) and all(type(flags) is int for flags in kfuncs.values())
        for kfuncs in sets.values()
    )


def _record(folder: str, module: str, sets: Kfuncs) -> None:
    path = _path(folder, module)
    os.makedirs(folder, exist_ok=True)
    # Completely or not at all, like everything that kbtf writes.
    new = f"{path}.{os.getpid()}"
    with open(new, "w", encoding="utf-8") as file:
        file.write(json.dumps(sets, indent=2, sort_keys=True) + "\n")
    os.replace(new, path)


def _path(folder: str, module: str) -> str:
    if "/" in module or module.startswith("."):
        raise KbtfError(f"{module!r} is not the name of a file")
    return os.path.join(folder, f"{module}.json")
