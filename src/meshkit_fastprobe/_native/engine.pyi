from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe._native.target import Target

NATIVE_LANE: bool
"""Whether this build has one: False where there is no epoll."""

@final
class Engine:
    """The C engine: commands down, records up. All times in nanoseconds on the scheduling clock; -1 means never.

    Commands are gathered and posted by flush(); what a full ring does not take stays gathered, in order, so nothing is lost.
    """

    def __new__(
        cls,
        *,
        capacity: int,
        connections: int = 1024,
        record_ring: int = 131072,
        command_ring: int = 16384,
        events_per_step: int = 64,
        tick_ns: int = 1_000_000,
        notify_ns: int = 5_000_000,
        manual_clock: bool = False,
        now_ns: int = -1,
        groups: int = 1,
        nice: int = 0,
    ) -> Engine: ...
    @property
    def notify_fd(self) -> int:
        """An eventfd, readable when records wait."""
    @property
    def poll_fd(self) -> int:
        """Readable when step() has socket work."""
    @property
    def running(self) -> bool:
        """Whether the engine's own thread runs."""
    def budget(self, group: int, *, max_in_flight: int = 0, weight: int = 1, every_ns: int = 0, burst_ns: int = 0) -> None:
        """Bound a group, before its first probe; 0 is no bound."""
    def group_stats(self, group: int) -> dict[str, int]:
        """Counters of fp_group_stats by name; each is current, together they are no snapshot."""
    def start(self) -> None: ...
    def stop(self) -> None:
        """Stop and join the thread; calm when it does not run. The GIL is released while waiting."""
    def close(self) -> None:
        """Stop and give back descriptors and memory, now and not when the last reference goes. Nothing works after it."""
    def step(self, now_ns: int) -> int:
        """One bounded step; the time of the next deed, 0 for at once, -1 for none known."""
    def wait(self, until_ns: int) -> None:
        """Wait for sockets or commands, without the GIL."""
    def add(
        self,
        slot: int,
        generation: int,
        lane: int,
        due_ns: int,
        interval_ns: int,
        timeout_ns: int,
        *,
        first_ns: int = -1,
        jitter_ms: int = 0,
        target: Target | None = None,
        group: int = 0,
    ) -> None: ...
    def remove(self, slot: int, generation: int) -> None: ...
    def schedule(
        self, slot: int, generation: int, due_ns: int, interval_ns: int, timeout_ns: int, *, jitter_ms: int = 0
    ) -> None:
        """Change when; due_ns -1 pauses."""
    def retarget(self, slot: int, generation: int, target: Target) -> None: ...
    def run(self, slot: int, generation: int, *, explain: bool = False) -> None: ...
    def finish(self, slot: int, generation: int) -> None: ...
    def deadline(self, slot: int, generation: int, due_ns: int) -> None: ...
    def defer(self, slot: int, generation: int, until_ns: int) -> None: ...
    def hasten(self, slot: int, generation: int) -> None: ...
    def flush(self) -> int:
        """Post what was gathered; how many commands are still gathered."""
    def drain(self, out: NDArray[np.void]) -> int:
        """Take records (layout.RECORD) up to the length of out; clears the notification first."""
    def drain_traces(self, failures: Failures) -> list[dict[str, Any]]:
        """Take the traces there are: failures are remembered, runs that were to be explained are returned (see trace.h)."""
    def stats(self) -> dict[str, int]: ...
    def check(self) -> str | None:
        """None, or the first broken invariant. Only while not running."""

def notices_of(records: NDArray[np.void], n: int) -> list[tuple[int, int, int, int, int]]:
    """Of the first n records (layout.RECORD) those for the lanes: (slot, generation, started_ns, detail, event), in order."""
