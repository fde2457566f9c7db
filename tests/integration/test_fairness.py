"""A cluster that does not answer, with ten times the probes, beside one that does: the second feels nothing, on any lane."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe import Budget, Budgets, Diagnostics, Settings

pytestmark = pytest.mark.integration

lanes = pytest.mark.parametrize("native_lane", [True, False], ids=["native", "task"])
SILENT, ANSWERING = 60, 6
PLACES = 16


@pytest.fixture
def silence() -> Iterator[str]:
    """Its accept queue is full: the kernel drops whatever asks for a connection."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def answer() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def settings(*, native_lane: bool = True, **more) -> Settings:
    return Settings(
        host="test",
        max_probes=256,
        max_connections=PLACES,
        max_task_runs=PLACES,
        max_thread_runs=PLACES,
        native_lane=native_lane,
        **more,
    )


def add(diag: Diagnostics, cluster: str, n: int, probe: fp.Probe) -> None:
    for number in range(n):
        diag.add(probe, name=f"{cluster}-{number}", interval="1s", timeout="1s", cluster=cluster)


async def until_silent_and_answering_ran(diag: Diagnostics) -> fp.Snapshot:
    """Both long enough to have met each other."""
    with trio.fail_after(60):
        while True:
            await trio.sleep(0.2)
            snap = diag.snapshot()
            a = sum(snap[f"a-{number}"].runs["timeout"] for number in range(SILENT))
            b = min(snap[f"b-{number}"].runs["ok"] for number in range(ANSWERING))
            if a >= 3 * PLACES and b >= 4:
                return snap


def unharmed(snap: fp.Snapshot) -> None:
    for number in range(ANSWERING):
        view = snap[f"b-{number}"]
        assert view.skipped == 0
        assert view.runs["ok"] == sum(view.runs.values())
        assert view.state is fp.State.HEALTHY
    assert sum(snap[f"a-{number}"].runs["ok"] for number in range(SILENT)) == 0
    assert sum(snap[f"a-{number}"].skipped for number in range(SILENT)) > 0


@lanes
async def test_a_cluster_that_does_not_answer_is_not_felt_by_another(silence, answer, native_lane):
    diag = Diagnostics(settings(native_lane=native_lane))
    add(diag, "a", SILENT, fp.TcpProbe(silence))
    add(diag, "b", ANSWERING, fp.TcpProbe(answer))
    async with diag:
        unharmed(await until_silent_and_answering_ran(diag))


async def test_callables_in_threads_that_hang_leave_workers_for_others():
    released = threading.Event()
    diag = Diagnostics(settings())
    for number in range(SILENT):
        diag.add(lambda: released.wait(60) and None, name=f"a-{number}", interval="1s", timeout="900ms", cluster="a")
    for number in range(ANSWERING):
        diag.add(lambda: None, name=f"b-{number}", interval="1s", timeout="900ms", cluster="b")
    async with diag:
        try:
            with trio.fail_after(60):
                while min(diag.view(f"b-{number}").runs["ok"] for number in range(ANSWERING)) < 4:
                    await trio.sleep(0.2)
            snap = diag.snapshot()
        finally:
            released.set()
    assert [snap[f"b-{number}"].skipped for number in range(ANSWERING)] == [0] * ANSWERING
    assert sum(snap[f"a-{number}"].skipped for number in range(SILENT)) > 0


@lanes
async def test_a_budget_bounds_the_runs_of_a_group_in_flight_and_shows(silence, answer, native_lane):
    diag = Diagnostics(settings(native_lane=native_lane, budgets=Budgets(groups={"a": Budget(max_in_flight=3)})))
    add(diag, "a", SILENT, fp.TcpProbe(silence))
    add(diag, "b", ANSWERING, fp.TcpProbe(answer))
    async with diag:
        most = 0
        with trio.fail_after(60):
            while True:
                await trio.sleep(0.05)
                [use] = [use for use in diag.budgets() if use.group == "a"]
                most = max(most, use.in_flight)
                if use.skipped_budget > SILENT and diag.view("b-0").runs["ok"] >= 3:
                    break
        skipped = diag.snapshot().totals.skipped_by_reason
    assert most == 3
    assert set(skipped) <= {"budget", "overlap"}
