"""Our dashboards: which questions they answer, by which queries.

A board is data, so its function is as long as the board has panels.
"""

from __future__ import annotations

from typing import Any

from deploy.grafana.panels import (
    DEGRADED,
    HEALTHY,
    UNHEALTHY,
    dashboard,
    heatmap,
    series,
    stat,
    state_history,
    table,
    target,
    variable,
)

HERE = 'cluster=~"$cluster",namespace=~"$namespace"'
"""What the variables have chosen."""
HOSTS = 'instance=~"$instance"'
ALARMING = ((None, HEALTHY), (1, UNHEALTHY))


def overview() -> dict[str, Any]:
    return dashboard(
        "fastprobe-overview",
        "fastprobe: overview",
        "What is broken, where, and since when.",
        [
            [
                stat(
                    "Down",
                    "Probes that are unhealthy.",
                    f'sum(meshkit_group_probes{{{HERE},state="unhealthy"}})',
                    steps=ALARMING,
                ),
                stat(
                    "Degraded",
                    "Slow, or partly failing.",
                    f'sum(meshkit_group_probes{{{HERE},state="degraded"}})',
                    steps=((None, HEALTHY), (1, DEGRADED)),
                ),
                stat(
                    "Flapping",
                    "They come and go.",
                    f"sum(meshkit_group_flapping{{{HERE}}})",
                    steps=((None, HEALTHY), (1, DEGRADED)),
                ),
                stat("Probes", "Registered, in any state.", f"sum(meshkit_group_probes{{{HERE}}})"),
                stat(
                    "Chaos",
                    "Faults that are active on purpose.",
                    "sum(meshkit_chaos_active) or vector(0)",
                    steps=((None, HEALTHY), (1, DEGRADED)),
                ),
                stat(
                    "Hosts silent",
                    "Probers that do not answer their scrape.",
                    'count(up{job="meshkit-fastprobe"} == 0) or vector(0)',
                    steps=ALARMING,
                ),
            ],
            [
                series(
                    "Probes by state", "", target(f"sum by (state) (meshkit_group_probes{{{HERE}}})", "{{state}}"), stacked=True
                ),
                table(
                    "Worst groups",
                    "Share of the probes that are degraded or down.",
                    f"topk(20, cluster_namespace:meshkit_group_unwell:ratio{{{HERE}}} > 0)",
                    unit="percentunit",
                    hidden=("__name__",),
                ),
            ],
            [
                series(
                    "Success",
                    "Share of the runs that passed, by cluster and namespace.",
                    target(f"cluster_namespace:meshkit_group_success:ratio_rate5m{{{HERE}}}", "{{cluster}}/{{namespace}}"),
                    unit="percentunit",
                ),
                series(
                    "Slowest hundredth",
                    "64 s reads: among the timeouts.",
                    target(
                        f"cluster_namespace:meshkit_group_duration_seconds:p99_rate5m{{{HERE}}}", "{{cluster}}/{{namespace}}"
                    ),
                    unit="s",
                ),
            ],
            [
                heatmap(
                    "Latency",
                    "All runs; the bounds are powers of two.",
                    buckets("meshkit_group_duration_seconds", HERE),
                ),
                series(
                    "Changes of state",
                    "A second, by cluster and namespace.",
                    target(
                        rate("meshkit_group_transitions_total", HERE, "cluster, namespace"),
                        "{{cluster}}/{{namespace}}",
                    ),
                ),
            ],
        ],
    )


def probe() -> dict[str, Any]:
    one = f'{HERE},probe=~"$probe"'
    took = rate("meshkit_probe_duration_seconds_sum", one, "probe")
    ran = rate("meshkit_probe_duration_seconds_count", one, "probe")
    return dashboard(
        "fastprobe-probe",
        "fastprobe: probe",
        "One probe, or a few: how it has fared. Needs the per-probe series.",
        [
            [state_history("State", "", f"meshkit_probe_state{{{one}}}", "{{probe}}")],
            [
                series(
                    "Results",
                    "A second.",
                    target(rate("meshkit_probe_runs_total", one, "result"), "{{result}}"),
                    stacked=True,
                ),
                series(
                    "Latency",
                    "64 s reads: among the timeouts.",
                    *(
                        target(
                            quantile(share, "meshkit_probe_duration_seconds", one, "probe, le"),
                            f"{{{{probe}}}} {name}",
                        )
                        for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
                    ),
                    unit="s",
                ),
            ],
            [
                heatmap(
                    "Latency, all of it",
                    "",
                    buckets("meshkit_probe_duration_seconds", one),
                ),
                table(
                    "Changes of state",
                    "In the time shown.",
                    grown("meshkit_probe_transitions_total", one, "cluster, namespace, kind, probe") + " > 0",
                ),
            ],
            [
                series(
                    "Mean latency",
                    "Timeouts count with their own length.",
                    target(
                        f"{took} / {ran}",
                        "{{probe}}",
                    ),
                    unit="s",
                ),
                series("Last run passed", "", target(f"meshkit_probe_success{{{one}}}", "{{probe}}")),
            ],
        ],
        [variable("probe", f"label_values(meshkit_probe_state{{{HERE}}}, probe)")],
    )


def chaos() -> dict[str, Any]:
    return dashboard(
        "fastprobe-chaos",
        "fastprobe: chaos",
        "What is injected, what it did to the probes, and whether it could be undone.",
        [
            [
                stat(
                    "Active",
                    "Faults that are injected now.",
                    f"sum(meshkit_chaos_active{{{HOSTS}}}) or vector(0)",
                    steps=((None, HEALTHY), (1, DEGRADED)),
                ),
                stat(
                    "Reverts that failed",
                    "Something may still be there.",
                    f"sum(meshkit_chaos_revert_failed{{{HOSTS}}}) or vector(0)",
                    steps=ALARMING,
                ),
                stat(
                    "Recovery",
                    "Nine in ten targets were well again after this, in the time shown.",
                    quantile(0.9, "meshkit_chaos_recovery_seconds", HOSTS, over="$__range"),
                    unit="s",
                ),
                stat(
                    "Activations",
                    "In the time shown.",
                    grown("meshkit_chaos_activations_total", HOSTS) + " or vector(0)",
                ),
            ],
            [
                series(
                    "Active faults",
                    "",
                    target(f"max by (experiment, fault) (meshkit_chaos_active{{{HOSTS}}})", "{{experiment}} ({{fault}})"),
                    stacked=True,
                ),
                series(
                    "Probes by state",
                    "Of the chosen clusters and namespaces.",
                    target(f"sum by (state) (meshkit_group_probes{{{HERE}}})", "{{state}}"),
                    stacked=True,
                ),
            ],
            [
                table(
                    "Activations by outcome",
                    "In the time shown.",
                    grown("meshkit_chaos_activations_total", HOSTS, "fault, outcome") + " > 0",
                ),
                heatmap(
                    "Recovery",
                    "",
                    buckets("meshkit_chaos_recovery_seconds", HOSTS),
                ),
            ],
            [
                series(
                    "Who was refused",
                    "Chaos permissions that were asked for and denied, a second.",
                    target(
                        rate(
                            "meshkit_authorization_decisions_total",
                            f'{HOSTS},permission=~"chaos.*",decision="deny"',
                            "permission",
                        ),
                        "{{permission}}",
                    ),
                ),
                series(
                    "Audit",
                    "Records waiting for a disk that takes them.",
                    target(f"meshkit_audit_late_records{{{HOSTS}}}", "{{instance}}"),
                ),
            ],
        ],
        [_instances()],
    )


def scheduler() -> dict[str, Any]:
    return dashboard(
        "fastprobe-scheduler",
        "fastprobe: scheduler",
        "Whether the prober itself is well: what it says of targets is worth no more.",
        [
            [
                stat(
                    "Start of runs, slowest hundredth",
                    "How late.",
                    f"max(instance:meshkit_scheduler_lag_seconds:p99_rate5m{{{HOSTS}}})",
                    unit="s",
                    steps=((None, HEALTHY), (0.05, DEGRADED), (0.25, UNHEALTHY)),
                ),
                stat(
                    "Results lost",
                    "In the time shown.",
                    grown("meshkit_ring_dropped_total", HOSTS),
                    steps=ALARMING,
                ),
                stat("Runs a second", "", rate("meshkit_group_runs_total", f"{HOSTS},{HERE}")),
                stat(
                    "Skipped a second",
                    "",
                    rate("meshkit_probe_skipped_total", HOSTS),
                    steps=((None, HEALTHY), (0.1, DEGRADED)),
                ),
            ],
            [
                series(
                    "Start of runs, slowest hundredth",
                    "",
                    target(f"instance:meshkit_scheduler_lag_seconds:p99_rate5m{{{HOSTS}}}", "{{instance}}"),
                    unit="s",
                ),
                heatmap(
                    "Start of runs",
                    "How late, all runs.",
                    buckets("meshkit_scheduler_lag_seconds", HOSTS),
                ),
            ],
            [
                series(
                    "Skipped, by reason",
                    "A second; the prober's own limits.",
                    target(rate("meshkit_probe_skipped_total", HOSTS, "reason"), "{{reason}}"),
                ),
                series(
                    "Runs, by namespace",
                    "A second.",
                    target(
                        rate("meshkit_group_runs_total", f"{HOSTS},{HERE}", "cluster, namespace"),
                        "{{cluster}}/{{namespace}}",
                    ),
                    stacked=True,
                ),
            ],
            [
                series(
                    "Groups that share the host",
                    "Runs in flight, and due runs that wait.",
                    target(f"sum by (group) (meshkit_budget_in_flight{{{HOSTS}}})", "{{group}} in flight"),
                    target(f"sum by (group) (meshkit_budget_waiting{{{HOSTS}}})", "{{group}} waiting"),
                ),
                series(
                    "SYN sent again",
                    "A second: packet loss that passing probes hide.",
                    target(
                        rate("meshkit_syn_retransmissions_total", HOSTS, "instance"),
                        "{{instance}}",
                    ),
                ),
            ],
            [
                series(
                    "Requests at the endpoints",
                    "A second, by route.",
                    target(rate("meshkit_http_requests_total", HOSTS, "route"), "{{route}}"),
                    stacked=True,
                ),
                series(
                    "Answers, slowest hundredth",
                    "By route.",
                    target(
                        quantile(0.99, "meshkit_http_request_duration_seconds", HOSTS, "route, le"),
                        "{{route}}",
                    ),
                    unit="s",
                ),
            ],
            [
                table("What runs", "", f"meshkit_build_info{{{HOSTS}}}", hidden=("__name__", "Value")),
                series(
                    "Label texts of /metrics",
                    "Memory held for them.",
                    target(f"meshkit_exposition_cache_bytes{{{HOSTS}}}", "{{instance}}"),
                    unit="bytes",
                ),
            ],
        ],
        [_instances()],
    )


def rate(counter: str, where: str, by: str = "") -> str:
    """A second."""
    return f"sum by ({by}) (rate({counter}{{{where}}}[$__rate_interval]))"


def grown(counter: str, where: str, by: str = "") -> str:
    """In the time that is shown."""
    return f"sum by ({by}) (increase({counter}{{{where}}}[$__range]))"


def quantile(share: float, histogram: str, where: str, by: str = "le", over: str = "$__rate_interval") -> str:
    """by: labels, le among them."""
    return f"histogram_quantile({share}, sum by ({by}) (rate({histogram}_bucket{{{where}}}[{over}])))"


def buckets(histogram: str, where: str) -> str:
    return f"sum by (le) (increase({histogram}_bucket{{{where}}}[$__rate_interval]))"


def _instances() -> dict[str, Any]:
    return variable("instance", "label_values(meshkit_build_info, instance)")


BOARDS = {"overview": overview, "probe": probe, "chaos": chaos, "scheduler": scheduler}
