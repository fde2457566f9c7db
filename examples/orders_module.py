"""The orders module of a mesh: a trio service that knows the health of what it depends on, and tells when it cannot serve.

Everything it asks of fastprobe is in `register`: the service hands in its Diagnostics and gets back what it needs at run time.
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import trio

import meshkit_fastprobe as fp

NAMESPACE = "orders"


@dataclass(frozen=True)
class OrdersConfig:
    """What the module is told by its deployment."""

    database: str
    payments_url: str
    max_queue: int = 100


class Queue:
    """Orders that wait to be charged. A real one would be a broker's; its depth is what matters here."""

    def __init__(self) -> None:
        self.waiting = 0

    async def depth(self) -> int:
        await trio.lowlevel.checkpoint()
        return self.waiting


@dataclass(frozen=True)
class Orders:
    """The service, with the hands it has on its diagnostics."""

    diag: fp.Diagnostics
    config: OrdersConfig
    queue: Queue
    http: httpx.AsyncClient

    async def charge(self, order: str) -> bool:
        """A real call to a dependency, which proves more than a probe: its outcome is reported, and spares the next run."""
        await self.diag.injection_point("orders.charge").pass_through()
        began_s = trio.current_time()
        try:
            answer = await self.http.post(f"{self.config.payments_url}/charges", json={"order": order})
        except httpx.HTTPError:
            self.diag.report("payments", ok=False)
            return False
        self.diag.report("payments", ok=answer.is_success, latency_s=trio.current_time() - began_s)
        return answer.is_success

    def ready(self) -> bool:
        """Whether traffic should come here: without its database nothing works, without payments orders wait in the queue."""
        return self.diag.view("orders-db").state in {fp.State.HEALTHY, fp.State.DEGRADED}


def register(diag: fp.Diagnostics, config: OrdersConfig, http: httpx.AsyncClient) -> Orders:
    """Declare what this module depends on. No I/O: probes run once the Diagnostics is entered."""
    diag.add(
        fp.TcpProbe(config.database), name="orders-db", interval="2s", timeout="500ms", rise=1, fall=3, namespace=NAMESPACE
    )
    diag.add(
        fp.HttpProbe(f"{config.payments_url}/healthz"),
        name="payments",
        interval="5s",
        timeout="1s",
        degraded_above="250ms",
        passive_defers="10s",
        namespace=NAMESPACE,
        labels={"tier": "1"},
    )
    queue = Queue()

    # Our own queue is no network: one look is enough to believe it.
    @diag.probe("orders-queue", interval="1s", timeout="500ms", rise=1, fall=1, namespace=NAMESPACE)
    async def orders_queue() -> fp.Outcome:
        depth = await queue.depth()
        if depth > config.max_queue:
            return fp.Outcome.fail(f"{depth} orders wait, {config.max_queue} are bearable")
        return fp.Outcome.degraded(f"{depth} orders wait") if depth > config.max_queue // 2 else fp.Outcome.ok()

    return Orders(diag, config, queue, http)
