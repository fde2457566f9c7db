"""What the product says to the log: one line a transition, within a budget.

Logger "meshkit_fastprobe.probes"; fields are attributes of the record: probe, kind, cluster, namespace, before, after, reason,
explanation, at (seconds since the epoch). When a whole network goes away, ten thousand equal lines tell nobody more than the
first hundred: what exceeds the budget is counted, and the counts are logged. /probes and the metrics have them all.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from meshkit_fastprobe.model import State, Transition

BURST_LINES: Final = 100
LINES_PER_S: Final = 10.0

_LEVELS: Final = {State.DEGRADED: logging.WARNING, State.UNHEALTHY: logging.ERROR}

log = logging.getLogger("meshkit_fastprobe.probes")


class TransitionLog:
    """A token bucket before the logger. The first line held back is announced; the counts follow with the next that passes."""

    def __init__(
        self, *, burst: int = BURST_LINES, lines_per_s: float = LINES_PER_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._lines_per_s = lines_per_s
        self._clock = clock
        self._tokens = float(burst)
        self._refilled_at = clock()
        self._held_back: Counter[State] = Counter()

    def write(self, change: Transition) -> None:
        level = _LEVELS.get(change.after, logging.INFO)
        if not log.isEnabledFor(level):
            return
        if not self._take():
            self._hold_back(change)
            return
        self.flush()
        why = f": {change.message}" if change.message else ""
        log.log(
            level,
            "%s %s -> %s%s%s",
            change.name,
            change.before.name.lower(),
            change.after.name.lower(),
            why,
            "; it flaps: told again when it has come to rest" if change.flapping else "",
            extra={
                "probe": change.name,
                "kind": change.kind,
                "cluster": change.cluster,
                "namespace": change.namespace,
                "before": change.before.name.lower(),
                "after": change.after.name.lower(),
                "reason": str(change.reason),
                "explanation": change.message,
                "at": change.at,
            },
        )

    def flush(self) -> None:
        """Tell what was held back since the last time, if anything."""
        if not self._held_back:
            return
        counts = {state.name.lower(): count for state, count in sorted(self._held_back.items())}
        self._held_back.clear()
        told = ", ".join(f"{count} to {state}" for state, count in counts.items())
        log.warning(
            "%d more transitions were not logged one by one: %s", sum(counts.values()), told, extra={"held_back": counts}
        )

    def _take(self) -> bool:
        now = self._clock()
        self._tokens = min(float(self._burst), self._tokens + (now - self._refilled_at) * self._lines_per_s)
        self._refilled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _hold_back(self, change: Transition) -> None:
        if not self._held_back:
            log.warning("more than %d transitions at once: only counted until it calms down", self._burst)
        self._held_back[change.after] += 1


_of_this_process = TransitionLog()


def log_transition(change: Transition) -> None:
    """Log one transition within this process's budget."""
    _of_this_process.write(change)


def flush_transitions() -> None:
    """Log the counts of what was held back: when stopping, so that nothing stays untold."""
    _of_this_process.flush()
