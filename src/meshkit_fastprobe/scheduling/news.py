"""What becomes of a move that is to be announced: a line of the log, and an item of every open stream."""

from __future__ import annotations

from collections.abc import Callable

from meshkit_fastprobe.aggregation.describe import describe
from meshkit_fastprobe.model import Transition
from meshkit_fastprobe.probes.catalog import Registration
from meshkit_fastprobe.scheduling.announcing import Move
from meshkit_fastprobe.scheduling.changes import Changes
from meshkit_fastprobe.telemetry.logs import log_transition


class News:
    """Says it in words of the wall clock; wall_s turns a moment of the scheduling clock into one of it."""

    def __init__(self, changes: Changes, wall_s: Callable[[int], float]) -> None:
        self._changes = changes
        self._wall_s = wall_s

    def __call__(self, registration: Registration, move: Move) -> None:
        change = Transition(
            name=registration.name,
            cluster=registration.options.cluster,
            namespace=registration.options.namespace,
            kind=registration.kind,
            before=move.before,
            after=move.after,
            reason=move.reason,
            message=registration.message or describe(move.result, move.reason, move.detail),
            at=self._wall_s(move.at_ns),
            flapping=move.flapping,
        )
        log_transition(change)
        self._changes.publish(change)
