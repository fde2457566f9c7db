"""What a probe kind is: a small frozen description of what to ask of one target.

A kind belongs to exactly one lane, by what it implements:

- `NativeProbe`: `compile(address)` gives a target for the C engine; the name in it is resolved by the runtime. Where there is
  no native lane (no epoll, or Settings.native_lane is off) the same probe runs on trio: by `interpret(address)`, or by a
  `check()` of its own.
- `AsyncProbe`: `async def check()` runs on trio in the task lane.
- `TrioProbe`: `interpret(address)` alone: on trio in the task lane as well, with its name resolved by the runtime, and with
  something to keep between runs.
- `JudgedProbe`: `judge(states)` on trio as well: its verdict follows from the states of other probes.
- `SyncProbe`: `def check()` runs on a worker thread in the thread lane.

Construction has no side effects. `check` returns an Outcome or None, or raises; it needs no timeout of its own. A kind that
refuses a value raises ConfigError with `Kind.field` for its place, which the loader turns into file, line and key.
"""

from __future__ import annotations

import errno
import inspect
from collections.abc import Awaitable, Mapping
from typing import ClassVar, Final, Protocol, TypeAlias, runtime_checkable

from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.model import Lane, Outcome, Reason, State

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


class OurLimit(Exception):  # noqa: N818 - it says nothing of the target, so it is no error of a check
    """Raised by a check that could not ask because of this host's own limits: the run is skipped for this reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


OUR_LIMITS: Final = {
    errno.EMFILE: Reason.DESCRIPTORS,
    errno.ENFILE: Reason.DESCRIPTORS,
    errno.ENOBUFS: Reason.MEMORY,
    errno.ENOMEM: Reason.MEMORY,
}
"""What a system call says when this host has run out of something, whoever the target is."""


class AsyncTarget(Protocol):
    """What a compiled target is to the engine: one probe at one address, asked on trio, with what it keeps between its runs."""

    @property
    def timed_out(self) -> Outcome:
        """What it would mean if the run in flight ended now, by its timeout.

        One that connects may have a `seen` as well, a Seen that it fills as it goes: for runs that are explained. One that is
        sent datagrams may have `strays`: how many of this run answered no question of its own.
        """

    def check(self) -> Awaitable[Outcome | None]:
        """One run; never two at once. An outcome it gives although its timeout has passed is taken."""

    def close(self) -> None:
        """Let go of what was kept. No run is in flight, and none follows."""


@runtime_checkable
class PortableProbe(NativeProbe, Protocol):
    def interpret(self, host: str, port: int) -> AsyncTarget:
        """The same as `compile`, for the task lane: same results, same reasons."""


@runtime_checkable
class TrioProbe(Protocol):
    kind: ClassVar[str]

    @property
    def target(self) -> str: ...

    @property
    def endpoint(self) -> Endpoint:
        """Where to connect."""

    def interpret(self, host: str, port: int) -> AsyncTarget:
        """What asks at a literal IP address (or unix path, port 0)."""


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


@runtime_checkable
class JudgedProbe(Protocol):
    kind: ClassVar[str]

    @property
    def target(self) -> str: ...

    @property
    def patterns(self) -> tuple[str, ...]:
        """Globs: whose states count."""

    def judge(self, states: Mapping[str, State]) -> Outcome:
        """The verdict, by the names of the members. OurLimit while it is open. rise and fall are 1: members have had theirs."""


Probe: TypeAlias = NativeProbe | TrioProbe | AsyncProbe | JudgedProbe | SyncProbe

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
        elif (hasattr(kind, "interpret") and hasattr(kind, "endpoint")) or is_judged(kind):
            lane = Lane.TASK
        elif check is not None:
            lane = getattr(kind, "lane", Lane.TASK if inspect.iscoroutinefunction(check) else Lane.THREAD)
        if lane is not None:
            _lanes[kind] = lane
    return lane


def is_judged(kind: type) -> bool:
    """Whether a class of probes gets its verdict from the states of others."""
    return hasattr(kind, "judge") and hasattr(kind, "patterns")


def runs_on_trio(kind: type) -> bool:
    """Whether a native kind can run on the task lane as well."""
    return hasattr(kind, "interpret") or inspect.iscoroutinefunction(getattr(kind, "check", None))
