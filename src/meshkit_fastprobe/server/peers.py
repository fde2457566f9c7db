"""Other hosts, asked on behalf of whoever asks this one: with their own token, so that each of them decides what it shows.

A token that is good on this host alone is never sent, and a client certificate cannot be: it is not ours to show.
"""

from __future__ import annotations

import hmac
import os
import ssl
from collections.abc import Awaitable, Callable
from math import inf
from typing import Annotated, Any, Final, TypeVar

import msgspec
import trio

from meshkit_fastprobe.chaos.fleet_budget import PeerTold
from meshkit_fastprobe.chaos.states import LIVE
from meshkit_fastprobe.errors import ConfigError, MissingExtraError
from meshkit_fastprobe.server.identity import header
from meshkit_fastprobe.server.reply import Scope
from meshkit_fastprobe.server.reports import Body

ANSWER_S: Final = 3.0
"""A host that is silent for longer is told as such; whoever looks is waiting."""
ALL_S: Final = 6.0
"""An activation waits no longer for all of them: many a client gives up after 10 s, and is to hear why it was refused."""
MAX_AT_ONCE: Final = 32
"""Peers being asked, for all who look."""
MAX_ANSWER_BYTES: Final = 1 << 20
_LIVE: Final = frozenset(LIVE)
NO_TOKEN: Final = "not asked: what proves you here is no token to send on; sign in with one of your issuer"  # noqa: S105 - says why
LOCAL_TOKEN: Final = "not asked: the local token is good on its own host alone; sign in with one of your issuer"  # noqa: S105 - likewise
NOT_WANTED: Final = "not asked: the question said ask=false"

T = TypeVar("T")


class HostItem(Body):
    """A host of several, as it tells itself to whoever asks."""

    name: str
    """Its URL, as long as it does not tell its name."""
    url: str = ""
    """Where it is asked; absent of the host that answers."""
    here: bool = False
    """Whether it is the host that answers."""
    problem: str = ""
    """Why nothing is known of it; then the rest is absent."""
    probes: int = 0
    states: dict[str, int] = msgspec.field(default_factory=dict)
    stale: int = 0
    chaos: list[str] = msgspec.field(default_factory=list)
    """Experiments in force, of those that may be seen."""
    in_force: int | None = None
    """How many there are of all, of the host that answers; absent when none may be seen, or it does not know."""


_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)]
"""The sum of as many as fit into an answer is one that every form of ours can tell."""


class _Group(msgspec.Struct):
    probes: _Number
    states: dict[str, _Number]
    stale: _Number


class _Groups(msgspec.Struct):
    host: str
    items: list[_Group]


class _Experiment(msgspec.Struct):
    id: str
    phase: str


class _Experiments(msgspec.Struct):
    items: list[_Experiment]


class _Here(msgspec.Struct, rename="camel"):
    name: str
    in_force: _Number | None = None


class _Told(msgspec.Struct):
    host: str
    items: list[_Here]


class _NoAnswerError(Exception):
    pass


class Peers:
    """urls: their bases, without a slash at the end. ca_file: what their certificates are checked with; None: the system's.

    MissingExtraError without the client library; ConfigError when the file holds no certificates.
    """

    def __init__(self, urls: tuple[str, ...], prefix: str, ca_file: str | None) -> None:
        try:
            import httpx  # now: importing it takes a tenth of a second, which no event loop has to spare later
        except ImportError as error:
            raise MissingExtraError("server.peers", "fleet") from error
        self._httpx = httpx
        self._urls = urls
        self._prefix = prefix
        self._at_once = trio.CapacityLimiter(MAX_AT_ONCE)
        try:
            self._trust = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError("server.peers_ca", f"{ca_file}: {error}", "name a file of certificates in PEM") from None

    def unasked(self) -> list[HostItem]:
        """Where each peer is, at once."""
        return [HostItem(name=url, url=url, problem=NOT_WANTED) for url in self._urls]

    async def ask(self, scope: Scope, local_token: str | None) -> list[HostItem]:
        """Each peer in the order of the settings: what it tells, or why it tells nothing."""
        return await self._each(scope, local_token, self._told_by, _unknown)

    async def in_force(self, scope: Scope, local_token: str | None) -> list[PeerTold]:
        """Of each peer, how many experiments are in force there, whether or not they may be seen; or why that is not known."""
        return await self._each(scope, local_token, self._in_force_at, _uncounted, ALL_S)

    async def _each(
        self,
        scope: Scope,
        local_token: str | None,
        ask: Callable[[Any, str], Awaitable[T]],
        without: Callable[[str, str], T],
        within_s: float = inf,
    ) -> list[T]:
        """without: of a URL and why nothing is known of it. within_s: for all together, however many wait for their turn."""
        token, why_not = _token_to_show(scope, local_token)
        if token is None:
            return [without(url, why_not) for url in self._urls]
        found = {url: without(url, f"no answer within {within_s:g} s") for url in self._urls}
        # Nothing is unpacked: what came would not be bounded by what it becomes.
        headers = {"authorization": token, "accept": "application/json", "accept-encoding": "identity"}
        limits = self._httpx.Limits(max_connections=MAX_AT_ONCE)
        client = self._httpx.AsyncClient(
            verify=self._trust, trust_env=False, timeout=ANSWER_S, limits=limits, headers=headers, follow_redirects=False
        )

        async def into(url: str) -> None:
            async with self._at_once:
                try:
                    with trio.fail_after(ANSWER_S):
                        found[url] = await ask(client, url)
                except trio.TooSlowError:
                    found[url] = without(url, f"no answer within {ANSWER_S:g} s")
                except _NoAnswerError as error:  # in our words: not those of what is below
                    found[url] = without(url, str(error))
                except self._httpx.HTTPError as error:
                    found[url] = without(url, _cause(error))

        with trio.move_on_after(within_s):
            async with client, trio.open_nursery() as nursery:
                for url in self._urls:
                    nursery.start_soon(into, url)
        return [found[url] for url in self._urls]

    async def _told_by(self, client: Any, url: str) -> HostItem:
        groups = await self._read(client, f"{url}{self._prefix}/groups?by=cluster", _Groups)
        states: dict[str, int] = {}
        for group in groups.items:
            for state, number in group.states.items():
                states[state] = states.get(state, 0) + number
        try:
            known = (await self._read(client, f"{url}{self._prefix}/chaos/experiments", _Experiments)).items
        except _NoAnswerError:  # none are configured there, or they are not for this reader
            known = []
        return HostItem(
            name=groups.host,
            url=url,
            probes=sum(group.probes for group in groups.items),
            states=states,
            stale=sum(group.stale for group in groups.items),
            chaos=[one.id for one in known if one.phase in _LIVE],
        )

    async def _in_force_at(self, client: Any, url: str) -> PeerTold:
        told = await self._read(client, f"{url}{self._prefix}/fleet/hosts?ask=false", _Told)
        [here, *_] = told.items or [_Here(name="")]
        if here.name != told.host or here.in_force is None:
            raise _NoAnswerError("it does not tell you: that takes chaos.read there, and a journal that it can read")
        return PeerTold(url=url, host=told.host, in_force=here.in_force)

    async def _read(self, client: Any, url: str, shape: type[T]) -> T:
        data = bytearray()
        async with client.stream("GET", url) as answer:
            async for part in answer.aiter_raw():
                data += part
                if len(data) > MAX_ANSWER_BYTES:
                    raise _NoAnswerError(f"it answers with more than {MAX_ANSWER_BYTES} bytes")
        if answer.status_code in {401, 403}:
            raise _NoAnswerError(f"it does not let you in: HTTP {answer.status_code}")
        if answer.status_code != 200:
            raise _NoAnswerError(f"HTTP {answer.status_code}")
        try:
            return msgspec.json.decode(data, type=shape)
        except (msgspec.DecodeError, RecursionError):
            raise _NoAnswerError("it answers with something that is no fastprobe payload") from None


def _unknown(url: str, problem: str) -> HostItem:
    return HostItem(name=url, url=url, problem=problem)


def _uncounted(url: str, problem: str) -> PeerTold:
    return PeerTold(url=url, problem=problem)


def _token_to_show(scope: Scope, local_token: str | None) -> tuple[str | None, str]:
    """The Authorization header to send on, or None and why."""
    values = header(scope, b"authorization")
    if not values:
        return None, NO_TOKEN
    if local_token is not None and hmac.compare_digest(values[0].partition(b" ")[2].strip(), local_token.encode()):
        return None, LOCAL_TOKEN
    return values[0].decode("latin-1"), ""


def _cause(error: BaseException) -> str:
    """What the layers of a client made of it, they say without its words."""
    while (below := _below(error)) is not None:
        error = below
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return (str(error) or type(error).__name__)[:200]


def _below(error: BaseException) -> BaseException | None:
    return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error.__context__
