"""Names of native targets: resolved off the engine thread, cached for a TTL, pushed to the engine when they move.

getaddrinfo tells no TTL, so the cache has one of its own (30 s by default, spread by a tenth so that names do not expire
together). An answer that still contains the address in use changes nothing. A server that does not answer keeps the last
address in use; a name that no longer exists takes it away.
"""

from __future__ import annotations

import heapq
import random
import socket
from collections.abc import Callable
from typing import Final

import trio

from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.scheduling.outcomes import from_gaierror

MAX_LOOKUPS: Final = 16
RETRY_S: Final = 5.0
LOOKUP_TIMEOUT_S: Final = 10.0
TTL_SPREAD: Final = 0.1

Address = str
Changed = Callable[[str], None]


class Resolver:
    """One entry per host name that any probe uses. `changed(host)` is called in trio when its answer is new."""

    def __init__(self, ttl_s: float, changed: Changed) -> None:
        self._ttl_s = ttl_s
        self._changed = changed
        self._answers: dict[str, Address | Outcome] = {}
        self._users: dict[str, int] = {}
        self._due: list[tuple[float, str]] = []
        self._next: dict[str, float] = {}  # which entry of the heap counts for a host; others are left-overs
        self._limiter = trio.CapacityLimiter(MAX_LOOKUPS)
        self._wanted = trio.Event()

    def use(self, host: str) -> None:
        """A probe needs this name: it is looked up soon, and again as long as anybody uses it."""
        users = self._users.get(host, 0)
        self._users[host] = users + 1
        if not users:
            self._schedule(host, -1.0)

    def leave(self, host: str) -> None:
        """A probe no longer needs this name."""
        left = self._users[host] - 1
        if left:
            self._users[host] = left
        else:
            del self._users[host]
            self._next.pop(host, None)
            self._answers.pop(host, None)

    def answer(self, host: str) -> Address | Outcome | None:
        """The address in use, the outcome that stands for there being none, or None while not known yet."""
        return self._answers.get(host)

    async def run(self) -> None:
        """Look names up as they fall due; at most MAX_LOOKUPS at once."""
        async with trio.open_nursery() as nursery:
            while True:
                while self._due and self._due[0][0] <= trio.current_time():
                    at, host = heapq.heappop(self._due)
                    if self._next.get(host) == at:
                        nursery.start_soon(self._refresh, host)
                self._wanted = trio.Event()
                with trio.move_on_at(self._due[0][0] if self._due else trio.current_time() + 3600):
                    await self._wanted.wait()

    def _schedule(self, host: str, at: float) -> None:
        self._next[host] = at
        heapq.heappush(self._due, (at, host))
        self._wanted.set()

    async def _refresh(self, host: str) -> None:
        async with self._limiter:
            outcome = await lookup(host)
        if host not in self._users:
            return
        before = self._answers.get(host)
        after = choose(before, outcome)
        self._answers[host] = after
        wait_s = self._ttl_s if isinstance(outcome, list) else min(RETRY_S, self._ttl_s)
        apart = 1 + TTL_SPREAD * (random.random() - 0.5)  # noqa: S311 - it only spreads load
        self._schedule(host, trio.current_time() + wait_s * apart)
        if after != before:
            self._changed(host)


def choose(before: Address | Outcome | None, outcome: list[Address] | Outcome) -> Address | Outcome:
    """What to use from now on, given what was used and what the lookup said."""
    if isinstance(outcome, list):
        return before if isinstance(before, str) and before in outcome else outcome[0]
    if isinstance(before, str) and outcome.reason is not Reason.DNS_NXDOMAIN:
        return before
    return outcome


async def lookup(host: str) -> list[Address] | Outcome:
    """All addresses of a name in the resolver's order, or the outcome that says why there are none."""
    try:
        with trio.fail_after(LOOKUP_TIMEOUT_S):
            found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except trio.TooSlowError:
        return Outcome(Result.ERROR, Reason.DNS_TIMEOUT)
    except socket.gaierror as error:
        return from_gaierror(error)
    except (OSError, UnicodeError):
        return Outcome(Result.ERROR, Reason.DNS_FAILURE)
    addresses = [f"{sockaddr[0]}" for family, _, _, _, sockaddr in found if family in {socket.AF_INET, socket.AF_INET6}]
    return addresses or Outcome(Result.FAIL, Reason.DNS_NXDOMAIN)
