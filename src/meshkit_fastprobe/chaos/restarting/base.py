"""What can be restarted, each in its own way: who it is now, its restart, and whether a new one is there."""

from __future__ import annotations

from typing import Protocol

from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultHost, Way


class Restarter(Protocol):
    """One way of restarting one target. Made of what people wrote, checked, without side effects."""

    @property
    def manual(self) -> str:
        """What a person does when it does not come back."""

    @staticmethod
    def way(host: FaultHost) -> Way:
        """Whether anything can be restarted in this way here. Called in a thread; asks nobody but this host."""

    async def usable(self, host: FaultHost) -> Backing: ...

    async def identify(self, host: FaultHost) -> dict[str, str]:
        """Who it is now: what tells it from the one that comes after. FaultError: it is not there, or must not be restarted."""

    async def restart(self, host: FaultHost, was: dict[str, str], grace_s: float) -> None:
        """Restart the one that it was, and no other. FaultError: it could not be, or it is another already."""

    async def seen(self, host: FaultHost, was: dict[str, str]) -> Effect:
        """In force: another than it was is there, as far as this way can tell."""
