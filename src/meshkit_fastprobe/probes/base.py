"""What a probe kind is: a small frozen description of what to ask of one target.

A kind belongs to exactly one lane, by what it implements:

- `NativeProbe`: `compile(address)` gives a target for the C engine; the name in it is resolved by the runtime.
- `AsyncProbe`: `async def check()` runs on trio in the task lane.
- `SyncProbe`: `def check()` runs on a worker thread in the thread lane.

Construction has no side effects. `check` returns an Outcome or None, or raises; it needs no timeout of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.model import Outcome

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
        """An `async def`: that is how the runtime tells it from a SyncProbe."""


@runtime_checkable
class SyncProbe(Protocol):
    kind: ClassVar[str]

    @property
    def target(self) -> str: ...

    def check(self) -> Outcome | None: ...


Probe: TypeAlias = NativeProbe | AsyncProbe | SyncProbe
