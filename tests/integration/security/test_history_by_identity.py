"""What the history tells to whom: also of probes that are gone, and of groups that were too many to tell apart."""

from __future__ import annotations

import httpx
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.history.spans import OTHERS, GroupSpan
from meshkit_fastprobe.history.store import Minute

pytestmark = pytest.mark.integration

PREFIX = "/meshkit/diagnostics/v1"
PROBES = {"orders-db": "orders", "pay-api": "pay", "secret-pay": "pay", "edge": "edge", "secret-edge": "edge"}


async def namespaces(diag, world, name):
    headers = {"authorization": f"Bearer {world.token(name)}"}
    url = f"https://{diag.address}{PREFIX}/history/groups"
    async with httpx.AsyncClient(verify=world.client_context(), headers=headers, timeout=30) as http:
        answer = await http.get(url, params={"last": "1h", "step": "all", "by": "namespace"})
    assert answer.status_code == 200, answer.text
    return [item["tags"]["namespace"] for item in answer.json()["items"]]


async def test_totals_are_for_who_may_see_all_that_is_in_them(world):
    diag = fp.Diagnostics(world.settings())
    for name, namespace in PROBES.items():
        diag.add(fp.TcpProbe("127.0.0.1:1"), name=name, namespace=namespace, interval="50ms", timeout="50ms")
    async with diag:
        with trio.fail_after(20):
            while not all(sum(diag.view(name).runs.values()) for name in PROBES):
                await trio.sleep(0.02)
        await diag.history._turn(last=True)
        (start, _, _), *_ = await diag.history.ask(lambda store: list(store.group_spans(60, 0, 1 << 40)))
        span = GroupSpan(60_000, 1, (0, 1, 0, 0, 0), (9, 0, 0, 0, 0), (0, 60_000, 0, 0, 0), 0, b"\x50", (9,))
        await diag.history.ask(lambda store: store.append(Minute(start, 60_000, {OTHERS: span}, {})))
        assert await namespaces(diag, world, "anna") == ["", "edge", "orders", "pay"]
        assert await namespaces(diag, world, "bert") == ["orders"]  # bound to it
        assert await namespaces(diag, world, "carl") == ["orders"]  # denied secret-*
        diag.remove("secret-edge")
        diag.remove("edge")
        diag.remove("secret-pay")
        diag.remove("orders-db")
        assert await namespaces(diag, world, "anna") == ["", "edge", "orders", "pay"]
        assert await namespaces(diag, world, "bert") == ["orders"]
        assert await namespaces(diag, world, "carl") == ["orders"]  # what is gone was secret still
