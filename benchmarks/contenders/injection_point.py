"""The point, idle."""

from typing import Any

from benchmarks.shared.passing import awaited, over_bare_ns
from meshkit_fastprobe._native.injection import InjectionPoint

POINT = InjectionPoint("orders.call")


def run(workload: dict[str, Any]) -> dict[str, Any]:
    if workload["awaited"]:
        return over_bare_ns(workload, awaited(through), awaited(bare))
    return over_bare_ns(workload, plain_through, plain)


async def call() -> None: ...


async def through(calls: int) -> None:
    pass_through = POINT.pass_through
    for _ in range(calls):
        await pass_through()
        await call()


async def bare(calls: int) -> None:
    for _ in range(calls):
        await call()


def plain_call() -> None: ...


def plain_through(calls: int) -> None:
    pass_through = POINT.pass_through_sync
    for _ in range(calls):
        pass_through()
        plain_call()


def plain(calls: int) -> None:
    for _ in range(calls):
        plain_call()
