# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf's NamedTuple is typing's, but for what it costs."""

from __future__ import annotations

import pickle
import typing
from typing import Any

import pytest

from kbtf import record

SOURCE = """
class Type(NamedTuple):
    'A type and where it stands.'

    name: str
    type_id: int = 1
    members: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return f"[{self.type_id}] {self.name}"
"""


def made_with(named_tuple: object) -> Any:
    scope = {"NamedTuple": named_tuple, "__name__": __name__}
    exec(SOURCE, scope)  # noqa: S102
    return scope["Type"]


Type = made_with(record.NamedTuple)
Peer = made_with(typing.NamedTuple)


@pytest.mark.parametrize(
    "look",
    [
        lambda cls: cls._fields,
        lambda cls: cls._field_defaults,
        lambda cls: cls.__doc__,
        lambda cls: cls.__module__,
        lambda cls: cls.__bases__,
        lambda cls: typing.get_type_hints(cls),
        lambda cls: cls("int").shown,
        lambda cls: cls("int", 2, ("a",)),
        lambda cls: cls("int")._replace(type_id=3)._asdict(),
        lambda cls: repr(cls("int", members=())),
        lambda cls: hash(cls("int")),
    ],
)
def test_is_as_typings(look: Any) -> None:
    assert look(Type) == look(Peer)


def test_goes_to_another_process_and_comes_back() -> None:
    made = pickle.loads(pickle.dumps(Type("int", 7)))  # noqa: S301
    assert type(made) is Type
    assert made == ("int", 7, ())
