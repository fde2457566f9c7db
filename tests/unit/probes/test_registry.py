"""Kinds become known by name, and misuse is loud."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from meshkit_fastprobe.errors import ConfigError, DuplicateNameError
from meshkit_fastprobe.model import Lane
from meshkit_fastprobe.probes.base import lane_of
from meshkit_fastprobe.probes.builtin import builtin_kinds
from meshkit_fastprobe.probes.registry import MAX_KINDS, ProbeRegistry, probe_kind
from meshkit_fastprobe.probes.tcp import TcpProbe


class Queue(msgspec.Struct, frozen=True):
    kind: ClassVar[str] = "queue"
    target: str

    async def check(self) -> None: ...


def test_what_comes_with_the_package_is_known() -> None:
    assert {"dns", "http", "tcp"} <= set(builtin_kinds)
    assert builtin_kinds["tcp"] is TcpProbe


def test_a_kind_is_known_once_registered() -> None:
    registry = ProbeRegistry()
    assert probe_kind(registry)(Queue) is Queue
    assert "queue" in registry
    assert len(registry) == 1
    assert "queue" not in builtin_kinds


def test_a_taken_name_is_refused_and_the_first_owner_keeps_it() -> None:
    registry = ProbeRegistry()
    registry.register(Queue)
    with pytest.raises(DuplicateNameError, match="Queue wants a name that Queue has"):
        registry.register(Queue)
    assert registry["queue"] is Queue


def test_a_copy_takes_kinds_of_its_own() -> None:
    registry = builtin_kinds.copy()
    registry.register(Queue)
    assert "queue" not in builtin_kinds
    assert set(registry) == {*builtin_kinds, "queue"}


def test_kinds_are_bounded() -> None:
    registry = ProbeRegistry()
    for number in range(MAX_KINDS):
        registry.register(_kind(name=f"k{number}"))
    with pytest.raises(ConfigError, match="255 kinds"):
        registry.register(Queue)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Upper"}, "not a name for a kind"),
        ({"name": None}, "not a name for a kind"),
        ({"fields": []}, "no field named target"),
        ({"fields": ["target", "timeout"]}, "timeout is a key of every probe"),
        ({"fields": ["target", "name"]}, "name is a key of every probe"),
        ({"frozen": False}, "not a frozen msgspec Struct"),
        ({"methods": {}}, "no lane can run it"),
    ],
)
def test_a_class_that_cannot_be_a_kind_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ProbeRegistry().register(_kind(**changes))


def test_what_is_no_struct_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a frozen msgspec Struct"):
        ProbeRegistry().register(int)  # type: ignore[arg-type]  # a mistake of a plug-in


def test_the_lane_is_what_a_class_implements() -> None:
    assert lane_of(Queue) is Lane.TASK
    assert lane_of(_kind()) is Lane.THREAD
    assert lane_of(TcpProbe) is Lane.NATIVE
    assert lane_of(int) is None


def _kind(
    name: str | None = "made", fields: list[str] | None = None, *, frozen: bool = True, methods: dict[str, Any] | None = None
) -> type[msgspec.Struct]:
    methods = {"check": lambda _: None} if methods is None else methods
    names = ["target"] if fields is None else fields
    return msgspec.defstruct("Made", [(field, str) for field in names], namespace={"kind": name, **methods}, frozen=frozen)
