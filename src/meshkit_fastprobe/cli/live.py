"""The live view: what is up, degraded or down now, why, and how the prober itself is doing. Four redraws a second at most."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

import numpy as np
import trio
from rich.console import Console, RenderableType
from rich.console import Group as Lines
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from meshkit_fastprobe.aggregation.groups import Group
from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.cli import tables, words
from meshkit_fastprobe.cli.items import group_item, probe_item
from meshkit_fastprobe.model import State, Transition
from meshkit_fastprobe.runtime import Diagnostics

REDRAW_S: Final = 0.5
PLAIN_EVERY_S: Final = 5.0
FEED: Final = 64
HEADLINE_LINES: Final = 8


class LiveView:
    """Draws one running Diagnostics until cancelled. Plain lines on stderr without a terminal; nothing at all when quiet."""

    def __init__(self, diag: Diagnostics, seconds: float | None, *, quiet: bool) -> None:
        self._diag = diag
        self._seconds = seconds
        self._quiet = quiet
        self._started = time.monotonic()
        self._feed: deque[Transition] = deque(maxlen=FEED)
        self._last = (time.monotonic(), 0, _cpu_s())
        self._rates = (0.0, 0.0)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            console = tables.console(stderr=True) if self._quiet else tables.console()
            if self._quiet:
                await trio.sleep_forever()
            elif console.is_terminal:
                await self._draw(console)
            else:
                await self._print()

    async def _listen(self) -> None:
        async for change in self._diag.changes():
            self._feed.appendleft(change)

    async def _print(self) -> None:
        while True:
            await trio.sleep(PLAIN_EVERY_S)
            snapshot = self._diag.snapshot()
            self._measure(snapshot)
            sys.stderr.write(f"{self._headline(snapshot).plain}\n")

    async def _draw(self, console: Console) -> None:
        # Redirected streams would draw the whole screen anew for every line that is logged.
        with Live(
            console=console, auto_refresh=False, screen=True, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as live:
            while True:
                snapshot = self._diag.snapshot()
                groups = snapshot.groups(by=("cluster", "namespace"), window="1m")
                self._measure(snapshot)
                # Drawing takes longer than a probe may wait: on a thread it shares the interpreter instead of holding it.
                await trio.to_thread.run_sync(self._show, live, console, snapshot, groups)
                await trio.sleep(REDRAW_S)

    def _show(self, live: Live, console: Console, snapshot: Snapshot, groups: list[Group]) -> None:
        live.update(self._screen(snapshot, groups, console), refresh=True)

    def _measure(self, snapshot: Snapshot) -> None:
        then, runs, cpu = self._last
        now, now_cpu = time.monotonic(), _cpu_s()
        if now - then >= REDRAW_S / 2:
            self._rates = ((snapshot.totals.runs - runs) / (now - then), (now_cpu - cpu) / (now - then))
            self._last = (now, snapshot.totals.runs, now_cpu)

    def _screen(self, snapshot: Snapshot, found: list[Group], console: Console) -> RenderableType:
        height, width = console.size.height, console.size.width
        groups = [group_item(group) for group in found]
        room = max(4, height - HEADLINE_LINES)
        shown_groups = groups[: max(2, min(len(groups), room // 2 - 2))]
        rest = max(3, room - len(shown_groups) - 3)
        worst_lines = rest if width < 100 else max(3, rest * 3 // 5)
        parts: list[RenderableType] = [self._headline(snapshot), self._states(snapshot), self._progress(width), Text("")]
        parts.append(tables.group_table(shown_groups, ("cluster", "namespace"), width=width))
        if len(groups) > len(shown_groups):
            parts.append(Text(f"  and {len(groups) - len(shown_groups)} more groups", style="bright_black"))
        parts += [Rule(style="bright_black"), self._worst(snapshot, worst_lines, width)]
        feed_lines = rest - worst_lines - 2
        if feed_lines > 1:
            parts += [Rule(style="bright_black"), self._recent(feed_lines)]
        return Lines(*parts)

    def _headline(self, snapshot: Snapshot) -> Text:
        totals = snapshot.totals
        rate, cpu = self._rates
        text = Text()
        text.append(f"fastprobe {snapshot.host}", style="bold")
        text.append(f"  {words.count(totals.probes)} probes  {rate:,.0f} runs/s")
        text.append(f"  lag p50 {_lag(totals.lag_p50_s)} p99 {_lag(totals.lag_p99_s)}")
        text.append(f"  cpu {cpu * 100:.0f}%  rss {_rss_mib():.0f} MiB")
        if totals.dropped or totals.skipped:
            text.append(f"  skipped {words.count(totals.skipped)} dropped {words.count(totals.dropped)}", style="yellow")
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def _states(self, snapshot: Snapshot) -> Text:
        text = Text()
        for state in tables.STATES:
            mark, colour = words.MARKS[state]
            text.append(f"{mark} {state} {words.count(snapshot.totals.states.get(state, 0))}  ", style=colour)
        return text

    def _progress(self, width: int) -> RenderableType:
        elapsed = time.monotonic() - self._started
        if self._seconds is None:
            where = f"  http://{self._diag.address}" if self._diag.address else ""
            return Text(f"running for {words.age(elapsed)}, Ctrl-C ends it{where}", style="bright_black")
        bar = Progress(BarColumn(bar_width=max(10, min(50, width - 30))), TextColumn("{task.description}"), expand=False)
        bar.add_task(f"{elapsed:.0f} of {self._seconds:.0f} s", total=self._seconds, completed=int(min(elapsed, self._seconds)))
        return bar

    def _worst(self, snapshot: Snapshot, lines: int, width: int) -> RenderableType:
        """Unhealthy ones first, those that changed last on top: the news is at the head of the list."""
        state = snapshot.columns["state"]
        bad = np.flatnonzero((state == State.UNHEALTHY) | (state == State.DEGRADED))
        if not bad.size:
            return Text("everything that has run is healthy", style="green")
        order = np.lexsort((-snapshot.columns["since"][bad], -state[bad].astype(np.int8)))
        shown = bad[order[: max(1, lines - 2)]]
        return Lines(
            tables.probe_table([probe_item(snapshot.view(int(row))) for row in shown], snapshot.taken_at, width=width),
            Text(f"  and {bad.size - shown.size:,} more" if bad.size > shown.size else "", style="bright_black"),
        )

    def _recent(self, lines: int) -> RenderableType:
        table = Table.grid(padding=(0, 2, 0, 0))
        for change in list(self._feed)[:lines]:
            when = datetime.fromtimestamp(change.at, UTC).astimezone().strftime("%H:%M:%S")
            arrow = Text.assemble(
                tables.state_text(change.before.name.lower()), " → ", tables.state_text(change.after.name.lower())
            )
            table.add_row(
                Text(when, style="bright_black"),
                arrow,
                change.name,
                Text(change.message, style="bright_black", overflow="ellipsis"),
            )
        return table


def _lag(seconds: float | None) -> str:
    return "-" if seconds is None or math.isnan(seconds) else words.latency(seconds)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _rss_mib() -> float:
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - twice a second: no Path objects
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
