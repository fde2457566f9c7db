"""`fastprobe top` without a terminal: what it shows of what it was told, and what keys do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from meshkit_fastprobe.cli.sorting import ProbeSort
from meshkit_fastprobe.cli.top_screen import draw, sparkline
from meshkit_fastprobe.cli.top_state import MAX_FILTER, Action, HostSeen, Mode, View

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_800_000_000.0
INF = float("inf")


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def group(cluster: str, namespace: str, unhealthy: int = 0, degraded: int = 0, **more) -> dict:
    states = {"healthy": 100 - unhealthy - degraded, "unhealthy": unhealthy, "degraded": degraded}
    tags = {"cluster": cluster, "namespace": namespace}
    return {"tags": tags, "probes": 100, "states": states, "stale": 0, "ratePerSecond": 20.5, "p99Seconds": 0.004, **more}


def probe(name: str, state: str = "unhealthy", ago: int = 10, **more) -> dict:
    since = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(NOW - ago))
    told = {
        "namespace": "orders",
        "reason": "connect_refused",
        "message": "connection refused",
        "p50Seconds": 0.001,
        "p99Seconds": 0.002,
    }
    return {"name": name, "state": state, "since": since, **told, **more}


EXPERIMENT = {
    "id": "slow-orders",
    "fault": "latency",
    "phase": "active",
    "run": {"endsAt": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(NOW + 42))},
}


def seen(chaos: bool = True) -> list[HostSeen]:
    namespaces = ("orders", "billing", "search", "edge")
    first = [group("eu-1", name, down, 3) for name, down in zip(namespaces, (60, 12, 1, 0), strict=True)]
    second = [group("us-1", name, beyondRange=["p99"]) for name in namespaces]
    worst = [probe(f"orders-{number:02}", ago=number * 7) for number in range(30)] + [probe("search-1", "degraded", 3)]
    return [
        HostSeen("cp-1", "", first, worst, [EXPERIMENT] if chaos else []),
        HostSeen("cp-2", "", second),
        HostSeen("http://10.0.0.9:9464", "no answer within 10 s"),
    ]


def view(chaos: bool = True) -> View:
    made = View()
    for _ in range(5):
        made.take(seen(chaos))
    for number in range(6):
        data = {
            "name": f"orders-{number:02}",
            "namespace": "orders",
            "before": "healthy",
            "after": "unhealthy",
            "at": "2027-01-15T07:59:00.000Z",
        }
        made.hear("cp-1", "transition", {**data, "reason": "connect_refused", "message": "connection refused"})
    return made


@pytest.mark.parametrize(("width", "height"), [(40, 20), (80, 24), (200, 50)])
def test_the_screen_is_what_was_looked_at_and_fits(width, height):
    lines = draw(view(), NOW, width, height)
    told = "\n".join(line.rstrip() for line in lines) + "\n"
    golden = GOLDEN / f"top-{width}x{height}.txt"
    if os.environ.get("FASTPROBE_GOLDEN") == "write":
        golden.write_text(told)
    assert told == golden.read_text()
    assert (len(lines), max(map(len, lines)) <= width) == (height, True)


@pytest.mark.parametrize("height", [*range(1, 30), 200])
@pytest.mark.parametrize("width", [10, 80])
def test_every_size_of_a_terminal_is_filled_and_never_overrun(width, height):
    for shown in (View(), view(), view(chaos=False)):
        lines = draw(shown, NOW, width, height)
        assert len(lines) == height
        assert max(map(len, lines)) <= width


def test_without_colour_there_is_no_escape_sequence():
    assert not any("\x1b" in line for line in draw(view(), NOW, 80, 24))
    assert any("\x1b[" in line for line in draw(view(), NOW, 80, 24, "truecolor"))


def test_chaos_in_force_is_said_with_the_time_it_has_left_and_how_to_end_it():
    banner = next(line for line in draw(view(), NOW, 100, 24) if "CHAOS" in line)
    assert "slow-orders: latency on cp-1, active, ends in 42s  h halts it" in banner
    assert not any("CHAOS" in line for line in draw(view(chaos=False), NOW, 100, 24))


def test_the_worst_groups_come_first_and_hosts_are_added_up():
    made = View()
    made.take([HostSeen("a", "", [group("eu", "x", 5)]), HostSeen("b", "", [group("eu", "x", 15), group("eu", "y", 90)])])
    assert [(one.key[1], one.probes, one.states["unhealthy"]) for one in made.shown_groups()] == [
        ("y", 100, 90),
        ("x", 200, 20),
    ]


def test_halting_is_asked_once_and_only_yes_is_yes():
    made = view()
    assert (made.press("h"), made.mode) == (None, Mode.ASKING)
    assert "halt ALL chaos on 3 hosts" in draw(made, NOW, 100, 24)[-1]
    assert (made.press("x"), made.mode, made.message) == (None, Mode.LOOKING, "nothing was halted")
    made.press("h")
    assert (made.press("y"), made.mode) == (Action.HALT, Mode.LOOKING)


def test_a_filter_is_typed_kept_and_cleared():
    made = view()
    for key in "/ordersX\x7f\r":
        made.press(key)
    assert (made.mode, made.filter) == (Mode.LOOKING, "orders")
    assert all("orders" in item["namespace"] for item in made.worst())
    assert [one.key[1] for one in made.shown_groups()] == ["orders", "orders"]
    made.press("\x1b")
    assert made.filter == ""
    for key in ["/", *("z" * 200)]:
        made.press(key)
    assert len(made.filter) == MAX_FILTER


def test_q_types_a_letter_into_the_filter_and_leaves_everywhere_else():
    made = view()
    made.press("/")
    assert (made.press("q"), made.filter) == (None, "q")
    made.press("\r")
    assert made.press("q") is Action.QUIT


def test_s_goes_round_the_orders():
    made = view()
    assert made.worst()[0]["name"] == "orders-00"
    orders = [made.sort] + [(made.press("s"), made.sort)[1] for _ in range(4)]
    assert orders == [ProbeSort.state, ProbeSort.since, ProbeSort.p99, ProbeSort.name, ProbeSort.state]


def test_a_sparkline_shows_the_last_values_with_timeouts_and_gaps():
    assert sparkline([1.0, 2.0, None, 7.0, INF], 10).plain == "▁▂ ▇█"
    assert sparkline([1.0, 2.0, 3.0], 2).plain == "▁▇"
    assert sparkline([], 4).plain == ""


def test_groups_that_are_gone_are_forgotten():
    made = view()
    made.take([HostSeen("cp-1", "", [group("eu-1", "orders")])])
    assert list(made.history) == [("eu-1", "orders")]
