"""What a scenario came to, as data: the JSON report is this, and the JUnit report and the summary are made of it.

camelCase, units in names, absent instead of null, times as RFC 3339, as everywhere on the wire.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from meshkit_fastprobe.chaos.scenarios.conducting import Conduct, EndKind
from meshkit_fastprobe.chaos.scenarios.judging import Judged, Verdict
from meshkit_fastprobe.chaos.scenarios.step import StepLife

SCHEMA_VERSION: Final = 1
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Of a report."""


class ObjectiveReport(Part, frozen=True, kw_only=True):
    title: str
    metric: str
    bound: float
    verdict: str
    observed: float | str | None = None
    """A share, or seconds; "timeout" when it is longer than everything that is measured."""
    error: float = 0.0
    """The truth lies within this of what was observed."""
    sure: bool = False
    """The verdict would be the same wherever within the error the truth lies."""
    samples: int = 0
    why: str = ""


class MeasureReport(Part, frozen=True, kw_only=True):
    group: str
    probes: int
    hurt: int
    samples: int
    error_seconds: float
    detection_seconds: float | None = None
    recovery_seconds: float | None = None


class RunReport(Part, frozen=True, kw_only=True):
    """The run of a step on the host. receipt: the path of the signed one, and what its bytes are."""

    id: str
    plan_id: str
    phase: str
    why: str = ""
    injected_at: str | None = None
    reverted_at: str | None = None
    measures: list[MeasureReport] = []
    receipt: dict[str, str] | None = None


class RollbackReport(Part, frozen=True, kw_only=True):
    step: str
    order: int
    how: str
    at: str
    why: str = ""


class MoveReport(Part, frozen=True, kw_only=True):
    phase: str
    at: str
    why: str = ""


class StepReport(Part, frozen=True, kw_only=True):
    name: str
    phase: str
    seconds: float
    """From when it did more than wait to its end."""
    experiment: str | None = None
    needs: list[str] = []
    why: str = ""
    refused: bool = False
    began_at: str | None = None
    ended_at: str | None = None
    run: RunReport | None = None
    objectives: list[ObjectiveReport] = []
    moves: list[MoveReport] = []


class Report(Part, frozen=True, kw_only=True):
    """One go of one scenario at one host."""

    schema_version: int
    scenario: str
    host: str
    outcome: str
    began_at: str
    ended_at: str
    seconds: float
    version: str
    says: str = ""
    why: str = ""
    reason: str = ""
    ticket: str = ""
    steps: list[StepReport] = []
    objectives: list[ObjectiveReport] = []
    rollback: list[RollbackReport] = []

    def encoded(self) -> bytes:
        """As a document for people and programs: indented, in the order of the fields."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def report_of(conduct: Conduct, *, host: str, version: str, reason: str = "", ticket: str = "") -> Report:
    """Of one that is over."""
    assert conduct.ended_at is not None
    scenario, ending = conduct.plan.scenario, conduct.ending
    lives = [conduct.lives[step.name] for step in scenario.steps]
    undone = sorted((life for life in lives if life.rollback is not None), key=_order)
    return Report(
        schema_version=SCHEMA_VERSION,
        scenario=scenario.name,
        host=host,
        outcome=str(ending.kind),
        began_at=_time(conduct.began_at),
        ended_at=_time(conduct.ended_at),
        seconds=round(conduct.ended_at - conduct.began_at, 3),
        version=version,
        says=scenario.says,
        why=ending.why,
        reason=reason,
        ticket=ticket,
        steps=[_step(life) for life in lives],
        objectives=[_objective(one) for one in conduct.judged()],
        rollback=[_rollback(life) for life in undone],
    )


def is_well(report: Report) -> bool:
    """Whether everything passed and every objective was met."""
    return report.outcome == EndKind.COMPLETED


def report_schema() -> dict[str, Any]:
    """The JSON Schema of reports."""
    [report], parts = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    return {"$schema": DIALECT, "title": "fastprobe scenario report", **report, "$defs": parts}


def _order(life: StepLife) -> int:
    assert life.rollback is not None
    return life.rollback.order


def _step(life: StepLife) -> StepReport:
    began, ended = life.began_at, life.ended_at
    return StepReport(
        name=life.step.name,
        phase=str(life.phase),
        seconds=0.0 if began is None or ended is None else round(max(0.0, ended - began), 3),
        experiment=life.step.experiment,
        needs=list(life.step.needs),
        why=life.why,
        refused=life.is_refused,
        began_at=None if began is None else _time(began),
        ended_at=None if ended is None else _time(ended),
        run=_run(life),
        objectives=[_objective(one) for one in life.judged()] if began is not None else [],
        moves=[MoveReport(phase=str(move.phase), at=_time(move.at), why=move.why) for move in life.moves],
    )


def _run(life: StepLife) -> RunReport | None:
    seen, receipt = life.seen, life.receipt
    if seen is None:
        return None
    return RunReport(
        id=seen.id,
        plan_id=seen.plan,
        phase=str(seen.phase),
        why=seen.why,
        injected_at=None if seen.injected_at is None else _time(seen.injected_at),
        reverted_at=None if seen.reverted_at is None else _time(seen.reverted_at),
        measures=[
            MeasureReport(
                group=one.group,
                probes=one.probes,
                hurt=one.hurt,
                samples=one.samples,
                error_seconds=one.error_s,
                detection_seconds=one.detection_s,
                recovery_seconds=one.recovery_s,
            )
            for one in seen.measures
        ],
        receipt=None
        if receipt is None
        else {
            "path": receipt.path,
            "contentSha256": receipt.sha256,
            "signature": receipt.signature,
            "publicKey": receipt.public_key,
        },
    )


def _objective(judged: Judged) -> ObjectiveReport:
    observed: float | str | None = judged.observed
    if judged.observed is not None:
        observed = "timeout" if math.isinf(judged.observed) else round(judged.observed, 6)
    return ObjectiveReport(
        title=judged.objective.title,
        metric=str(judged.objective.metric),
        bound=judged.objective.bound,
        verdict=str(judged.verdict),
        observed=observed,
        error=round(judged.error, 6),
        sure=judged.is_sure and judged.verdict is not Verdict.UNMEASURED,
        samples=judged.samples,
        why=judged.why,
    )


def _rollback(life: StepLife) -> RollbackReport:
    rollback = life.rollback
    assert rollback is not None
    return RollbackReport(
        step=life.step.name, order=rollback.order, how=str(rollback.how), at=_time(rollback.at), why=rollback.why
    )


def _time(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
