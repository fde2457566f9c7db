"""Reports, out of what hosts say; the golden files are rewritten with FASTPROBE_GOLDEN=write."""

from __future__ import annotations

import math
import os
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from meshkit_fastprobe.cli.client import Answer
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.report import ReportForm, _day, _week, _with_chaos, _zone, rendered
from meshkit_fastprobe.cli.report_words import duration, latency, percent

GOLDEN = Path(__file__).parent / "golden"
START = datetime(2030, 3, 4, tzinfo=UTC)
STEP = timedelta(minutes=15)
DOWN = range(40, 50)


def told(at):
    return at.isoformat().replace("+00:00", "Z")


def item(start, tags, bad, p99):
    return {
        "start": told(start),
        "tags": tags,
        "coveredSeconds": 900.0,
        "probes": 400,
        "states": {"healthy": 398, "unhealthy": 2},
        "runs": 36_000,
        "results": {"ok": 36_000 - bad, "degraded": 0, "fail": bad, "timeout": 0, "error": 0},
        "stateSeconds": {"healthy": 359_000.0, "unhealthy": 1000.0},
        "transitions": 4,
        "successRatio": 1 - bad / 36_000,
        "p50Seconds": p99 / 8,
        "p90Seconds": p99 / 3,
        "p99Seconds": p99,
    }


def a_host():
    trend = [
        item(
            START + STEP * at,
            {},
            300 if 60 <= at < 64 else 10,
            0.012 * (1.4 + math.sin(at / 96 * 2 * math.pi)) * (6 if 60 <= at < 64 else 1),
        )
        for at in range(96)
        if at not in DOWN
    ]
    beyond = item(START, {"cluster": "eu-1", "namespace": "edge"}, 900, 0.4) | {"beyondRange": ["p99"]}
    del beyond["p99Seconds"]
    return {
        "host": "cp-1",
        "history": {
            "enabled": True,
            "start": told(START),
            "end": told(START + timedelta(days=1)),
            "coveredSeconds": 86 * 900.0,
            "gaps": [{"start": told(START + STEP * 40), "end": told(START + STEP * 50)}],
            "maintenance": [
                {
                    "reason": "kernel | upgrade",
                    "start": told(START + STEP * 8),
                    "end": told(START + STEP * 12),
                    "cluster": "eu-1",
                }
            ],
        },
        "total": [item(START, {}, 2060, 0.08)],
        "groups": [beyond, item(START, {"cluster": "eu-1", "namespace": "orders"}, 0, 0.02)],
        "trend": trend,
        "worst": [
            {
                "name": 'tcp:10.0.0.7:5432 <img src="x">',
                "tags": {"cluster": "eu-1", "namespace": "orders", "kind": "tcp"},
                "runs": 8640,
                "results": {"ok": 8540, "fail": 90, "timeout": 10},
                "stateSeconds": {"unhealthy": 540.0},
                "transitions": 6,
                "successRatio": 8540 / 8640,
            }
        ],
        "chaos": [
            {
                "id": "slow-orders-3",
                "experiment": "slow-orders",
                "phase": "done",
                "plan": {"fault": "latency"},
                "injectedAt": told(START + STEP * 60),
                "revertedAt": told(START + STEP * 60 + timedelta(minutes=1)),
                "measures": [
                    {
                        "group": "eu-1/orders",
                        "probes": 40,
                        "hurt": 38,
                        "samples": 480,
                        "errorSeconds": 1.0,
                        "detectionSeconds": 1.4,
                        "recoverySeconds": 2.1,
                    }
                ],
            }
        ],
    }


@pytest.fixture
def report():
    silent = {"host": "http://10.0.0.9:9464", "problem": "no answer within 5 s", "hint": "is a host running there?"}
    return {
        "schemaVersion": 1,
        "kind": "daily",
        "start": told(START),
        "end": told(START + timedelta(days=1)),
        "timeZone": "UTC",
        "generatedAt": "2030-03-05T00:05:00+00:00",
        "step": "15m",
        "hosts": [a_host(), silent],
    }


@pytest.mark.parametrize("form", ReportForm)
def test_a_report_reads_as_it_did(report, form):
    seen = rendered(report, form)
    golden = GOLDEN / f"report-daily.{ {'markdown': 'md'}.get(form.value, form.value) }"
    if os.environ.get("FASTPROBE_GOLDEN") == "write":
        golden.write_text(seen)
    assert seen == golden.read_text()


def test_json_is_the_report_as_it_is(report):
    assert msgspec.json.decode(rendered(report, ReportForm.json)) == report


def test_the_page_asks_nobody_and_runs_nothing(report):
    page = rendered(report, ReportForm.html)
    assert not re.search(r"<script|<link|<img|<iframe|url\((?!#)|@import|https?://(?!10\.0\.0\.9)", page)
    assert "&lt;img" in page


def test_every_element_of_the_page_is_closed(report):
    class Nesting(HTMLParser):
        void = frozenset({"meta", "path", "rect"})

        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            if tag not in self.void:
                self.open.append(tag)

        def handle_endtag(self, tag):
            if tag not in self.void:
                assert self.open.pop() == tag

    nesting = Nesting()
    nesting.feed(rendered(report, ReportForm.html))
    nesting.close()
    assert nesting.open == []


def test_a_line_ends_where_nobody_watched(report):
    page = rendered(report, ReportForm.html)
    success = re.search(r'class="line good" d="([^"]+)"', page)
    assert success is not None
    assert success[1].count("M") == 2  # before the gap, and after it
    assert page.count("<title>nobody watched") == 2  # once in each chart


def test_a_name_breaks_no_table_of_markdown(report):
    text = rendered(report, ReportForm.markdown)
    rows = [line for line in text.splitlines() if "kernel" in line]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 5


@pytest.mark.parametrize(
    ("unknown", "cell", "note"),
    [
        ({"chaosProblem": "You may <not> do this"}, "-", "What chaos there was is not known: You may &lt;not"),
        ({"chaosSince": told(START + STEP * 8)}, "1+", "back to 2030-03-04 02:00"),
    ],
    ids=["refused", "too many"],
)
def test_chaos_that_is_not_known_is_no_zero(report, unknown, cell, note):
    report["hosts"][0] |= unknown
    markdown, page = rendered(report, ReportForm.markdown), rendered(report, ReportForm.html)
    (row,) = [line for line in markdown.splitlines() if line.startswith("| cp-1 ")]
    assert row.split("|")[-2].strip() == cell
    assert f"<td class=n>{cell}</td></tr>" in page
    assert note in markdown
    assert note in page
    assert msgspec.json.decode(rendered(report, ReportForm.json))["hosts"][0].items() >= unknown.items()


def a_run(began, ended=None, planned=START):
    run = {"moves": [{"phase": "planned", "at": told(planned)}]}
    times = {"injectedAt": began, "revertedAt": ended}
    return run | {key: told(at) for key, at in times.items() if at is not None}


DAY = [("start", START.isoformat()), ("end", (START + timedelta(days=1)).isoformat())]
MIDNIGHT = START + timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("run", "is_of_the_day"),
    [
        (a_run(None), False),
        (a_run(START - HOUR, START - HOUR / 2), False),
        (a_run(START - HOUR, START + HOUR), True),
        (a_run(START - HOUR), True),
        (a_run(START + HOUR, START + 2 * HOUR), True),
        (a_run(MIDNIGHT - HOUR, MIDNIGHT + HOUR), True),
        (a_run(MIDNIGHT, MIDNIGHT + HOUR), False),
    ],
    ids=["never in force", "before", "across its beginning", "still", "in it", "across its end", "after"],
)
def test_a_run_is_of_each_day_that_it_hurt(run, is_of_the_day):
    host, code = _with_chaos({}, Answer("http://cp-1", {"items": [run]}), DAY)
    assert (host, code) == ({"chaos": [run] if is_of_the_day else []}, Exit.WELL)


def test_runs_that_do_not_reach_back_to_the_beginning_say_so():
    later = a_run(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, planned=MIDNIGHT)
    cut = {"items": [later], "nextPageToken": "more"}
    assert _with_chaos({}, Answer("http://cp-1", cut), DAY)[0] == {"chaos": [], "chaosSince": told(MIDNIGHT)}
    before = {"items": [later, a_run(None, planned=START - HOUR)], "nextPageToken": "more"}
    assert _with_chaos({}, Answer("http://cp-1", before), DAY)[0] == {"chaos": []}


def test_nothing_but_silent_hosts_is_a_report_too(report):
    report["hosts"] = report["hosts"][1:]
    for form in ReportForm:
        assert "no answer within 5 s" in rendered(report, form)


def test_days_and_weeks_are_those_of_the_zone():
    berlin = _zone("Europe/Berlin")
    start, end = _day("2030-03-31", berlin)  # clocks go forward on this day
    assert (end.astimezone(UTC) - start.astimezone(UTC)) == timedelta(hours=23)
    start, end = _week("2030-03-31", berlin)
    assert (start.isoformat(), end.isoformat()) == ("2030-03-25T00:00:00+01:00", "2030-04-01T00:00:00+02:00")


@pytest.mark.parametrize("date", ["yesterday", "2030-02-30", "0001-01-01", "9999-12-31"])
def test_what_is_no_day_is_refused(date):
    with pytest.raises(CliError, match="--at"):
        _day(date, _zone("UTC"))


def test_an_unknown_zone_is_refused():
    with pytest.raises(CliError, match="no time zone"):
        _zone("Mars/Olympus")


def test_numbers_read_as_people_say_them():
    assert [percent(ratio) for ratio in (None, 1.0, 0.999999, 0.99995, 0.5, 0.0)] == [
        "-",
        "100 %",
        ">99.99 %",
        "99.99 %",
        "50 %",
        "0 %",
    ]
    assert [latency(seconds) for seconds in (1.5, 0.0123, 0.000045)] == ["1.5 s", "12.3 ms", "45 µs"]
    assert [duration(seconds) for seconds in (0, 0.2, 90, 600, 7200, 300_000)] == [
        "0",
        "<1 s",
        "90 s",
        "10 min",
        "2.0 h",
        "3.5 d",
    ]
