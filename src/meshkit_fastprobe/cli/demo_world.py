"""The demo's world: which loopback targets there are, and which probes look at them. Pure: numbers in, lists out."""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec

SHARES: Final = (
    # kind, role, share of the probes
    ("tcp", "healthy", 0.44),
    ("http", "healthy", 0.34),
    ("dns", "healthy", 0.04),
    ("http", "slow", 0.04),
    ("http", "hanging", 0.02),
    ("http", "failing", 0.03),
    ("dns", "failing", 0.01),
    ("tcp", "refusing", 0.04),
    ("tcp", "flapping", 0.04),
)
EXPECTED: Final = {
    "healthy": {"healthy"},
    "slow": {"degraded"},
    "hanging": {"unhealthy"},
    "failing": {"unhealthy"},
    "refusing": {"unhealthy"},
    "flapping": {"healthy", "unhealthy"},
}
"""Which states a probe may be in once it has run, by the role of its target."""

NAMESPACES: Final = ("orders", "payments", "edge", "search", "identity")
CLUSTERS: Final = ("eu-1", "us-1")
INTERVALS_S: Final = (5.0, 8.0, 10.0)
TIMEOUT_S: Final = 1.0
DEGRADED_ABOVE_S: Final = 0.1
SLOW_S: Final = 0.15
FLAP_S: Final = 4.0
LEAST_TARGETS: Final = len(SHARES)


class Wanted(msgspec.Struct, frozen=True):
    """One group of probes that share their options: how many, on which targets."""

    kind: str
    role: str
    count: int
    options: dict[str, Any]
    targets: list[str]


def targets_wanted(n: int) -> list[dict[str, Any]]:
    """At least one target of each sort, n in all, spread over 127/8 so that no address runs out of ports."""
    counts = [max(1, round(share * n)) for _, _, share in SHARES]
    wanted = [(kind, role) for (kind, role, _), count in zip(SHARES, counts, strict=True) for _ in range(count)]
    return [
        {
            "kind": kind,
            "role": role,
            "host": f"127.0.{1 + index // 250}.{1 + index % 250}",
            "delay_s": SLOW_S,
            "flap_s": FLAP_S,
        }
        for index, (kind, role) in enumerate(wanted)
    ]


def probes_wanted(n: int, opened: list[dict[str, Any]], seed: int) -> list[Wanted]:
    """N probes over the opened targets: shares as in SHARES, clusters, namespaces and intervals drawn by seed."""
    addresses: dict[tuple[str, str], list[str]] = {}
    for target in opened:
        addresses.setdefault((target["kind"], target["role"]), []).append(f"{target['host']}:{target['port']}")
    rng = random.Random(seed)  # noqa: S311 - a demo, repeatable by its seed
    wanted: list[Wanted] = []
    for (kind, role), count in _counts(n).items():
        buckets: dict[tuple[str, str, float], int] = {}
        for _ in range(count):
            key = (rng.choice(CLUSTERS), rng.choice(NAMESPACES), rng.choice(INTERVALS_S))
            buckets[key] = buckets.get(key, 0) + 1
        for (cluster, namespace, interval_s), size in sorted(buckets.items()):
            options: dict[str, Any] = {
                "cluster": cluster,
                "namespace": namespace,
                "interval": interval_s,
                "timeout": TIMEOUT_S,
                "labels": {"role": role},
            }
            if kind == "http":
                options["degraded_above"] = DEGRADED_ABOVE_S
            wanted.append(Wanted(kind, role, size, options, addresses[kind, role]))
    return wanted


def _counts(n: int) -> dict[tuple[str, str], int]:
    """How many probes of each sort; the remainder of rounding goes to the largest."""
    counts = {(kind, role): int(share * n) for kind, role, share in SHARES}
    counts["tcp", "healthy"] += n - sum(counts.values())
    return {sort: count for sort, count in counts.items() if count}
