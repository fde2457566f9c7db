"""The conductor at its limits: a thousand experiments, on a host with its journal and its audit on the disk."""

import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

import meshkit_fastprobe as fp
from benchmarks.measure import percentile
from meshkit_fastprobe.access import Binding, Permission, Scope
from meshkit_fastprobe.chaos.faults.latency import Latency
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.security.policy import Policy, Principal, Resource

WHO = "user:anna"


def run(workload: dict[str, Any]) -> dict[str, Any]:
    play = {"halt": halted, "judge": judged, "stop": stopped}[workload["does"]]
    return trio.run(play, workload)


@asynccontextmanager
async def host(*experiments: fp.Experiment, probes: int = 0, proxies: tuple[fp.ProxySettings, ...] = ()) -> AsyncIterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        on = ("chaos.enabled", "chaos.null.enabled", "chaos.latency.enabled")
        toggles = {name: {"name": name, "value": True, "version": 1} for name in on}
        (Path(folder) / "toggles.json").write_text(json.dumps({"toggles": toggles}))
        chaos = fp.ChaosSettings(
            experiments=experiments, proxies=proxies, cooldown_s=0.0, max_concurrent=1000, max_concurrent_per_group=1000
        )
        server = fp.ServerSettings(listen="127.0.0.1:0")
        diag = fp.Diagnostics(fp.Settings(host="bench", state_dir=folder, server=server, chaos=chaos))
        for number in range(probes):
            diag.add(healthy, name=f"p{number}", interval="60s", timeout="1s", namespace=f"team-{number % 100}")
        async with diag:
            yield diag


async def healthy() -> None: ...


def null(number: int, **keys: Any) -> fp.Experiment:
    return fp.Experiment(id=f"x{number}", fault=Null(target=f"x{number}"), duration_s=600.0, recovery_s=0.0, **keys)


async def activated(chaos: Any, name: str) -> None:
    prepared = await chaos.prepare(name, subject=WHO)
    await chaos.activate(name, prepared.token, subject=WHO)


async def all_activated(chaos: Any, experiments: list[fp.Experiment]) -> None:
    """At once, so that they share commits."""
    async with trio.open_nursery() as nursery:
        for one in experiments:
            nursery.start_soon(activated, chaos, one.id)


async def halted(workload: dict[str, Any]) -> dict[str, Any]:
    names = [null(number) for number in range(workload["experiments"])]
    async with host(*names) as diag:
        await all_activated(diag.chaos, names)
        began = time.perf_counter()
        runs = await diag.chaos.halt(subject=WHO)
        took_s = time.perf_counter() - began
        assert len(runs) == len(names)
        assert not [run for run in runs if run.reverted_at is None]
    return {"halt_ms": took_s * 1e3}


async def judged(workload: dict[str, Any]) -> dict[str, Any]:
    """The decision and the guardrails of an activation, with half of the experiments registered in force."""
    steady = fp.SteadyState(namespace="team-7", healthy_ratio=0.0)
    names = [null(number, steady_state=steady, affects=steady) for number in range(workload["experiments"])]
    rules = (
        Binding(f"user:{number}", permissions=(Permission.CHAOS_ACTIVATE,), scope=Scope(namespace=f"team-{number % 100}"))
        for number in range(workload["experiments"])
    )
    policy, anna = Policy(rules), Principal("7")
    async with host(*names, probes=workload["experiments"]) as diag:
        chaos = diag.chaos
        async with trio.open_nursery() as nursery:
            for one in names:
                nursery.start_soon(diag.run_once, f"p{one.id[1:]}")
        half = [null(number) for number in range(len(names) // 2)]
        chaos.experiments.update({one.id: one for one in half})
        await all_activated(chaos, half)
        experiment = names[-1]
        plan = await experiment.fault.plan(chaos.bench, experiment.id)
        took = []
        for _ in range(workload["rounds"]):
            began = time.perf_counter()
            allowed = policy.decide(anna, Permission.CHAOS_ACTIVATE, Resource(namespace="team-7", fault="null")).allowed
            chaos._judged(experiment, plan)  # noqa: SLF001 - what prepare() and activate() ask before they go on
            took.append(time.perf_counter() - began)
            assert allowed
    return {"judged_p50_ms": percentile(took, 0.5) * 1e3, "judged_p99_ms": percentile(took, 0.99) * 1e3}


async def stopped(workload: dict[str, Any]) -> dict[str, Any]:
    """From the call to the fault being gone, seen to be gone, and on the disk's way."""
    proxy = fp.ProxySettings(name="db", listen="127.0.0.1:0", upstream="127.0.0.1:9")
    slow = fp.Experiment(id="slow", fault=Latency(proxy="db", delay=1.0), duration_s=600.0, recovery_s=0.0)
    took = []
    async with host(slow, proxies=(proxy,)) as diag:
        for _ in range(workload["rounds"]):
            await activated(diag.chaos, "slow")
            began = time.perf_counter()
            await diag.chaos.stop("slow", subject=WHO)
            took.append(time.perf_counter() - began)
            with trio.fail_after(10):
                while diag.chaos.live:  # noqa: ASYNC110 - it recovers, which is nobody's hurry
                    await trio.sleep(0.001)
    return {"stop_p50_ms": percentile(took, 0.5) * 1e3, "stop_max_ms": max(took) * 1e3}
