from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.scheduling import resolver as module
from meshkit_fastprobe.scheduling.resolver import Name, Resolver, choose, lookup

NXDOMAIN = Outcome(Result.FAIL, Reason.DNS_NXDOMAIN)
DB = Name("db")
UNREACHABLE = Outcome(Result.ERROR, Reason.DNS_FAILURE)


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        (None, ["10.0.0.1"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2", "10.0.0.1"], "10.0.0.1"),  # still among the answers: nothing moves
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", UNREACHABLE, "10.0.0.1"),  # could not ask: the last address stays in use
        ("10.0.0.1", NXDOMAIN, NXDOMAIN),  # an answer: the name is gone
        (None, UNREACHABLE, UNREACHABLE),
        (NXDOMAIN, ["10.0.0.3"], "10.0.0.3"),
    ],
)
def test_what_is_used_from_now_on(before, said, after):
    assert choose(before, said) == after


@pytest.mark.parametrize(("ip", "after"), [("any", "10.0.0.1"), ("prefer_ipv6", "2001:db8::1")])
def test_a_preferred_family_is_gone_back_to_once_the_name_has_it_again(ip, after):
    assert choose("10.0.0.1", ["2001:db8::1", "10.0.0.1"], ip) == after


class Names:
    """Answers by name, and when they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[Name, list[str] | Outcome] = {}
        self.asked: list[tuple[float, Name]] = []
        monkeypatch.setattr(module, "lookup", self.lookup)

    async def lookup(self, name: Name) -> list[str] | Outcome:
        self.asked.append((trio.current_time(), name))
        await trio.sleep(0.01)
        return self.answers[name]


@asynccontextmanager
async def running(ttl_s: float, changed: list[Name]) -> AsyncIterator[Resolver]:
    resolver = Resolver(ttl_s, changed.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(resolver.run)
        yield resolver
        nursery.cancel_scope.cancel()


async def test_a_name_is_asked_once_for_all_its_users_and_again_after_its_ttl(monkeypatch, mock_clock):
    names, changed = Names(monkeypatch), []
    names.answers[DB] = ["10.0.0.1"]
    async with running(30, changed) as resolver:
        resolver.use(DB)
        resolver.use(DB)
        await trio.sleep(100)
        assert resolver.answer(DB) == "10.0.0.1"
    assert 3 <= len(names.asked) <= 5
    assert changed == [DB]


async def test_users_hear_of_an_address_that_moved(monkeypatch, mock_clock):
    names, changed = Names(monkeypatch), []
    names.answers[DB] = ["10.0.0.1"]
    async with running(30, changed) as resolver:
        resolver.use(DB)
        await trio.sleep(1)
        names.answers[DB] = ["10.0.0.9"]
        await trio.sleep(40)
        assert resolver.answer(DB) == "10.0.0.9"
    assert changed == [DB, DB]


async def test_a_name_nobody_uses_is_not_asked_again(monkeypatch, mock_clock):
    names, changed = Names(monkeypatch), []
    names.answers[DB] = ["10.0.0.1"]
    async with running(30, changed) as resolver:
        resolver.use(DB)
        await trio.sleep(1)
        resolver.leave(DB)
        resolver.use(DB)
        resolver.leave(DB)
        await trio.sleep(300)
    assert len(names.asked) <= 2


async def test_a_failed_lookup_is_tried_again_soon(monkeypatch, mock_clock):
    names, changed = Names(monkeypatch), []
    names.answers[DB] = UNREACHABLE
    async with running(3600, changed) as resolver:
        resolver.use(DB)
        await trio.sleep(1)
        assert resolver.answer(DB) == UNREACHABLE
        names.answers[DB] = ["10.0.0.1"]
        await trio.sleep(10)
        assert resolver.answer(DB) == "10.0.0.1"


async def test_localhost_resolves_for_real():
    found = await lookup(Name("localhost"))
    assert isinstance(found, list)
    assert {"127.0.0.1", "::1"} & set(found)
