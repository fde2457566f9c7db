"""A connection that is kept between two runs: one, and for no longer than it may idle."""

from __future__ import annotations

from typing import Annotated, Final, Generic, Protocol, TypeAlias, TypeVar

import trio
from msgspec import Meta

from meshkit_fastprobe.config.durations import DURATION_PATTERN, parse_duration
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

DEFAULT_IDLE: Final = "1m"
"""Less than servers and balancers commonly allow, so it is mostly us who end a connection."""
MAX_IDLE_S: Final = 86_400.0

IdleTimeout: TypeAlias = Annotated[float | str, Meta(extra_json_schema={"pattern": DURATION_PATTERN, "minimum": 0})]


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


def idle_seconds(where: str, value: float | str) -> float:
    """For how long a connection may idle; 0 until the target ends it."""
    idle_s = parse_duration(where, value)
    if idle_s > MAX_IDLE_S:
        raise ConfigError(where, f"{shown(value)} is more than 1d", "write less, or 0: until the target ends the connection")
    return idle_s


class Kept(Generic[C]):
    """What the run before has left for the next one."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._connection: C | None = None
        self._until_s = 0.0
        self._scope: trio.CancelScope | None = None  # of the task that waits for the end

    def put(self, connection: C) -> None:
        """Called in trio. The task belongs to no run, so it is a system task; one lives through many runs that come in time."""
        self._connection = connection
        if not self._idle_s:
            return
        self._until_s = trio.current_time() + self._idle_s
        if self._scope is None:
            self._scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._close_in_time, self._scope, name="idle connection")

    def take(self) -> C | None:
        """The connection, which is the caller's from now on."""
        connection, self._connection = self._connection, None
        return connection

    def close(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
            self._scope = None
        connection = self.take()
        if connection is not None:
            connection.close()

    async def _close_in_time(self, scope: trio.CancelScope) -> None:
        with scope:
            while self._connection is not None and trio.current_time() < self._until_s:  # noqa: ASYNC110 - runs move the end
                await trio.sleep_until(self._until_s)
            if scope is self._scope:  # no other has taken over since
                self.close()
