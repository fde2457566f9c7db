"""How many experiments the hosts of a fleet have in force together, and why one more may not start.

A run is armed, and counts for whoever asks, before it asks the others. So of two that start at the same moment on two hosts
at least one sees the other; both may, and then both are refused. Whoever cannot be asked is taken to have too many.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from meshkit_fastprobe.chaos.life import Life

THE_OTHERS: Final = "the fleet"
TOLD: Final = 5
"""Hosts that a refusal names."""


class PeerTold(msgspec.Struct, frozen=True, kw_only=True):
    """url: where it was asked. host: its name. in_force: runs whose fault is in force, about to be, or not undone.

    problem: why nothing is known; then nothing else is.
    """

    url: str
    host: str = ""
    in_force: int = 0
    problem: str = ""


AskFleet: TypeAlias = Callable[[], Awaitable[Sequence[PeerTold]]]
"""Asks every other host, within a bounded time; what cannot be asked is told as a problem, never raised."""

UNASKED: Final = "nobody said how to ask them; activate it over the endpoints of a host with [server] peers"

log = logging.getLogger("meshkit_fastprobe.chaos")


async def told_by_fleet(ask: AskFleet | None, life: Life) -> Sequence[PeerTold] | None:
    """What the other hosts tell; None when the run is ended before: whoever stops it waits for none of them."""
    if ask is None:
        return [PeerTold(url=THE_OTHERS, problem=UNASKED)]
    try:
        return await life.unless_ended(ask)
    except Exception as error:
        log.exception("experiment %s: the fleet", life.run.id)
        return [PeerTold(url=THE_OTHERS, problem=f"a mistake of ours, {type(error).__name__}; the log has it")]


def beyond_budget(budget: int, host: str, here: int, told: Sequence[PeerTold]) -> list[str]:
    """Why the runs that are in force `here`, with the one that asks among them, are too many; empty when they are not."""
    unknown = [
        f"{peer.url} cannot be asked how many experiments are in force there: {peer.problem}" for peer in told if peer.problem
    ]
    ourselves = [
        f"{peer.url} has the name of this host, {host}: give it another, or take it out of [server] peers"
        for peer in told
        if not peer.problem and peer.host == host
    ]
    total = here + sum(peer.in_force for peer in told)
    if unknown or ourselves or total <= budget:
        return [*unknown, *ourselves]
    bearing = [f"{peer.host}: {peer.in_force}" for peer in told if peer.in_force]
    where = ", ".join([f"{host}: {here} with this one", *bearing[:TOLD]])
    return [f"{total} experiments would be in force in the fleet ({where}); its bound is {budget}; wait, or stop one"]
