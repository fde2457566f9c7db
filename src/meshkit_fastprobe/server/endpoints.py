"""The endpoints as their host has them: opened with it, and left in good order before it stops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import trio

from meshkit_fastprobe.errors import MissingExtraError
from meshkit_fastprobe.telemetry.tracing import Sampler
from meshkit_fastprobe.telemetry.usage import AuditUse, ChaosUse, HistoryUse, OtlpUse, Requests, Usage

if TYPE_CHECKING:
    import socket
    import ssl

    # These need the extra `server`, as does everything that is imported when the endpoints are opened.
    from meshkit_fastprobe.chaos.conductor import Conductor
    from meshkit_fastprobe.security.audit import Audit


class Given:
    """What was handed in through control.ControlEndpoint: nothing, mostly.

    app, in_flight, idle: of an app that is mounted elsewhere; the app is there while the host runs.
    """

    def __init__(self) -> None:
        self.listener: socket.socket | None = None
        self.context: ssl.SSLContext | None = None
        self.mounted = False
        self.app: Any = None
        self.in_flight = 0
        self.idle = trio.Event()


class Endpoints:
    """Nothing is imported or opened before `open`. May be opened again once it was left."""

    def __init__(self) -> None:
        self.address: str | None = None
        """Where they listen, once they do."""
        self.local_token: str | None = None
        """The bearer token of this host, while they are served."""
        self.audit: Audit | None = None
        """The record of who did what, while they are served."""
        self.given = Given()
        """What whoever embeds the host has handed in."""
        self.sampler = Sampler()
        """Which requests are traced."""
        self.requests = Requests()
        """How they are used, since the host was made."""
        self._leaving: trio.Event | None = None
        self._drains = False
        self._gone = trio.Event()

    @property
    def leaving(self) -> bool:
        """Whether whoever looks for somebody to ask should look elsewhere."""
        return self._drains or (self._leaving is not None and self._leaving.is_set())

    def usage(
        self, decisions: Mapping[tuple[str, bool], int], chaos: Conductor | None, history: HistoryUse, otlp: OtlpUse
    ) -> Usage:
        """decisions: what the gate answered."""
        audit = AuditUse() if self.audit is None else self.audit.use
        experiments = ChaosUse() if chaos is None else chaos.tally.read(chaos.experiments.values())
        return Usage(decisions, audit, self.requests, experiments, history, otlp)

    async def open(self, host: Any, nursery: trio.Nursery) -> None:
        """Serve in this nursery. ConfigError when that cannot be, MissingExtraError without the libraries."""
        try:
            from meshkit_fastprobe.server.serve import serve
        except ModuleNotFoundError as error:
            raise MissingExtraError("Settings.server", "server") from error
        self._leaving, self._gone, self._drains = trio.Event(), trio.Event(), False

        async def run(task_status: trio.TaskStatus[str]) -> None:
            assert self._leaving is not None
            try:
                await serve(host, self, self._leaving, task_status=task_status)
            finally:
                self.address = self.local_token = self.audit = None
                self._gone.set()

        self.address = await nursery.start(run)

    async def leave(self, drain_s: float = 0.0) -> None:
        """Readiness goes first; after drain_s what is being answered is ended. That takes some seconds, also when cancelled."""
        if self._leaving is None:
            return
        self._drains = True
        try:
            with trio.move_on_after(drain_s):
                await self._gone.wait()
        finally:
            self._leaving.set()
            with trio.CancelScope(shield=True):
                await self._gone.wait()
