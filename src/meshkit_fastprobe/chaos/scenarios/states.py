"""The life of one step, as a table: where it may go from where it stands."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class StepPhase(StrEnum):
    WAITING = "waiting"
    """For the steps it needs."""
    RESTING = "resting"
    """The wait before it."""
    CHECKING = "checking"
    """Whether what it requires holds, and whether the host would let it start."""
    APPROVING = "approving"
    """For a second person."""
    STARTING = "starting"
    """From here on its fault may be in force, and it is stopped whatever happens."""
    RUNNING = "running"
    LOOKING = "looking"
    """The hold after it, or a step without an experiment."""
    STOPPING = "stopping"
    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"


_P = StepPhase
ALLOWED: Final[dict[StepPhase, frozenset[StepPhase]]] = {
    _P.WAITING: frozenset({_P.RESTING, _P.CHECKING, _P.SKIPPED}),
    _P.RESTING: frozenset({_P.CHECKING, _P.SKIPPED}),
    _P.CHECKING: frozenset({_P.APPROVING, _P.STARTING, _P.LOOKING, _P.FAILED, _P.SKIPPED}),
    _P.APPROVING: frozenset({_P.STARTING, _P.FAILED, _P.SKIPPED}),
    _P.STARTING: frozenset({_P.RUNNING, _P.STOPPING, _P.FAILED}),
    _P.RUNNING: frozenset({_P.LOOKING, _P.STOPPING, _P.PASSED, _P.FAILED}),
    _P.LOOKING: frozenset({_P.PASSED, _P.FAILED, _P.STOPPING, _P.STOPPED}),
    _P.STOPPING: frozenset({_P.STOPPED, _P.FAILED}),
    _P.PASSED: frozenset(),
    _P.FAILED: frozenset(),
    _P.STOPPED: frozenset(),
    _P.SKIPPED: frozenset(),
}

OVER: Final = frozenset(phase for phase, onward in ALLOWED.items() if not onward)
UNTOUCHED: Final = frozenset({_P.WAITING, _P.RESTING, _P.CHECKING, _P.APPROVING})
"""Nothing has been hurt for its sake."""


def moved(now: StepPhase, onward: StepPhase) -> StepPhase:
    """The new phase. A move that the table does not have is a mistake of ours."""
    assert onward in ALLOWED[now], f"no way from {now} to {onward}"
    return onward
