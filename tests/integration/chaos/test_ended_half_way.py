"""An activation that came to nothing says whether anything was begun."""

from __future__ import annotations

import pytest
import trio

from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.null import Null

from .conftest import host, null

pytestmark = pytest.mark.integration


async def test_what_is_stopped_while_it_is_injected_is_not_told_as_never_injected(tmp_path, monkeypatch):
    begun = trio.Event()

    async def apply(*_):
        begun.set()
        await trio.sleep_forever()

    monkeypatch.setattr(Null, "apply", apply)
    async with host(tmp_path, null("a")) as (_, client):
        await client.switch_on("null")
        token, answers = await client.prepared("a"), []

        async def activate():
            answers.append(await client.verb("a", "activate", token=token))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(activate)
            await begun.wait()
            stopped = (await client.verb("a", "stop")).json()["item"]["run"]
        assert [answer.status_code for answer in answers] == [503]
        assert answers[0].json()["detail"] == "it was undone before it was known to be in force: stopped by local"
        assert "injectedAt" in stopped


async def test_a_fault_that_cannot_be_applied_is_told_with_its_reason(tmp_path, monkeypatch):
    async def apply(*_):
        raise FaultError("the tool is gone")

    monkeypatch.setattr(Null, "apply", apply)
    async with host(tmp_path, null("a")) as (_, client):
        await client.switch_on("null")
        answer = await client.run("a")
        assert (answer.status_code, answer.json()["code"]) == (503, "chaos_unavailable")
        assert answer.json()["detail"].endswith("in force: the tool is gone")
