"""Dry runs over HTTP: refused where the verbs are, to whom the verbs are refused, and nothing is kept of them."""

from __future__ import annotations

import pytest

from meshkit_fastprobe.access import Binding, Permission, SecuritySettings

from .conftest import host, null

pytestmark = pytest.mark.integration

SEES = (Permission.PROBES_READ, Permission.CHAOS_READ)


def may(diag, *permissions):
    diag.gate.replace(SecuritySettings(local_role="", bindings=(Binding("local", permissions=(*SEES, *permissions)),)))


async def runs(client):
    return [item["id"] for item in (await client.get("/chaos/runs")).json()["items"]]


async def test_a_dry_run_shows_the_plan_and_keeps_nothing(tmp_path):
    async with host(tmp_path, null("a")) as (_, client):
        await client.switch_on("null")
        told = [(await client.verb("a", "prepare", dryRun=True)), (await client.verb("a", "activate", token="", dryRun=True))]
        prepared = (await client.verb("a", "prepare")).json()["item"]
        for answer in told:
            assert answer.status_code == 200, answer.text
            item = answer.json()["item"]
            assert (item["phase"], item["run"]["id"], "confirmation" in item) == ("draft", "a-0", False)
            assert (item["run"]["plan"], item["backings"]) == (prepared["run"]["plan"], prepared["backings"])
        assert prepared["run"]["id"] == "a-1"
        token = prepared["confirmation"]["token"]
        waits = await client.verb("a", "activate", token=token, dryRun=True)
        assert (waits.json()["item"]["run"]["id"], await client.phase("a")) == ("a-1", "prepared")
        assert (await client.verb("a", "activate", token=token)).status_code == 200
        assert await runs(client) == ["a-1"]


async def test_who_may_prepare_and_no_more_is_shown_what_would_be_prepared_and_not_what_would_be_injected(tmp_path):
    async with host(tmp_path, null("a")) as (diag, client):
        await client.switch_on("null")
        may(diag, Permission.CHAOS_PREPARE)
        assert (await client.verb("a", "stop")).status_code == 403
        assert (await client.verb("a", "prepare", dryRun=True)).status_code == 200
        assert (await client.phase("a"), await runs(client)) == ("draft", [])
        refused = await client.verb("a", "activate", token="", dryRun=True)
        assert (refused.status_code, "may not chaos.activate" in refused.text) == (403, True)
        may(diag, Permission.CHAOS_ACTIVATE)
        for verb, body in (("prepare", {}), ("activate", {"token": ""})):
            refused = await client.verb("a", verb, dryRun=True, **body)
            assert (refused.status_code, "may not chaos.prepare" in refused.text) == (403, True)


async def test_bare_targets_are_refused_in_dry_runs_as_well(tmp_path):
    async with host(tmp_path, null("a").__class__(id="a", fault=null("*").fault, duration_s=1.0)) as (diag, client):
        await client.switch_on("null")
        may(diag, Permission.CHAOS_PREPARE, Permission.CHAOS_ACTIVATE)
        for verb, body in (("prepare", {}), ("activate", {"token": ""})):
            refused = await client.verb("a", verb, dryRun=True, **body)
            assert (refused.status_code, "may not chaos.any-target" in refused.text) == (403, True)


async def test_a_dry_run_is_refused_where_the_verb_is(tmp_path):
    async with host(tmp_path, null("a"), null("b", two_person=True)) as (_, client):

        async def alike(name, verb, **body):
            dry, real = [await client.verb(name, verb, **body, **more) for more in ({"dryRun": True}, {})]
            assert (dry.status_code, dry.json()["detail"]) == (real.status_code, real.json()["detail"])
            return dry.json()

        assert "switched off" in (await alike("a", "prepare"))["detail"]
        await client.switch_on("null")
        assert (await alike("a", "activate", token="of-nobody"))["code"] == "chaos_wrong_phase"
        token = await client.prepared("a")
        assert (await alike("a", "activate", token="of-nobody"))["code"] == "confirmation_refused"
        assert (await client.verb("a", "activate", token=token)).status_code == 200
        assert "a-2 is active" in (await alike("a", "prepare"))["detail"]
        assert "a-2 is active" in (await client.verb("a", "activate", token="", dryRun=True)).text
        await client.verb("a", "stop")
        token = await client.prepared("b")
        assert "waits for a second person" in (await alike("b", "activate", token=token))["detail"]
        assert "waits for a second person" in (await client.verb("b", "activate", token="", dryRun=True)).text
        assert (await client.verb("b", "activate", token="")).status_code == 403
        assert await client.phase("b") == "awaiting_approval"
