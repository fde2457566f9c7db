"""The screen of `fastprobe top`: a view, the time and a size in, lines out. Shapes carry the meaning, colours repeat it."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from meshkit_fastprobe.cli import tables, words
from meshkit_fastprobe.cli.top_state import Mode, View

BARS: Final = "▁▂▃▄▅▆▇"
TIMEOUT: Final = "█"
DIM: Final = "bright_black"
HEAT: Final = (
    (lambda group: group.share("unhealthy") >= 0.5, "█", "red"),
    (lambda group: group.share("unhealthy") >= 0.1, "▓", "red"),
    (lambda group: group.share("unhealthy") > 0, "▒", "red"),
    (lambda group: group.share("degraded") > 0, "▲", "yellow"),
    (lambda group: group.share("healthy") > 0, "·", "green"),
    (lambda _: True, "○", DIM),
)
LEGEND: Final = (
    ("█", "red", "half down"),
    ("▓", "red", "a tenth"),
    ("▒", "red", "some"),
    ("▲", "yellow", "degraded"),
    ("·", "green", "well"),
)
MAX_STRIPS = 6
"""Lines of the heat strip: clusters."""


def draw(view: View, now: float, width: int, height: int, colours: Any = None) -> list[str]:
    """Exactly `height` lines of at most `width` columns. colours: a color system of rich, None for none."""
    top = [*_head(view, now), *_chaos(view, now), *_silent(view), *_strips(view, width)]
    left = height - len(top) - 1
    wanted = len(view.shown_groups()) + 2
    groups = max(0, min(wanted, left // 3 + 1)) if left >= 9 else 0
    feed = min(len(view.feed) + 1, (left - groups) // 3 + 1) if view.feed and left - groups >= 8 else 0
    lines: list[Any] = [
        *top,
        *_rendered(_groups(view, groups, width), width, colours),
        *_rendered(_worst(view, now, left - groups - feed, width), width, colours),
        *_rendered(_feed(view, feed, width), width, colours),
    ]
    drawn = [line if isinstance(line, str) else _line(line, width, colours) for line in lines][: height - 1]
    drawn += [""] * (height - 1 - len(drawn))
    return [*drawn, _line(_foot(view), width, colours)]


def _head(view: View, now: float) -> list[Text]:
    probes = sum(group.probes for group in view.groups)
    answering = [host for host in view.hosts if not host.problem]
    text = Text("fastprobe top", style="bold")
    if not view.hosts:
        return [text.append("  asking ...", style=DIM), Text()]
    text.append(
        f"  {answering[0].host}" if len(view.hosts) == 1 and answering else f"  {len(answering)} of {len(view.hosts)} hosts"
    )
    text.append(f"  {words.count(probes)} probes  {sum(group.rate for group in view.groups):,.0f} runs/s")
    text.append(f"  {datetime.fromtimestamp(now).astimezone():%H:%M:%S}", style=DIM)
    states = Text()
    for state in tables.STATES:
        count = sum(group.states.get(state, 0) for group in view.groups)
        mark, colour = words.MARKS[state]
        states.append(f"{mark} {words.count(count)} {state}  ", style=colour if count else DIM)
    stale = sum(group.stale for group in view.groups)
    if stale:
        states.append(f"? {words.count(stale)} stale", style="yellow")
    return [text, states]


def _chaos(view: View, now: float) -> list[Text]:
    """Faults in force, with how long they still are: nobody should take them for an outage."""
    lines = []
    running = view.running()
    for host, item in running[:3]:
        run = item.get("run") or {}
        failed = item["phase"] == "revert_failed"
        text = Text(" CHAOS ", style="bold reverse red")
        text.append(f" {item['id']}: {item['fault']} on {host}, {item['phase'].replace('_', ' ')}", style="bold red")
        if item["phase"] == "active" and run.get("endsAt"):
            text.append(f", ends in {words.age(max(0.0, words.seconds_of(run['endsAt']) - now))}", style="bold")
        text.append("  undo it by hand: fastprobe chaos show" if failed else "  h halts it", style=DIM)
        lines.append(text)
    if len(running) > len(lines):
        lines.append(Text(f"        and {len(running) - len(lines)} more experiments", style="red"))
    return lines


def _silent(view: View) -> list[Text]:
    silent = [host for host in view.hosts if host.problem]
    lines = [Text(f"! {host.host}: {host.problem}", style="red") for host in silent[:3]]
    if len(silent) > len(lines):
        lines.append(Text(f"! and {len(silent) - len(lines)} more hosts do not answer", style="red"))
    return lines


def _strips(view: View, width: int) -> list[Text]:
    """A line a cluster, a cell a namespace."""
    clusters = [(cluster, list(groups)) for cluster, groups in groupby(view.groups, key=lambda group: group.key[0])]
    clusters.sort(key=lambda pair: min((group.severity for group in pair[1]), default=(0.0, 0.0, 0.0)))
    if not clusters:
        return []
    label = min(16, max(len(cluster) for cluster, _ in clusters) or 1)
    lines = [_rule("heat", width, LEGEND)]
    for cluster, groups in clusters[:MAX_STRIPS]:
        line = Text(f"{(cluster or '-')[:label]:<{label}}  ", style="bold")
        for group in sorted(groups, key=lambda group: group.severity):
            mark, colour = next((mark, colour) for holds, mark, colour in HEAT if holds(group))
            line.append(mark, style=colour)
        lines.append(line)
    if len(clusters) > MAX_STRIPS:
        lines.append(Text(f"{len(clusters) - MAX_STRIPS} more clusters", style=DIM))
    return lines


def _groups(view: View, lines: int, width: int) -> list[Any]:
    if lines < 2:
        return []
    shown = view.shown_groups()
    roomy = width >= tables.ROOMY
    states = tables.STATES[: 3 if roomy else 2]
    spark = max(4, width - (86 if roomy else 60))
    table = tables.bare_table()
    for name, size in (("CLUSTER", 14), ("NAMESPACE", 16)):
        table.add_column(name, width=size if roomy else 12, no_wrap=True, overflow="ellipsis")
    table.add_column("PROBES", width=7, justify="right", no_wrap=True)
    for state in states:
        mark, colour = words.MARKS[state]
        table.add_column(mark, width=6 if roomy else 5, justify="right", no_wrap=True, header_style=f"bold {colour}")
    table.add_column("P99", width=7, justify="right", no_wrap=True)
    table.add_column("P99 BEFORE", width=spark, no_wrap=True, overflow="crop")
    for group in shown[: lines - 2]:
        counts = [tables.state_count(group.states, state) for state in states]
        p99 = "timeout" if group.timeouts else words.latency(group.p99_s)
        cluster, namespace = (part or "-" for part in group.key)
        line = sparkline(view.history[group.key], spark)
        table.add_row(cluster, namespace, words.count(group.probes), *counts, p99, line)
    return [_rule(f"groups, the worst {len(shown[: lines - 2])} of {len(shown)}", width), table]


def _worst(view: View, now: float, lines: int, width: int) -> list[Any]:
    if lines < 3:
        return []
    found = view.worst()
    # More may be sick than a round fetches: how many, the groups know.
    sick = (
        len(found) if view.filter else sum(group.states.get(state, 0) for group in view.groups for state in tables.STATES[:2])
    )
    rule = _rule(f"not well: {words.count(sick)}, by {view.sort}", width)
    if not found:
        told = (
            "nothing that matches" if view.filter else "everything that has run is healthy" if view.groups else "no probes yet"
        )
        return [rule, Text(told, style="green" if view.groups and not view.filter else DIM)]
    return [rule, tables.probe_table(found[: lines - 2], now, width=width, hosts=view.several)]


def _feed(view: View, lines: int, width: int) -> list[Any]:
    if lines < 2:
        return []
    told: list[Any] = [_rule("transitions", width)]
    for host, data in view.shown_feed()[: lines - 1]:
        at = datetime.fromtimestamp(words.seconds_of(data["at"])).astimezone()
        line = Text(f"{at:%H:%M:%S}  ", style=DIM)
        line.append(f"{host}  " if view.several else "", style="default")
        line.append_text(tables.state_text(data["after"]))
        line.append(f"  {data['name']}", style="default")
        line.append(f"  {words.why(dict(data))}", style=DIM)
        told.append(line)
    return told


def _foot(view: View) -> Text:
    if view.mode is Mode.ASKING:
        where = f"{len(view.hosts)} hosts" if view.several else view.hosts[0].host if view.hosts else "the host"
        return Text(
            f" halt ALL chaos on {where}, until `fastprobe chaos resume`?  y / any other key: no ", style="bold reverse red"
        )
    if view.mode is Mode.FILTERING:
        return Text(f" /{view.filter}▏ enter keeps it, esc clears it ", style="reverse")
    if view.message:  # until the next key
        return Text(f" {view.message}", style="bold yellow")
    kept = f"  filter: {view.filter} (esc clears)" if view.filter else ""
    text = Text.assemble((" q", "bold"), " quit  ", ("/", "bold"), " filter  ", ("s", "bold"), f" sort: {view.sort}  ")
    return text.append("h", style="bold red").append(" halt chaos  ").append(kept)


def sparkline(values: Iterable[float | None], width: int) -> Text:
    """The last values as bars between the least and the most of them; timeouts stand out, what is not known is a gap."""
    shown = list(values)[-width:]
    finite = [value for value in shown if value is not None and not math.isinf(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    span = high - low or 1.0
    text = Text()
    for value in shown:
        if value is None:
            text.append(" ")
        elif math.isinf(value):
            text.append(TIMEOUT, style="red")
        else:
            text.append(BARS[round((value - low) / span * (len(BARS) - 1))], style="cyan")
    return text


def _rule(title: str, width: int, legend: Sequence[tuple[str, str, str]] = ()) -> Text:
    text = Text(f"── {title} ", style=DIM)
    marks = Text()
    for mark, colour, told in legend:
        marks.append(f" {mark}", style=colour).append(f" {told} ", style=DIM)
    text.append("─" * max(0, width - len(text) - len(marks)), style=DIM)
    return text.append_text(marks)


def _line(text: Text, width: int, colours: Any) -> str:
    text.truncate(width, overflow="ellipsis")
    return next(iter(_rendered([text], width, colours)), "")


def _rendered(parts: Sequence[Any], width: int, colours: Any) -> list[str]:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        color_system=colours,
        highlight=False,
        legacy_windows=False,
        no_color=colours is None,
    )
    for part in parts:
        console.print(part, no_wrap=True, overflow="ellipsis", crop=True)
    told: str = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO that was given
    return told.splitlines()
