"""From what the engine and the lanes told of a run to what people read of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe._native import layout
from meshkit_fastprobe.aggregation.describe import describe
from meshkit_fastprobe.model import Explanation, Outcome, Phases, Reason, Result, RunReport
from meshkit_fastprobe.probes.catalog import Registration
from meshkit_fastprobe.probes.seeing import Seen

FAILING_PROBES: Final = 16_384
"""Probes whose last failures are remembered, eight each: the ones that failed last. 6 MB at most."""

MAX_HEAD_BYTES: Final = 4096

HIDDEN: Final = "(not shown)"
_SECRET: Final = frozenset({"set-cookie", "set-cookie2", "authentication-info", "proxy-authentication-info"})

Record = tuple[int, int, int, int, int, int, int, int]
"""The fields of layout.RECORD."""


class Lookup(msgspec.Struct, frozen=True):
    """What the name of a target came to just now, and how long that took."""

    addresses: tuple[str, ...]
    resolve_s: float


def of_trace(
    registration: Registration, trace: Mapping[str, Any], record: Record, at: float, lookup: Lookup | None
) -> Explanation:
    """A native run. `record` is what was counted; `trace` says more."""
    result, reason = Result(record[6]), Reason(record[7])
    return Explanation(
        name=registration.name,
        kind=registration.kind,
        lane=registration.lane,
        target=registration.target,
        at=at,
        result=result,
        reason=reason,
        detail=record[5],
        message=describe(result, reason, record[5]),
        latency_s=record[3] / 1e9,
        lag_s=record[4] / 1e6,
        phases=_phases(trace["connect_us"], trace["first_byte_us"], trace["total_us"], lookup),
        round_trip_s=_seconds(trace["rtt_us"]),
        retransmissions=trace["retransmissions"],
        status=trace["status"],
        connection=_connection(trace["flags"], trace["connect_us"]),
        addresses=lookup.addresses if lookup else (),
        local=trace["local"],
        peer=trace["peer"],
        headers=headers_of(trace["head"]),
        body_bytes=trace["body_bytes"],
        facts=(("handshake", "half: reset instead of the last acknowledgement"),) if trace["flags"] & layout.TRACE_HALF else (),
    )


def of_outcome(
    registration: Registration, outcome: Outcome | None, seen: Seen | None, record: Record, at: float, lookup: Lookup | None
) -> Explanation:
    """A run of a Python lane, which measures from around the callable; its kind may know more, its target have seen more."""
    result, reason = Result(record[6]), Reason(record[7])
    if outcome is not None and outcome.phases is not None:
        told = outcome.phases
    else:
        told = Phases() if seen is None else msgspec.structs.replace(seen.phases, total_s=None)
    phases = msgspec.structs.replace(
        told,
        total_s=record[3] / 1e9 if told.total_s is None else told.total_s,
        resolve_s=lookup.resolve_s if lookup and told.resolve_s is None else told.resolve_s,
    )
    return Explanation(
        name=registration.name,
        kind=registration.kind,
        lane=registration.lane,
        target=registration.target,
        at=at,
        result=result,
        reason=reason,
        detail=record[5],
        message=registration.message or describe(result, reason, record[5]),
        latency_s=record[3] / 1e9,
        lag_s=record[4] / 1e6,
        phases=phases,
        addresses=lookup.addresses if lookup else (),
        facts=outcome.facts if outcome else (),
        **({} if seen is None else _seen(seen)),
    )


def _seen(seen: Seen) -> dict[str, Any]:
    return {
        "status": seen.status,
        "connection": seen.connection,
        "local": seen.local,
        "peer": seen.peer,
        "headers": headers_of(head_of(seen.headers)),
        "body_bytes": seen.body_bytes,
    }


def head_of(headers: list[tuple[bytes, bytes]]) -> bytes:
    """As they would have come by HTTP/1.1, as much of them as the engine would have kept."""
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers)[:MAX_HEAD_BYTES]


def of_failures(rows: NDArray[np.void], now_ns: int, wall_s: float) -> list[RunReport]:
    """Remembered failures (layout.FAILURE), oldest first."""
    return [
        RunReport(
            at=wall_s - (now_ns - started_ns) / 1e9,
            result=Result(result),
            reason=Reason(reason),
            detail=detail,
            message=describe(Result(result), Reason(reason), detail),
            latency_s=latency_us / 1e6,
            phases=_phases(connect_us, first_byte_us, latency_us, None, tls_us),
            round_trip_s=_seconds(rtt_us),
            retransmissions=retransmissions,
            status=status,
            connection=_connection(flags, connect_us),
        )
        for (
            started_ns,
            latency_us,
            connect_us,
            tls_us,
            first_byte_us,
            rtt_us,
            detail,
            status,
            result,
            reason,
            retransmissions,
            flags,
            _reserved,
        ) in rows.tolist()
    ]


def headers_of(head: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values of the final answer's head, as they came; secrets among the values are left out."""
    pairs: list[tuple[str, str]] = []
    for line in head.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if line.startswith("HTTP/"):
            pairs = []  # what came before was an interim answer
        elif colon:
            pairs.append((name, HIDDEN if name.lower() in _SECRET else value.strip()))
    return tuple(pairs)


def known_failure(outcome: Outcome, seen: Seen | None, started_ns: int, latency_ns: int) -> NDArray[np.void] | None:
    """A failure of a Python lane as layout.FAILURE; None when nothing is known of it but what its record says."""
    if outcome.result not in _FAILURES:
        return None
    phases = outcome.phases or (seen.phases if seen else None)
    if phases is None:
        return None
    status, connection = (seen.status, seen.connection) if seen else (0, "")
    row = (
        started_ns,
        min(latency_ns // 1000, layout.UNREACHED),
        _us(phases.connect_s),
        _us(phases.tls_s),
        _us(phases.first_byte_s),
        layout.UNREACHED,
        _in_two_bytes(outcome.detail),
        _in_two_bytes(status),
        outcome.result,
        outcome.reason,
        0,
        _FLAGS.get(connection, 0),
        0,
    )
    return np.array([row], layout.FAILURE)


_FAILURES: Final = frozenset({Result.FAIL, Result.TIMEOUT, Result.ERROR})
_FLAGS: Final = {"kept": layout.TRACE_KEPT, "retried": layout.TRACE_RETRIED}


def _in_two_bytes(number: int) -> int:
    """What a target or a probe says may be any number; RecordBatch bounds the record's detail so, too."""
    return min(max(number, 0), 0xFFFF)


def _us(seconds: float | None) -> int:
    """What cannot be, as before the beginning, was not reached."""
    if seconds is None or not 0.0 <= seconds * 1e6 < layout.UNREACHED:
        return layout.UNREACHED
    return int(seconds * 1e6 + 0.5)


def _phases(
    connect_us: int, first_byte_us: int, total_us: int, lookup: Lookup | None, tls_us: int = layout.UNREACHED
) -> Phases:
    return Phases(
        resolve_s=lookup.resolve_s if lookup else None,
        connect_s=_seconds(connect_us),
        tls_s=_seconds(tls_us),
        first_byte_s=_seconds(first_byte_us),
        total_s=_seconds(total_us),
    )


def _seconds(us: int) -> float | None:
    return None if us == layout.UNREACHED else us / 1e6


def _connection(flags: int, connect_us: int) -> str:
    if flags & layout.TRACE_KEPT:
        return "kept"
    if connect_us == layout.UNREACHED:
        return ""
    return "retried" if flags & layout.TRACE_RETRIED else "new"
