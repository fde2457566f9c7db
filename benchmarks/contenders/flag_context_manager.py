"""A flag looked at in a context manager of contextlib."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from benchmarks.contenders.injection_point import bare, call, plain, plain_call
from benchmarks.shared.passing import awaited, over_bare_ns

FAULT: Any = None


def run(workload: dict[str, Any]) -> dict[str, Any]:
    if workload["awaited"]:
        return over_bare_ns(workload, awaited(through), awaited(bare))
    return over_bare_ns(workload, plain_through, plain)


@asynccontextmanager
async def faulty() -> AsyncIterator[None]:
    if FAULT is not None:
        await FAULT()
    yield


@contextmanager
def faulty_plainly() -> Iterator[None]:
    if FAULT is not None:
        FAULT()
    yield


async def through(calls: int) -> None:
    for _ in range(calls):
        async with faulty():
            await call()


def plain_through(calls: int) -> None:
    for _ in range(calls):
        with faulty_plainly():
            plain_call()
