"""Golden files of what people see; FASTPROBE_GOLDEN=write makes them anew, to be looked at."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from rich.console import Console, Group

from meshkit_fastprobe.cli import chaos_tables, control_tables, tables

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
MEMBERS = [
    {"name": "cp-3", "url": "https://cp-3.eu.example.org:9464", "here": True, "probes": 10_000, "chaos": ["lost-orders"]},
    {"name": "cp-1", "url": "https://cp-1.eu.example.org:9464", "probes": 120, "stale": 2},
    {"name": "https://cp-2.eu.example.org:9464", "url": "https://cp-2.eu.example.org:9464", "problem": "no answer within 3 s"},
]
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
PLAN = {
    "id": "abd7f9c4d9e9160a71e828256d5ff6a7debd36f6911954f7f35c5278fb89d812",
    "fault": "packet_loss",
    "backend": "nftables",
    "targets": ["10.0.0.7:5432", "10.0.0.8:5432"],
    "resources": ["net:10.0.0.7:5432"],
    "manual": "nft delete table inet fastprobe_1",
    "durationSeconds": 60.0,
}
RUN = {
    "id": "lost-orders-7",
    "experiment": "lost-orders",
    "phase": "active",
    "plan": PLAN,
    "requestedBy": "user:alice@example.org",
    "activatedBy": "user:bob@example.org",
    "moves": [
        {"phase": "prepared", "at": "2027-01-15T07:59:30.000Z"},
        {"phase": "injecting", "at": "2027-01-15T07:59:40.000Z"},
        {"phase": "active", "at": "2027-01-15T07:59:41.000Z", "why": "the kernel holds the table"},
    ],
    "why": "the kernel holds the table",
    "endsAt": "2027-01-15T08:00:41.000Z",
    "effect": {"inForce": True, "told": "31 of 100 packets lost", "touched": 1_234},
    "measures": [
        {
            "group": "eu-1/orders",
            "probes": 40,
            "hurt": 12,
            "samples": 480,
            "errorSeconds": 1.0,
            "detectionSeconds": 1.2,
            "recoverySeconds": 2.5,
        }
    ],
    "remaining": {"eu-1/orders": 0.7},
}
EXPERIMENTS = [
    {
        "id": "lost-orders",
        "fault": "packet_loss",
        "phase": "active",
        "parameters": {"ratio": 0.3, "targets": ["10.0.0.7:5432"]},
        "durationSeconds": 60.0,
        "steadyState": {"namespace": "orders", "healthy_ratio": 0.9},
        "says": "a third of what orders sends is lost",
        "run": RUN,
    },
    {"id": "slow-edge", "fault": "latency", "phase": "draft", "parameters": {"delay": "200ms"}, "durationSeconds": 60.0},
]
TOGGLES = [
    {"name": "probes.enabled", "value": True, "version": 1, "does": "whether anything is probed"},
    {
        "name": "chaos.packet_loss.enabled",
        "value": False,
        "version": 4,
        "does": "whether packet_loss may be injected on this host",
        "ceiling": False,
        "changedAt": "2027-01-15T07:00:00.000Z",
        "changedBy": "user:alice@example.org",
        "reason": "the change is over",
    },
]
AUDIT = [
    {
        "seq": 4_711,
        "at": "2027-01-15T07:59:40.000Z",
        "actor": "user:bob@example.org",
        "action": "chaos.activate",
        "result": "allowed",
        "scope": "lost-orders-7",
        "detail": f"plan {PLAN['id']}",
        "ticket": "OPS-12",
    },
    {
        "seq": 4_710,
        "at": "2027-01-15T07:00:00.000Z",
        "actor": "user:eve@example.org",
        "action": "chaos.halt",
        "result": "denied",
        "scope": "cp-1",
        "late": True,
    },
]
FAULTS = [
    {
        "kind": "packet_loss",
        "says": "Lose `ratio` of the packets from (`in`) or to (`out`) each target; `burst` of them in a row.",
        "enabled": True,
        "keys": ["targets", "protocol", "direction", "broad", "proxy", "ratio", "burst", "sockets"],
        "needs": ["ratio"],
        "ways": [
            {"name": "nftables", "available": True, "reason": "the kernel took a rehearsal"},
            {"name": "sockets", "available": False, "reason": "no group of sockets is registered"},
        ],
    },
    {"kind": "of_an_older_host", "says": "Tells no ways.", "enabled": False, "keys": ["target"], "needs": []},
]
SHARDS = [
    {
        "cluster": "eu-1",
        "namespace": "orders",
        "probes": 12_000,
        "hosts": [{"host": "cp-1", "probes": 12_000}, {"host": "cp-2", "probes": 12_000}, {"host": "cp-3", "probes": 11_998}],
        "vantagePoints": {"min": 2, "max": 3},
    },
    {
        "cluster": "",
        "namespace": "a-namespace-of-a-very-long-name",
        "probes": 1,
        "hosts": [{"host": "a-host-of-a-very-long-name.example.org", "probes": 1}],
        "vantagePoints": {"min": 1, "max": 1},
    },
]
PICTURES = {
    "probes": lambda width: tables.probe_table(ITEMS, NOW, width=width),
    "many": lambda width: tables.probe_table(MANY, NOW, width=width, hosts=True),
    "contexts": lambda width: tables.context_table(CONTEXTS, width=width),
    "groups": lambda width: tables.group_table(GROUPS, ("cluster", "namespace"), width=width),
    "hosts": lambda width: tables.host_table(HOSTS, width=width),
    "members": lambda width: tables.member_table(MEMBERS, width=width),
    "shards": lambda width: tables.shard_table(SHARDS, width=width),
    "details": lambda width: tables.probe_details(ITEMS[1], NOW),
    "recent": lambda width: tables.recent_table(ITEMS[0], NOW),
    "experiments": lambda width: chaos_tables.experiment_table(EXPERIMENTS, NOW, width=width),
    "experiment": lambda width: Group(*chaos_tables.experiment_parts(EXPERIMENTS[0], NOW, width=width)),
    "plan": lambda _width: chaos_tables.plan_table(EXPERIMENTS[0]),
    "runs": lambda width: chaos_tables.run_table([RUN], NOW, width=width),
    "faults": lambda width: chaos_tables.fault_table(FAULTS, NOW, width=width),
    "toggles": lambda width: control_tables.toggle_table(TOGGLES, NOW, width=width),
    "audit": lambda width: control_tables.audit_table(AUDIT, NOW, width=width),
    "wide": lambda width: tables.probe_table(ITEMS, NOW, width=width, wide=True),
}


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, width) for name in PICTURES if name != "wide" for width in (40, 80, 140)]
    + [("wide", tables.WIDE), ("faults", tables.WIDE)],
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


def written(**how) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, **how)
    console.print(tables.probe_table(ITEMS, NOW, width=80))
    return console.file.getvalue()


def test_colour_says_nothing_that_is_not_there_without_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = written(force_terminal=True, color_system="standard")
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == written(color_system=None)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", written(force_terminal=True))
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" not in written(force_terminal=False)
