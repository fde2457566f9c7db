"""What `fastprobe top` knows and shows: answers, events and keys go in, actions come out. No clock, terminal or network."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final

import msgspec

from meshkit_fastprobe.cli import words
from meshkit_fastprobe.cli.exits import Exit
from meshkit_fastprobe.cli.sorting import ProbeSort, sort_probes

Item = dict[str, Any]
GroupKey = tuple[str, str]
"""cluster, namespace."""

HISTORY: Final = 120
"""Pictures that sparklines remember."""
FEED: Final = 200
MAX_FILTER: Final = 64
SORTS: Final = (ProbeSort.state, ProbeSort.since, ProbeSort.p99, ProbeSort.name)
RUNNING: Final = ("injecting", "active", "reverting", "recovering", "revert_failed")
"""Phases of experiments that somebody who looks has to know of."""


class Action(Enum):
    QUIT = auto()
    HALT = auto()
    REFRESH = auto()


class Mode(Enum):
    LOOKING = auto()
    FILTERING = auto()
    ASKING = auto()
    """Whether to halt all chaos: once."""


class HostSeen(msgspec.Struct, frozen=True):
    """What one host said in one round; problem: why it said nothing, code: what that is to whoever runs the command."""

    host: str
    problem: str = ""
    groups: Sequence[Item] = ()
    worst: Sequence[Item] = ()
    experiments: Sequence[Item] = ()
    code: Exit = Exit.WELL


class Group(msgspec.Struct):
    """One cluster and namespace, over all hosts."""

    key: GroupKey
    probes: int = 0
    states: dict[str, int] = {}
    stale: int = 0
    rate: float = 0.0
    p99_s: float | None = None
    timeouts: bool = False
    """Its p99 lies among the timeouts."""

    def add(self, item: Item) -> None:
        self.probes += item["probes"]
        self.stale += item.get("stale", 0)
        self.rate += item.get("ratePerSecond") or 0.0
        self.timeouts = self.timeouts or "p99" in item.get("beyondRange", ())
        self.p99_s = max((value for value in (self.p99_s, item.get("p99Seconds")) if value is not None), default=None)
        for state, count in item["states"].items():
            self.states[state] = self.states.get(state, 0) + count

    def share(self, state: str) -> float:
        return self.states.get(state, 0) / self.probes if self.probes else 0.0

    @property
    def severity(self) -> tuple[float, float, float]:
        """The worse, the smaller."""
        slow = float("inf") if self.timeouts else self.p99_s or 0.0
        return (-self.share("unhealthy"), -self.share("degraded"), -slow)


class View:
    """Everything on the screen but its size and the time."""

    def __init__(self) -> None:
        self.hosts: Sequence[HostSeen] = ()
        self.groups: list[Group] = []
        self.history: dict[GroupKey, deque[float | None]] = {}
        """p99 of each group, the newest last; infinity among the timeouts."""
        self.feed: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=FEED)
        """host, transition; the newest first."""
        self.mode = Mode.LOOKING
        self.filter = ""
        self.sort = SORTS[0]
        self.message = ""

    @property
    def several(self) -> bool:
        return len(self.hosts) > 1

    def take(self, hosts: Sequence[HostSeen]) -> None:
        """A new round of answers."""
        self.hosts = hosts
        merged: dict[GroupKey, Group] = {}
        for item in (item for host in hosts for item in host.groups):
            key = (item["tags"].get("cluster", ""), item["tags"].get("namespace", ""))
            merged.setdefault(key, Group(key, states={})).add(item)
        self.groups = [merged[key] for key in sorted(merged)]
        self.history = {key: self.history.get(key) or deque(maxlen=HISTORY) for key in merged}
        for group in self.groups:
            self.history[group.key].append(float("inf") if group.timeouts else group.p99_s)

    def hear(self, host: str, event: str, data: Mapping[str, Any]) -> None:
        """One event of one host."""
        if event == "transition":
            self.feed.appendleft((host, data))

    def worst(self) -> list[Item]:
        """Probes that are not well, of all hosts, in the order that was asked for."""
        several = self.several
        items = [{**item, "_host": host.host} if several else item for host in self.hosts for item in host.worst]
        found = [item for item in items if self._matches(item["name"], item.get("namespace", ""), words.why(item))]
        if self.sort is ProbeSort.state:  # within a state, the news first
            found = sort_probes(found, ProbeSort.since)
        return sort_probes(found, self.sort)

    def shown_groups(self) -> list[Group]:
        """The worst first."""
        return sorted((group for group in self.groups if self._matches(*group.key)), key=lambda group: group.severity)

    def shown_feed(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(host, data) for host, data in self.feed if self._matches(data["name"], data.get("namespace", ""))]

    def running(self) -> list[tuple[str, Item]]:
        """Experiments that hurt something now, or could not be undone, with their hosts."""
        return [(host.host, item) for host in self.hosts for item in host.experiments if item["phase"] in RUNNING]

    def press(self, key: str) -> Action | None:
        """What a key asks for; keys of escape sequences come whole."""
        if self.mode is Mode.ASKING:
            return self._answer(key)
        if self.mode is Mode.FILTERING:
            self._type(key)
            return None
        return self._command(key)

    def _command(self, key: str) -> Action | None:
        self.message = ""
        match key:
            case "q" | "\x03":
                return Action.QUIT
            case "r":
                return Action.REFRESH
            case "h":
                self.mode = Mode.ASKING
            case "/":
                self.mode = Mode.FILTERING
            case "s":
                self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
            case "\x1b":
                self.filter = ""
        return None

    def _answer(self, key: str) -> Action | None:
        self.mode = Mode.LOOKING
        if key in {"y", "Y"}:
            self.message = "halting all chaos ..."
            return Action.HALT
        self.message = "nothing was halted"
        return None

    def _type(self, key: str) -> None:
        if key in {"\r", "\n"}:
            self.mode = Mode.LOOKING
        elif key in {"\x1b", "\x03"}:
            self.mode, self.filter = Mode.LOOKING, ""
        elif key in {"\x7f", "\x08"}:
            self.filter = self.filter[:-1]
        elif key.isprintable() and len(key) == 1 and len(self.filter) < MAX_FILTER:
            self.filter += key

    def _matches(self, *texts: str) -> bool:
        return not self.filter or any(self.filter.lower() in text.lower() for text in texts)
