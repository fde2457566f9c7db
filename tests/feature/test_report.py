"""Monday morning: reports of hosts that probe, of one with a past, and of one that is not there."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from meshkit_fastprobe.history.chunks import RUNS, STATE, STATE_MS, WIDTH, Chunk
from meshkit_fastprobe.history.spans import GroupSpan
from meshkit_fastprobe.history.store import Minute, Store
from meshkit_fastprobe.model import Result, State
from tests.ports import free_port

from .conftest import Host, until

pytestmark = [pytest.mark.feature, pytest.mark.once]
TAGS = ("eu-1", "orders", "tcp")
FAILING = range(600, 630)


def fill(path, day, minutes):
    """A day of two probes, one of which failed for half an hour, by the store's own front door."""
    store = Store(path, keep_s=90 * 86_400.0, max_bytes=1 << 30)
    good, bad = store.number([("good", TAGS), ("bad", TAGS)], day)
    for minute in minutes:
        fails = 12 if minute in FAILING else 0
        chunk = Chunk.empty(WIDTH)
        chunk.present[[good, bad]] = True
        chunk.cells[RUNS][Result.OK][[good, bad]] = 12, 12 - fails
        chunk.cells[RUNS][Result.FAIL][bad] = fails
        chunk.cells[STATE_MS][State.HEALTHY][[good, bad]] = 60_000, 0 if fails else 60_000
        chunk.cells[STATE_MS][State.UNHEALTHY][bad] = 60_000 if fails else 0
        chunk.cells[STATE] = np.where(chunk.present, State.HEALTHY, 0)
        span = GroupSpan(
            covered_ms=60_000,
            probes=2,
            states=(0, 2, 0, 0, 0),
            runs=(24 - fails, 0, fails, 0, 0),
            state_ms=(0, 60_000 if fails else 120_000, 0, 60_000 if fails else 0, 0),
            transitions=0,
            buckets=bytes([80, 120]),
            counts=(20, 4),
        )
        store.append(Minute(day + minute * 60, 60_000, {TAGS: span}, {0: chunk}))
    store.roll_up(day + 2 * 86_400)
    store.close()


@pytest.fixture
def running(host, tmp_path):
    config = tmp_path / "fastprobe.toml"
    config.write_text(
        f'[host]\nname = "cp-1"\nstate_dir = "{host.state_dir}"\n\n[server]\nlisten = "{host.listen}"\n\n'
        '[[probe]]\nname = "gone"\nkind = "tcp"\ntarget = "127.0.0.1:9"\ninterval = "100ms"\ntimeout = "50ms"\n'
    )
    yesterday = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    host.state_dir.mkdir(exist_ok=True)
    fill(host.state_dir / "history.db", int(yesterday.timestamp()), [at for at in range(1440) if not 240 <= at < 300])
    host.yesterday = yesterday
    host.start("run", str(config))
    until(lambda: host.probe("gone").get("state") == "unhealthy", "the probe runs")
    return host


def test_yesterday_is_told_as_it_was_with_its_gap(running):
    told = running.ask("report", "daily", "--at", running.yesterday.date().isoformat(), "-o", "json")
    assert told.returncode == 0, told.stderr
    (host,) = json.loads(told.stdout)["hosts"]
    (total,) = host["total"]
    assert total["runs"] == 24 * 1380
    assert total["results"]["fail"] == 12 * len(FAILING)
    assert total["stateSeconds"]["unhealthy"] == 60.0 * len(FAILING)
    assert host["history"]["coveredSeconds"] == 60 * 1380
    assert len(host["trend"]) == 96 - 4  # an hour that nobody watched has no steps
    assert len(host["history"]["gaps"]) == 1
    (worst,) = host["worst"]
    assert (worst["name"], worst["runs"], worst["results"]["fail"]) == ("bad", 12 * 1380, 12 * len(FAILING))
    page = running.ask("report", "daily", "--at", running.yesterday.date().isoformat(), "-o", "html").stdout
    assert "nobody watched" in page
    assert "bad" in page


def test_what_real_probes_saw_is_in_it_once_the_minute_is_over_and_a_silent_host_is_a_row(running, tmp_path):
    time.sleep(61 - time.time() % 60)
    out = tmp_path / "today.md"
    silent = f"http://127.0.0.1:{free_port()}"
    until(lambda: _runs(running) > 0, "a minute is written")
    told = running.ask("report", "daily", "--host", f"http://{running.listen}", "--host", silent, "--out", str(out))
    assert told.returncode == 4
    text = out.read_text()
    assert "| gone" in text
    assert silent in text


def _runs(host: Host) -> int:
    told = json.loads(host.ask("report", "daily", "-o", "json").stdout)
    found = [worst for worst in told["hosts"][0]["worst"] if worst["name"] == "gone"]
    return found[0]["runs"] if found else 0


def test_what_cannot_be_asked_says_what_to_write(running):
    told = running.ask("report", "weekly", "--at", "monday")
    assert told.returncode == 2
    assert "2030-01-31" in told.stderr
