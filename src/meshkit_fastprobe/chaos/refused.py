"""Why a verb was refused: the one kind of error that the conductor's verbs raise."""

from __future__ import annotations

from enum import StrEnum

from meshkit_fastprobe.errors import FastprobeError


class Refusal(StrEnum):
    UNKNOWN = "unknown_experiment"
    DUPLICATE = "duplicate_experiment"
    GUARDED = "chaos_refused"
    WRONG_PHASE = "chaos_wrong_phase"
    CONFIRMATION = "confirmation_refused"
    UNAVAILABLE = "chaos_unavailable"


class ChaosRefusedError(FastprobeError):
    """Nothing was done. what and fix are sentences for the operator; reasons has every one of them, where there are several."""

    def __init__(self, kind: Refusal, what: str, fix: str = "", reasons: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.what = what
        self.fix = fix
        self.reasons = reasons or (what,)
        super().__init__(what)


def guarded(experiment_id: str, why_not: list[str]) -> ChaosRefusedError:
    """Of what the guardrails say."""
    what = f"{experiment_id} may not run: {'; '.join(why_not)}"
    return ChaosRefusedError(Refusal.GUARDED, what, "nothing was injected", tuple(why_not))
