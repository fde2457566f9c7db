"""Names of native targets: resolved off the engine thread, cached for a TTL, pushed to the engine when they move.

getaddrinfo tells no TTL, so the cache has one of its own (30 s by default, spread by a tenth so that names do not expire
together). An answer that still contains the address in use changes nothing. A server that does not answer keeps the last
address in use; a name that no longer exists takes it away.

A probe asks one address: the first in the order of RFC 8305, or of the family it prefers. It does not go on to the next when
that one refuses, as a browser would: the failure of an address is what a probe is there to see.
"""

from __future__ import annotations

import heapq
import random
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import trio

from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.via import Ip, family_of, order
from meshkit_fastprobe.scheduling.outcomes import from_gaierror

MAX_LOOKUPS: Final = 16
MAX_THREADS: Final = 64
"""Who asks a server that is dead stays in its thread for up to 30 s, though we wait for it for ten: 48 of so many lookups."""
RETRY_S: Final = 5.0
LOOKUP_TIMEOUT_S: Final = 10.0
TTL_SPREAD: Final = 0.1

_threads = trio.CapacityLimiter(MAX_THREADS)
"""Of lookups' own: a dead name server holds up neither trio's other threads nor, for want of them, a name of another one."""

Address = str


class Name(NamedTuple):
    """A name, and which of its addresses are wanted: each way of asking is an entry of its own."""

    host: str
    ip: Ip = "any"


Changed = Callable[[Name], None]


class Resolver:
    """One entry per host name that any probe uses. `changed(name)` is called in trio when its answer is new."""

    def __init__(self, ttl_s: float, changed: Changed) -> None:
        self._ttl_s = ttl_s
        self._changed = changed
        self._answers: dict[Name, Address | Outcome] = {}
        self._users: dict[Name, int] = {}
        self._due: list[tuple[float, Name]] = []
        self._next: dict[Name, float] = {}  # which entry of the heap counts for a name; others are left-overs
        self._limiter = trio.CapacityLimiter(MAX_LOOKUPS)
        self._wanted = trio.Event()

    def use(self, name: Name) -> None:
        """A probe needs this name: it is looked up soon, and again as long as anybody uses it."""
        users = self._users.get(name, 0)
        self._users[name] = users + 1
        if not users:
            self._schedule(name, -1.0)

    def leave(self, name: Name) -> None:
        """A probe no longer needs this name."""
        left = self._users[name] - 1
        if left:
            self._users[name] = left
        else:
            del self._users[name]
            self._next.pop(name, None)
            self._answers.pop(name, None)

    def answer(self, name: Name) -> Address | Outcome | None:
        """The address in use, the outcome that stands for there being none, or None while not known yet."""
        return self._answers.get(name)

    async def run(self) -> None:
        """Look names up as they fall due; at most MAX_LOOKUPS at once."""
        async with trio.open_nursery() as nursery:
            while True:
                while self._due and self._due[0][0] <= trio.current_time():
                    at, name = heapq.heappop(self._due)
                    if self._next.get(name) == at:
                        nursery.start_soon(self._refresh, name)
                self._wanted = trio.Event()
                with trio.move_on_at(self._due[0][0] if self._due else trio.current_time() + 3600):
                    await self._wanted.wait()

    def _schedule(self, name: Name, at: float) -> None:
        self._next[name] = at
        heapq.heappush(self._due, (at, name))
        self._wanted.set()

    async def _refresh(self, name: Name) -> None:
        async with self._limiter:
            outcome = await lookup(name)
        if name not in self._users:
            return
        before = self._answers.get(name)
        after = choose(before, outcome, name.ip)
        self._answers[name] = after
        wait_s = self._ttl_s if isinstance(outcome, list) else min(RETRY_S, self._ttl_s)
        apart = 1 + TTL_SPREAD * (random.random() - 0.5)  # noqa: S311 - it only spreads load
        self._schedule(name, trio.current_time() + wait_s * apart)
        if after != before:
            self._changed(name)


def choose(before: Address | Outcome | None, outcome: list[Address] | Outcome, ip: Ip = "any") -> Address | Outcome:
    """What to use from now on, given what was used and what the lookup said. A family that is preferred is gone back to."""
    if isinstance(outcome, list):
        if isinstance(before, str) and before in outcome and (ip == "any" or family_of(before) == family_of(outcome[0])):
            return before
        return outcome[0]
    if isinstance(before, str) and outcome.reason is not Reason.DNS_NXDOMAIN:
        return before
    return outcome


async def lookup(name: Name) -> list[Address] | Outcome:
    """The addresses of a name in the order in which they are to be tried, or the outcome that says why there are none."""
    try:
        with trio.fail_after(LOOKUP_TIMEOUT_S):
            asked = partial(socket.getaddrinfo, name.host, None, type=socket.SOCK_STREAM)
            found = await trio.to_thread.run_sync(asked, limiter=_threads, abandon_on_cancel=True)
    except trio.TooSlowError:
        return Outcome(Result.ERROR, Reason.DNS_TIMEOUT)
    except socket.gaierror as error:
        return from_gaierror(error)
    except (OSError, UnicodeError):
        return Outcome(Result.ERROR, Reason.DNS_FAILURE)
    addresses = [f"{sockaddr[0]}" for family, _, _, _, sockaddr in found if family in {socket.AF_INET, socket.AF_INET6}]
    return order(addresses, name.ip) or Outcome(Result.FAIL, Reason.DNS_NXDOMAIN)
