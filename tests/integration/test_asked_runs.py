"""Who asks for a run hears of it, whatever becomes of the probe or the host; and a name is no reason to be run late."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import trio

from meshkit_fastprobe import Diagnostics, HttpProbe, Reason, SkippedError, TcpProbe
from meshkit_fastprobe.model import Settings
from meshkit_fastprobe.scheduling import placement

pytestmark = pytest.mark.integration

PATIENCE_S = 20.0


def diagnostics(engine: str = "thread", **settings) -> Diagnostics:
    return Diagnostics(Settings(host="test", engine=engine, max_probes=1000, **settings))


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


async def refusals_of(ask, name: str, into: list[str]) -> None:
    with pytest.raises(SkippedError) as refused:
        await ask(name)
    into.append(str(refused.value))


@pytest.mark.parametrize("engine", ["thread", "inline"])
@pytest.mark.parametrize("verb", ["run_once", "explain"])
async def test_who_waits_for_a_run_hears_that_the_host_stops(engine, verb, silent):
    diag, told = diagnostics(engine), []
    diag.add(HttpProbe(f"http://127.0.0.1:{silent}/"), name="a", interval="1h", timeout="30s", enabled=False)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery, diag:
            nursery.start_soon(refusals_of, getattr(diag, verb), "a", told)
            while not diag.engine_stats()["in_flight"]:
                await trio.sleep(0.01)
    assert len(told) == 1
    assert "shutting_down" in told[0]
    assert diag.snapshot().totals.skipped_by_reason == {"shutting_down": 1}


async def test_what_was_in_flight_when_the_host_stopped_is_counted_as_skipped(silent):
    diag = diagnostics()
    for number in range(20):
        diag.add(HttpProbe(f"http://127.0.0.1:{silent}/"), name=f"p-{number}", interval="1s", timeout="900ms")
    with trio.fail_after(PATIENCE_S):
        async with diag:
            while diag.engine_stats()["in_flight"] < 5:
                await trio.sleep(0.01)
            await trio.sleep(0.1)
            in_flight = diag.engine_stats()["in_flight"]
        totals = diag.snapshot().totals
    assert totals.skipped_by_reason.get("shutting_down", 0) in range(in_flight - 2, in_flight + 3)  # it went on meanwhile


@pytest.mark.parametrize("replaced", [False, True])
async def test_who_explains_a_probe_that_is_removed_meanwhile_is_told(replaced, monkeypatch):
    """The name is looked up first, and a resolver may take its time."""
    asked = trio.Event()

    async def slowly(_name: object) -> list[str]:
        asked.set()
        await trio.sleep(0.2)
        return ["127.0.0.1"]

    monkeypatch.setattr(placement, "lookup", slowly)
    diag, told = diagnostics(), []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server, trio.fail_after(PATIENCE_S):
        target = f"localhost:{server.getsockname()[1]}"
        diag.add(TcpProbe(target), name="a", interval="1h", enabled=False)
        async with diag, trio.open_nursery() as nursery:
            nursery.start_soon(refusals_of, diag.explain, "a", told)
            await asked.wait()
            diag.remove("a")
            if replaced:  # which takes the slot that has become free
                diag.add(TcpProbe(target), name="b", interval="1h", enabled=False)
        view = diag.snapshot()["b"] if replaced else None
    assert len(told) == 1
    assert view is None or not sum(view.runs.values())


async def test_a_probe_whose_target_has_a_name_first_runs_as_soon_as_any():
    diag = diagnostics(first_run_window_s=0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server, trio.fail_after(PATIENCE_S):
        for number in range(20):
            diag.add(TcpProbe(f"localhost:{server.getsockname()[1]}"), name=f"named-{number}", interval="1h")
        async with diag:
            while (diag.snapshot().columns["ok"] == 0).any():
                await trio.sleep(0.02)
            assert set(diag.snapshot().columns["ok"].tolist()) == {1}


async def test_who_asks_for_a_run_while_one_that_has_told_goes_on_is_told_so():
    """A callable that hangs has timed out, and nobody can end its thread."""
    diag, told, hung, let_go = diagnostics(), [], threading.Event(), threading.Event()

    def hangs() -> None:
        hung.set()
        let_go.wait(PATIENCE_S)

    diag.add(hangs, name="a", interval="1h", timeout="50ms", enabled=False)
    with trio.fail_after(PATIENCE_S):
        async with diag:
            assert (await diag.run_once("a")).reason is Reason.TIMEOUT
            assert hung.is_set()
            for verb in (diag.run_once, diag.explain):
                await refusals_of(verb, "a", told)
            let_go.set()
    assert ["overlap" in one for one in told] == [True, True]


async def test_who_asked_and_went_away_is_waited_for_no_longer(silent):
    diag = diagnostics()
    diag.add(HttpProbe(f"http://127.0.0.1:{silent}/"), name="a", interval="1h", timeout="30s", enabled=False)
    async with diag:
        for _ in range(3):
            with trio.move_on_after(0.05):
                await diag.run_once("a")
        assert diag._running is not None
        assert not diag._running._waiters
