"""Exporting while the host runs: read on trio's thread, sent by another, and nothing waits for it.

A collector that is away costs what would have been told: counters go on, so the next export has them, and log lines wait in a
queue of MAX_LINES. That is counted, and logged once until it is over. What no collector would take is not kept: lines behind it
would never be sent.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum, auto
from functools import partial
from importlib.metadata import version
from typing import Final

import trio

from meshkit_fastprobe.in_turns import in_turns
from meshkit_fastprobe.model import OtlpSettings
from meshkit_fastprobe.telemetry.otlp.collecting import GroupTotals, collect
from meshkit_fastprobe.telemetry.otlp.messages import logs_request, metrics_request
from meshkit_fastprobe.telemetry.otlp.sending import Sender, SendError
from meshkit_fastprobe.telemetry.source import Source
from meshkit_fastprobe.telemetry.tracing import traced
from meshkit_fastprobe.telemetry.usage import OtlpUse

LINES_EVERY_S: Final = 5.0
MAX_LINES: Final = 4096
LAST_S: Final = 3.0
"""For what waits when the host leaves."""
LOGGER: Final = "meshkit_fastprobe"

log = logging.getLogger("meshkit_fastprobe.otlp")


class Lines(logging.Handler):
    """Keeps what is logged until it is sent; never blocks who logs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.waiting: deque[logging.LogRecord] = deque()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        for key, value in traced().items():  # known here alone: the thread that sends answers no request
            record.__dict__.setdefault(key, value)
        if len(self.waiting) >= MAX_LINES:
            self.dropped += 1
            return
        try:
            record.message = record.getMessage()  # here: what it is about goes on changing
        except Exception:  # noqa: BLE001 - whatever it is about may say
            self.dropped += 1  # handlers of people tell of it; writing to stderr, as logging does it, could block
            return
        self.waiting.append(record)


class Sent(Enum):
    """What became of an export."""

    TAKEN = auto()
    LATER = auto()
    NEVER = auto()
    """Not as it is, however often it is sent."""


class Exporter:
    """Of one host."""

    def __init__(self, settings: OtlpSettings, source: Source, resource: Mapping[str, str]) -> None:
        self._settings = settings
        self._source = source
        self._resource = {"service.name": "fastprobe", "service.version": version("meshkit-fastprobe"), **resource}
        self._sender = Sender(settings.endpoint, dict(settings.headers), settings.ca_file)
        self._totals = GroupTotals(source)
        self._lines = Lines()
        self._thread = trio.CapacityLimiter(1)
        self._started_ns = time.time_ns()
        self._exports = self._failures = 0
        self._silent = False
        self._told_left_out = False

    @property
    def use(self) -> OtlpUse:
        return OtlpUse(self._exports, self._failures, self._lines.dropped)

    async def run(self) -> None:
        """Until cancelled; then what waits is sent, within LAST_S."""
        ours = logging.getLogger(LOGGER)
        if self._settings.logs:
            ours.addHandler(self._lines)
        try:
            await self._go_on()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST_S):
                await self._send_metrics()
                await self._send_lines()
            ours.removeHandler(self._lines)

    async def _go_on(self) -> None:
        tick_s = min(LINES_EVERY_S, self._settings.interval_s)
        due_s = trio.current_time()
        while True:
            if trio.current_time() >= due_s:
                due_s = max(due_s + self._settings.interval_s, trio.current_time())
                await self._send_metrics()
            await self._send_lines()
            await trio.sleep(tick_s)

    async def _send_metrics(self) -> None:
        if not self._settings.metrics:
            return
        reading = await in_turns(collect(self._source, self._totals, per_probe=self._settings.per_probe))
        if reading.probes_left_out and not self._told_left_out:
            self._told_left_out = True
            log.warning("%d probes are not exported one by one; their groups hold them", reading.probes_left_out)
        make = partial(metrics_request, reading, self._resource, self._started_ns, time.time_ns())
        await self._send("/v1/metrics", lambda: self._sender.send("/v1/metrics", make()))

    async def _send_lines(self) -> None:
        waiting = list(self._lines.waiting)
        if not waiting:
            return
        sent = await self._send("/v1/logs", lambda: self._sender.send("/v1/logs", logs_request(waiting, self._resource)))
        if sent is Sent.LATER:
            return
        for _ in waiting:
            self._lines.waiting.popleft()
        if sent is Sent.NEVER:
            self._lines.dropped += len(waiting)

    async def _send(self, what: str, send: Callable[[], None]) -> Sent:
        try:
            # Whoever leaves does not wait for a collector that says nothing: the thread ends by its own patience.
            await trio.to_thread.run_sync(send, limiter=self._thread, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - telling of a host is never what ends it
            self._failures += 1
            if not self._silent:
                self._silent = True
                log.warning("nothing is exported to %s%s, and all else goes on: %s", self._settings.endpoint, what, error)
            return Sent.LATER if isinstance(error, SendError) and not error.final else Sent.NEVER
        self._exports += 1
        if self._silent:
            self._silent = False
            log.info("exported again to %s", self._settings.endpoint)
        return Sent.TAKEN
