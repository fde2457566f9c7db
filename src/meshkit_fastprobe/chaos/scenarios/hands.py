"""The host, as a scenario can touch it: through the same verbs as a person, with a plan and a confirmation for each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from meshkit_fastprobe.chaos.run import Measure
from meshkit_fastprobe.chaos.scenarios.judging import Sums
from meshkit_fastprobe.chaos.states import FINAL, Phase
from meshkit_fastprobe.experiments import Selector

_GONE = FINAL | {Phase.RECOVERING}


class HostRefusedError(Exception):
    """The host says no. what and fix are sentences for the operator."""

    def __init__(self, what: str, fix: str = "") -> None:
        self.what = what
        self.fix = fix
        super().__init__(what)


class HostLostError(Exception):
    """The host gives no answer: what was asked for may have happened all the same."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A run, as the host tells it. Times are seconds since the epoch, of the host's clock."""

    id: str
    phase: Phase
    plan: str
    why: str = ""
    approved_by: str | None = None
    injected_at: float | None = None
    ends_at: float | None = None
    reverted_at: float | None = None
    measures: tuple[Measure, ...] = ()
    manual: str = ""
    """How a person undoes it."""

    @property
    def is_over(self) -> bool:
        return self.phase in FINAL

    @property
    def is_gone(self) -> bool:
        """Whether its fault is not in force, and never will be."""
        return self.phase in _GONE


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What was prepared. shown: what a person is shown of the plan, and says yes to; lasts_s: how long the token is good."""

    run: Seen
    token: str
    lasts_s: float
    two_person: bool
    shown: Mapping[str, object]
    resources: frozenset[str] = frozenset()


class ReceiptReference(msgspec.Struct, frozen=True, kw_only=True):
    """Where the signed receipt of a run is, and of which bytes."""

    path: str
    sha256: str
    signature: str
    public_key: str


class Hands(Protocol):
    """Every verb may raise HostRefusedError or HostLostError."""

    async def prepare(self, experiment: str) -> Offered:
        """Freeze and judge; changes nothing out there."""

    async def activate(self, experiment: str, token: str) -> Seen:
        """Confirm and inject: returns once the fault is in force, or was refused."""

    async def run(self, experiment: str, run: str) -> Seen:
        """How this very run stands."""

    async def stop(self, experiment: str, run: str, reason: str) -> Seen:
        """End this run, or take back what was prepared; another run of the same experiment is left alone."""

    async def in_force(self) -> Mapping[str, str]:
        """Runs of anybody that are not over: run by experiment."""

    async def toggles(self) -> Mapping[str, bool | str]: ...

    async def sums(self, probes: Selector) -> Sums: ...

    async def receipt(self, run: str) -> ReceiptReference: ...
