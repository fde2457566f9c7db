"""How many restarts an hour this host is good for: kept on the disk, so that restarting the conductor buys no more."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from meshkit_fastprobe.chaos.faults.base import FaultError, FaultHost

SERVICE: Final = "restart_budget"
FILE: Final = "restarts.json"
MAX_PER_HOUR: Final = 6
HOUR_S: Final = 3600.0
MAX_FILE_BYTES: Final = 64 * 1024


class RestartBudget:
    """Of one host. path: where it is kept; None: in memory, for the life of this process."""

    def __init__(
        self, path: Path | None = None, max_per_hour: int = MAX_PER_HOUR, wall_clock: Callable[[], float] = time.time
    ) -> None:
        if max_per_hour < 0:
            raise ValueError(f"{max_per_hour} restarts an hour; 0 allows none")
        self.max_per_hour = max_per_hour
        self._path = path
        self._wall_clock = wall_clock
        self._taken: list[float] = []
        self._lock = threading.Lock()

    def left(self) -> int:
        """FaultError: the file cannot be read, so nobody knows."""
        with self._lock:
            return max(0, self.max_per_hour - len(self._recent()))

    def take(self) -> None:
        """Use up one, on the disk before it returns. FaultError: none is left, or it could not be written down."""
        with self._lock:
            recent = self._recent()
            if len(recent) >= self.max_per_hour:
                again_s = HOUR_S - (self._wall_clock() - min(recent)) if recent else HOUR_S
                minutes = max(1, round(again_s / 60))
                raise FaultError(f"{self.max_per_hour} restarts an hour are used up on this host; the next in {minutes} min")
            self._write([*recent, self._wall_clock()])

    def _recent(self) -> list[float]:
        """Those within an hour. One from the future, when the clock was set back, counts: the doubt is for the service."""
        return [moment for moment in self._read() if self._wall_clock() - moment < HOUR_S]

    def _read(self) -> list[float]:
        if self._path is None:
            return self._taken
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=list[float])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            raise FaultError(f"the restarts of the last hour cannot be read from {self._path}: {error}; remove it") from error

    def _write(self, moments: list[float]) -> None:
        if self._path is None:
            self._taken = moments
            return
        beside = self._path.with_suffix(".new")
        try:
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(moments))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise FaultError(f"a restart cannot be written down at {self._path}: {error.strerror}; none without it") from error


_in_memory = RestartBudget()


def budget_of(host: FaultHost) -> RestartBudget:
    """The host's own as the service `restart_budget`, or the usual one beside its other state."""
    try:
        found = host.service(SERVICE)
    except KeyError:
        return _in_memory if host.state_dir is None else RestartBudget(host.state_dir / FILE)
    assert isinstance(found, RestartBudget), "the service restart_budget is a RestartBudget"
    return found
