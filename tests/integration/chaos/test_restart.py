"""Restarts of real processes: the one that was planned, and never another."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from meshkit_fastprobe.chaos.children import ChildError, ManagedChild
from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.restart import Restart
from meshkit_fastprobe.chaos.processes import end, identify, ourselves_and_ancestors, send
from meshkit_fastprobe.chaos.restart_budget import RestartBudget
from meshkit_fastprobe.chaos.restarting.systemd import SystemdRestarter
from tests.integration.chaos.namespace import Host

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="pidfd is Linux's")]

SLEEP = ["sleep", "3600"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(3600)",
]


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that somebody else started."""
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


@asynccontextmanager
async def host_with_child(argv: list[str] = SLEEP) -> AsyncIterator[tuple[Host, ManagedChild]]:
    async with ManagedChild(argv, grace_s=0.2) as child:
        yield Host(child__worker=child, restart_budget=RestartBudget()), child


def budgeted(**services: object) -> Host:
    return Host(restart_budget=RestartBudget(), **services)


async def test_a_child_is_another_process_afterwards() -> None:
    async with host_with_child() as (host, child):
        before = child.identity
        fault = Restart(target="child:worker")
        plan = await fault.plan(host, "r")
        assert not (await fault.verify(host, plan)).in_force
        await fault.apply(host, plan)
        assert child.identity not in {None, before}
        assert (await fault.verify(host, plan)).in_force
        await fault.revert(host, plan)
        assert await fault.is_gone(host, plan)
        assert await fault.scan(host) == ()
    assert child.identity is None


async def test_a_child_that_does_not_listen_is_made_to_end() -> None:
    async with host_with_child(STUBBORN) as (host, child):
        before = child.identity
        fault = Restart(target="child:worker", grace="100ms")
        await fault.apply(host, await fault.plan(host, "r"))
        assert child.identity not in {None, before}


async def test_what_a_child_left_behind_ends_with_it() -> None:
    code = "import subprocess, time; p = subprocess.Popen(['sleep', '3600']); print(p.pid, flush=True); time.sleep(3600)"
    reading, writing = os.pipe()
    with os.fdopen(reading) as told, os.fdopen(writing, "w") as pipe:
        kept = os.dup(1)
        os.dup2(pipe.fileno(), 1)
        try:
            child = ManagedChild([sys.executable, "-c", code], grace_s=0.2)
            await child.start()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        grandchild = identify(int(await trio.to_thread.run_sync(told.readline)))
        assert grandchild is not None
        await child.stop()
        with trio.fail_after(20):
            while identify(grandchild.pid) == grandchild:
                await trio.sleep(0.01)


async def test_a_cancelled_restart_leaves_no_service_without_its_child() -> None:
    async with host_with_child() as (_, child):
        before = child.identity
        with trio.move_on_after(0):
            await child.restart()
        assert child.identity is not None
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child.restart)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert child.identity not in {None, before}


async def test_a_program_that_does_not_start_is_told() -> None:
    with pytest.raises(ChildError, match="does not start"):
        await ManagedChild(["there-is-no-such-program"]).start()


async def test_a_child_that_was_restarted_since_is_not_restarted_by_an_old_plan() -> None:
    async with host_with_child() as (host, child):
        fault = Restart(target="child:worker")
        plan = await fault.plan(host, "r")
        now = await child.restart()
        with pytest.raises(FaultError, match="plan again"):
            await fault.apply(host, plan)
        assert child.identity == now


async def test_a_process_ends_by_its_identity(other: subprocess.Popen[bytes]) -> None:
    fault, host = Restart(target=f"pid:{other.pid}"), budgeted()
    plan = await fault.plan(host, "r")
    assert plan.resources == (f"pid:{other.pid}", f"process:{other.pid}")
    await fault.apply(host, plan)
    assert (await fault.verify(host, plan)).in_force
    assert other.wait(20) == -signal.SIGTERM


async def test_a_number_that_another_process_has_by_now_is_left_alone(other: subprocess.Popen[bytes]) -> None:
    fault, host = Restart(target=f"pid:{other.pid}"), budgeted()
    plan = await fault.plan(host, "r")
    plan.handle["started"] = str(int(plan.handle["started"]) - 1)
    with pytest.raises(FaultError, match="not the one that was planned"):
        await fault.apply(host, plan)
    identity = identify(other.pid)
    assert identity is not None
    assert not await end(identity._replace(started=1), 0)
    assert not send(identity._replace(started=1), signal.SIGKILL)
    assert other.poll() is None


async def test_a_pidfile_tells_who_came_after(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    file = tmp_path / "orders.pid"
    file.write_text(f"{other.pid}\n")
    fault, host = Restart(target=f"pidfile:{file}"), budgeted()
    plan = await fault.plan(host, "r")
    await fault.apply(host, plan)
    other.wait(20)
    assert not (await fault.verify(host, plan)).in_force
    async with ManagedChild(SLEEP) as new:
        assert new.identity is not None
        file.write_text(str(new.identity.pid))
        assert (await fault.verify(host, plan)).in_force


@pytest.mark.parametrize("content", ["", "-1", "1 2", "0", "$(id)", "9" * 30, "\u0661"])
async def test_a_pidfile_with_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "orders.pid"
    file.write_text(content)
    with pytest.raises(FaultError, match="holds no process number"):
        await Restart(target=f"pidfile:{file}").plan(budgeted(), "r")


async def test_a_pidfile_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "orders.pid")
    with pytest.raises(FaultError, match="no regular file"):
        await Restart(target=f"pidfile:{tmp_path}/orders.pid").plan(budgeted(), "r")


async def test_we_and_who_runs_us_are_no_targets_unless_that_is_said() -> None:
    for pid in ourselves_and_ancestors():
        with pytest.raises(FaultError, match=r"ourselves = true|not ours to signal"):
            await Restart(target=f"pid:{pid}").plan(budgeted(), "r")
    assert (await Restart(target=f"pid:{os.getpid()}", ourselves=True).preflight(budgeted()))[0].usable


async def test_a_used_up_budget_keeps_the_process_alive(other: subprocess.Popen[bytes]) -> None:
    budget = RestartBudget(max_per_hour=1)
    host = Host(restart_budget=budget)
    fault = Restart(target=f"pid:{other.pid}")
    plan = await fault.plan(host, "r")
    budget.take()
    with pytest.raises(FaultError, match="used up"):
        await fault.apply(host, plan)
    with pytest.raises(FaultError, match="used up"):
        await fault.plan(host, "r")
    assert other.poll() is None


@pytest.mark.parametrize("plain", [True, False])
async def test_a_function_of_the_embedder_may_do_it(plain: bool) -> None:
    called: list[str] = []

    async def bounce() -> None:
        called.append("async")

    host = budgeted(callable__bounce=(lambda: called.append("plain")) if plain else bounce)
    fault = Restart(target="callable:bounce")
    plan = await fault.plan(host, "r")
    await fault.apply(host, plan)
    assert called == ["plain" if plain else "async"]
    assert (await fault.verify(host, plan)).in_force


async def test_a_function_that_raises_fails_the_restart() -> None:
    async def bounce() -> None:
        raise OSError("no route to the switchboard")

    host = budgeted(callable__bounce=bounce)
    fault = Restart(target="callable:bounce")
    with pytest.raises(FaultError, match=r"raised OSError: no route"):
        await fault.apply(host, await fault.plan(host, "r"))


@pytest.mark.parametrize("target", ["child:none", "callable:none", "pid:4194304"])
async def test_what_is_not_there_cannot_be_planned(target: str) -> None:
    with pytest.raises(FaultError, match="cannot be restarted"):
        await Restart(target=target).plan(budgeted(), "r")


SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
case "$*" in
*" show "*) cat "$(dirname "$0")/shown" ;;
*) sed -i s/InvocationID=.*/InvocationID=later/ "$(dirname "$0")/shown" ;;
esac
"""


async def test_a_unit_is_restarted_by_its_name_and_seen_by_its_invocation(tmp_path: Path) -> None:
    """By a stand-in that says what systemctl says: there is no systemd where these tests run."""
    program = tmp_path / "systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "shown").write_text("LoadState=loaded\nActiveState=active\nMainPID=0\nInvocationID=first\n")
    unit = SystemdRestarter("orders@eu.service", ourselves=False, programs=f"{tmp_path}:/usr/bin:/bin", runs=tmp_path)
    assert (await unit.usable(Host())).usable
    was = await unit.identify(Host())
    assert not (await unit.seen(Host(), was)).in_force
    await unit.restart(Host(), was, 1.0)
    assert (await unit.seen(Host(), was)).in_force
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "--no-ask-password --no-pager restart --no-block -- orders@eu.service" in asked
    with pytest.raises(FaultError, match="was restarted since"):
        await unit.restart(Host(), was, 1.0)


async def test_the_unit_that_runs_us_is_no_target(tmp_path: Path) -> None:
    program = tmp_path / "systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "shown").write_text(f"LoadState=loaded\nActiveState=active\nMainPID={os.getpid()}\nInvocationID=first\n")
    unit = SystemdRestarter("us.service", ourselves=False, programs=f"{tmp_path}:/usr/bin:/bin", runs=tmp_path)
    with pytest.raises(FaultError, match="runs this experiment"):
        await unit.identify(Host())


async def test_without_systemd_preflight_names_other_ways(tmp_path: Path) -> None:
    unit = SystemdRestarter("orders.service", ourselves=False, runs=tmp_path / "missing")
    assert "pidfile:" in (await unit.usable(Host())).why
