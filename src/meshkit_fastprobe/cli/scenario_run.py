"""Carrying out a scenario at a terminal: drawn live where there is one, a line a move elsewhere; signals end it in order.

The first Ctrl-C (or SIGTERM, or the terminal that goes away) ends the scenario and undoes everything; those that follow are
told that this is being done, and change nothing. Undoing has a time of its own, so that it always ends.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final

import trio
from rich.console import Console
from rich.live import Live

from meshkit_fastprobe import __version__
from meshkit_fastprobe.chaos.scenarios.conducting import Conduct, EndKind
from meshkit_fastprobe.chaos.scenarios.planning import ScenarioPlan
from meshkit_fastprobe.chaos.scenarios.report import Report, report_of
from meshkit_fastprobe.chaos.scenarios.step import StepLife
from meshkit_fastprobe.cli import pipes, scenario_tables, tables
from meshkit_fastprobe.cli.scenario_hands import HttpHands

REDRAW_S: Final = 0.25
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NAMES: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "the terminal that went away"}


@contextlib.contextmanager
def _as_long_as_it_can_be_read(console: Console) -> Iterator[None]:
    """Output that cannot be written is no reason to leave a fault where it is, or lose the report; it is not tried again."""
    try:
        yield
    except (OSError, ValueError):
        console.quiet = True
        with contextlib.suppress(OSError, ValueError):  # it is closed
            pipes.drop(console.file)


class _Telling:
    """Says what happens."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live: Live | None = None
        self.conduct: Conduct | None = None

    def moved(self, life: StepLife) -> None:
        assert self.conduct is not None
        if self.live is None:
            self.say(scenario_tables.line_of(self.conduct, life))

    def say(self, text: str) -> None:
        with _as_long_as_it_can_be_read(self.console):
            self.console.print(text, markup=False, soft_wrap=True)

    def draw(self) -> None:
        assert self.conduct is not None
        if self.live is not None:
            with _as_long_as_it_can_be_read(self.console):
                self.live.update(scenario_tables.progress(self.conduct, trio.current_time()), refresh=True)


async def conducted(
    plan: ScenarioPlan,
    hands: HttpHands,
    shown: Mapping[str, Mapping[str, object]],
    quiet: bool,
    reason: str,
    ticket: str,
    keep: Callable[[Report], None],
) -> Report:
    """The report of one go. quiet: stdout belongs to somebody else, so moves are told on stderr.

    keep: called with the report while signals are still taken here, so that a Ctrl-C pressed once too often, when all is undone
    already, cannot end the process before the report is written. Trio raises such a signal again when this returns.
    """
    console = tables.console(stderr=quiet)
    telling = _Telling(console)
    conduct = telling.conduct = Conduct(plan, hands, shown=shown, tell=telling.moved)
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, signals, conduct, telling)
            with _drawn(telling, live=console.is_terminal and not quiet):
                nursery.start_soon(_draw, telling)
                await conduct.run()
                nursery.cancel_scope.cancel()
        report = report_of(conduct, host=hands.host, version=__version__, reason=reason, ticket=ticket)
        with _as_long_as_it_can_be_read(console):
            for part in scenario_tables.summary(conduct):
                console.print(part)
        keep(report)
    return report


@contextlib.contextmanager
def _drawn(telling: _Telling, *, live: bool) -> Iterator[None]:
    if not live:
        yield
        return
    with Live(
        console=telling.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as drawn:
        telling.live = drawn
        yield
    telling.live = None


async def _draw(telling: _Telling) -> None:
    while True:
        telling.draw()
        await trio.sleep(REDRAW_S)


async def _listen(signals: AsyncIterator[int], conduct: Conduct, telling: _Telling) -> None:
    async for number in signals:
        name = _NAMES[signal.Signals(number)]
        if conduct.is_rolling_back:
            if telling.live is None:
                telling.say("what was started is being undone; this is not interrupted")
            continue
        conduct.end(EndKind.CANCELLED, f"{name} ended it")
        if telling.live is None:
            telling.say(f"{name}: nothing more is started, what was started is undone")
