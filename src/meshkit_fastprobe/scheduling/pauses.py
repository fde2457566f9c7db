"""Why a probe is not scheduled: it is paused by itself, or its kind is off on this host. One does not undo the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.probes.catalog import Catalog, Registration
from meshkit_fastprobe.scheduling.clocks import HostClocks, TrioClocks
from meshkit_fastprobe.turns import AT_ONCE


class Pauses:
    """Keeps the table's PAUSED states. `settled` is called after each change of one, to schedule the probe accordingly."""

    def __init__(
        self, catalog: Catalog, table: Table, clocks: HostClocks | TrioClocks, settled: Callable[[Registration], None]
    ) -> None:
        self._catalog = catalog
        self._table = table
        self._clocks = clocks
        self._settled = settled
        self.version = 0
        """Counts changes, so that who keeps what it has seen knows when that is old."""
        self._held: set[str] = set()
        self._kinds_off: frozenset[str] = frozenset()
        self._all_off = False

    def begin(self, added: Iterable[Registration]) -> None:
        """Probes that are new, and not yet scheduled."""
        for registration in added:
            if not registration.options.enabled:
                self._held.add(registration.name)
            if self._is_paused(registration):
                self._write(registration, paused=True)

    def hold(self, registration: Registration, *, held: bool) -> None:
        """Pause one probe, or let it go; while its kind is off it stays paused all the same."""
        if held:
            self._held.add(registration.name)
        else:
            self._held.discard(registration.name)
        self._settle(registration)

    def forget(self, registration: Registration) -> None:
        self._held.discard(registration.name)

    def is_off(self, kind: str) -> bool:
        """Whether probes of this kind are switched off."""
        return self._all_off or kind in self._kinds_off

    async def switch(self, kinds_off: frozenset[str], *, all_off: bool) -> None:
        """Stop scheduling these kinds, or all; and schedule the others again, but for probes that are paused by themselves."""
        before = {kind for kind in self._catalog.kinds if self.is_off(kind)}
        self._kinds_off, self._all_off = kinds_off, all_off
        switched = before ^ {kind for kind in self._catalog.kinds if self.is_off(kind)}
        for number, registration in enumerate([one for one in self._catalog if one.kind in switched], 1):
            if self._catalog.at(registration.slot) is registration:  # it may have been removed meanwhile
                self._settle(registration)
            if number % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    def _is_paused(self, registration: Registration) -> bool:
        return registration.name in self._held or self.is_off(registration.kind)

    def _settle(self, registration: Registration) -> None:
        self._write(registration, paused=self._is_paused(registration))
        self._settled(registration)

    def _write(self, registration: Registration, *, paused: bool) -> None:
        self.version += 1
        self._table.pause(registration.slot, registration.generation, self._clocks.schedule_ns(), paused)
