"""Probes whose verdict is computed from the states of others: at their interval, and as soon as one of the others moves."""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, cast

import trio

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.batch import RecordBatch
from meshkit_fastprobe.model import Outcome, State
from meshkit_fastprobe.probes.base import JudgedProbe, OurLimit, is_judged
from meshkit_fastprobe.probes.catalog import Catalog, Registration
from meshkit_fastprobe.scheduling.outcomes import TIMED_OUT

MAX_DETAIL: Final = 65_535

_special = re.compile(r"[*?\[]")


class Quorums:
    """Who is judged by whom. Looked up anew when probes have come or gone, and only if something is judged at all."""

    def __init__(
        self,
        catalog: Catalog,
        states: memoryview,
        batch: RecordBatch,
        wake_ingest: Callable[[], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._states = states
        self._batch = batch
        self._wake_ingest = wake_ingest
        self._now_ns = now_ns
        self._version = -1
        self._judged: set[int] = set()  # slots of those that the engine was told of
        self._members: dict[int, list[Registration]] = {}
        self._watchers: defaultdict[int, list[Registration]] = defaultdict(list)
        self._touched: dict[int, Registration] = {}
        self._wanted = trio.Event()

    def target(self, registration: Registration) -> JudgedTarget:
        """What the task lane asks for this probe."""
        self._judged.add(registration.slot)
        self._version = -1
        return JudgedTarget(self, registration)

    def forget(self, slot: int) -> None:
        self._judged.discard(slot)
        self._touched.pop(slot, None)

    def moved(self, slots: Iterable[int]) -> None:
        """These have another state: who is judged by them is judged again, with the next turn of the event loop."""
        if not self._judged:
            return
        self._look_up()
        for slot in slots:
            for registration in self._watchers.get(slot, ()):
                self._touched[registration.slot] = registration
        if self._touched:
            self._wanted.set()

    async def run(self) -> None:
        """Judge what was touched, each once, however many of its members moved together."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            touched, self._touched = self._touched, {}
            for registration in touched.values():
                self._report(registration)
            self._wake_ingest()

    def judge(self, registration: Registration) -> Outcome:
        """OurLimit when too little is known."""
        self._look_up()
        members = self._members.get(registration.slot, ())
        # While a reload is under way some of them may be gone already.
        states = {one.name: State(self._states[one.slot]) for one in members if self._catalog.at(one.slot) is one}
        return cast("JudgedProbe", registration.probe).judge(states)

    def _report(self, registration: Registration) -> None:
        """Beside the scheduled runs, so it counts as a passive result."""
        if self._catalog.at(registration.slot) is not registration:
            return
        try:
            outcome = self.judge(registration)
        except OurLimit:
            return  # the next scheduled run says so
        registration.message = outcome.message
        self._batch.append(
            registration.slot,
            registration.generation,
            self._now_ns(),
            0,
            0,
            min(outcome.detail, MAX_DETAIL),
            outcome.result | layout.PASSIVE,
            outcome.reason,
        )

    def _look_up(self) -> None:
        if self._version == self._catalog.version:
            return
        if self._version >= 0 and self._catalog.kept is not None:
            return  # of a reload once is enough, at its end: looking through all names takes longer than a step of it
        self._version = self._catalog.version
        self._members.clear()
        self._watchers.clear()
        for slot in self._judged:
            registration = self._catalog.at(slot)
            if registration is None:
                continue
            members = self._members[slot] = self._matching(cast("JudgedProbe", registration.probe).patterns)
            for member in members:
                self._watchers[member.slot].append(registration)

    def _matching(self, patterns: Iterable[str]) -> list[Registration]:
        """Without those that are judged themselves: so there are no circles."""
        by_name = self._catalog.by_name
        found: dict[str, Registration] = {}
        for pattern in patterns:
            if not _special.search(pattern):
                names: Iterable[str] = (pattern,) if pattern in by_name else ()
            else:
                names = filter(re.compile(fnmatch.translate(pattern)).match, by_name)
            found.update((name, by_name[name]) for name in names)
        return [member for member in found.values() if not is_judged(type(member.likeness))]


class JudgedTarget:
    """One such probe as the task lane sees it."""

    timed_out = TIMED_OUT

    def __init__(self, quorums: Quorums, registration: Registration) -> None:
        self._quorums = quorums
        self._registration = registration

    async def check(self) -> Outcome:
        return self._quorums.judge(self._registration)

    def close(self) -> None:
        """It keeps nothing."""
