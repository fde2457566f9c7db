"""Attacks on experiments: hostile text in every key and every plan, every field of a plan changed, faults on our own paths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meshkit_fastprobe._native.injection import InjectionPoint
from meshkit_fastprobe.chaos.bench import Bench, offered_proxies
from meshkit_fastprobe.chaos.faults.base import FaultError, FaultPlan
from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.chaos.faults.latency import Latency
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.chaos.network.protection import PROTECTED
from meshkit_fastprobe.chaos.restart_budget import RestartBudget
from meshkit_fastprobe.chaos.run import Plan, plan_of
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.experiments import Experiment, ProxySettings, Selector, SteadyState
from meshkit_fastprobe.security.confirmation import ConfirmationRefusedError, Confirmations

SHELLS = {"sh", "bash", "dash", "zsh", "env", "busybox"}
started: list[tuple[str, Any]] = []
"""Programs that were started while a test looked: executable and arguments."""
looking: list[bool] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if looking and event in {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"}:
        started.append((str(arguments[0]), arguments[1:2]))


sys.addaudithook(_hook)


def hostile(marker: Path) -> list[str]:
    return [
        f"x;$(touch {marker})",
        f"`touch {marker}`",
        f"pid:1;touch {marker}",
        f"callable:x|touch {marker}",
        f"a\ntouch {marker}",
    ]


VALID: dict[str, dict[str, Any]] = {
    "latency": {"point": "p", "delay": 0.001},
    "error": {"point": "p"},
    "blackhole": {"proxy": "p"},
    "reset": {"proxy": "p"},
    "bandwidth": {"proxy": "p", "bytes_per_s": 1000.0},
    "packet_loss": {"targets": ("192.0.2.1",), "ratio": 0.5},
    "packet_delay": {"targets": ("192.0.2.1",), "delay": 0.001},
    "pause": {"target": "pid:1"},
    "restart": {"target": "callable:x"},
    "null": {},
}


async def everything(fault: Any, host: Bench) -> None:
    """Each step there is, as far as it gets: refusing is as good as doing nothing."""
    for step in (fault.preflight(host), fault.plan(host, "attack"), type(fault).scan(host)):
        try:
            plan = await step
        except FaultError:
            continue
        if isinstance(plan, FaultPlan):
            await undone(type(fault), host, plan)


async def undone(kind: Any, host: Bench, plan: FaultPlan) -> None:
    for step in (kind.revert, kind.is_gone):
        try:
            await step(host, plan)
        except (FaultError, KeyError, ValueError):
            continue


def bench() -> Bench:
    host = Bench("here", {"p": InjectionPoint("p")}, None)
    host.offer("restart_budget", RestartBudget())
    return host


def test_no_kind_is_left_out() -> None:
    assert set(VALID) == set(builtin_faults)


@pytest.mark.parametrize("kind", VALID)
async def test_text_for_a_shell_in_any_key_starts_nothing(kind: str, tmp_path: Path) -> None:
    marker = tmp_path / "owned"
    texts = [field.name for field in msgspec.structs.fields(builtin_faults[kind]) if "str" in str(field.type)]
    assert texts
    started.clear()
    looking.append(True)
    try:
        for key in texts:
            for text in hostile(marker):
                value = (
                    (text,) if "tuple" in str(builtin_faults[kind].__annotations__.get(key, "")) or key == "targets" else text
                )
                try:
                    fault = builtin_faults[kind](**{**VALID[kind], key: value})
                except ConfigError:
                    continue
                await everything(fault, bench())
    finally:
        looking.clear()
    assert not marker.exists()
    assert [each for each in started if Path(each[0]).name in SHELLS or "touch" in str(each)] == []


@pytest.mark.parametrize("kind", VALID)
async def test_text_for_a_shell_in_a_plan_from_the_disk_starts_nothing(kind: str, tmp_path: Path) -> None:
    marker = tmp_path / "owned"
    fault = builtin_faults.as_fault(kind)
    started.clear()
    looking.append(True)
    try:
        for text in hostile(marker):
            for backend in ("proxy", "nftables", "sockets", text):
                handle = dict.fromkeys(("table", "point", "proxy", "pid", "started", "name", "group", "owner", "spared"), text)
                plan = FaultPlan(
                    kind=kind, backend=backend, mark=text, targets=(text,), resources=(text,), handle=handle, manual=text
                )
                await undone(fault, bench(), plan)
    finally:
        looking.clear()
    assert not marker.exists()
    assert started == []


# -- the plan ------------------------------------------------------------------------------------------------------------


def planned() -> Plan:
    experiment = Experiment(
        id="a", fault=Null(), duration_s=30.0, steady_state=SteadyState(namespace="x"), affects=Selector(namespace="x")
    )
    fault = FaultPlan(
        kind="null", backend="memory", mark="a", targets=("t",), resources=("r",), handle={"k": "v"}, manual="nothing"
    )
    return plan_of(experiment, fault, host="cp-1", cluster="eu-1", two_person=False)


def changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case tuple():
            return (*value, "x")
        case dict():
            return {**value, "x": "x"}
        case _:
            raise AssertionError(f"no other value of {value!r} is known")


PLAN_FIELDS = [field.name for field in msgspec.structs.fields(Plan) if field.name != "fault"]
FAULT_FIELDS = [field.name for field in msgspec.structs.fields(FaultPlan)]


@pytest.mark.parametrize("where", [*PLAN_FIELDS, *(f"fault.{name}" for name in FAULT_FIELDS)])
def test_a_plan_with_any_field_changed_is_not_what_was_confirmed(where: str) -> None:
    plan = planned()
    inside, _, name = where.rpartition(".")
    whole = plan.fault if inside else plan
    other = msgspec.structs.replace(whole, **{name: changed(getattr(whole, name))})
    other_plan = msgspec.structs.replace(plan, fault=other) if inside else other
    confirmations = Confirmations("cp-1")
    token = confirmations.issue(plan=plan.id, run="a-1", subject="user:anna", lasts_s=60)
    with pytest.raises(ConfirmationRefusedError, match="of another plan"):
        confirmations.check(token, plan=other_plan.id, run="a-1", subject="user:anna")
    confirmations.check(token, plan=plan.id, run="a-1", subject="user:anna")


def test_the_same_plan_has_the_same_bytes_however_it_was_made() -> None:
    plan = planned()
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert (again.canonical, again.id) == (plan.canonical, plan.id)
    assert b" " not in plan.canonical.replace(b"host was", b"")


# -- our own paths -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upstream", ["127.0.0.1:9464", "127.0.0.1:2379"])
async def test_a_proxy_on_the_way_to_the_control_plane_or_the_audit_carries_no_fault(upstream: str) -> None:
    host = bench()
    host.offer(PROTECTED, ("0.0.0.0:9464", "127.0.0.1:2379"))
    async with offered_proxies(host, [ProxySettings(name="way", listen="127.0.0.1:0", upstream=upstream)]):
        with pytest.raises(FaultError, match="by which this host is controlled"):
            await Latency(proxy="way", delay=1).plan(host, "a")
