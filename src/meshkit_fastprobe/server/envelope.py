"""The house envelope, and what readers see of probes and groups. camelCase, units in names, absent instead of null.

JSON and MessagePack carry the same maps: times are RFC 3339 strings in both.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from meshkit_fastprobe.aggregation.groups import Group
from meshkit_fastprobe.aggregation.snapshot import ProbeView, RecentResult
from meshkit_fastprobe.model import Reason, RunReport
from meshkit_fastprobe.server.context import Request
from meshkit_fastprobe.server.negotiation import JSON, MSGPACK, MSGPACK_NAMES, choose
from meshkit_fastprobe.server.reply import Reply
from meshkit_fastprobe.server.reports import Body, ExplanationItem, ReportItem, report_item

SCHEMA_VERSION: Final = 1

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


class RecentItem(Body):
    at: str
    result: str
    latency_seconds: float
    reason: str | None = None
    message: str = ""
    detail: int = 0


class ProbeItem(Body):
    name: str
    kind: str
    lane: str
    target: str
    cluster: str
    namespace: str
    labels: dict[str, str]
    state: str
    since: str
    stale: bool
    suppressed: bool
    flapping: bool
    maintenance: bool
    interval_seconds: float
    timeout_seconds: float
    runs: dict[str, int]
    skipped: int
    transitions: int
    result: str | None = None
    reason: str | None = None
    message: str = ""
    detail: int = 0
    maintenance_reason: str | None = None
    switched_off: bool = False
    """Its kind is, on this host: it stays paused until that is switched on again."""
    latency_seconds: float | None = None
    last_run: str | None = None
    success_ratio: float | None = None
    p50_seconds: float | None = None
    p90_seconds: float | None = None
    p99_seconds: float | None = None
    beyond_range: list[str] = msgspec.field(default_factory=list)
    """Quantiles that lie among the timeouts, or above the largest bucket, and have no number."""
    recent: list[RecentItem] | None = None
    """Oldest first; in the view of a single probe."""
    failures: list[ReportItem] | None = None
    """Likewise, with their phases, however long ago."""


class GroupItem(Body):
    tags: dict[str, str]
    probes: int
    states: dict[str, int]
    stale: int
    runs: int
    results: dict[str, int]
    seconds: float
    """What the window really covers: less than its name says in the time after a start."""
    rate_per_second: float | None = None
    success_ratio: float | None = None
    p50_seconds: float | None = None
    p90_seconds: float | None = None
    p99_seconds: float | None = None
    beyond_range: list[str] = msgspec.field(default_factory=list)
    window: str | None = None
    buckets: dict[str, int] | None = None
    """Runs by the inclusive upper bound of their bucket in seconds, "inf" for timeouts; with buckets=true."""


class AuditItem(Body):
    seq: int
    at: str
    boot_id: str
    actor: str
    action: str
    result: str
    scope: str = ""
    reason: str = ""
    ticket: str = ""
    detail: str = ""
    late: bool = False
    """Written after what it tells of: the disk had refused it before."""


class ToggleItem(Body):
    name: str
    value: bool | str
    version: int
    does: str
    choices: list[str] = msgspec.field(default_factory=list)
    ceiling: bool | str | None = None
    changed_at: str | None = None
    changed_by: str = ""
    reason: str = ""


class ReloadItem(Body):
    """What a reload came to, in probes."""

    added: int
    removed: int
    changed: int
    untouched: int
    needs_restart: bool
    """Settings that a running host cannot change differ from those it runs with."""


class Envelope(Body):
    schema_version: int
    generated_at: str
    host: str
    item: Body | None = None
    items: list[Any] | msgspec.Raw | None = None
    explanation: ExplanationItem | None = None
    next_page_token: str | None = None
    warnings: list[str] | None = None
    """What is wrong with the host itself, though it answers."""


def envelope_reply(request: Request, envelope: Envelope) -> Reply:
    """In the form the reader prefers; of a list with an etag, which the moment of its making does not change."""
    json = choose(request.accept, (JSON, *MSGPACK_NAMES)) == JSON
    encode = _json.encode if json else _msgpack.encode
    headers = {"vary": "accept, accept-encoding"}
    if envelope.items is not None:
        items = encode(envelope.items)
        told = blake2b(items, digest_size=12, person=b"json" if json else b"msgpack")
        told.update((envelope.next_page_token or "").encode())
        headers["etag"] = f'W/"{told.hexdigest()}"'
        envelope = msgspec.structs.replace(envelope, items=msgspec.Raw(items))
    return Reply(200, JSON if json else MSGPACK, encode(envelope), headers)


def rfc3339(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def probe_item(
    view: ProbeView,
    recent: list[RecentResult] | None = None,
    failures: list[RunReport] | None = None,
    *,
    switched_off: bool = False,
) -> ProbeItem:
    result, reason = view.result, view.reason
    numbers, beyond = _quantiles(view)
    return ProbeItem(
        name=view.name,
        kind=view.kind,
        lane=view.lane.name.lower(),
        target=view.target,
        cluster=view.cluster,
        namespace=view.namespace,
        labels=dict(view.labels),
        state=view.state.name.lower(),
        since=rfc3339(view.since),
        stale=view.stale,
        suppressed=view.suppressed,
        flapping=view.flapping,
        maintenance=view.maintenance is not None,
        maintenance_reason=view.maintenance or None,
        switched_off=switched_off,
        interval_seconds=view.interval_s,
        timeout_seconds=view.timeout_s,
        runs=view.runs,
        skipped=view.skipped,
        transitions=view.transitions,
        result=None if result is None else result.name.lower(),
        reason=_reason(reason),
        message=view.message,
        detail=view.detail,
        latency_seconds=_finite(view.latency_s),
        last_run=None if view.last_run is None else rfc3339(view.last_run),
        success_ratio=_finite(view.success_ratio),
        recent=None if recent is None else [_recent_item(one) for one in recent],
        failures=[report_item(one, rfc3339(one.at)) for one in failures] if failures else None,
        beyond_range=beyond,
        **numbers,
    )


def group_item(group: Group) -> GroupItem:
    numbers, beyond = _quantiles(group)
    return GroupItem(
        tags=group.tags,
        probes=group.probes,
        states=group.states,
        stale=group.stale,
        runs=group.runs,
        results=group.results,
        seconds=group.seconds,
        rate_per_second=_finite(group.rate_per_s),
        success_ratio=_finite(group.success_ratio),
        beyond_range=beyond,
        window=group.window,
        buckets=None if group.buckets is None else {repr(bound_s): runs for bound_s, runs in group.buckets.items()},
        **numbers,
    )


def _recent_item(recent: RecentResult) -> RecentItem:
    return RecentItem(
        at=rfc3339(recent.at),
        result=recent.result.name.lower(),
        latency_seconds=recent.latency_s,
        reason=_reason(recent.reason),
        message=recent.message,
        detail=recent.detail,
    )


def _reason(reason: Reason | None) -> str | None:
    return None if reason is None or reason is Reason.NONE else str(reason)


def _quantiles(source: ProbeView | Group) -> tuple[dict[str, Any], list[str]]:
    """JSON has no infinity: a quantile beyond the histogram is named instead of numbered."""
    values = {"p50": source.p50_s, "p90": source.p90_s, "p99": source.p99_s}
    numbers = {f"{name}_seconds": _finite(value) for name, value in values.items()}
    return numbers, [name for name, value in values.items() if value is not None and math.isinf(value)]


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
