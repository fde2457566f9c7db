"""What is known of one step under way: where it stands, its run, what it is judged by, how it was undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
import trio

from meshkit_fastprobe.chaos.scenarios.hands import Offered, ReceiptReference, Seen
from meshkit_fastprobe.chaos.scenarios.judging import Judged, Meter, Verdict, judge_measured
from meshkit_fastprobe.chaos.scenarios.planning import Planned
from meshkit_fastprobe.chaos.scenarios.states import OVER, StepPhase, moved
from meshkit_fastprobe.scenarios import MEASURED, Step


class StepMove(msgspec.Struct, frozen=True):
    """at: seconds since the epoch."""

    phase: StepPhase
    at: float
    why: str = ""


class Undone(StrEnum):
    """How a fault that was started came to its end."""

    ENDED = "ended"
    """By itself, which was seen."""
    STOPPED = "stopped"
    FAILED = "failed"
    """It could not be undone."""
    UNCONFIRMED = "unconfirmed"
    """The host could not be reached: it ends the fault when its time is over."""


NOT_UNDONE: Final = frozenset({Undone.FAILED, Undone.UNCONFIRMED})
"""Its fault may be in force."""


class Rollback(msgspec.Struct, frozen=True, kw_only=True):
    """order: from 1 on, in which steps were undone, the last one first."""

    order: int
    how: Undone
    at: float
    why: str = ""


class StepLife:
    """One step; one task moves it on, and rollback at the end."""

    def __init__(self, planned: Planned, tell: Callable[[StepLife], None]) -> None:
        self.planned = planned
        self.phase = StepPhase.WAITING
        self.why = ""
        self.moves = [StepMove(StepPhase.WAITING, time.time())]
        self.over = trio.Event()
        self.offered: Offered | None = None
        self.seen: Seen | None = None
        """Its run, when it was heard of last."""
        self.is_started = False
        """Whether it was asked to be activated, whatever came of that."""
        self.is_refused = False
        self.rests_until: float | None = None
        """trio's clock; of what it waits for, where that is known."""
        self.meters = [Meter(one) for one in planned.step.objectives if one.metric not in MEASURED]
        self.rollback: Rollback | None = None
        self.receipt: ReceiptReference | None = None
        self._tell = tell

    @property
    def step(self) -> Step:
        return self.planned.step

    @property
    def is_over(self) -> bool:
        return self.phase in OVER

    def move(self, phase: StepPhase, why: str = "") -> None:
        self.phase = moved(self.phase, phase)
        self.why = why or self.why
        self.moves.append(StepMove(phase, time.time(), why))
        self._tell(self)

    def saw(self, seen: Seen) -> None:
        """Take in what the host says of the run."""
        self.seen = seen
        if self.phase is StepPhase.STARTING and seen.injected_at is not None:
            self.move(StepPhase.RUNNING)

    def at(self, *phases: StepPhase) -> float | None:
        """When it came to the first of these that it came to."""
        return next((move.at for move in self.moves if move.phase in phases), None)

    @property
    def began_at(self) -> float | None:
        """When it did more than wait."""
        return self.at(StepPhase.STARTING, StepPhase.LOOKING)

    @property
    def ended_at(self) -> float | None:
        return self.at(*OVER)

    def judged(self) -> tuple[Judged, ...]:
        """In the order in which they were written."""
        meters = {id(meter.objective): meter for meter in self.meters}
        measures = () if self.seen is None else self.seen.measures
        return tuple(
            meters[id(one)].judged() if id(one) in meters else judge_measured(one, measures) for one in self.step.objectives
        )

    @property
    def missed(self) -> tuple[Judged, ...]:
        return tuple(one for one in self.judged() if one.verdict is not Verdict.MET)
