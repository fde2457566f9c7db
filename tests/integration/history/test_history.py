"""A host whose probes look at real targets keeps what they saw, and tells it over HTTP."""

from __future__ import annotations

import sqlite3

import httpx
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.history import keeper
from meshkit_fastprobe.history.keeper import FILE
from meshkit_fastprobe.history.store import HistoryError

PREFIX = "/meshkit/diagnostics/v1"
WHEN_ASKED = {"interval": "1h", "timeout": "20s", "initial_delay": "1h"}
"""Of probes that run as often as they are asked to, however slow this machine is."""


def host(state_dir, **settings):
    server = fp.ServerSettings(listen="127.0.0.1:0")
    return fp.Diagnostics(fp.Settings(host="cp-1", cluster="eu-1", state_dir=str(state_dir), server=server, **settings))


async def a_minute(diag):
    """What happens at the end of each."""
    await diag.history._turn(last=True)


async def ask(diag, path, **params):
    headers = {"authorization": f"Bearer {diag.local_token}"}
    async with httpx.AsyncClient(base_url=f"http://{diag.address}{PREFIX}", headers=headers, timeout=30) as client:
        return await client.get(path, params=params)


async def until_ran(diag, name, runs):
    while sum(diag.view(name).runs.values()) < runs:
        await diag.run_once(name)


async def test_what_probes_saw_is_told_by_group_by_probe_and_the_worst_first(tmp_path):
    async with host(tmp_path) as diag:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        diag.add(fp.TcpProbe(f"127.0.0.1:{port}"), name="good", **WHEN_ASKED, namespace="orders")
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED, namespace="edge")
        await until_ran(diag, "good", 5)
        await until_ran(diag, "bad", 5)
        await a_minute(diag)
        groups = (await ask(diag, "/history/groups", last="1h", step="all")).json()["items"]
        assert [item["tags"]["namespace"] for item in groups] == ["edge", "orders"]
        assert groups[1]["results"]["ok"] == groups[1]["runs"] == 5
        assert groups[1]["p50Seconds"] < 1
        assert groups[0]["successRatio"] == 0
        (worst,) = (await ask(diag, "/history/probes", last="1h")).json()["items"]
        assert worst["name"] == "bad"
        assert worst["stateSeconds"]["unhealthy"] > 0
        past = (await ask(diag, "/history/probes/bad", last="1h", step="15m")).json()["item"]
        assert sum(step["results"]["fail"] for step in past["steps"]) == worst["results"]["fail"]
        assert [(change["before"], change["after"], change["reason"]) for change in past["changes"]] == [
            ("unknown", "unhealthy", "connect_refused")
        ]
        assert past["steps"][-1]["p99Seconds"] < 1
        for listener in listeners:
            await listener.aclose()


async def test_a_restart_counts_on_where_the_last_process_ended(tmp_path):
    ran = 0
    for _ in range(2):
        diag = host(tmp_path)
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED)
        async with diag:
            await until_ran(diag, "bad", 5)
        ran += sum(diag.view("bad").runs.values())
    async with host(tmp_path) as diag:
        (told,) = (await ask(diag, "/history/groups", last="1h", step="all", by="")).json()["items"]
    assert told["runs"] == ran == 10


async def test_where_nobody_watched_is_a_gap_and_no_step(tmp_path):
    async with host(tmp_path) as diag:
        await a_minute(diag)
        item = (await ask(diag, "/history", last="2h")).json()["item"]
        assert item["enabled"]
        assert item["coveredSeconds"] < 60
        (gap,) = item["gaps"]
        assert gap["start"] == item["start"]
        assert (await ask(diag, "/history/groups", last="2h")).json()["items"] == []


async def test_without_a_state_dir_there_is_none_and_it_says_so():
    diag = fp.Diagnostics(fp.Settings(host="cp-1", server=fp.ServerSettings(listen="127.0.0.1:0")))
    diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad")
    async with diag:
        assert not (await ask(diag, "/history")).json()["item"].get("enabled", False)
        answer = await ask(diag, "/history/probes/bad")
        assert (answer.status_code, answer.json()["code"]) == (503, "history_unavailable")


@pytest.mark.parametrize(
    "params",
    [
        {"start": "yesterday"},
        {"last": "soon"},
        {"step": "2m"},
        {"last": "400d", "step": "1m"},
        {"start": "2030-01-01T00:00:00"},
    ],
)
async def test_impossible_stretches_are_refused_by_name(tmp_path, params):
    async with host(tmp_path) as diag:
        answer = await ask(diag, "/history/groups", **params)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_parameter"


async def test_a_damaged_file_costs_history_and_nothing_else(tmp_path, caplog):
    (tmp_path / FILE).write_bytes(b"this is no database" * 1000)
    async with host(tmp_path) as diag:
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED)
        await until_ran(diag, "bad", 3)
        await a_minute(diag)
        assert diag.history.use.problem == ""
        assert (tmp_path / f"{FILE}.damaged").exists()
        await until_ran(diag, "bad", 8)
        await a_minute(diag)
        assert (await ask(diag, "/history/probes/bad", last="1h")).json()["item"]["steps"]
    assert "moved to history.db.damaged" in caplog.text


async def test_damage_within_the_file_is_noticed_and_put_aside(tmp_path):
    async with host(tmp_path) as diag:
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED)
        await until_ran(diag, "bad", 3)
        await a_minute(diag)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE probe_span SET content = x'00'")
    connection.close()
    async with host(tmp_path) as diag:
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED)
        assert (await ask(diag, "/history/probes/bad", last="1h")).status_code == 503
        await until_ran(diag, "bad", 3)
        await a_minute(diag)
        await a_minute(diag)
        assert (await ask(diag, "/history/probes/bad", last="1h")).status_code == 200


async def test_a_text_that_is_none_is_damage(tmp_path):
    for _ in range(2):
        async with host(tmp_path) as diag:
            diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED)
            await until_ran(diag, "bad", 3)
            await a_minute(diag)
            assert diag.history.use.problem == ""
        with sqlite3.connect(tmp_path / FILE) as connection:
            connection.execute("UPDATE tags SET namespace = CAST(x'ff' AS TEXT)")
        connection.close()
    assert (tmp_path / f"{FILE}.damaged").exists()


async def test_damage_in_any_one_page_keeps_no_host_from_starting(tmp_path):
    async with host(tmp_path) as diag:
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED)
        await until_ran(diag, "bad", 3)
        await a_minute(diag)
    whole = (tmp_path / FILE).read_bytes()
    with sqlite3.connect(tmp_path / FILE) as connection:
        pages = connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0").fetchall()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    assert "tags" in dict(pages)
    for _, page in pages:
        (tmp_path / FILE).write_bytes(whole[: (page - 1) * size] + b"\xa5" * size + whole[page * size :])
        (tmp_path / f"{FILE}.damaged").unlink(missing_ok=True)
        async with host(tmp_path) as diag:
            diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED)
            await until_ran(diag, "bad", 1)
            for _ in range(3):
                await a_minute(diag)
            assert diag.history.use.problem == ""
    (tags_page,) = (page for name, page in pages if name == "tags")
    (tmp_path / FILE).write_bytes(whole[: (tags_page - 1) * size] + b"\xa5" * size + whole[tags_page * size :])
    (tmp_path / f"{FILE}.damaged").unlink(missing_ok=True)
    async with host(tmp_path):
        assert (tmp_path / f"{FILE}.damaged").exists()


async def test_a_minute_for_which_room_had_to_be_made_is_the_one_that_was_counted(tmp_path):
    async with host(tmp_path, history=fp.HistorySettings(max_bytes=1 << 22)) as diag:
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED, namespace="edge")
        await until_ran(diag, "bad", 1)
        await a_minute(diag)
        (first,) = (await ask(diag, "/history/groups", last="1h", step="all")).json()["items"]
        await diag.history._elsewhere(lambda: fill(diag.history._store))
        await until_ran(diag, "bad", first["runs"] + 10)
        ran = sum(diag.view("bad").runs.values())
        await a_minute(diag)
        (told,) = (await ask(diag, "/history/groups", last="1h", step="all")).json()["items"]
        assert told["runs"] == ran
        assert told["results"]["fail"] == told["runs"]
        assert diag.history.use.lost == 0
        # One that cannot be written at all is lost, and the next does not tell of it.
        aside, diag.history._path = diag.history._path, tmp_path / "nowhere" / FILE
        (tmp_path / "nowhere").write_text("no directory")
        await diag.history._elsewhere(diag.history._close)
        before = sum(diag.view("bad").runs.values())
        await until_ran(diag, "bad", before + 10)
        await a_minute(diag)
        assert diag.history.use.lost == 1
        diag.history._path = aside
        await until_ran(diag, "bad", before + 13)
        await a_minute(diag)
        (after,) = (await ask(diag, "/history/groups", last="1h", step="all")).json()["items"]
        assert after["runs"] - told["runs"] == 3


def fill(store):
    """With old days that can be let go, until not even one more row fits behind what is there."""
    at = 0
    for size in (3000, 60):
        is_full = False
        while not is_full:
            try:
                with store._connection as connection:
                    connection.execute("INSERT INTO span VALUES (900, ?, 900000)", (at * 900,))
                    connection.execute("INSERT INTO group_span VALUES (900, ?, 1, randomblob(?))", (at * 900, size))
            except sqlite3.OperationalError as error:
                is_full = "full" in str(error)
            at += 1


async def test_a_question_that_takes_too_long_is_refused_and_no_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "ANSWER_S", 0.0)
    async with host(tmp_path) as diag:
        diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", **WHEN_ASKED)
        await until_ran(diag, "bad", 1)
        await a_minute(diag)
        answer = await ask(diag, "/history/groups", last="1h")
        assert (answer.status_code, answer.json()["code"]) == (503, "history_unavailable")
        assert "takes too long" in answer.json()["detail"]
        await a_minute(diag)
        assert (diag.history.use.problem, diag.history.use.lost) == ("", 0)
    assert not (tmp_path / f"{FILE}.damaged").exists()


async def test_more_questions_than_may_wait_are_refused_and_leaving_waits_for_none(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "ANSWER_S", 60.0)  # far beyond what a loaded machine takes
    outcomes = []
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

    async def asked(diag):
        try:
            await diag.history.ask(lambda store: store._rows(endless))
        except HistoryError as error:
            outcomes.append(str(error))

    async with trio.open_nursery() as nursery:
        async with host(tmp_path) as diag:
            for _ in range(keeper.MAX_WAITING + 3):
                nursery.start_soon(asked, diag)
            with trio.fail_after(20):
                while len(outcomes) < 3:
                    await trio.sleep(0.01)
            assert all("ask again later" in outcome for outcome in outcomes)
            began = trio.current_time()
        assert trio.current_time() - began < keeper.ANSWER_S / 2
        assert diag.history.use.lost == 0
    assert len(outcomes) == keeper.MAX_WAITING + 3
    assert sum("the host leaves" in outcome for outcome in outcomes) == keeper.MAX_WAITING - 1


async def test_a_second_host_with_the_same_state_dir_keeps_none_and_probes_on(tmp_path):
    async with host(tmp_path) as first:
        await a_minute(first)
        other = fp.Diagnostics(fp.Settings(host="cp-2", state_dir=str(tmp_path)))
        async with other:
            assert "locked" in other.history.use.problem
        assert first.history.use.problem == ""


async def test_the_file_stays_within_its_bound(tmp_path):
    settings = fp.HistorySettings(max_bytes=1 << 22)
    diag = host(tmp_path, history=settings)
    for number in range(3000):
        diag.add(fp.TcpProbe("127.0.0.1:1"), name=f"p{number}-{'x' * 200}", interval="1h", timeout="1s", enabled=False)
    async with diag:
        await a_minute(diag)
        size = (tmp_path / FILE).stat().st_size
    assert size <= 1 << 22
