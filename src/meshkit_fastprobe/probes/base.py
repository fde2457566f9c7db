"""What a probe kind is: a small frozen description of what to ask of one target.

A kind belongs to exactly one lane, by what it implements:

- `NativeProbe`: `compile(address)` gives a target for the C engine; the name in it is resolved by the runtime.
- `AsyncProbe`: `async def check()` runs on trio in the task lane.
- `SyncProbe`: `def check()` runs on a worker thread in the thread lane.

Construction has no side effects. `check` returns an Outcome or None, or raises; it needs no timeout of its own. A kind that
refuses a value raises ConfigError with `Kind.field` for its place, which the loader turns into file, line and key.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.model import Lane, Outcome

Endpoint: TypeAlias = tuple[str, int] | str
"""(host name or literal, port), or the path of a unix socket."""


@runtime_checkable
class NativeProbe(Protocol):
    kind: ClassVar[str]

    @property
    def target(self) -> str:
        """What people see, and what the default name is made of."""

    @property
    def endpoint(self) -> Endpoint:
        """Where to connect."""

    def compile(self, host: str, port: int) -> Target:
        """The native target at a literal IP address (or unix path, port 0)."""


@runtime_checkable
class AsyncProbe(Protocol):
    kind: ClassVar[str]

    @property
    def target(self) -> str: ...

    def check(self) -> Awaitable[Outcome | None]:
        """An `async def`: that is how it is told from a SyncProbe."""


@runtime_checkable
class SyncProbe(Protocol):
    kind: ClassVar[str]

    @property
    def target(self) -> str: ...

    def check(self) -> Outcome | None: ...


Probe: TypeAlias = NativeProbe | AsyncProbe | SyncProbe

_lanes: dict[type, Lane] = {}


def lane_of(kind: type) -> Lane | None:
    """The lane of a class of probes, or None when it is no such class.

    Remembered per class: asking each of a hundred thousand objects whether it fits a protocol takes seconds. A class whose
    `check` is not a method says its lane itself, as `lane`.
    """
    lane = _lanes.get(kind)
    if lane is None and isinstance(getattr(kind, "kind", None), str) and hasattr(kind, "target"):
        check = getattr(kind, "check", None)
        if hasattr(kind, "compile") and hasattr(kind, "endpoint"):
            lane = Lane.NATIVE
        elif check is not None:
            lane = getattr(kind, "lane", Lane.TASK if inspect.iscoroutinefunction(check) else Lane.THREAD)
        if lane is not None:
            _lanes[kind] = lane
    return lane
