"""Placement: what the engine is told of a probe, and when it will run.

The runtime registers probes in the catalog and the table; this is where registrations become engine commands: phases for a
batch, native targets compiled, names handed to the resolver, schedules changed when a state or a pause asks for it.
"""

from __future__ import annotations

from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

import numpy as np
import trio
from numpy.typing import NDArray

from meshkit_fastprobe._native.engine import Engine
from meshkit_fastprobe._native.target import Target
from meshkit_fastprobe.in_turns import in_turns
from meshkit_fastprobe.model import Lane, Outcome, State
from meshkit_fastprobe.probes.base import AsyncTarget, Endpoint, NativeProbe, PortableProbe, Probe, is_judged
from meshkit_fastprobe.probes.catalog import Registration
from meshkit_fastprobe.probes.fixed import FixedTarget
from meshkit_fastprobe.probes.targets import is_literal
from meshkit_fastprobe.probes.via import Ip, Via
from meshkit_fastprobe.scheduling.explaining import Lookup
from meshkit_fastprobe.scheduling.pacing import NEVER, first_run, name_fraction, rank
from meshkit_fastprobe.scheduling.resolver import Name, Resolver, lookup
from meshkit_fastprobe.scheduling.sharing import Sharing
from meshkit_fastprobe.scheduling.sorting import argsort
from meshkit_fastprobe.turns import AT_ONCE, Turns, finish

NS: Final = 1_000_000_000
PLACING_NS: Final = 10_000
"""What placing one probe of a batch costs, roughly."""
PLACED_AT_ONCE: Final = 256
"""Probes placed between two turns of the event loop: some 3 ms, so that a million do not hold it for ten seconds."""


class Clock(Protocol):
    def schedule_ns(self) -> int: ...


def interval_ns(interval_s: float) -> int:
    """In whole milliseconds, as the wheel keeps it."""
    return max(1, round(interval_s * 1000)) * 1_000_000


def place_phases(registrations: Sequence[Registration], now_ns: int, window_ns: int) -> Turns[NDArray[np.int64]]:
    """Set due_ns of each by rank within its class; comes to the extra first run of each, NEVER where there is none."""
    # Not lists of a million: a collection of the youngest objects would visit what each of them holds, for a tenth of a second.
    classes: defaultdict[tuple[str, str, int, float], tuple[array[int], array[float]]] = defaultdict(
        lambda: (array("q"), array("d"))
    )
    for index, registration in enumerate(registrations):
        options = registration.options
        indices, hashes = classes[options.cluster, options.namespace, interval_ns(options.interval_s), options.initial_delay_s]
        indices.append(index)
        hashes.append(name_fraction(registration.name))
        if index % AT_ONCE == AT_ONCE - 1:
            yield
    first = np.full(len(registrations), NEVER, np.int64)
    for (cluster, namespace, every_ns, delay_s), (indices, hashes) in classes.items():
        fractions = yield from rank(np.array(hashes), name_fraction(f"{cluster}/{namespace}/{every_ns}"))
        not_before_ns = now_ns + int(delay_s * NS)
        for begin in range(0, len(indices), AT_ONCE):
            some = slice(begin, begin + AT_ONCE)
            for index, fraction in zip(indices[some], fractions[some].tolist(), strict=True):
                registrations[index].due_ns, first[index] = first_run(fraction, every_ns, not_before_ns, window_ns)
            yield
    return first


class _Batch:
    """Probes on their way to the engine, in the order in which they first run. Arrays: there may be a million."""

    def __init__(self, registrations: list[Registration], now_ns: int) -> None:
        self._registrations = registrations
        self._now_ns = now_ns
        self._order = np.empty(0, np.intp)
        self._firsts = np.empty(0, np.int64)
        self._taken = 0

    def settle(self, window_ns: int) -> Turns[None]:
        """Phases and order: before anything is taken."""
        self._firsts = yield from place_phases(self._registrations, self._now_ns, window_ns)
        begins = np.empty(len(self._registrations), np.int64)
        for begin in range(0, len(begins), AT_ONCE):
            begins[begin : begin + AT_ONCE] = [one.due_ns for one in self._registrations[begin : begin + AT_ONCE]]
            yield
        np.minimum(begins, self._firsts, out=begins, where=self._firsts != NEVER)
        self._order = yield from argsort(begins)

    @property
    def left(self) -> int:
        return len(self._order) - self._taken

    def take(self, n: int) -> list[tuple[Registration, int]]:
        """The next n, with their extra first runs."""
        picked = self._order[self._taken : self._taken + n]
        self._taken += len(picked)
        return [
            (self._registrations[index], first_ns)
            for index, first_ns in zip(picked, self._firsts[picked].tolist(), strict=True)
        ]


class Placement:
    """Keeps the engine's view of every probe in step with the registrations.

    A native kind that runs on the task lane gets its target there, by `point`, and the engine holds its schedule alone.
    """

    def __init__(
        self,
        engine: Engine,
        resolver: Resolver,
        clock: Clock,
        first_window_s: float,
        point: Callable[[Registration, AsyncTarget], None],
        is_current: Callable[[Registration], bool],
        flush: Callable[[], None],
        state: NDArray[np.uint8],
        sharing: Sharing,
        judged: Callable[[Registration], AsyncTarget],
        interval_s: Callable[[Registration], float],
    ) -> None:
        """state: the table's column; what is paused is known there, and nowhere else. interval_s: the one in force now."""
        self._engine = engine
        self._state = state.data  # reading one cell of an array costs NumPy twenty times as much
        self._sharing = sharing
        self._judged = judged
        self._interval_s = interval_s
        self._is_current = is_current
        self._flush = flush
        self._point_lane = point
        self._resolver = resolver
        self._clock = clock
        self._first_window_ns = int(first_window_s * NS)
        self._by_name: defaultdict[Name, dict[int, Registration]] = defaultdict(dict)
        self._placed = bytearray(
            len(state)
        )  # by slot: the engine knows it; others are in the queue, or their name is looked up
        self._queue: deque[_Batch] = deque()
        self._queued = trio.Event()
        self._asked_for: set[int] = set()  # of those: run_once wants them as soon as they are placed
        self._firsts: dict[int, tuple[int, int]] = {}  # of those whose name is looked up: the extra first run, and since when

    def place(self, registrations: list[Registration]) -> int:
        """Schedule probes that were just registered, all together so that their phases are even; the moment they count from.

        A large batch is left to `run`: its phases are settled, and the engine is told first of those that are due first.
        """
        # What falls due while the rest of a large batch is still being placed would start late, and all at once.
        now_ns = self._clock.schedule_ns() + len(registrations) * PLACING_NS
        if len(registrations) <= PLACED_AT_ONCE:
            firsts = finish(place_phases(registrations, now_ns, self._first_window_ns))
            for registration, first_ns in zip(registrations, firsts.tolist(), strict=True):
                if self._is_current(registration):  # it may have been removed before the session began to place
                    self._place_one(registration, first_ns)
            self._flush()
            return now_ns
        self._queue.append(_Batch(registrations, now_ns))
        self._queued.set()
        return now_ns

    async def run(self) -> None:
        """Tell the engine of large batches, a little at each turn of the event loop."""
        while True:
            await self._queued.wait()
            await self._tell(self._queue.popleft())
            if not self._queue:
                self._queued = trio.Event()

    async def _tell(self, batch: _Batch) -> None:  # apart: while `run` waits it holds no batch, 24 bytes a probe
        await in_turns(batch.settle(self._first_window_ns))
        while batch.left:
            for registration, first_ns in batch.take(PLACED_AT_ONCE):
                if self._is_current(registration):
                    self._place_one(registration, first_ns)
            self._flush()
            await trio.lowlevel.checkpoint()

    def _place_one(self, registration: Registration, first_ns: int) -> None:
        # What fell due while its batch was placed runs late; but for the last of them, the engine counts it as skipped.
        every_ns, own_ns = self._interval_ns(registration), interval_ns(registration.options.interval_s)
        due_ns = registration.due_ns if every_ns == own_ns else self._next_due(registration, every_ns)
        probe = registration.probe
        endpoint = _endpoint_of(registration.lane, probe)
        if endpoint is None:
            if is_judged(type(probe)):
                self._point_lane(registration, self._judged(registration))
            self._add(registration, None, first_ns, due_ns)
        elif isinstance(endpoint, str) or is_literal(endpoint[0]):
            host, port = (endpoint, 0) if isinstance(endpoint, str) else endpoint
            self._add(registration, self._target(registration, probe, host, port), first_ns, due_ns)
        else:
            self._await_name(registration, Name(endpoint[0], _ip_of(probe)), first_ns)

    def _await_name(self, registration: Registration, name: Name, first_ns: int) -> None:
        if first_ns != NEVER:
            self._firsts[registration.slot] = first_ns, self._clock.schedule_ns()
        self._by_name[name][registration.slot] = registration
        self._resolver.use(name)
        if self._resolver.answer(name) is not None:
            self._point(registration, name)

    def remove(self, registration: Registration) -> None:
        slot = registration.slot
        self._asked_for.discard(slot)
        self._firsts.pop(slot, None)
        if self._placed[slot]:
            self._placed[slot] = False
            self._engine.remove(slot, registration.generation)
            self._sharing.leave(registration)
        name = _name_of(registration)
        if name is not None and self._by_name.get(name, {}).pop(slot, None) is not None:
            self._resolver.leave(name)
            if not self._by_name[name]:
                del self._by_name[name]

    def run_now(self, registration: Registration, *, explain: bool = False) -> None:
        """One run now, or as soon as the engine knows the probe."""
        if self._placed[registration.slot]:
            self._engine.run(registration.slot, registration.generation, explain=explain)
        else:
            self._asked_for.add(registration.slot)

    async def look_up(self, registration: Registration) -> Lookup | None:
        """Ask for the name of a target once more, beside what is in use; None when it has none."""
        name = _name_of(registration)
        if name is None:
            return None
        began_s = trio.current_time()
        found = await lookup(name)
        return Lookup(tuple(found) if isinstance(found, list) else (), trio.current_time() - began_s)

    def reschedule(self, registration: Registration) -> None:
        """Tell the engine the schedule now in force: the same phase, at the interval that the state asks for."""
        if not self._placed[registration.slot]:
            return
        every_ns = self._interval_ns(registration)
        self._engine.schedule(
            registration.slot,
            registration.generation,
            self._next_due(registration, every_ns),
            every_ns,
            int(registration.options.timeout_s * NS),
            jitter_ms=round(registration.options.jitter_s * 1000),
        )

    def heard(self, registration: Registration, *, ok: bool) -> None:
        """A real call passed or failed: no run is due for a while, or one now."""
        slot, defers_s = registration.slot, registration.options.passive_defers_s
        if defers_s is None or not self._placed[slot]:
            return
        if ok:
            self._engine.defer(slot, registration.generation, self._clock.schedule_ns() + int(defers_s * NS))
        else:
            self._engine.hasten(slot, registration.generation)

    def changed(self, name: Name) -> None:
        """The resolver has a new answer: point every probe of this name at it."""
        for registration in list(self._by_name.get(name, {}).values()):
            self._point(registration, name)

    def _point(self, registration: Registration, name: Name) -> None:
        answer = self._resolver.answer(name)
        assert answer is not None, "asked before the resolver knew"
        if isinstance(answer, Outcome):
            target = self._unresolved(registration, answer)
        else:
            probe = registration.probe
            port = cast("tuple[str, int]", _endpoint_of(registration.lane, probe))[1]
            target = self._target(registration, probe, answer, port)
        if not self._placed[registration.slot]:
            due_ns = self._next_due(registration, self._interval_ns(registration))
            self._add(registration, target, self._first_ns(registration, due_ns), due_ns)
        elif target is not None:
            self._engine.retarget(registration.slot, registration.generation, target)

    def _first_ns(self, registration: Registration, due_ns: int) -> int:
        """The extra first run, as much later as its name took to look up, so that they stay as spread as they were."""
        first_ns, since_ns = self._firsts.pop(registration.slot, (NEVER, 0))
        if first_ns == NEVER:
            return NEVER
        first_ns += self._clock.schedule_ns() - since_ns
        return first_ns if first_ns < due_ns else NEVER

    def _target(self, registration: Registration, probe: Probe, host: str, port: int) -> Target | None:
        """What the engine is to ask; None when the task lane asks."""
        if registration.lane is Lane.NATIVE:
            return cast("NativeProbe", probe).compile(host, port)
        self._point_lane(registration, cast("PortableProbe", probe).interpret(host, port))
        return None

    def _unresolved(self, registration: Registration, outcome: Outcome) -> Target | None:
        if registration.lane is Lane.NATIVE:
            return Target.unresolved(outcome.result, outcome.reason)
        self._point_lane(registration, FixedTarget(outcome))
        return None

    def _add(self, registration: Registration, target: Target | None, first_ns: int, due_ns: int) -> None:
        paused = self._state[registration.slot] == State.PAUSED
        self._engine.add(
            registration.slot,
            registration.generation,
            registration.lane,
            NEVER if paused else due_ns,
            self._interval_ns(registration),
            int(registration.options.timeout_s * NS),
            first_ns=NEVER if paused else first_ns,
            jitter_ms=round(registration.options.jitter_s * 1000),
            target=target,
            group=self._sharing.enter(registration),
        )
        self._placed[registration.slot] = True
        if registration.slot in self._asked_for:
            self._asked_for.discard(registration.slot)
            self._engine.run(registration.slot, registration.generation)

    def _interval_ns(self, registration: Registration) -> int:
        """The one in force."""
        return interval_ns(self._interval_s(registration))

    def _next_due(self, registration: Registration, every_ns: int) -> int:
        if self._state[registration.slot] == State.PAUSED:
            return NEVER
        now_ns = self._clock.schedule_ns()
        if registration.due_ns >= now_ns and every_ns == interval_ns(registration.options.interval_s):
            return registration.due_ns
        return now_ns + (registration.due_ns - now_ns) % every_ns


def _endpoint_of(lane: Lane, probe: Probe) -> Endpoint | None:
    """Where a native kind connects; None for one that knows no addresses, or looks after them itself."""
    if lane is Lane.NATIVE or (lane is Lane.TASK and hasattr(type(probe), "interpret")):
        return cast("NativeProbe", probe).endpoint
    return None


def _ip_of(probe: Probe) -> Ip:
    """Which addresses of its target's name a probe wants."""
    via = getattr(probe, "via", None)
    return via.wanted if isinstance(via, Via) else "any"


def _name_of(registration: Registration) -> Name | None:
    """The host name that a probe needs resolved, if any."""
    probe = registration.probe
    endpoint = _endpoint_of(registration.lane, probe)
    if endpoint is None or isinstance(endpoint, str) or is_literal(endpoint[0]):
        return None
    return Name(endpoint[0], _ip_of(probe))
