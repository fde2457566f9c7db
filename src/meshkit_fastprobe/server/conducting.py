"""The conductor's surroundings at a host that serves: its audit, its toggles, its events."""

from __future__ import annotations

from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.surroundings import Surroundings
from meshkit_fastprobe.security.audit import Audit
from meshkit_fastprobe.security.toggles import Toggles
from meshkit_fastprobe.server.events import Events
from meshkit_fastprobe.server.host import Host
from meshkit_fastprobe.server.telling import tell_move


class Served:
    def __init__(self, host: Host, audit: Audit, toggles: Toggles, events: Events) -> None:
        self.audit = audit
        self._host = host
        self._toggles = toggles
        self._events = events

    def is_on(self, toggle: str) -> bool:
        """False for one that there is not: what nobody can switch on is off."""
        return toggle in self._toggles.declared and self._toggles[toggle].value is True

    def tell(self, run: Run) -> None:
        tell_move(self._host, run, self._events)


_: type[Surroundings] = Served
