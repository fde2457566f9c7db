"""Which probes there are: each change of that in the catalog, in the table, and in the session while there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe.model import ProbeOptions
from meshkit_fastprobe.probes.base import Probe
from meshkit_fastprobe.probes.catalog import Catalog, Registration
from meshkit_fastprobe.probes.registrar import Registrar
from meshkit_fastprobe.scheduling.announcing import Announcer
from meshkit_fastprobe.scheduling.clocks import HostClocks, TrioClocks
from meshkit_fastprobe.scheduling.paces import Paces
from meshkit_fastprobe.scheduling.pauses import Pauses
from meshkit_fastprobe.scheduling.session import Session


class Roster:
    """Adds, adjusts and removes probes, one or some at once."""

    def __init__(
        self,
        catalog: Catalog,
        registrar: Registrar,
        *,
        clocks: HostClocks | TrioClocks,
        failures: Failures,
        paces: Paces,
        pauses: Pauses,
        announcer: Announcer,
        session: Callable[[], Session | None],
    ) -> None:
        """session: the one that runs now. What is added while there is none is placed by whoever starts one."""
        self.catalog = catalog
        self.registrar = registrar
        self._clocks = clocks
        self._failures = failures
        self._paces = paces
        self._pauses = pauses
        self._announcer = announcer
        self._session = session

    def add(self, names: Sequence[str], probes: Sequence[Probe], options: Iterable[ProbeOptions]) -> None:
        """All or none."""
        added = self.registrar.register(names, probes, options, self._clocks.schedule_ns())
        self._pauses.begin(added)
        self.place(added)

    def enter(self, names: Sequence[str], probes: Sequence[Probe], options: Sequence[ProbeOptions]) -> list[Registration]:
        """Some of many that were found allowed: `place` all together afterwards, so that their phases are even."""
        added = self.registrar.enter(names, probes, options, self._clocks.schedule_ns())
        self._pauses.begin(added)
        return added

    def place(self, added: list[Registration]) -> None:
        """Schedule them, while there is a session."""
        session = self._session()
        if session is not None:
            session.place(added)

    def remove(self, registration: Registration) -> None:
        """One that somebody wants no more; a reload under way does not bring it back."""
        self.drop([registration])
        self._announcer.settle()
        if self.catalog.kept is not None:
            self.catalog.kept.given_up.add(registration.name)

    def drop(self, registrations: Sequence[Registration]) -> None:
        """Some of many: call `settle` of the announcer after the last."""
        for registration in registrations:
            self.registrar.remove(registration)
            self._failures.forget(registration.slot)
            self._paces.forget(registration.slot)
            self._announcer.drop(registration)
            self._pauses.forget(registration)
        session = self._session()
        if session is not None:
            session.remove(registrations)

    def adjust(self, registration: Registration, options: ProbeOptions) -> bool:
        """New options for the same question to the same target: in place, state kept. False when it needs a new slot.

        One of many: `reschedule` them, and call `settle` of the announcer, after the last.
        """
        was_enabled = registration.options.enabled
        if not self.registrar.adjust(registration, options):
            return False
        if self._paces.moved(registration, self._clocks.schedule_ns()):
            self.registrar.configure(registration)
        if options.enabled != was_enabled:
            self._pauses.hold(registration, held=not options.enabled)
        return True

    def reschedule(self, registrations: Sequence[Registration]) -> None:
        """Tell the engine how often they run now."""
        session = self._session()
        if session is not None:
            session.reschedule(registrations)

    def pace(self, registration: Registration) -> None:
        """Schedule a probe as its options ask for in the state that it is in now: at which interval, or not at all."""
        self.registrar.configure(registration)
        self.reschedule([registration])
