"""One run, told to a person: how long each phase took, what was connected, what came back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from meshkit_fastprobe.cli import words

Item = dict[str, Any]

PHASES: Final = (
    ("connect", "connectSeconds"),
    ("TLS", "tlsSeconds"),
    ("first byte", "firstByteSeconds"),
    ("whole", "totalSeconds"),
)
BAR: Final = 32
"""Columns that the whole run takes as a bar."""
COLOURS: Final = {"ok": "green", "degraded": "yellow"}


def facts_table(item: Item) -> Table:
    """What was asked, by which way, and what it came to; a fact a line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    result = Text(item["result"], style=COLOURS.get(item["result"], "red"))
    table.add_row("result", result.append(f"  {words.why(item)}".rstrip(), style="default"))
    table.add_row("target", f"{item['target']}  ({item['kind']}, {item['lane']} lane)")
    for name, value in _facts(item):
        table.add_row(name, value)
    return table


def _facts(item: Item) -> Iterator[tuple[str, str]]:
    if item.get("addresses"):
        yield "addresses", "  ".join(item["addresses"])
    if item.get("peer"):
        kept = {"kept": ", kept from the run before", "retried": ", anew: the kept one was dead"}
        yield "connection", f"{item['local']} → {item['peer']}{kept.get(item.get('connection', ''), '')}"
    if item.get("roundTripSeconds") is not None:
        yield "round trip", f"{words.latency(item['roundTripSeconds'])} as the kernel measured it"
    if item.get("retransmissions"):
        yield "sent again", f"{words.count(item['retransmissions'])} packets"
    if item.get("status"):
        yield "answer", f"{item['status']}, {words.count(item.get('bodyBytes', 0))} bytes of body read"
    yield from ((name, value) for name, value in item.get("facts", []))
    late = f"; started {words.latency(item['lagSeconds'])} late" if item["lagSeconds"] else ""
    yield "latency", f"{words.latency(item['latencySeconds'])} counted{late}"


def phases_table(item: Item) -> Table:
    """Each phase where it lies in the run, and how long it took alone."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("PHASE", no_wrap=True)
    table.add_column("TOOK", justify="right", no_wrap=True)
    table.add_column("UNTIL", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    phases = item["phases"]
    if "resolveSeconds" in phases:
        table.add_row("resolve", words.latency(phases["resolveSeconds"]), "-", Text("before the run", style="bright_black"))
    whole_s, before_s = phases.get("totalSeconds") or 0.0, 0.0
    for name, key in PHASES:
        if key not in phases:
            continue
        until_s = phases[key]
        label = "rest" if key == "totalSeconds" and before_s else name
        table.add_row(label, words.latency(until_s - before_s), words.latency(until_s), _bar(before_s, until_s, whole_s))
        before_s = until_s
    return table


def _bar(from_s: float, to_s: float, whole_s: float) -> Text:
    if whole_s <= 0:
        return Text("")
    first, last = (round(min(1.0, at_s / whole_s) * BAR) for at_s in (from_s, to_s))
    return Text(" " * first + "█" * max(1, last - first), style="cyan")


def headers_table(item: Item) -> Table:
    """The head of the answer, as it came."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in item["headers"]:
        table.add_row(Text(name), Text(value))
    return table


def failures_table(items: list[Item], now: float) -> Table:
    """Remembered failures, newest first, with how far each came."""
    table = Table(title="last failures", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("AGO", "RESULT", "CONNECTED", "FIRST BYTE", "ENDED"):
        table.add_column(title, justify="left" if title == "RESULT" else "right", no_wrap=True)
    table.add_column("REASON", overflow="fold")
    for item in reversed(items):
        phases = item["phases"]
        table.add_row(
            words.since(item["at"], now),
            Text(item["result"], style="red"),
            words.latency(phases.get("connectSeconds")),
            words.latency(phases.get("firstByteSeconds")),
            words.latency(phases.get("totalSeconds")),
            words.why(item),
        )
    return table
