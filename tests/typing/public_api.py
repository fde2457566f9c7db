"""What type checkers see of the public API: pyright and mypy read this in `make lint`, nobody runs it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import assert_type

import meshkit_fastprobe as fp

diag = fp.Diagnostics(fp.Settings(host="cp-1", cluster="eu-1", server=fp.ServerSettings(listen="127.0.0.1:0")))


@diag.probe("orders-db", interval="5s", timeout=0.5, rise=2, fall=3, namespace="orders")
async def orders_db() -> None: ...


@diag.probe("disk", interval="30s", labels={"tier": "1"}, depends_on=("orders-db",))
def disk() -> fp.Outcome:
    return fp.Outcome.degraded("87% full")


unchanged: Callable[[], Awaitable[None]] = orders_db  # the decorator leaves the function as it was
assert_type(disk, Callable[[], fp.Outcome])
assert_type(diag.add(fp.TcpProbe("10.0.0.7:5432"), name="pg", interval="1s"), str)
assert_type(diag.add_many(fp.HttpProbe(f"http://10.0.0.{i}:8080/healthz") for i in range(9)), list[str])


def takes_an_argument(one: int) -> None: ...


diag.probe("arguments")(takes_an_argument)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # probes take none
fp.Outcome.ok().result = fp.Result.FAIL  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # frozen


async def read() -> None:
    async with diag as entered:
        assert_type(entered, fp.Diagnostics)
        snapshot = diag.snapshot()
        assert_type(snapshot["pg"].state, fp.State)
        assert_type(snapshot.totals.runs, int)
        assert_type(snapshot.groups(by=("cluster", "namespace"), window="5m")[0].p99_s, float | None)
        changes: AsyncIterator[fp.Transition] = diag.changes()
        async for change in changes:
            assert_type(change.after, fp.State)
        assert_type((await diag.run_once("pg")).latency_s, float | None)
        diag.report("orders-db", ok=True, latency_s=0.004)
        calls = diag.injection_point("orders.call")
        await calls.pass_through()
