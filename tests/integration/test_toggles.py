"""Switches over real sockets: what they do to probes, who may use them, and what remains after a restart."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager

import httpx
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import SecuritySettings
from meshkit_fastprobe.server.local_token import read_token

pytestmark = pytest.mark.integration

PREFIX = "/meshkit/diagnostics/v1"


@asynccontextmanager
async def host(state_dir, **changes):
    server = fp.ServerSettings(listen="127.0.0.1:0")
    diag = fp.Diagnostics(fp.Settings(host="cp-1", state_dir=str(state_dir), server=server, **changes))
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="tcp-1", interval=0.05, timeout=0.05)
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="tcp-2", interval=0.05, timeout=0.05)
    diag.add(fp.HttpProbe("http://127.0.0.1:9/"), name="http-1", interval=0.05, timeout=0.05)
    async with diag:
        headers = {"authorization": f"Bearer {read_token(state_dir)}"}
        async with httpx.AsyncClient(base_url=f"http://{diag.address}{PREFIX}", headers=headers, timeout=30) as client:
            yield diag, client


async def put(client, name, value, version="*", reason=""):
    body = {"value": value, "reason": reason}
    return await client.put(f"/toggles/{name}", json=body, headers={"if-match": version})


async def state_of(client, name):
    return (await client.get(f"/probes/{name}")).json()["item"]["state"]


async def wait_for(diag, name, state):
    with trio.fail_after(20):
        while diag.view(name).state is not state:
            await trio.sleep(0.01)


async def test_a_kind_that_is_switched_off_is_paused_until_it_is_switched_on(tmp_path):
    async with host(tmp_path) as (diag, client):
        diag.pause("tcp-2")
        assert (await put(client, "probes.tcp.enabled", False)).status_code == 200
        item = (await client.get("/probes/tcp-1")).json()["item"]
        assert (item["state"], item["switchedOff"]) == ("paused", True)
        await wait_for(diag, "http-1", fp.State.UNHEALTHY)
        diag.add(fp.TcpProbe("127.0.0.1:9"), name="tcp-3", interval=0.05, timeout=0.05)
        assert await state_of(client, "tcp-3") == "paused"
        await client.post("/probes/tcp-1:resume")
        assert await state_of(client, "tcp-1") == "paused"
        assert (await put(client, "probes.tcp.enabled", True)).status_code == 200
        await wait_for(diag, "tcp-1", fp.State.UNHEALTHY)
        await wait_for(diag, "tcp-3", fp.State.UNHEALTHY)
        assert await state_of(client, "tcp-2") == "paused"
        assert "switchedOff" not in (await client.get("/probes/tcp-2")).json()["item"]


async def test_everything_off_stops_every_run_and_stays_so_after_a_restart(tmp_path):
    async with host(tmp_path) as (_, client):
        assert (await put(client, "probes.enabled", False, reason="maintenance of the mesh")).status_code == 200
    async with host(tmp_path) as (diag, client):
        items = {item["name"]: item for item in (await client.get("/toggles")).json()["items"]}
        stored = items["probes.enabled"]
        assert (stored["value"], stored["version"], stored["changedBy"]) == (False, 1, "local")
        assert stored["reason"] == "maintenance of the mesh"
        assert {await state_of(client, name) for name in ("tcp-1", "tcp-2", "http-1")} == {"paused"}
        await trio.sleep(0.3)
        assert diag.snapshot().totals.runs == 0
        assert (await put(client, "probes.enabled", True, '"1"')).status_code == 200
        await wait_for(diag, "tcp-1", fp.State.UNHEALTHY)


async def test_a_change_needs_the_version_it_is_based_on(tmp_path):
    async with host(tmp_path) as (_, client):
        missing = await client.put("/toggles/chaos.enabled", json={"value": True})
        assert (missing.status_code, missing.json()["code"]) == (428, "version_needed")
        first = await put(client, "chaos.enabled", True, '"0"')
        assert (first.status_code, first.headers["etag"]) == (200, '"1"')
        late = await put(client, "chaos.enabled", False, '"0"')
        assert (late.status_code, late.json()["code"]) == (412, "version_mismatch")


async def test_what_cannot_be_is_refused_with_its_reason_and_not_audited(tmp_path):
    async with host(tmp_path, toggles={"chaos.enabled": False}) as (diag, client):
        above = await put(client, "chaos.enabled", True)
        assert (above.status_code, above.json()["code"]) == (409, "toggle_refused")
        assert (await put(client, "log.level", "loud")).status_code == 409
        assert (await put(client, "coffee", True)).json()["code"] == "unknown_toggle"
        broken = await client.put("/toggles/log.level", content=b'{"value": ', headers={"if-match": "*"})
        assert (broken.status_code, broken.json()["code"]) == (400, "invalid_body")
        large = await client.put("/toggles/log.level", content=b"x" * 100_000, headers={"if-match": "*"})
        assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
        assert diag.usage.audit.records == 0


async def test_a_change_is_audited_with_its_reason_before_it_counts(tmp_path):
    async with host(tmp_path) as (diag, client):
        await put(client, "chaos.enabled", True, reason="game day")
        [record], _ = await diag.endpoints.audit.newest(None, 10, {})
    entry = record.entry
    assert (entry.actor, entry.action, entry.scope) == ("local", "toggle.set", "chaos.enabled")
    assert (entry.reason, entry.detail) == ("game day", "off -> on")


async def test_the_log_level_is_the_embedders_until_somebody_says_otherwise(tmp_path):
    package = logging.getLogger("meshkit_fastprobe")
    before = package.level
    try:
        async with host(tmp_path) as (_, client):
            assert package.level == before
            await put(client, "log.level", "error")
            assert package.level == logging.ERROR
    finally:
        package.setLevel(before)


async def test_a_viewer_may_look_and_not_touch(tmp_path):
    async with host(tmp_path, security=SecuritySettings(local_role="viewer")) as (_, client):
        assert (await client.get("/toggles")).status_code == 200
        assert (await put(client, "probes.enabled", False)).status_code == 403


async def test_a_traced_request_is_told_with_its_trace_and_the_share_is_switched_while_it_runs(tmp_path, caplog):
    caplog.set_level("INFO", "meshkit_fastprobe.access")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    async def told(n):
        with trio.fail_after(20):  # a line comes after the answer that it is about
            while len(lines := [one for one in caplog.records if one.name == "meshkit_fastprobe.access"]) < n:
                await trio.sleep(0.01)
        return lines

    async with host(tmp_path) as (_, client):
        await client.get("/toggles", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-00"})
        await client.get("/toggles")
        await client.get("/toggles", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        assert [line.trace_id for line in await told(1)] == [trace]
        await put(client, "trace.sampling", "1")
        await client.get("/toggles")
        last = (await told(3))[-1]
    assert len(last.trace_id) == 32
    assert f"trace {last.trace_id}" in last.getMessage()
