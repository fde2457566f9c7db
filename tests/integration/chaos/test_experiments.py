"""The life of an experiment over real sockets: hard to start, easy to stop, and on record."""

from __future__ import annotations

import functools
import json

import msgspec
import pytest
import trio

from meshkit_fastprobe.chaos.states import Phase
from meshkit_fastprobe.security.audit_store import verify

from .conftest import host, null

pytestmark = pytest.mark.integration


async def test_nothing_starts_before_chaos_and_the_fault_are_switched_on(tmp_path):
    async with host(tmp_path, null("a")) as (_, client):
        answer = await client.verb("a", "prepare")
        assert (answer.status_code, answer.json()["code"]) == (409, "chaos_refused")
        assert "chaos is switched off" in answer.json()["detail"]
        await client.toggle("chaos.enabled", True)
        assert "faults of kind null are switched off" in (await client.verb("a", "prepare")).json()["detail"]
        await client.toggle("chaos.null.enabled", True)
        assert (await client.verb("a", "prepare")).status_code == 200


async def test_a_confirmed_experiment_is_active_until_it_is_stopped(tmp_path):
    async with host(tmp_path, null("a")) as (_, client):
        await client.switch_on("null")
        answer = await client.run("a")
        assert (answer.status_code, answer.json()["item"]["phase"]) == (200, "active"), answer.text
        stopped = (await client.verb("a", "stop", reason="seen enough")).json()["item"]["run"]
        assert stopped["phase"] in {"recovering", "aborted"}
        assert stopped["stoppedBy"] == "local"
        assert "seen enough" in stopped["why"]


async def test_a_run_ends_by_itself_and_says_that_nobody_saw_an_effect(tmp_path):
    async with host(tmp_path, null("a", duration_s=0.1)) as (diag, client):
        await client.switch_on("null")
        await client.run("a")
        with trio.fail_after(20):
            while await client.phase("a") != "no_effect":
                await trio.sleep(0.01)
        assert [move.phase for move in diag.chaos.current("a").moves] == [
            Phase.PREPARED,
            Phase.ARMED,
            Phase.INJECTING,
            Phase.ACTIVE,
            Phase.REVERTING,
            Phase.RECOVERING,
            Phase.NO_EFFECT,
        ]


async def test_every_step_is_in_the_audit_and_the_chain_holds(tmp_path):
    async with host(tmp_path, null("a")) as (_, client):
        await client.switch_on("null")
        await client.run("a")
        await client.verb("a", "stop")
        with trio.fail_after(20):
            while await client.phase("a") != "aborted":
                await trio.sleep(0.01)
        items = (await client.get("/audit?page_size=1000")).json()["items"]
    actions = [item["action"] for item in reversed(items) if item["action"].startswith("chaos.")]
    assert actions == [
        "chaos.prepare",
        "chaos.activate",
        "chaos.injecting",
        "chaos.active",
        "chaos.stop",
        "chaos.reverting",
        "chaos.recovering",
        "chaos.aborted",
    ]
    assert verify(tmp_path / "audit").verdict == "intact"


async def test_of_a_hundred_who_redeem_one_confirmation_one_gets_through(tmp_path):
    async with host(tmp_path, null("a")) as (_, client):
        await client.switch_on("null")
        token = await client.prepared("a")
        codes = []

        async def redeem():
            codes.append((await client.verb("a", "activate", token=token)).status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(redeem)
        assert min(codes) == 200
        assert codes.count(200) == 1


async def test_who_disconnects_while_it_is_activated_changes_nothing(tmp_path):
    async with host(tmp_path, null("a")) as (_, client):
        await client.switch_on("null")
        token = await client.prepared("a")
        stream = await trio.open_tcp_stream("127.0.0.1", int(str(client.http.base_url.port)))
        body = json.dumps({"token": token}).encode()
        headers = "\r\n".join(
            [
                f"POST {client.http.base_url.path}chaos/experiments/a:activate HTTP/1.1",
                "host: 127.0.0.1",
                f"authorization: {client.http.headers['authorization']}",
                "content-type: application/json",
                f"content-length: {len(body)}",
            ]
        )
        await stream.send_all(f"{headers}\r\n\r\n".encode() + body)
        await stream.aclose()
        with trio.fail_after(20):
            while await client.phase("a") != "active":
                await trio.sleep(0.01)


async def test_switching_chaos_off_ends_what_runs(tmp_path):
    async with host(tmp_path, null("a")) as (_, client):
        await client.switch_on("null")
        await client.run("a")
        await client.toggle("chaos.null.enabled", False)
        with trio.fail_after(20):
            while await client.phase("a") != "aborted":
                await trio.sleep(0.01)
        assert "switched off" in (await client.get("/chaos/experiments/a")).json()["item"]["run"]["why"]


async def test_halt_ends_everything_and_holds_over_a_restart_until_resume(tmp_path):
    experiments = [null(f"a{number}") for number in range(5)]
    async with host(tmp_path, *experiments, max_concurrent=5) as (_, client):
        await client.switch_on("null")
        for number in range(5):
            assert (await client.run(f"a{number}")).status_code == 200
        halted = (await client.http.post("/chaos:halt", json={"reason": "enough"})).json()["item"]
        assert {run["phase"] for run in halted["runs"]} <= {"recovering", "aborted"}
        assert len(halted["runs"]) == 5
    async with host(tmp_path, *experiments) as (_, client):
        refused = (await client.verb("a0", "prepare")).json()
        assert "all chaos is halted: by local: enough" in refused["detail"]
        assert (await client.http.post("/chaos:resume", json={"reason": ""})).status_code == 400
        assert (await client.http.post("/chaos:resume", json={"reason": "found it"})).status_code == 200
        assert (await client.verb("a0", "prepare")).status_code == 200


async def test_two_runs_do_not_work_on_the_same_resource(tmp_path):
    twin = null("b")
    twin = type(twin)(id="b", fault=null("a").fault, duration_s=30.0)
    async with host(tmp_path, null("a"), twin, max_concurrent=2) as (_, client):
        await client.switch_on("null")
        await client.run("a")
        assert "one fault a resource" in (await client.verb("b", "prepare")).json()["detail"]


async def test_what_a_reload_removes_while_it_runs_is_stopped_like_any_other(tmp_path):
    async with host(tmp_path, null("a")) as (diag, client):
        await client.switch_on("null")
        await client.run("a")
        diag.chaos.configure(msgspec.structs.replace(diag.chaos.settings, experiments=()))
        assert [item["phase"] for item in (await client.get("/chaos/experiments")).json()["items"]] == ["active"]
        stopped = await client.verb("a", "stop")
        assert (stopped.status_code, stopped.json()["item"]["run"]["stoppedBy"]) == (200, "local")
        with trio.fail_after(10):
            while diag.chaos.live:
                await trio.sleep(0.01)
        assert (await client.get("/chaos/experiments/a")).status_code == 404


async def test_a_second_person_has_to_approve_what_needs_two(tmp_path):
    async with host(tmp_path, null("a", two_person=True)) as (diag, client):
        await client.switch_on("null")
        answer = (await client.verb("a", "prepare")).json()["item"]
        token, plan = answer["confirmation"]["token"], answer["confirmation"]["planId"]
        assert answer["phase"] == "awaiting_approval"
        assert (await client.verb("a", "activate", token=token)).json()["code"] == "confirmation_refused"
        assert (await client.verb("a", "approve", planId=plan)).json()["detail"] == "who asked for it cannot approve it"
        await diag.chaos.approve("a", plan, subject="user:bob")
        assert (await client.verb("a", "activate", token=token)).json()["item"]["phase"] == "active"


async def test_an_experiment_of_a_request_lives_as_long_as_the_host(tmp_path):
    async with host(tmp_path) as (_, client):
        await client.switch_on("null")
        raw = {"id": "new", "fault": "null", "duration": "5s", "steady_state": {"namespace": "x", "healthy_ratio": 0.5}}
        assert (await client.http.post("/chaos/experiments", json=raw)).status_code == 200
        assert (await client.http.post("/chaos/experiments", json=raw)).json()["code"] == "duplicate_experiment"
        wrong = {"id": "New!", "fault": "null", "duration": "5d", "colour": "red"}
        told = (await client.http.post("/chaos/experiments", json=wrong)).json()
        assert told["code"] == "invalid_experiment"
        assert "cannot see" in (await client.verb("new", "prepare")).json()["detail"]


async def test_a_receipt_verifies_offline_and_not_when_a_byte_is_changed(tmp_path):
    from meshkit_fastprobe.chaos.receipts import Receipt
    from meshkit_fastprobe.chaos.receipts import verify as verify_receipt
    from meshkit_fastprobe.security.audit_store import public_key

    async with host(tmp_path, null("a", duration_s=0.1)) as (_, client):
        await client.switch_on("null")
        await client.run("a")
        with trio.fail_after(20):
            while await client.phase("a") != "no_effect":
                await trio.sleep(0.01)
        item = (await client.get("/chaos/receipts/a-1")).json()["item"]
    content, signature = item["content"].encode(), bytes.fromhex(item["signature"])
    check = functools.partial(verify_receipt, public_key=public_key(tmp_path / "audit"))
    assert check(Receipt(content, signature, b"")) is None
    assert check(Receipt(content.replace(b"no_effect", b"completed", 1), signature, b"")) is not None


@pytest.mark.parametrize("verb", ["prepare", "approve", "activate", "stop"])
async def test_an_experiment_that_is_removed_while_a_body_is_read_is_not_found(tmp_path, verb):
    body = {"approve": {"planId": "0" * 64}, "activate": {"token": "x", "dryRun": True}}.get(verb, {"reason": "why"})
    async with host(tmp_path, null("a")) as (diag, client):
        await client.switch_on("null")

        async def slowly():
            text = json.dumps(body).encode()
            yield text[:1]
            await trio.sleep(0.1)
            diag.chaos.configure(msgspec.structs.replace(diag.chaos.settings, experiments=()))
            yield text[1:]

        headers = {"content-type": "application/json"}
        answer = await client.http.post(f"/chaos/experiments/a:{verb}", content=slowly(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_experiment"), answer.text
