"""A fault that an earlier start left in force, and whose experiment is configured no more: seen, and stopped like any other."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.faults.base import FaultError, FaultPlan
from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.chaos.faults.null import Null

from .conftest import host

pytestmark = pytest.mark.integration

THERE: dict[str, FaultPlan] = {}
"""What outlives a host, by mark."""


class Jam(Null, frozen=True, kw_only=True):
    """Stays there until `loose`, whatever anybody does."""

    kind: ClassVar[str] = "jam"
    loose: ClassVar[bool] = False

    async def plan(self, host, mark):
        return msgspec.structs.replace(await super().plan(host, mark), local=False)

    async def apply(self, _host, plan):
        THERE[plan.mark] = plan

    @classmethod
    async def revert(cls, _host, plan):
        if not Jam.loose:
            raise FaultError("it is stuck")
        THERE.pop(plan.mark, None)

    @classmethod
    async def is_gone(cls, _host, plan):
        return plan.mark not in THERE

    @classmethod
    async def scan(cls, _host):
        return tuple(THERE.values())


def with_jam(state_dir, *experiments):
    def add(diag: fp.Diagnostics) -> None:
        faults = builtin_faults.copy()
        faults.register(Jam)
        diag.chaos.adopt(faults)

    return host(state_dir, *experiments, add=add)


async def test_it_is_listed_shown_as_stuck_and_gone_once_it_is_stopped(tmp_path, monkeypatch):
    affects = fp.Selector(namespace="orders")
    experiment = fp.Experiment(id="a", fault=Jam(target="db"), duration_s=60.0, affects=affects, recovery_s=1.0)

    async def objects():
        return [(item["state"], item["run"]) for item in (await client.get("/chaos/objects")).json()["items"]]

    async with with_jam(tmp_path, experiment) as (_, client):
        await client.switch_on("jam")
        assert (await client.run("a")).status_code == 200
        assert await objects() == [("held", "a-1")]
    assert "a" in THERE
    async with with_jam(tmp_path) as (diag, client):
        [item] = (await client.get("/chaos/experiments")).json()["items"]
        assert (item["id"], item["phase"], item["fault"]) == ("a", "revert_failed", "jam")
        assert (item["namespace"], item["parameters"]) == ("orders", {"target": "db"})
        assert "known until its fault is undone" in item["says"]
        assert await objects() == [("stuck", "a-1")]
        refused = await client.verb("a", "prepare")
        assert (refused.status_code, "no experiment any more" in refused.text) == (409, True)
        stopped = await client.verb("a", "stop")
        assert (stopped.status_code, stopped.json()["item"]["phase"], "a" in THERE) == (200, "revert_failed", True)
        monkeypatch.setattr(Jam, "loose", True)
        stopped = await client.verb("a", "stop")
        assert (stopped.status_code, stopped.json()["item"]["phase"]) == (200, "orphan_reverted")
        assert (THERE, await objects(), diag.chaos.live) == ({}, [], ())
        assert (await client.get("/chaos/experiments/a")).status_code == 404
