"""The code under examples/, against servers on loopback: what a reader copies has to work."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx
import pytest
import trio

import meshkit_fastprobe as fp
from examples.gateways_module import Changes, Gateway, Gateways
from examples.orders_module import OrdersConfig, register

pytestmark = pytest.mark.integration

PATIENCE_S = 30


@asynccontextmanager
async def server(status: bytes = b"200 OK"):
    """An HTTP server that answers everything alike; its address."""

    async def answer(stream):
        # Probes reset connections of which they have seen enough.
        async with stream:
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    await stream.send_all(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@pytest.fixture
def nobody():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return f"127.0.0.1:{one.getsockname()[1]}"


async def until(holds):
    with trio.fail_after(PATIENCE_S):
        while not holds():
            await trio.sleep(0.02)


async def test_orders_is_ready_with_its_database_and_reports_what_real_calls_came_to():
    diag = fp.Diagnostics(fp.Settings(host="orders-1", first_run_window_s=0.1))
    async with server() as database, server() as payments, httpx.AsyncClient(timeout=30) as http:
        orders = register(diag, OrdersConfig(database, f"http://{payments}", max_queue=10), http)
        async with diag:
            await until(orders.ready)
            before = diag.view("payments").runs["ok"]
            assert await orders.charge("o-1")
            await until(lambda: diag.view("payments").runs["ok"] > before)
            orders.queue.waiting = 7
            assert (await diag.run_once("orders-queue")).state is fp.State.DEGRADED
            orders.queue.waiting = 11
            view = await diag.run_once("orders-queue")
            assert (view.state, view.message) == (fp.State.UNHEALTHY, "11 orders wait, 10 are bearable")


async def test_orders_is_not_ready_without_its_database_and_says_so_of_payments(nobody):
    diag = fp.Diagnostics(fp.Settings(host="orders-1", first_run_window_s=0.1))
    async with httpx.AsyncClient(timeout=30) as http:
        orders = register(diag, OrdersConfig(nobody, f"http://{nobody}"), http)
        async with diag:
            assert not orders.ready()
            assert not await orders.charge("o-1")
            await until(lambda: diag.view("payments").state is fp.State.UNHEALTHY)
            assert not orders.ready()


async def test_gateways_follow_membership_and_zones_are_judged_by_quorum(nobody):
    diag = fp.Diagnostics(fp.Settings(host="edge-1", first_run_window_s=0.1))
    async with server() as up:
        gateways = Gateways(diag, {"a": up, "b": up})
        members = [Gateway(f"g{number}", zone, up if zone == "a" else nobody) for zone in "ab" for number in range(3)]
        async with diag:
            assert gateways.reconcile(members) == Changes(added=6, removed=0)
            assert gateways.reconcile(members) == Changes(added=0, removed=0)
            await until(lambda: gateways.zones_to_drain() == ["b"])
            moved = [Gateway(member.name, member.zone, up) for member in members if member.name != "g2"]
            assert gateways.reconcile(moved) == Changes(added=2, removed=4)
            await until(lambda: gateways.zones_to_drain() == [])
            assert len(diag.snapshot()) == 4 + 4


async def test_gateways_behind_a_dead_uplink_are_suppressed(nobody):
    diag = fp.Diagnostics(fp.Settings(host="edge-1", first_run_window_s=0.1))
    gateways = Gateways(diag, {"a": nobody})
    gateways.reconcile([Gateway("g0", "a", nobody)])
    async with diag:
        await until(lambda: diag.view("uplink-a").state is fp.State.UNHEALTHY)
        await until(lambda: diag.snapshot()["gateway-a-g0"].suppressed)
