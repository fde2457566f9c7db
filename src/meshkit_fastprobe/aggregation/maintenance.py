"""Which probes are under maintenance now.

The wall clock decides, and may jump: nothing is remembered of when a window began, only from when to when what was seen at the
last look holds. A clock that leaves this span, forwards or backwards, is a reason to look again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meshkit_fastprobe.aggregation.directory import Directory
from meshkit_fastprobe.aggregation.selection import select
from meshkit_fastprobe.config.maintenance import check_maintenance, zone
from meshkit_fastprobe.config.shape_parts import WEEKDAYS
from meshkit_fastprobe.config.shapes import MAX_MAINTENANCE
from meshkit_fastprobe.errors import CapacityError
from meshkit_fastprobe.model import Maintenance
from meshkit_fastprobe.probes.catalog import Groups, Registration
from meshkit_fastprobe.when import Once, Weekly

_DAYS_AROUND: Final = 9
"""A week, which is how long a window may last and how far apart two may lie, and the two days that a zone may be off."""


class Upkeep:
    """The windows there are, those of a configuration and those that code added, and which of them are open."""

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self.version = 0
        """Moves whenever other windows are open than before."""
        self._wall_s = wall_s
        self._configured: tuple[Maintenance, ...] = ()
        self._added: tuple[Maintenance, ...] = ()
        self._open: tuple[Maintenance, ...] = ()
        self._holds_s = (inf, -inf)
        self._flags: tuple[tuple[int, int], NDArray[np.bool_]] = ((-1, -1), np.zeros(0, np.bool_))

    @property
    def windows(self) -> tuple[Maintenance, ...]:
        """All there are, open or not."""
        return (*self._configured, *self._added)

    def configure(self, windows: tuple[Maintenance, ...]) -> None:
        """These instead of those of the configuration before."""
        self._configured = windows
        self._look_anew()

    def add(self, window: Maintenance) -> None:
        """Announce no change of the probes in this window while it is open, until it is ended or the process is.

        ConfigError for one that cannot be, CapacityError when there are too many.
        """
        check_maintenance(window)
        if len(self._added) >= MAX_MAINTENANCE:
            raise CapacityError(f"{MAX_MAINTENANCE} maintenance windows were added; end those that are past")
        self._added = (*self._added, window)
        self._look_anew()

    def end(self, window: Maintenance) -> None:
        """Take back one that was added: what changed in it and has not changed back is announced with the next frame.

        ValueError when there is none.
        """
        if window not in self._added:
            raise ValueError(f"{window} was not added")
        left = list(self._added)
        left.remove(window)
        self._added = tuple(left)
        self._look_anew()

    def look(self) -> int:
        """Read the wall clock; `version`."""
        if not self._holds_s[0] <= (now_s := self._wall_s()) < self._holds_s[1]:
            windows = self.windows
            spans = {window: list(_spans_s(window.when, now_s)) for window in windows}
            bounds = [-inf, inf, *(bound for each in spans.values() for span in each for bound in span)]
            self._holds_s = (
                max(bound for bound in bounds if bound <= now_s),
                min(bound for bound in bounds if bound > now_s),
            )
            is_open = tuple(window for window in windows if any(start <= now_s < end for start, end in spans[window]))
            if is_open != self._open:
                self._open = is_open
                self.version += 1
        return self.version

    def covering(self, registration: Registration) -> Maintenance | None:
        """A window in which this probe is, as of the last look."""
        return next((window for window in self._open if _covers(window, registration)), None)

    def flags(self, directory: Directory, columns: dict[str, NDArray[Any]], groups: Groups) -> NDArray[np.bool_]:
        """Whether each row of a directory is under maintenance now."""
        key = (directory.version, self.look())
        if self._flags[0] != key:
            flags = np.zeros(len(directory.names), np.bool_)
            for window in self._open:
                flags[_rows(window, directory, columns, groups)] = True
            flags.flags.writeable = False
            self._flags = (key, flags)
        return self._flags[1]

    def _look_anew(self) -> None:
        self._holds_s = (inf, -inf)
        self.look()


def is_within(when: Once | Weekly, now_s: float) -> bool:
    """Whether this moment, in seconds since the epoch, lies in the window."""
    return any(start <= now_s < end for start, end in _spans_s(when, now_s))


def spans_within(when: Once | Weekly, start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Beginnings and ends of all that lie in this stretch at least in part; seconds since the epoch."""
    looks = [*range(int(start_s), int(end_s), _DAYS_AROUND * 86_400), int(end_s)]
    near = {span for look_s in looks for span in _spans_s(when, look_s)}
    return sorted((first, last) for first, last in near if first < end_s and last > start_s)


def _spans_s(when: Once | Weekly, now_s: float) -> Iterator[tuple[float, float]]:
    """Beginnings and ends, in seconds since the epoch: all those near enough to matter now."""
    if isinstance(when, Once):
        yield when.start.timestamp(), when.end.timestamp()
        return
    local = zone(when.time_zone)
    today = datetime.fromtimestamp(now_s, local).date()
    at = time.fromisoformat(when.at)
    for days in range(-_DAYS_AROUND, _DAYS_AROUND + 1):
        day = today + timedelta(days=days)
        if WEEKDAYS[day.weekday()] in when.days:
            start_s = datetime.combine(day, at, local).timestamp()
            yield start_s, start_s + when.duration_s


def _covers(window: Maintenance, registration: Registration) -> bool:
    options = registration.options
    return (
        (window.name is None or fnmatchcase(registration.name, window.name))
        and window.cluster in {None, options.cluster}
        and window.namespace in {None, options.namespace}
        and set(window.labels) <= set(options.labels)
    )


def _rows(window: Maintenance, directory: Directory, columns: dict[str, NDArray[Any]], groups: Groups) -> NDArray[np.intp]:
    return select(
        directory,
        columns,
        groups,
        cluster=window.cluster,
        namespace=window.namespace,
        kind=None,
        labels=dict(window.labels),
        states=None,
        name=window.name,
    )
