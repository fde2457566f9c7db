"""Golden files of what people see; FASTPROBE_GOLDEN=write makes them anew, to be looked at."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from meshkit_fastprobe.cli import tables

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_800_000_000.0


def item(name: str, state: str, **more) -> dict:
    return {
        "name": name,
        "kind": "tcp",
        "lane": "native",
        "target": "10.0.0.7:5432",
        "cluster": "eu-1",
        "namespace": "orders",
        "labels": {"tier": "1"},
        "state": state,
        "since": "2027-01-15T07:59:00.000Z",
        "stale": False,
        "suppressed": False,
        "flapping": False,
        "maintenance": False,
        "intervalSeconds": 5.0,
        "timeoutSeconds": 1.0,
        "runs": {"ok": 120, "degraded": 0, "fail": 3, "timeout": 0, "error": 0},
        "skipped": 1,
        "transitions": 2,
        "successRatio": 0.9756,
        "p50Seconds": 0.000128,
        "p90Seconds": 0.0042,
        "p99Seconds": 0.0155,
        "lastRun": "2027-01-15T07:59:57.000Z",
        "latencySeconds": 0.0001,
        "recent": [
            {
                "at": "2027-01-15T07:59:52.000Z",
                "result": "fail",
                "latencySeconds": 0.00005,
                "reason": "connect_refused",
                "detail": 111,
            },
            {"at": "2027-01-15T07:59:57.000Z", "result": "ok", "latencySeconds": 0.0001},
        ],
    } | more


ITEMS = [
    item("orders-db", "healthy"),
    item(
        "orders-api", "unhealthy", reason="http_status", message="unexpected HTTP status 503", kind="http", beyondRange=["p99"]
    ),
    item(
        "a-name-that-is-much-longer-than-any-column-would-like-it-to-be", "degraded", reason="slow", message="passed, but slow"
    ),
    item("search", "unknown", stale=True, runs={"ok": 0}, successRatio=None, p50Seconds=None, p99Seconds=None),
    item("night-job", "paused", suppressed=True),
]
GROUPS = [
    {
        "tags": {"cluster": "eu-1", "namespace": "orders"},
        "probes": 1_234,
        "states": {"healthy": 1_200, "unhealthy": 30, "degraded": 4},
        "stale": 0,
        "ratePerSecond": 151.4,
        "successRatio": 0.9731,
        "p50Seconds": 0.000128,
        "p90Seconds": 0.0042,
        "beyondRange": ["p99"],
    },
    {"tags": {"cluster": "us-1", "namespace": ""}, "probes": 1, "states": {"unknown": 1}, "stale": 0},
]
HOSTS = [
    {"host": "cp-1", "probes": 10_000, "states": {"healthy": 9_990, "unhealthy": 10}, "ratePerSecond": 1_402.7, "stale": 2},
    {"host": "http://10.0.0.9:9464", "problem": "no answer within 10 s"},
]
MANY = [{**one, "_host": "cp-1"} for one in ITEMS[:3]] + [{"_host": "10.0.0.9:9464", "problem": "connection refused"}]
CONTEXTS = [
    {
        "name": "eu",
        "current": True,
        "hosts": ["https://cp-1:9464", "https://cp-2:9464"],
        "hostsFile": "",
        "tokenFile": "eu.token",
    },
    {"name": "lab", "current": False, "hosts": [], "hostsFile": "lab-hosts.txt", "tokenFile": ""},
]
PICTURES = {
    "probes": lambda width: tables.probe_table(ITEMS, NOW, width=width),
    "many": lambda width: tables.probe_table(MANY, NOW, width=width, hosts=True),
    "contexts": lambda width: tables.context_table(CONTEXTS, width=width),
    "groups": lambda width: tables.group_table(GROUPS, ("cluster", "namespace"), width=width),
    "hosts": lambda width: tables.host_table(HOSTS, width=width),
    "details": lambda width: tables.probe_details(ITEMS[1], NOW),
    "recent": lambda width: tables.recent_table(ITEMS[0], NOW),
    "wide": lambda width: tables.probe_table(ITEMS, NOW, width=width, wide=True),
}


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, width) for name in PICTURES if name != "wide" for width in (40, 80, 140)] + [("wide", tables.WIDE)],
)
def test_what_people_see_is_what_was_looked_at(name, width):
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(PICTURES[name](width))
    seen = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"
    golden = GOLDEN / f"{name}-{width}.txt"
    if os.environ.get("FASTPROBE_GOLDEN") == "write":
        golden.write_text(seen)
    assert seen == golden.read_text()
    assert all(len(line) <= width for line in seen.splitlines())
