"""Every metric this package exposes: one table, from which both renderers and docs/reference/metrics.md are made."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

MetricType = Literal["gauge", "counter", "histogram", "info"]


class Metric(msgspec.Struct, frozen=True):
    """A metric family. `name` is what queries say: counters with _total, infos with _info."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name OpenMetrics and prometheus-client give the family: without the suffix of its only sample."""
        return self.name.removesuffix("_total").removesuffix("_info")


PROBE_LABELS: Final = ("probe", "kind", "cluster", "namespace")
GROUP_LABELS: Final = ("cluster", "namespace")

PROBE_STATE: Final = Metric(
    "meshkit_probe_state",
    "gauge",
    "State after rise and fall: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy, 4 paused.",
    PROBE_LABELS,
)
PROBE_SUCCESS: Final = Metric(
    "meshkit_probe_success", "gauge", "Whether the last run passed (ok or degraded); absent before the first run.", PROBE_LABELS
)
PROBE_RUNS: Final = Metric("meshkit_probe_runs_total", "counter", "Results, passive ones included.", (*PROBE_LABELS, "result"))
PROBE_DURATION: Final = Metric(
    "meshkit_probe_duration_seconds",
    "histogram",
    "Latency from the first packet to the verdict; timeouts count in +Inf only, and in the sum at their own value.",
    PROBE_LABELS,
)
PROBE_TRANSITIONS: Final = Metric("meshkit_probe_transitions_total", "counter", "Changes of state.", PROBE_LABELS)

GROUP_PROBES: Final = Metric("meshkit_group_probes", "gauge", "Registered probes by state.", (*GROUP_LABELS, "state"))
GROUP_SUCCESS: Final = Metric(
    "meshkit_group_success",
    "gauge",
    "Share (0 to 1) of the probes that have run whose last run passed; absent before the first.",
    GROUP_LABELS,
)
GROUP_RUNS: Final = Metric(
    "meshkit_group_runs_total",
    "counter",
    "Results, passive ones and those of removed probes included.",
    (*GROUP_LABELS, "result"),
)
GROUP_DURATION: Final = Metric(
    "meshkit_group_duration_seconds",
    "histogram",
    "Latency as in meshkit_probe_duration_seconds, removed probes included.",
    GROUP_LABELS,
)
GROUP_TRANSITIONS: Final = Metric(
    "meshkit_group_transitions_total", "counter", "Changes of state, removed probes included.", GROUP_LABELS
)
GROUP_FLAPPING: Final = Metric(
    "meshkit_group_flapping", "gauge", "Probes whose changes are too frequent to be announced one by one.", GROUP_LABELS
)

SKIPPED: Final = Metric(
    "meshkit_probe_skipped_total",
    "counter",
    "Runs that were due and did not happen, by our own reason; never the target's.",
    ("reason",),
)
DEFERRED: Final = Metric(
    "meshkit_probe_deferred_total", "counter", "Runs that were due and not needed: a real call had passed shortly before."
)
SCHEDULER_LAG: Final = Metric("meshkit_scheduler_lag_seconds", "histogram", "How late scheduled runs started.")
RING_DROPPED: Final = Metric("meshkit_ring_dropped_total", "counter", "Results lost to a full ring; zero on a healthy host.")
SYN_RETRANSMISSIONS: Final = Metric(
    "meshkit_syn_retransmissions_total",
    "counter",
    "Connection requests sent again before the handshake of a TCP probe came about.",
)
STRAY_DATAGRAMS: Final = Metric(
    "meshkit_stray_datagrams_total",
    "counter",
    "Datagrams dropped because they answered no question of the DNS or ICMP probe they came to.",
)
BUDGET_IN_FLIGHT: Final = Metric(
    "meshkit_budget_in_flight", "gauge", "Runs in flight of a group that shares this host, in all lanes.", ("group",)
)
BUDGET_WAITING: Final = Metric(
    "meshkit_budget_waiting", "gauge", "Due runs of a group that wait for a connection, a worker or its budget.", ("group",)
)
BUDGET_SKIPPED: Final = Metric(
    "meshkit_budget_skipped_total",
    "counter",
    "Runs of a group that waited and were not served: saturated (no connection or worker), budget (its own bound).",
    ("group", "reason"),
)
DECISIONS: Final = Metric(
    "meshkit_authorization_decisions_total",
    "counter",
    "Answers to whether a principal may do something at the endpoints: allow, deny.",
    ("permission", "decision"),
)
AUDIT_RECORDS: Final = Metric("meshkit_audit_records_total", "counter", "Records that the audit has written.")
AUDIT_HEAD: Final = Metric(
    "meshkit_audit_head_sequence", "gauge", "Number of the last record of the audit: one that falls was cut, or put back."
)
AUDIT_LATE: Final = Metric(
    "meshkit_audit_late_records", "gauge", "Records of what was stopped or refused that wait for a disk that takes them."
)
AUDIT_LOST: Final = Metric(
    "meshkit_audit_lost_total", "counter", "Such records that neither disk nor memory could take; zero on a healthy host."
)
AUDIT_FAILURES: Final = Metric(
    "meshkit_audit_failures_total",
    "counter",
    "Batches of records that the disk refused: what they would record did not happen.",
)
AUDIT_COPY_FAILURES: Final = Metric(
    "meshkit_audit_copy_failures_total", "counter", "Times that a copy of the audit took nothing; it is told again later."
)
HISTORY_BYTES: Final = Metric("meshkit_history_bytes", "gauge", "What the file of the history holds; 0 without one.")
HISTORY_LOST: Final = Metric(
    "meshkit_history_lost_total", "counter", "Minutes that the history could not keep; zero on a healthy host."
)
OTLP_FAILURES: Final = Metric(
    "meshkit_otlp_failures_total", "counter", "Exports to OpenTelemetry that the collector did not take."
)
OTLP_LINES_DROPPED: Final = Metric(
    "meshkit_otlp_lines_dropped_total", "counter", "Lines of the log that found no place while the collector was away."
)
REQUESTS: Final = Metric(
    "meshkit_http_requests_total",
    "counter",
    "Requests that the endpoints answered; route is the path in the table of routes, or other.",
    ("route", "method", "protocol", "status"),
)
REQUEST_DURATION: Final = Metric(
    "meshkit_http_request_duration_seconds", "histogram", "From the headers of a request to the end of its answer.", ("route",)
)
CHAOS_ACTIVE: Final = Metric(
    "meshkit_chaos_active",
    "gauge",
    "Whether the fault of an experiment is, or may be, in force: 0, 1.",
    ("experiment", "fault"),
)
CHAOS_REVERT_FAILED: Final = Metric(
    "meshkit_chaos_revert_failed",
    "gauge",
    "1 while the fault of an experiment could not be undone; absent otherwise.",
    ("experiment", "fault"),
)
CHAOS_ACTIVATIONS: Final = Metric(
    "meshkit_chaos_activations_total", "counter", "Runs of experiments by what they came to.", ("fault", "outcome")
)
CHAOS_RECOVERY: Final = Metric(
    "meshkit_chaos_recovery_seconds",
    "histogram",
    "From the fault undone to the first of the good runs that lasted, by affected group.",
)
BUILD: Final = Metric("meshkit_build_info", "info", "What is running.", ("version", "python"))
EXPOSITION_CACHE: Final = Metric(
    "meshkit_exposition_cache_bytes", "gauge", "Memory that /metrics keeps for label texts; only /metrics itself carries this."
)

PER_PROBE: Final = (PROBE_STATE, PROBE_SUCCESS, PROBE_RUNS, PROBE_DURATION, PROBE_TRANSITIONS)
PER_GROUP: Final = (GROUP_PROBES, GROUP_SUCCESS, GROUP_RUNS, GROUP_DURATION, GROUP_TRANSITIONS, GROUP_FLAPPING)
PROCESS: Final = (
    SKIPPED,
    DEFERRED,
    SCHEDULER_LAG,
    RING_DROPPED,
    SYN_RETRANSMISSIONS,
    STRAY_DATAGRAMS,
    BUDGET_IN_FLIGHT,
    BUDGET_WAITING,
    BUDGET_SKIPPED,
    DECISIONS,
    AUDIT_RECORDS,
    AUDIT_HEAD,
    AUDIT_LATE,
    AUDIT_LOST,
    AUDIT_FAILURES,
    AUDIT_COPY_FAILURES,
    HISTORY_BYTES,
    HISTORY_LOST,
    OTLP_FAILURES,
    OTLP_LINES_DROPPED,
    REQUESTS,
    REQUEST_DURATION,
    CHAOS_ACTIVE,
    CHAOS_REVERT_FAILED,
    CHAOS_ACTIVATIONS,
    CHAOS_RECOVERY,
    BUILD,
)
ALL: Final = (*PER_PROBE, *PER_GROUP, *PROCESS, EXPOSITION_CACHE)

EDGES: Final[tuple[tuple[str, int], ...]] = tuple((repr(2.0**power), 160 + 8 * power) for power in range(-12, 7, 2))
"""The `le` bounds of every histogram, 2^-12 (0.24 ms) to 2^6 (64 s) in steps of four, with the number of our last bucket below
each (histogram.h). They are bounds of ours exactly, so no sample is on the wrong side of one."""
