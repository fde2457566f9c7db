import math

import msgspec
import numpy as np
import pytest

from meshkit_fastprobe.errors import UnknownProbeError
from meshkit_fastprobe.model import Lane, Reason, Result, State


def decoded(snapshot):
    return msgspec.msgpack.decode(snapshot.to_msgpack_columns())


def test_columns_in_messagepack_decode_to_what_the_columns_say(world):
    for number in range(9):
        world.add(f"p{number}", kind=("tcp", "http")[number % 2])
        world.ingest(f"p{number}", *[Result.OK] * number)
    snapshot = world.snapshot()
    sent = decoded(snapshot)
    assert set(sent["columns"]) == set(snapshot.columns)
    for name, (dtype, raw) in sent["columns"].items():
        np.testing.assert_array_equal(np.frombuffer(raw, dtype), snapshot.columns[name], err_msg=name)


def test_messagepack_says_whose_and_of_when_it_is(world):
    world.add("b", kind="http")
    world.add("a", kind="tcp")
    sent = decoded(world.snapshot())
    columns = sent.pop("columns")
    assert sent == {"host": "h1", "cluster": "eu-1", "takenAt": world.wall_s, "kinds": ["http", "tcp"], "names": ["a", "b"]}
    assert np.frombuffer(columns["kind"][1], columns["kind"][0]).tolist() == [1, 0]


def test_a_snapshot_of_nothing_is_messagepack_too(world):
    assert decoded(world.snapshot())["names"] == []


def test_a_snapshot_stands_still_while_the_table_goes_on(world):
    world.add("a")
    world.add("b")
    world.ingest("a", Result.OK)
    snapshot = world.snapshot()
    before = {name: column.copy() for name, column in snapshot.columns.items()}
    totals, packed = snapshot.totals, snapshot.to_msgpack_columns()
    world.wait(5)
    world.ingest("a", *[Result.FAIL] * 20)
    world.pause("b")
    world.remove("a")
    world.add("new")
    for name, column in snapshot.columns.items():
        np.testing.assert_array_equal(column, before[name], err_msg=name)
    assert (snapshot.names, snapshot.totals, snapshot.to_msgpack_columns()) == (["a", "b"], totals, packed)


def test_columns_refuse_to_be_written(world):
    world.add("a")
    for name, column in world.snapshot().columns.items():
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0
        assert not column.flags.writeable, name


def test_a_snapshot_refuses_to_be_changed(world):
    with pytest.raises(AttributeError):
        world.snapshot().host = "other"


def test_totals_agree_with_the_columns(world):
    world.add("a")
    world.add("b")
    world.add("c")
    world.ingest("a", Result.OK, Result.DEGRADED)
    world.ingest("b", Result.TIMEOUT)
    snapshot = world.snapshot()
    totals = snapshot.totals
    assert (totals.probes, totals.runs) == (3, 3)
    for name in ("ok", "degraded", "fail", "timeout", "error"):
        assert getattr(totals, name) == snapshot.columns[name].sum()
    assert totals.states == {"unknown": 1, "healthy": 0, "degraded": 1, "unhealthy": 1, "paused": 0}


def test_totals_keep_what_removed_probes_ran(world):
    world.add("a")
    world.ingest("a", Result.OK, Result.OK)
    world.remove("a")
    assert (world.snapshot().totals.probes, world.snapshot().totals.runs) == (0, 2)


def test_totals_before_the_first_run_have_no_lag(world):
    world.add("a")
    totals = world.snapshot().totals
    assert (totals.lag_p50_s, totals.lag_p99_s, totals.lag_max_s) == (None, None, None)


def test_a_view_says_what_the_row_says(world):
    world.add("a", namespace="orders", labels=(("tier", "1"),))
    world.ingest("a", Result.OK, Result.FAIL, reason=Reason.CONNECT_REFUSED, latency_s=0.002)
    view = world.snapshot()["a"]
    assert (view.state, view.result, view.reason) == (State.UNHEALTHY, Result.FAIL, Reason.CONNECT_REFUSED)
    assert (view.target, view.lane, view.namespace, view.labels) == ("a:80", Lane.NATIVE, "orders", {"tier": "1"})
    assert view.runs == {"ok": 1, "degraded": 0, "fail": 1, "timeout": 0, "error": 0}
    assert view.success_ratio == 0.5
    assert view.latency_s == 0.002
    assert 0.0018 < view.p50_s < 0.0022


def test_what_is_not_known_yet_is_none_in_a_view(world):
    world.add("a")
    view = world.snapshot()["a"]
    told = (view.result, view.reason, view.latency_s, view.last_run, view.success_ratio, view.p50_s)
    assert told == (None,) * 6
    assert view.message == ""


def test_quantiles_of_a_probe_among_its_timeouts_are_infinite(world):
    world.add("a")
    world.ingest("a", Result.TIMEOUT)
    assert world.snapshot()["a"].p50_s == math.inf


def test_a_removed_probe_stays_readable_in_its_snapshot_without_the_quantiles_of_its_successor(world):
    old = world.add("old")
    world.ingest("old", Result.OK)
    snapshot = world.snapshot()
    world.remove("old")
    new = world.add("new")
    world.ingest("new", Result.TIMEOUT)
    assert new.slot == old.slot
    assert (snapshot["old"].result, snapshot["old"].p50_s) == (Result.OK, None)


def test_views_are_in_the_order_of_the_rows_asked_for(world):
    for name in "abcd":
        world.add(name)
    assert [view.name for view in world.snapshot().views([3, 0, 2])] == ["d", "a", "c"]


def test_an_unknown_name_is_refused_by_name(world):
    snapshot = world.snapshot()
    with pytest.raises(UnknownProbeError, match="nobody"):
        snapshot["nobody"]
    assert "nobody" not in snapshot
    assert 5 not in snapshot


def test_one_view_without_a_snapshot_agrees_with_one_out_of_it(world):
    world.add("db")
    world.add("api", depends_on=("db",))
    world.ingest("db", Result.FAIL)
    world.ingest("api", Result.OK)
    world.wait(2)
    for name in ("db", "api"):
        assert world.builder.view(world.catalog[name], world.now_ns, world.wall_s) == world.snapshot()[name]


def test_dependents_of_an_unhealthy_probe_are_suppressed_until_it_recovers(world):
    world.add("db")
    world.add("api", depends_on=("db",))
    world.ingest("db", Result.FAIL)
    assert world.snapshot()["api"].suppressed
    world.ingest("db", Result.OK)
    assert not world.snapshot()["api"].suppressed


def test_recent_results_are_told_oldest_first_with_their_words_and_moments(world):
    world.add("a")
    for status in range(500, 510):
        world.wait(1)
        world.ingest("a", Result.FAIL, reason=Reason.HTTP_STATUS, detail=status, latency_s=0.01)
    newest_s = world.wall_s
    world.wait(3)
    recent = world.builder.recent(world.catalog["a"], world.now_ns, world.wall_s)
    assert [result.detail for result in recent] == list(range(502, 510))
    assert recent[-1].message.endswith("509")
    assert recent[-1].at == pytest.approx(newest_s, abs=0.011)
    assert recent[0].at == pytest.approx(newest_s - 7, abs=0.011)
    assert recent[0].latency_s == pytest.approx(0.01)


def test_the_moments_of_recent_results_survive_the_wrap_of_their_clock(world):
    """at_cs is 32 bits of 10 ms: after 497 days of uptime it begins anew."""
    world.now_ns = (1 << 32) * 10_000_000 - 500_000_000
    world.add("a")
    world.ingest("a", Result.OK)
    began_s = world.wall_s
    world.wait(2)
    (recent,) = world.builder.recent(world.catalog["a"], world.now_ns, world.wall_s)
    assert recent.at == pytest.approx(began_s, abs=0.011)


def test_the_directory_is_shared_until_somebody_comes_or_goes(world):
    world.add("a")
    first, second = world.snapshot(), world.snapshot()
    assert first.directory is second.directory
    world.add("b")
    assert world.snapshot().directory is not first.directory
    assert first.names == ["a"]
