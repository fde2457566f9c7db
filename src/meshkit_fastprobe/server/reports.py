"""How runs are told more closely on the wire: explained ones, and remembered failures."""

from __future__ import annotations

from typing import Any

import msgspec

from meshkit_fastprobe.model import Explanation, Phases, Reason, RunReport


class Body(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, gc=False):
    """Fields with a default are absent while they say nothing."""


class PhasesItem(Body):
    """Seconds since just before the first packet; absent: not reached, or not measured."""

    resolve_seconds: float | None = None
    connect_seconds: float | None = None
    tls_seconds: float | None = None
    first_byte_seconds: float | None = None
    total_seconds: float | None = None


class ReportItem(Body):
    at: str
    result: str
    latency_seconds: float
    phases: PhasesItem
    reason: str | None = None
    message: str = ""
    detail: int = 0
    round_trip_seconds: float | None = None
    retransmissions: int = 0
    status: int = 0
    connection: str = ""


class ExplanationItem(ReportItem, kw_only=True):
    name: str
    kind: str
    lane: str
    target: str
    lag_seconds: float
    addresses: list[str] = []
    local: str = ""
    peer: str = ""
    headers: list[tuple[str, str]] = []
    body_bytes: int = 0
    facts: list[tuple[str, str]] = []


def report_item(report: RunReport, at: str) -> ReportItem:
    """at: the report's time as text."""
    return ReportItem(**_common(report, at))


def explanation_item(told: Explanation, at: str) -> ExplanationItem:
    return ExplanationItem(
        **_common(told, at),
        name=told.name,
        kind=told.kind,
        lane=told.lane.name.lower(),
        target=told.target,
        lag_seconds=told.lag_s,
        addresses=list(told.addresses),
        local=told.local,
        peer=told.peer,
        headers=list(told.headers),
        body_bytes=told.body_bytes,
        facts=list(told.facts),
    )


def _common(report: RunReport, at: str) -> dict[str, Any]:
    return {
        "at": at,
        "result": report.result.name.lower(),
        "latency_seconds": report.latency_s,
        "phases": _phases(report.phases),
        "reason": None if report.reason is Reason.NONE else str(report.reason),
        "message": report.message,
        "detail": report.detail,
        "round_trip_seconds": report.round_trip_s,
        "retransmissions": report.retransmissions,
        "status": report.status,
        "connection": report.connection,
    }


def _phases(phases: Phases) -> PhasesItem:
    return PhasesItem(
        resolve_seconds=phases.resolve_s,
        connect_seconds=phases.connect_s,
        tls_seconds=phases.tls_s,
        first_byte_seconds=phases.first_byte_s,
        total_seconds=phases.total_s,
    )
