"""A host with experiments over a real server, and a client of it."""

from __future__ import annotations

import os
import resource
import time
from contextlib import asynccontextmanager, contextmanager

import httpx

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.faults.null import Null
from meshkit_fastprobe.server.local_token import read_token

PREFIX = "/meshkit/diagnostics/v1"


class Client:
    """The verbs, with what they answer."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, path):
        return await self.http.get(path)

    async def verb(self, name, verb, **body):
        return await self.http.post(f"/chaos/experiments/{name}:{verb}", json=body)

    async def toggle(self, name, value):
        answer = await self.http.put(f"/toggles/{name}", json={"value": value}, headers={"if-match": "*"})
        assert answer.status_code == 200, answer.text

    async def switch_on(self, *faults):
        for name in ("chaos.enabled", *(f"chaos.{fault}.enabled" for fault in faults)):
            await self.toggle(name, True)

    async def prepared(self, name):
        answer = await self.verb(name, "prepare")
        assert answer.status_code == 200, answer.text
        return answer.json()["item"]["confirmation"]["token"]

    async def run(self, name):
        """Prepare and activate."""
        return await self.verb(name, "activate", token=await self.prepared(name))

    async def phase(self, name):
        return (await self.get(f"/chaos/experiments/{name}")).json()["item"]["phase"]


def null(name, **changes):
    return fp.Experiment(id=name, fault=Null(target=name), **({"duration_s": 30.0, "recovery_s": 1.0} | changes))


@asynccontextmanager
async def host(state_dir, *experiments, add=lambda _: None, **changes):
    server = fp.ServerSettings(listen="127.0.0.1:0")
    chaos = fp.ChaosSettings(experiments=experiments, **({"cooldown_s": 0.0} | changes))
    diag = fp.Diagnostics(fp.Settings(host="cp-1", state_dir=str(state_dir), server=server, chaos=chaos))
    add(diag)
    async with diag:
        headers = {"authorization": f"Bearer {read_token(state_dir)}"}
        async with httpx.AsyncClient(base_url=f"http://{diag.address}{PREFIX}", headers=headers, timeout=30) as http:
            yield diag, Client(http)


@contextmanager
def no_descriptors():
    """None can be had while this lasts; what is open stays open."""
    bounds = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, bounds[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, bounds)


def until(holds, patience_s=20.0):
    """For what happens on a thread of its own."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)
