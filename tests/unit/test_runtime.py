"""Semantics of the whole, on a virtual clock: the engine is stepped inside trio, whose clock jumps when everybody waits."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe import Config, Diagnostics, Outcome, Reason, Result, Settings, State


def diagnostics(**settings) -> Diagnostics:
    return Diagnostics(Settings(host="test", engine="inline", max_probes=20_000, **settings))


class Script:
    """An async check that does as it is told, and remembers when it ran."""

    def __init__(self) -> None:
        self.fails = False
        self.takes_s = 0.0
        self.started: list[float] = []
        self.running = 0
        self.most_running = 0

    async def check(self) -> None:
        self.started.append(trio.current_time())
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await trio.sleep(self.takes_s)
        finally:
            self.running -= 1
        if self.fails:
            raise ConnectionRefusedError(111, "refused")


async def test_a_probe_runs_on_its_phase_without_drift(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="5s")
    async with diag:
        await trio.sleep(500)
    gaps = [after - before for before, after in zip(script.started, script.started[1:], strict=False)]
    assert 99 <= len(script.started) <= 101
    assert max(gaps) - min(gaps) < 0.002
    assert abs((script.started[-1] - script.started[0]) - 5 * (len(script.started) - 1)) < 0.002


async def test_the_first_run_comes_within_one_interval_and_within_the_window_for_long_ones(mock_clock):
    diag, quick, slow = diagnostics(), Script(), Script()
    diag.add(quick.check, name="quick", interval="2s")
    diag.add(slow.check, name="slow", interval="1h")
    async with diag:
        began = trio.current_time()
        await trio.sleep(10.1)
    assert quick.started[0] - began <= 2.002
    assert slow.started[0] - began <= 10.01


async def test_ten_thousand_probes_start_evenly_from_the_first_second(mock_clock):
    started: list[float] = []

    async def check() -> None:
        started.append(trio.current_time())

    diag = diagnostics()
    for number in range(10_000):
        diag.add(check, name=f"probe-{number}", interval=10.0)
    async with diag:
        await trio.sleep(10.15)  # one interval and the time that placing ten thousand is given
    # Ten start together on a grid of 10 ms: parts begin between two of its lines, where rounding moves nobody.
    per_100_ms = Counter(int((moment - started[0] + 0.005) * 10) for moment in started)
    assert started[0] < 0.2
    assert all(95 <= per_100_ms[part] <= 105 for part in range(100)), per_100_ms


async def test_the_same_names_get_the_same_phases_in_any_order():
    names = [f"probe-{number}" for number in range(100)]

    async def phases(ordered: list[str]) -> dict[str, int]:
        diag = Diagnostics(Settings(host="test", max_probes=1000))
        for name in ordered:
            diag.add(Script().check, name=name, interval="1h")
        async with diag:
            return {one.name: one.due_ns % 3_600_000_000_000 for one in diag.catalog}

    assert await phases(names) == await phases(names[::-1])


async def test_rise_and_fall_count_consecutive_results(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="1s", rise=2, fall=3)
    async with diag:
        changes = diag.changes()
        await trio.sleep(2.5)
        assert diag.snapshot()["a"].state is State.HEALTHY  # the first conclusive result decides
        script.fails = True
        failing_since = trio.current_time()
        change = await changes.__anext__()  # the first one, from UNKNOWN
        assert (change.before, change.after) == (State.UNKNOWN, State.HEALTHY)
        change = await changes.__anext__()
        assert (change.before, change.after, change.reason) == (State.HEALTHY, State.UNHEALTHY, Reason.CONNECT_REFUSED)
        assert 2 <= trio.current_time() - failing_since <= 3.1
        script.fails = False
        healing_since = trio.current_time()
        change = await changes.__anext__()
        assert change.after is State.HEALTHY
        assert 1 <= trio.current_time() - healing_since <= 2.1


async def test_a_timeout_is_a_result_and_cancels_the_callable(mock_clock):
    diag, script = diagnostics(), Script()
    script.takes_s = 60
    diag.add(script.check, name="a", interval="5s", timeout="1s")
    async with diag:
        await trio.sleep(16)
        view = diag.snapshot()["a"]
    assert view.result is Result.TIMEOUT
    assert view.reason is Reason.TIMEOUT
    assert view.latency_s == pytest.approx(1.0, abs=0.01)
    assert script.most_running == 1
    assert len(script.started) >= 3


async def test_a_timeout_as_long_as_the_interval_costs_no_run(mock_clock):
    diag, script = diagnostics(), Script()
    script.takes_s = float("inf")
    diag.add(script.check, name="a", interval="1s", timeout="1s")
    async with diag:
        await trio.sleep(60)
        totals = diag.snapshot().totals
    assert totals.timeout >= 58
    assert "overlap" not in totals.skipped_by_reason
    assert script.most_running == 1


async def test_a_worker_survives_a_probe_whose_own_nursery_wraps_the_timeout(mock_clock):
    diag, script = diagnostics(max_task_runs=1), Script()

    async def stubborn() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("while being cancelled")

    diag.add(stubborn, name="stubborn", interval="5s", timeout="1s")
    diag.add(script.check, name="good", interval="5s", timeout="1s")
    async with diag:
        await trio.sleep(21)
        assert diag.snapshot()["stubborn"].result is Result.TIMEOUT
    assert len(script.started) >= 4


async def test_what_cannot_start_in_time_is_skipped_and_not_the_targets_failure(mock_clock):
    diag = diagnostics(max_task_runs=1)
    hog = Script()
    hog.takes_s = 60
    starved = Script()
    diag.add(hog.check, name="hog", interval="60s", timeout="60s")
    diag.add(starved.check, name="starved", interval="2s", timeout="1s")
    async with diag:
        while not hog.started:
            await trio.sleep(0.1)
        before = diag.snapshot()["starved"].runs
        await trio.sleep(20)
        snapshot = diag.snapshot()
    assert snapshot["starved"].runs == before
    assert snapshot.totals.skipped_by_reason["saturated"] >= 8
    assert snapshot.totals.fail == 0


async def test_a_probe_slower_than_degraded_above_is_degraded(mock_clock):
    diag, script = diagnostics(), Script()
    script.takes_s = 0.3
    diag.add(script.check, name="a", interval="5s", timeout="1s", degraded_above="200ms")
    async with diag:
        await trio.sleep(6)
        view = diag.snapshot()["a"]
    assert (view.state, view.result, view.reason) == (State.DEGRADED, Result.DEGRADED, Reason.SLOW)


async def test_an_outcome_says_more_than_passing(mock_clock):
    diag = diagnostics()

    @diag.probe("disk", interval="5s")
    async def disk() -> Outcome:
        return Outcome.degraded("87% full")

    async with diag:
        await trio.sleep(6)
        view = diag.snapshot()["disk"]
    assert view.state is State.DEGRADED
    assert view.message == "87% full"


async def test_a_circle_of_dependencies_is_refused_when_it_would_close(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", depends_on=("b",))  # b may come later
    diag.add(script.check, name="c", depends_on=("a",))
    with pytest.raises(fp.ConfigError, match=r"a circle: [abc] -> "):
        diag.add(script.check, name="b", depends_on=("c",))
    with pytest.raises(fp.ConfigError, match="a circle: d -> d"):
        diag.add(script.check, name="d", depends_on=("d",))
    assert list(diag.catalog.by_name) == ["a", "c"]
    diag.add(script.check, name="b")


async def test_what_an_outage_brings_down_with_it_is_not_announced(mock_clock):
    diag, above, below = diagnostics(), Script(), Script()
    above.fails = below.fails = True
    diag.add(above.check, name="db", interval="1s", fall=1, rise=1)
    diag.add(below.check, name="api", interval="5s", initial_delay="10s", fall=1, rise=1, depends_on=("db",))
    async with diag:
        changes = diag.changes()
        await trio.sleep(20)
        view = diag.snapshot()["api"]
        assert (view.state, view.suppressed) == (State.UNHEALTHY, True)
        above.fails = below.fails = False
        await trio.sleep(20)
    told = [(change.name, change.after) async for change in changes]
    assert told[:2] == [("db", State.UNHEALTHY), ("db", State.HEALTHY)]
    assert told[-1] == ("api", State.HEALTHY)


async def test_a_probe_that_flaps_is_announced_as_such_and_once_more_at_rest(mock_clock):
    diag = diagnostics()
    runs = 0

    async def check() -> None:
        nonlocal runs
        runs += 1
        assert runs % 2 or runs > 14

    diag.add(check, name="a", interval="1s", fall=1, rise=1)
    async with diag:
        changes = diag.changes()
        await trio.sleep(13)
        assert diag.snapshot()["a"].flapping
        assert diag.view("a").flapping
        await trio.sleep(60)
        assert not diag.snapshot()["a"].flapping
    up, down = (State.HEALTHY, False), (State.UNHEALTHY, False)
    told = [(change.after, change.flapping) async for change in changes]
    assert told == [up, down, up, down, up, (State.UNHEALTHY, True), up]


async def test_what_happens_under_maintenance_is_announced_when_it_is_over_if_it_lasts(mock_clock):
    diag, lasting, passing = diagnostics(), Script(), Script()
    diag.add(lasting.check, name="lasting", interval="1s", fall=1, rise=1)
    diag.add(passing.check, name="passing", interval="1s", fall=1, rise=1)
    async with diag:
        await trio.sleep(5)
        changes = diag.changes()
        start = datetime.fromtimestamp(diag.snapshot().taken_at + 10, UTC)
        diag.maintenance.add(
            fp.Maintenance(reason="work", when=fp.Once(start=start, end=start + timedelta(minutes=1)), name="*")
        )
        await trio.sleep(20)
        lasting.fails = passing.fails = True
        await trio.sleep(10)
        assert diag.view("lasting").state is State.UNHEALTHY
        assert diag.view("lasting").maintenance == diag.snapshot()["lasting"].maintenance == "work"
        passing.fails = False
        await trio.sleep(60)
        assert diag.view("lasting").maintenance is None
    assert [(change.name, change.before, change.after) async for change in changes] == [
        ("lasting", State.HEALTHY, State.UNHEALTHY)
    ]


async def test_a_reload_closes_a_window_that_it_takes_away(tmp_path, mock_clock):
    def load(text: str) -> Config:
        file.write_text(text)
        config = fp.load_config(file)
        return msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, engine="inline"))

    file = tmp_path / "a.toml"
    probe = '[[probe]]\nname = "a"\nkind = "tcp"\ntarget = "127.0.0.1:1"\nfall = 1\nenabled = false\n'
    days = 'days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]\nat = "00:00"\nduration = "1d"\n'
    diag = Diagnostics.from_config(load(f'[[maintenance]]\nreason = "always"\nname = "*"\n{days}{probe}'))
    diag.resume("a")
    async with diag:
        changes = diag.changes()
        diag.report("a", ok=False)
        await trio.sleep(1)
        assert diag.view("a").maintenance == "always"
        await diag.reload(load(probe))
        assert diag.view("a").maintenance is None
    assert [change.after async for change in changes] == [State.UNHEALTHY]


async def test_a_backoff_that_a_reload_brings_holds_for_what_is_unhealthy_already(tmp_path, mock_clock):
    def load(text: str) -> Config:
        file.write_text(text)
        config = fp.load_config(file)
        return msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, engine="inline"))

    file = tmp_path / "a.toml"
    probe = '[[probe]]\nname = "a"\nkind = "quorum"\ntarget = "nobody"\nat_least = 1\ninterval = "1s"\n'
    diag = Diagnostics.from_config(load(probe))
    async with diag:
        await trio.sleep(20)
        assert (diag.view("a").state, diag.view("a").interval_s) == (State.UNHEALTHY, 1)
        await diag.reload(load(probe + 'backoff = "2s"\n'))
        await trio.sleep(30)
        assert diag.view("a").interval_s == 2
        await diag.reload(load(probe))
        assert diag.view("a").interval_s == 1


async def test_a_window_that_cannot_be_is_refused():
    diag = diagnostics()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(fp.ConfigError, match="it would cover every probe"):
        diag.maintenance.add(fp.Maintenance(reason="work", when=fp.Once(start=start, end=start + timedelta(hours=1))))
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - what is refused
    with pytest.raises(fp.ConfigError, match="a time without its zone"):
        diag.maintenance.add(fp.Maintenance(reason="work", when=fp.Once(start=naive, end=naive), name="*"))
    with pytest.raises(ValueError, match="was not added"):
        diag.maintenance.end(fp.Maintenance(reason="work", when=fp.Once(start=start, end=start), name="*"))


async def test_a_quorum_follows_its_members_at_once_and_others_may_depend_on_it(mock_clock):
    diag, script = diagnostics(), Script()
    names = [f"db-{number}" for number in range(3)]
    for name in names:
        diag.add(script.check, name=name, interval="1h", timeout="1s", initial_delay="30m", fall=1, rise=1)
    diag.add(fp.QuorumProbe("db-*", 2), name="db", interval="10m", timeout="1s", namespace="shop")
    diag.add(script.check, name="web", interval="1h", timeout="1s", initial_delay="30m", fall=1, depends_on=("db",))
    async with diag:
        await trio.sleep(20)
        assert diag.view("db").state is State.UNKNOWN
        assert diag.snapshot().totals.skipped_by_reason == {"members_unknown": 1}
        changes = diag.changes()
        for name in names:
            diag.report(name, ok=True)
        await trio.sleep(1)
        assert diag.view("db").state is State.HEALTHY
        diag.report("db-0", ok=False)
        await trio.sleep(1)
        assert diag.view("db").message == "2 of 3 up, 2 needed"
        diag.report("db-2", ok=False)
        await trio.sleep(1)
        view = diag.view("db")
        assert (view.state, view.reason, view.message) == (
            State.UNHEALTHY,
            Reason.QUORUM,
            "1 of 3 up, 2 needed; down: db-0, db-2",
        )
        assert diag.view("web").suppressed
        assert [group.states["unhealthy"] for group in diag.snapshot().groups(by=("namespace",))] == [2, 1]
        diag.report("db-2", ok=True)
        await trio.sleep(1)
        assert diag.view("db").state is State.HEALTHY
        diag.remove("db-1")
        assert (await diag.run_once("db")).message == "1 of 2 up, 2 needed; down: db-0"
    assert [change.after async for change in changes if change.name == "db"] == [
        State.HEALTHY,
        State.UNHEALTHY,
        State.HEALTHY,
        State.UNHEALTHY,
    ]


async def test_a_quorum_that_is_explained_tells_who_is_not_healthy(mock_clock):
    diag, script = diagnostics(), Script()
    for name in ("a-1", "a-2"):
        diag.add(script.check, name=name, interval="1h", initial_delay="30m")
    diag.add(fp.QuorumProbe("a-1", "50%", also=("a-2", "nobody", "quorum:*")), interval="1h")
    async with diag:
        diag.report("a-1", ok=False)
        diag.report("a-2", ok=True)
        await trio.sleep(1)
        told = await diag.explain("quorum:a-1")
    assert (told.result, told.message, told.facts) == (Result.OK, "1 of 2 up, 1 needed", (("a-1", "unhealthy"),))


async def test_real_calls_that_pass_make_checks_needless_and_one_that_fails_brings_one_at_once(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="10s", timeout="1s", passive_defers="15s")
    async with diag:
        await trio.sleep(10.5)
        before = len(script.started)
        for _ in range(50):
            diag.report("a", ok=True)
            await trio.sleep(1)
        assert len(script.started) == before
        snapshot = diag.snapshot()
        assert (snapshot.totals.deferred, snapshot.totals.skipped, snapshot["a"].skipped) == (5, 0, 0)
        assert not snapshot["a"].stale
        for _ in range(100):
            diag.report("a", ok=False)
        await trio.sleep(0.1)
        assert len(script.started) == before + 1
        await trio.sleep(30)
        assert len(script.started) == before + 4


async def test_without_passive_defers_real_calls_leave_the_schedule_alone(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="10s", timeout="1s")
    async with diag:
        await trio.sleep(10.5)
        before = len(script.started)
        for number in range(20):
            diag.report("a", ok=bool(number % 2))
            await trio.sleep(1)
        assert len(script.started) == before + 2
        assert diag.snapshot().totals.deferred == 0


async def test_a_change_that_is_pending_is_looked_after_sooner(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="60s", timeout="1s", pending_interval="1s", fall=5, rise=5)
    async with diag:
        await trio.sleep(130)
        assert len(script.started) <= 4
        script.fails = True
        await trio.sleep(66)  # one at its old pace, four at the new one
        assert diag.view("a").state is State.UNHEALTHY
        assert diag.view("a").interval_s == 60
        script.fails = False
        await trio.sleep(66)
        assert diag.view("a").state is State.HEALTHY
        before = len(script.started)
        await trio.sleep(120)
        assert len(script.started) == before + 2


async def test_what_stays_unhealthy_is_asked_less_often_up_to_the_bound_and_sooner_again_when_it_passes(mock_clock):
    diag, script = diagnostics(), Script()
    script.fails = True
    diag.add(script.check, name="a", interval="10s", timeout="1s", unhealthy_interval="1s", backoff="6s", fall=1, rise=3)
    async with diag:
        seen = set()
        for _ in range(30):
            await trio.sleep(10)
            seen.add(diag.view("a").interval_s)
        assert seen == {1.0, 2.0, 4.0, 6.0}
        assert diag.view("a").interval_s == 6
        before = len(script.started)
        await trio.sleep(60)
        assert len(script.started) == before + 10
        script.fails = False
        await trio.sleep(6.9)
        now = diag.view("a")
        assert (now.state, now.interval_s) in {(State.UNHEALTHY, 1), (State.HEALTHY, 10)}
        await trio.sleep(3)
        assert (diag.view("a").state, diag.view("a").interval_s) == (State.HEALTHY, 10)


async def test_unhealthy_probes_are_checked_at_their_own_pace(mock_clock):
    diag, script = diagnostics(), Script()
    script.fails = True
    diag.add(script.check, name="a", interval="20s", timeout="1s", unhealthy_interval="1s", fall=1, rise=1)
    async with diag:
        await trio.sleep(41)
        fast = len(script.started)
        assert fast >= 18
        script.fails = False
        await trio.sleep(5)
        script.started.clear()
        await trio.sleep(60)
    assert 2 <= len(script.started) <= 4


async def test_a_probe_paused_while_unhealthy_comes_back_at_its_own_interval(mock_clock):
    diag, script = diagnostics(), Script()
    script.fails = True
    diag.add(script.check, name="a", interval="20s", timeout="1s", unhealthy_interval="1s", fall=1, rise=1)
    async with diag:
        await trio.sleep(30)
        assert diag.snapshot()["a"].interval_s == 1.0
        diag.pause("a")
        script.fails = False
        diag.resume("a")
        await trio.sleep(50)
        view = diag.snapshot()["a"]
    assert (view.state, view.interval_s, view.stale) == (State.HEALTHY, 20.0, False)


async def test_an_unhealthy_probe_keeps_its_pace_when_diagnostics_is_entered_again(mock_clock):
    diag, script = diagnostics(), Script()
    script.fails = True
    diag.add(script.check, name="a", interval="20s", timeout="1s", unhealthy_interval="1s", fall=1, rise=1)
    async with diag:
        await trio.sleep(30)
    script.started.clear()
    async with diag:
        await trio.sleep(30)
    assert len(script.started) >= 8


async def test_an_unhealthy_probe_keeps_its_pace_when_a_reload_changes_its_options(tmp_path, mock_clock):
    """The target refuses while it is being connected to: no waiting for the network, on a clock that would jump meanwhile."""

    def load(text: str) -> Config:
        file.write_text(text)
        config = fp.load_config(file)
        return msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, engine="inline"))

    file = tmp_path / "a.toml"
    text = (
        '[host]\nname = "test"\n[[probe]]\nname = "a"\nkind = "tcp"\ntarget = "127.0.0.1:1"\n'
        'interval = "20s"\ntimeout = "1s"\nunhealthy_interval = "1s"\nfall = 1\n'
    )
    diag = Diagnostics.from_config(load(text))
    async with diag:
        diag.report("a", ok=False)
        await trio.sleep(1)
        before = diag.view("a")
        summary = await diag.reload(load(text + "rise = 5\n"))
        await trio.sleep(10)
        after = diag.view("a")
    assert summary.changed == 1
    assert (before.state, before.interval_s, after.interval_s) == (State.UNHEALTHY, 1.0, 1.0)
    assert after.runs["fail"] - before.runs["fail"] >= 8


async def test_a_probe_paused_while_running_is_still_paused_when_diagnostics_is_entered_again(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="1s")
    async with diag:
        await trio.sleep(3)
        diag.pause("a")
    script.started.clear()
    async with diag:
        await trio.sleep(5)
        assert not script.started
        diag.resume("a")
        await trio.sleep(5)
    assert len(script.started) >= 4


async def test_a_paused_probe_rests_and_a_resumed_one_keeps_its_phase(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="5s")
    async with diag:
        await trio.sleep(11)
        phase = script.started[0] % 5
        diag.pause("a")
        runs = len(script.started)
        await trio.sleep(60)
        assert len(script.started) == runs
        assert diag.snapshot()["a"].state is State.PAUSED
        diag.resume("a")
        assert diag.snapshot()["a"].state is State.UNKNOWN
        await trio.sleep(5.01)
        assert diag.snapshot()["a"].state is State.HEALTHY
    assert script.started[-1] % 5 == pytest.approx(phase, abs=0.002)


async def test_run_once_gives_the_view_after_its_run_and_works_while_paused(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="1h", enabled=False)
    with pytest.raises(fp.NotRunningError):
        await diag.run_once("a")
    async with diag:
        await trio.sleep(100)
        assert not script.started
        view = await diag.run_once("a")
        assert view.result is Result.OK
        assert len(script.started) == 1


async def test_two_who_ask_for_a_run_share_the_one_in_flight(mock_clock):
    diag, script = diagnostics(), Script()
    script.takes_s = 0.5
    diag.add(script.check, name="a", interval="1h", enabled=False)
    async with diag, trio.open_nursery() as nursery:
        nursery.start_soon(diag.run_once, "a")
        nursery.start_soon(diag.run_once, "a")
    assert len(script.started) == 1


async def test_probes_come_and_go_while_running(mock_clock):
    diag, script = diagnostics(), Script()
    async with diag:
        for round_ in range(50):
            diag.add(script.check, name="a", interval="1s")
            await trio.sleep(1.1)
            assert diag.snapshot()["a"].runs["ok"] >= 1, round_
            diag.remove("a")
            assert "a" not in diag.snapshot()
        with pytest.raises(fp.UnknownProbeError, match="no probe is named 'a'"):
            diag.remove("a")
    assert diag.table.high_water == 1


async def test_removing_a_probe_cancels_its_run_without_a_record(mock_clock):
    diag, script = diagnostics(), Script()
    script.takes_s = 30
    diag.add(script.check, name="a", interval="60s", timeout="60s")
    async with diag:
        while not script.running:
            await trio.sleep(0.1)
        diag.remove("a")
        await trio.sleep(1)
        assert not script.running
        assert diag.snapshot().totals.runs == 0


async def test_passive_reports_move_the_state_like_runs(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="db", interval="1h", enabled=True, initial_delay="30m", rise=1, fall=2)
    async with diag:
        diag.report("db", ok=True, latency_s=0.004)
        await trio.sleep(0.1)
        view = diag.snapshot()["db"]
        assert view.state is State.HEALTHY
        assert view.latency_s == pytest.approx(0.004)
        diag.report("db", ok=False)
        diag.report("db", ok=False)
        await trio.sleep(0.1)
        view, totals = diag.snapshot()["db"], diag.snapshot().totals
    assert (view.state, view.reason) == (State.UNHEALTHY, Reason.REPORTED)
    assert (totals.passive, totals.runs) == (3, 0)


async def test_a_probe_without_news_for_three_intervals_is_stale(mock_clock):
    diag, script = diagnostics(max_thread_runs=1), Script()
    diag.add(script.check, name="a", interval="2s", timeout="1s")
    async with diag:
        await trio.sleep(5)
        assert not diag.snapshot()["a"].stale
        registration = diag.catalog["a"]
        diag._running.engine.schedule(registration.slot, registration.generation, -1, 2_000_000_000, 1_000_000_000)
        diag._running.engine.flush()
        await trio.sleep(9)
        assert diag.snapshot()["a"].stale


async def test_jitter_moves_starts_but_not_the_phase(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="5s", jitter="1s")
    async with diag:
        await trio.sleep(501)
    offsets = [moment % 5 for moment in script.started]
    assert max(offsets) - min(offsets) > 0.5
    assert 98 <= len(script.started) <= 101


async def test_initial_delay_holds_back_the_first_run(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="2s", initial_delay="30s")
    async with diag:
        began = trio.current_time()
        await trio.sleep(33)
    assert 30 <= script.started[0] - began <= 32.01


async def test_the_sync_lane_reports_an_overrun_at_once_and_never_doubles_a_callable():
    gate, running, most = threading.Event(), 0, 0

    def blocks() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        gate.wait(60)
        running -= 1

    def overlaps() -> int:
        return diag.snapshot().totals.skipped_by_reason.get("overlap", 0)

    diag = Diagnostics(Settings(host="test", max_probes=100))
    diag.add(blocks, name="a", interval="100ms", timeout="50ms")
    async with diag:
        try:
            with trio.fail_after(30):
                while overlaps() < 5:
                    await trio.sleep(0.02)
            view = diag.view("a")
        finally:
            gate.set()
        with trio.fail_after(30):
            while not diag.view("a").runs["ok"]:
                await trio.sleep(0.02)
    assert view.runs["timeout"] == 1
    assert 0.04 <= view.latency_s < 0.45  # until the timeout, and not for as long as it blocked: five intervals
    assert most == 1


async def test_leaving_abandons_a_callable_that_never_returns():
    gate = threading.Event()
    diag = Diagnostics(Settings(host="test", max_probes=100))
    diag.add(lambda: gate.wait(60) and None, name="stuck", interval="100ms", timeout="50ms")
    try:
        with trio.fail_after(30):
            async with diag:
                while not diag.view("stuck").runs["timeout"]:
                    await trio.sleep(0.02)
    finally:
        gate.set()


async def test_it_can_be_entered_again(mock_clock):
    diag, script = diagnostics(), Script()
    diag.add(script.check, name="a", interval="1s")
    async with diag:
        await trio.sleep(3)
    first = len(script.started)
    async with diag:
        await trio.sleep(3)
    assert len(script.started) >= first + 2
    assert diag.snapshot()["a"].runs["ok"] == len(script.started)


async def test_an_error_in_the_body_comes_out_as_it_is(mock_clock):
    diag = diagnostics()
    with pytest.raises(ZeroDivisionError):
        async with diag:
            1 / 0  # noqa: B018 - raising is its use
    assert not diag.running


def test_a_taken_name_is_refused_and_a_batch_is_all_or_none():
    diag = diagnostics()
    diag.add(fp.TcpProbe("127.0.0.1:1"))
    with pytest.raises(fp.DuplicateNameError, match=r"tcp:127\.0\.0\.1:1"):
        diag.add_many(fp.TcpProbe(f"127.0.0.1:{port}") for port in (2, 3, 1))
    assert len(diag.catalog) == 1


def test_the_bound_on_probes_is_named_when_reached():
    diag = Diagnostics(Settings(host="test", max_probes=2))
    with pytest.raises(fp.CapacityError, match="max_probes"):
        diag.add_many(fp.TcpProbe(f"127.0.0.1:{port}") for port in (1, 2, 3))


@pytest.mark.parametrize(
    "setting",
    [
        {"max_probes": 0},
        {"max_connections": 0},
        {"notify_s": 5.0},
        {"dns_ttl_s": "30s"},
        {"engine": "magic"},
        {"server": fp.ServerSettings(listen="0.0.0.0:9464")},
    ],
)
def test_impossible_settings_are_refused_by_name(setting):
    with pytest.raises(fp.ConfigError, match=next(iter(setting))):
        Diagnostics(Settings(host="test", **setting))


async def test_an_injection_point_is_one_object_a_name_and_lets_pass_while_idle():
    diag = diagnostics()
    point = diag.injection_point("orders.call")
    assert diag.injection_point("orders.call") is point
    await point.pass_through()
    point.pass_through_sync()
