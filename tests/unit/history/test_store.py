"""What the file keeps when something comes in between, and how much one question may cost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from meshkit_fastprobe.history import reading
from meshkit_fastprobe.history.chunks import STATE, WIDTH, Chunk
from meshkit_fastprobe.history.reading import Stretch, TooManyError
from meshkit_fastprobe.history.spans import COARSE_S, GroupSpan, dense, merge
from meshkit_fastprobe.history.store import HistoryError, Minute, Store, TooLongError

ROOT = Path(__file__).parents[3]
DAY = 86_400
ORDERS, EDGE, PAY = ("eu-1", "orders", "tcp"), ("eu-1", "edge", "tcp"), ("eu-1", "pay", "tcp")


OPENED: list[Store] = []


@pytest.fixture(autouse=True)
def closed():
    yield
    while OPENED:
        OPENED.pop().close()


def opened(path=None, max_bytes=1 << 24):
    OPENED.append(Store(path, keep_s=90.0 * DAY, max_bytes=max_bytes))
    return OPENED[-1]


def a_span(at=0):
    return GroupSpan(
        covered_ms=60_000,
        probes=at + 1,
        states=(0, at + 1, 0, 0, 0),
        runs=(at, 0, 1, 0, 0),
        state_ms=(0, 60_000, 0, at, 0),
        transitions=at % 3,
        buckets=bytes([at % 200, 200 + at % 16]),
        counts=(at + 1, 2),
    )


def a_minute(start, tags=ORDERS, at=0, noise=0):
    """noise: how many chunks of what does not compress."""
    random = np.random.default_rng(start)
    chunk = Chunk(np.ones(1024, np.bool_), random.integers(0, 1 << 30, (WIDTH, 1024)).astype(np.uint32))
    chunk.cells[STATE] = 1
    return Minute(start, 60_000, {tags: a_span(at)}, dict.fromkeys(range(noise), chunk))


def test_tags_of_a_minute_that_could_not_be_written_are_unknown_again(tmp_path):
    path = tmp_path / "history.db"
    store = opened(path, max_bytes=1)  # 64 pages, the least there is
    store.append(a_minute(DAY))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.append(a_minute(DAY + 60, EDGE, noise=64))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.number([("x" * 1_000_000, EDGE)], DAY)
    assert set(store.tags) == {ORDERS}
    store.append(a_minute(DAY + 60, PAY, at=7))
    store.append(a_minute(DAY + 120, EDGE, at=9))
    known = dict(store.tags)
    store.close()
    store = opened(path)
    assert store.tags == known
    told = {number: span for _, number, span in store.group_spans(60, DAY, DAY + 180)}
    assert told == {known[ORDERS]: a_span(), known[PAY]: a_span(7), known[EDGE]: a_span(9)}
    store.close()


def test_a_file_whose_tags_cannot_be_read_is_refused_and_nothing_of_it_stays_locked(tmp_path):
    path = tmp_path / "history.db"
    store = opened(path)
    store.append(a_minute(DAY))
    store.close()
    overwrite_table(path, "tags")
    for _ in range(2):
        with pytest.raises(HistoryError, match="malformed"):
            opened(path)


def overwrite_table(path, table):
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def test_making_room_leaves_living_probes_their_numbers():
    store = opened()
    now_s = 100 * DAY
    (number,) = store.number([("alive", ORDERS)], now_s - COARSE_S - 60)  # as long ago as it may have been seen last
    store.number([("gone", ORDERS)], now_s - 2 * DAY)
    store.append(a_minute(now_s - 60))
    store.roll_up(now_s + COARSE_S)
    assert store.make_room()
    assert store.oldest() is None
    assert (store.number_of("alive"), store.number_of("gone")) == (number, None)


def test_a_long_step_is_the_same_however_often_it_was_folded():
    store = opened()
    minutes = 3 * reading.FOLDED_AT + 5
    for at in range(minutes):
        store.append(a_minute(DAY + at * 60, at=at))
        store.append(a_minute(DAY + at * 60, EDGE, at=at))
    store.roll_up(DAY + 2 * COARSE_S)  # some are quarters already, others are minutes still
    wanted = {number: (tags[1],) for tags, number in store.tags.items()}
    steps = reading.by_group(store, Stretch(DAY, 2 * DAY, None), wanted, 2)
    assert [step.tags for step in steps] == [("edge",), ("orders",)]
    assert all(step.span == merge([a_span(at) for at in range(minutes)]) for step in steps)
    with pytest.raises(TooManyError):
        reading.by_group(store, Stretch(DAY, 2 * DAY, None), wanted, 1)
    hours = reading.by_group(store, Stretch(DAY, 2 * DAY, 3600), wanted, 100)
    assert [(step.start, step.tags) for step in hours] == [
        (DAY + hour * 3600, (name,)) for hour in range(-(-minutes // 60)) for name in ("edge", "orders")
    ]
    assert hours[0].span == merge([a_span(at) for at in range(60)])


def test_histograms_add_up_bucket_by_bucket():
    spans = [a_span(at) for at in range(300)]
    sums = [0] * 216
    for span in spans:
        for bucket, count in zip(span.buckets, span.counts, strict=True):
            sums[bucket] += count
    assert dense(spans).tolist() == sums
    assert dense([]).tolist() == [0] * 216


@pytest.mark.parametrize(
    "question",
    [
        lambda store: list(store.group_spans(60, 0, 2 * DAY)),
        lambda store: list(store.chunk_spans(60, 0, 0, 2 * DAY)),
        lambda store: reading.worst(store, Stretch(0, 2 * DAY, None), 1, lambda *_: True),
        lambda store: store._rows("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"),
    ],
    ids=["groups", "chunks", "worst", "within SQLite"],
)
def test_a_question_ends_when_its_time_is_over_and_the_next_is_answered(question):
    store = opened()
    for at in range(20):
        store.append(a_minute(DAY + at * 60, noise=1))
    ends_s = time.monotonic() + 0.05

    def asked_on_and_on():
        while True:  # most of these are answered in less
            question(store)

    with store.asked_until(lambda: time.monotonic() > ends_s + 60):
        next(store.group_spans(60, 0, 2 * DAY))
    with pytest.raises(TooLongError), store.asked_until(lambda: time.monotonic() > ends_s):
        asked_on_and_on()
    assert len(list(store.group_spans(60, 0, 2 * DAY))) == 20
    store.append(a_minute(DAY + 3600))


WRITING = """
    import sys
    from pathlib import Path
    from tests.unit.history.test_store import DAY, EDGE, ORDERS, a_minute, opened

    store = opened(Path(sys.argv[1]))
    at = len(store.spans(60, 0, 10 * DAY))
    while True:
        start = DAY + at * 60
        store.number([(f"probe-{at}", ORDERS)], start)
        store.append(a_minute(start, EDGE if at % 2 else ORDERS, at=at % 150, noise=2))
        if at % 20 == 0:
            store.roll_up(start)
        at += 1
        print(at, flush=True)
"""


def test_whoever_is_killed_while_it_writes_leaves_a_whole_file(tmp_path):
    path = tmp_path / "history.db"
    written = 0
    for wait_s in (0.0, 0.013, 0.031, 0.002, 0.047):
        program = [sys.executable, "-c", textwrap.dedent(WRITING), str(path)]
        writer = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            assert writer.stdout is not None
            for _ in range(10):
                line = writer.stdout.readline()
            time.sleep(wait_s)
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            rest = writer.communicate()[0].split("\n")[:-1]
        written = max(written, int(line), *map(int, rest))
        store = opened(path)
        assert store._rows("PRAGMA integrity_check") == [("ok",)]
        minutes = store.spans(60, 0, 10 * DAY)
        assert written <= len(minutes) <= written + 1  # what it said was written is there, and at most what it could not say
        assert [start for start, _ in minutes] == [DAY + at * 60 for at in range(len(minutes))]
        spans = list(store.group_spans(60, 0, 10 * DAY))
        assert [span for _, _, span in spans] == [a_span(at % 150) for at in range(len(minutes))]
        assert [at for at, _ in store.chunk_spans(60, 1, 0, 10 * DAY)] == [start for start, _ in minutes]
        store.close()


FULL_DISK = """
    import sqlite3, subprocess, sys
    from pathlib import Path
    from tests.unit.history.test_store import DAY, a_minute, opened

    place = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], check=True)
    store, at = opened(place / "history.db"), 0
    try:
        while True:
            store.append(a_minute(DAY + at * 60, noise=2))
            at += 1
    except sqlite3.OperationalError as error:
        assert error.sqlite_errorcode == sqlite3.SQLITE_FULL or "disk" in str(error), error
    assert at > 0
    assert len(list(store.group_spans(60, 0, 2 * DAY))) == at
    subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
    store.append(a_minute(DAY + at * 60, noise=2))
    store.close()
    store = opened(place / "history.db")
    assert store._rows("PRAGMA integrity_check") == [("ok",)]
    assert len(list(store.group_spans(60, 0, 2 * DAY))) == at + 1
    print("whole")
"""


def test_a_full_disk_costs_what_could_not_be_written_and_nothing_else(tmp_path):
    """On a tmpfs in a namespace of its own."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    program = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path)]
    ended = subprocess.run([*unshare, *program], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert ended.stdout == "whole\n", ended.stderr
