"""Several probes in one verdict: enough of them are up, or they are not. Nothing is asked but the table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from heapq import nsmallest
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, State
from meshkit_fastprobe.probes.base import JudgedProbe, OurLimit
from meshkit_fastprobe.probes.registry import probe_kind

AT_LEAST_PATTERN: Final = "^([1-9][0-9]?|100)%$"
MAX_PATTERNS: Final = 64
NAMED: Final = 5
"""Members that are down and named in the message."""
TOLD: Final = 64
"""Members that are not healthy, as an explained run tells them."""
_UP: Final = frozenset({State.HEALTHY, State.DEGRADED})

_share = re.compile(AT_LEAST_PATTERN)


@probe_kind()
class QuorumProbe(msgspec.Struct, frozen=True):
    """Whether at_least (a number, or a share as "60%") of the probes are up whose names match target, or one of also.

    Paused probes and other quorums are no members. DEGRADED is up.
    """

    kind: ClassVar[str] = "quorum"
    target: str
    at_least: (
        Annotated[int, Meta(extra_json_schema={"minimum": 1})]
        | Annotated[str, Meta(extra_json_schema={"pattern": AT_LEAST_PATTERN})]
    )
    also: Annotated[tuple[str, ...], Meta(extra_json_schema={"maxItems": MAX_PATTERNS - 1})] = ()

    def __post_init__(self) -> None:
        at_least = self.at_least
        if isinstance(at_least, str) and not _share.fullmatch(at_least):
            raise ConfigError("QuorumProbe.at_least", f"{shown(at_least)} is not a share", 'write "1%" to "100%", or a number')
        if not isinstance(at_least, str) and (isinstance(at_least, bool) or at_least < 1):
            raise ConfigError("QuorumProbe.at_least", f"{shown(at_least)} is below 1", 'write 1 or more, or a share as "60%"')
        if len(self.also) >= MAX_PATTERNS:
            raise ConfigError("QuorumProbe.also", f"{len(self.also)} patterns; the bound is {MAX_PATTERNS - 1}", "write fewer")

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.target, *self.also)

    def needed(self, members: int) -> int:
        """How many of so many must be up."""
        if isinstance(self.at_least, str):
            return max(1, -(-members * int(self.at_least[:-1]) // 100))
        return self.at_least

    def judge(self, states: Mapping[str, State]) -> Outcome:
        """The verdict over these members. OurLimit while those that have no state yet could tip it."""
        members = {name: state for name, state in states.items() if state is not State.PAUSED}
        up = sum(state in _UP for state in members.values())
        unknown = sum(state is State.UNKNOWN for state in members.values())
        needed = self.needed(len(members))
        told = f"{up} of {len(members)} up, {needed} needed" + (f", {unknown} not known yet" if unknown else "")
        facts = _not_healthy(members)
        if up >= needed:
            return msgspec.structs.replace(Outcome.ok(told), facts=facts)
        if up + unknown >= needed:
            raise OurLimit(Reason.MEMBERS_UNKNOWN)
        down = sorted(name for name, state in members.items() if state is State.UNHEALTHY)
        if down:
            told += f"; down: {', '.join(down[:NAMED])}" + (f" and {len(down) - NAMED} more" if len(down) > NAMED else "")
        return msgspec.structs.replace(Outcome.fail(told, reason=Reason.QUORUM, detail=up), facts=facts)


def _not_healthy(members: Mapping[str, State]) -> tuple[tuple[str, str], ...]:
    """The worst of those that are not: there may be a hundred thousand members."""
    bad = ((name, state) for name, state in members.items() if state is not State.HEALTHY)
    return tuple((name, state.name.lower()) for name, state in nsmallest(TOLD, bad, key=lambda one: (-one[1], one[0])))


_judged: type[JudgedProbe] = QuorumProbe
