"""A process that stands still, and runs again whatever becomes of whoever stopped it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from meshkit_fastprobe.chaos.children import ManagedChild
from meshkit_fastprobe.chaos.faults.base import LEASE_S, FaultError, FaultPlan
from meshkit_fastprobe.chaos.faults.pause import Pause
from meshkit_fastprobe.chaos.processes import Identity, identify, ourselves_and_ancestors, send, state_of
from meshkit_fastprobe.chaos.watchdog import watchdog
from tests.integration.chaos.namespace import Host, until

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="pidfd is Linux's")]

SLEEP = ["sleep", "3600"]
SLACK_S = 5.0
FORKS = {
    "none": "",
    "fork": "os.fork() or time.sleep(3600)",
    "bare": "import ctypes; ctypes.PyDLL(None).fork() or time.sleep(3600)",  # of a C library: Python does not see it
}
OWNER = """
import os, sys, time, trio
from meshkit_fastprobe.chaos.faults.pause import Pause
from meshkit_fastprobe.chaos.watchdog import watchdog
from tests.integration.chaos.namespace import Host

async def main():
    fault = Pause(target=sys.argv[1])
    plan = await fault.plan(Host(), "owner")
    await fault.apply(Host(), plan)
    return (await fault.verify(Host(), plan)).in_force

assert trio.run(main)
{fork}
print(watchdog.pid, flush=True)
time.sleep(3600)
"""


@pytest.fixture
def other() -> Iterator[Identity]:
    """A process that somebody else started."""
    with subprocess.Popen(SLEEP) as process:
        identity = identify(process.pid)
        assert identity is not None
        yield identity
        process.kill()


@pytest.fixture(autouse=True)
def _no_watchdog_is_left() -> Iterator[None]:
    yield
    assert watchdog.pid is None


Start = Callable[[str], tuple[subprocess.Popen[str], int]]


@pytest.fixture
def owner(other: Identity) -> Iterator[Start]:
    """Starts a process that pauses the other one; itself, and the number of its watchdog."""
    started: list[subprocess.Popen[str]] = []

    def start(fork: str = "none") -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-c", OWNER.format(fork=FORKS[fork]), f"pid:{other.pid}"]
        root = str(Path(__file__).parents[3])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=root)
        started.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout is not None
        process.stdout.close()
        process.wait()


async def paused(identity: Identity, host: Host | None = None) -> tuple[Pause, FaultPlan]:
    fault, host = Pause(target=f"pid:{identity.pid}"), host or Host()
    plan = await fault.plan(host, "p")
    await fault.apply(host, plan)
    return fault, plan


async def test_it_stands_still_and_runs_again(other: Identity) -> None:
    fault, plan = await paused(other)
    assert plan.manual == f"kill -CONT {other.pid}"
    effect = await fault.verify(Host(), plan)
    assert (effect.in_force, effect.touched) == (True, 1)
    assert not await fault.is_gone(Host(), plan)
    await fault.renew(Host(), plan)
    await fault.revert(Host(), plan)
    await fault.revert(Host(), plan)
    assert state_of(other) == "S"
    assert await fault.is_gone(Host(), plan)
    assert await fault.scan(Host()) == ()


async def test_a_child_may_be_paused_and_stopped_meanwhile() -> None:
    async with ManagedChild(SLEEP) as child:
        host = Host(child__worker=child)
        fault = Pause(target="child:worker")
        plan = await fault.plan(host, "p")
        await fault.apply(host, plan)
        assert not await child.stop(), "it was continued, so that it could end by itself"
        assert not (await fault.verify(host, plan)).in_force
        await fault.revert(host, plan)
        assert await fault.is_gone(host, plan)


@pytest.mark.parametrize("fork", list(FORKS))
def test_sigkill_of_the_owner_continues_it_whatever_children_it_has(other: Identity, owner: Start, fork: str) -> None:
    process, _ = owner(fork)
    assert state_of(other) == "T"
    process.kill()
    assert until(lambda: state_of(other) == "S") < LEASE_S / 2, "it did not take the lease"


def test_a_stopped_owner_holds_it_no_longer_than_the_lease(other: Identity, owner: Start) -> None:
    process, _ = owner()
    process.send_signal(signal.SIGSTOP)
    assert until(lambda: state_of(other) == "S") < LEASE_S + SLACK_S


def test_what_asks_everybody_to_end_does_not_end_the_watchdog_first(other: Identity, owner: Start) -> None:
    process, dog = owner()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(dog, number)
    assert state_of(other) == "T"
    process.kill()
    until(lambda: state_of(other) == "S")
    until(lambda: identify(dog) is None)


async def test_without_its_watchdog_a_pause_is_not_renewed_but_undone(other: Identity) -> None:
    fault, plan = await paused(other)
    assert watchdog.pid is not None
    os.kill(watchdog.pid, signal.SIGKILL)
    with pytest.raises(FaultError, match="watchdog"):
        await fault.renew(Host(), plan)
    await fault.revert(Host(), plan)
    assert state_of(other) == "S"


async def test_a_lease_that_has_run_out_is_not_renewed(other: Identity) -> None:
    fault, plan = await paused(other)
    with trio.fail_after(LEASE_S + 20):
        while state_of(other) == "T":
            await trio.sleep(0.05)
    with pytest.raises(FaultError, match="run out"):
        await fault.renew(Host(), plan)
    await fault.revert(Host(), plan)


async def test_two_pauses_share_a_watchdog_which_goes_with_the_last(other: Identity) -> None:
    fault, plan = await paused(other)
    async with ManagedChild(SLEEP) as child:
        host = Host(child__worker=child)
        second = Pause(target="child:worker")
        other_plan = await second.plan(host, "q")
        first_dog = watchdog.pid
        await second.apply(host, other_plan)
        await fault.revert(host, plan)
        assert watchdog.pid == first_dog
        await second.renew(host, other_plan)
        await second.revert(host, other_plan)
    assert watchdog.pid is None


async def test_a_process_that_ends_while_it_stands_still_is_no_trouble(other: Identity) -> None:
    fault, plan = await paused(other)
    send(other, signal.SIGKILL)
    until(lambda: state_of(other) is None)
    assert "has ended" in (await fault.verify(Host(), plan)).told
    await fault.revert(Host(), plan)
    assert await fault.is_gone(Host(), plan)


async def test_one_that_somebody_else_stopped_is_not_ours_to_continue(other: Identity) -> None:
    send(other, signal.SIGSTOP)
    until(lambda: state_of(other) == "T")
    with pytest.raises(FaultError, match="stands still already"):
        await Pause(target=f"pid:{other.pid}").plan(Host(), "p")


async def test_another_process_of_the_same_number_is_neither_stopped_nor_continued(other: Identity) -> None:
    fault = Pause(target=f"pid:{other.pid}")
    plan = await fault.plan(Host(), "p")
    plan.handle["started"] = "1"
    with pytest.raises(FaultError, match="plan again"):
        await fault.apply(Host(), plan)
    send(other, signal.SIGSTOP)
    until(lambda: state_of(other) == "T")
    await fault.revert(Host(), plan)
    assert state_of(other) == "T"
    assert await fault.is_gone(Host(), plan)


async def test_we_and_who_runs_us_are_no_targets() -> None:
    for pid in ourselves_and_ancestors():
        with pytest.raises(FaultError, match="cannot be paused"):
            await Pause(target=f"pid:{pid}").plan(Host(), "p")


async def test_a_second_pause_of_the_same_mark_leaves_the_first_in_force(other: Identity) -> None:
    fault, plan = await paused(other)
    with pytest.raises(FaultError, match="already"):
        await fault.apply(Host(), plan)
    assert (await fault.verify(Host(), plan)).in_force
    await fault.revert(Host(), plan)
