"""Tables of probes, groups and hosts from items of the wire: dictionaries in, rich renderables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from meshkit_fastprobe.cli import words

Item = dict[str, Any]

STATES = ("unhealthy", "degraded", "healthy", "unknown", "paused")


def console(*, stderr: bool = False) -> Console:
    """A console that fits the terminal; not a terminal: plain and wide enough to be cut by nobody."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not made.is_terminal and not made.size.width > 100:
        made = Console(stderr=stderr, highlight=False, width=160)
    return made


def state_text(state: str, *, stale: bool = False, suppressed: bool = False) -> Text:
    mark, colour = words.MARKS[state]
    text = Text(f"{mark} {state}", style=colour)
    if stale:
        text.append(" stale", style="yellow")
    if suppressed:
        text.append(" suppressed", style="bright_black")
    return text


def _table(title: str = "") -> Table:
    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
        padding=(0, 2, 0, 0),
    )


def probe_table(items: Sequence[Item], now: float, *, wide: bool = False, hosts: bool = False) -> Table:
    """One row a probe. wide adds target, kind, lane and counters; hosts a first column for several hosts."""
    table = _table()
    if hosts:
        table.add_column("HOST", no_wrap=True)
    table.add_column("STATE", no_wrap=True, min_width=11)
    table.add_column("NAME", no_wrap=True, overflow="ellipsis", min_width=20)
    table.add_column("NAMESPACE", no_wrap=True, overflow="ellipsis", max_width=20)
    if wide:
        for column in ("CLUSTER", "KIND", "LANE"):
            table.add_column(column, no_wrap=True, min_width=6, max_width=16)
        table.add_column("TARGET", no_wrap=True, overflow="ellipsis", min_width=12, max_width=40)
    for column in ("SINCE", "P50", "P99"):
        table.add_column(column, justify="right", no_wrap=True, min_width=7)
    if wide:
        for column in ("RUNS", "OK", "SKIPPED"):
            table.add_column(column, justify="right", no_wrap=True, min_width=7)
    table.add_column("WHY", no_wrap=True, overflow="ellipsis", min_width=8)
    for item in items:
        row: list[Any] = [item["_host"]] if hosts else []
        row += [
            state_text(item["state"], stale=item.get("stale", False), suppressed=item.get("suppressed", False)),
            item["name"],
        ]
        row.append(item.get("namespace", "") or "-")
        if wide:
            row += [item.get("cluster", "") or "-", item["kind"], item["lane"], item["target"]]
        row += [words.since(item.get("since"), now), words.quantile(item, "p50"), words.quantile(item, "p99")]
        if wide:
            runs = sum(item["runs"].values())
            row += [words.count(runs), words.ratio(item.get("successRatio")), words.count(item.get("skipped", 0))]
        row.append(words.why(item) if item["state"] != "healthy" else "")
        table.add_row(*row)
    return table


def group_table(items: Iterable[Item], by: Sequence[str], *, title: str = "", hosts: bool = False) -> Table:
    """One row a group: its tags, how many probes are in which state, rate, success and latency."""
    table = _table(title)
    if hosts:
        table.add_column("HOST", no_wrap=True)
    for tag in by:
        table.add_column(tag.upper(), no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("PROBES", justify="right", no_wrap=True)
    for state in STATES:
        table.add_column(
            f"{words.MARKS[state][0]}", justify="right", no_wrap=True, header_style=f"bold {words.MARKS[state][1]}"
        )
    table.add_column("RATE/S", justify="right", no_wrap=True)
    table.add_column("OK", justify="right", no_wrap=True)
    for name in ("P50", "P90", "P99"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in items:
        row: list[Any] = [item["_host"]] if hosts else []
        row += [item["tags"].get(tag, "") or "-" for tag in by]
        row.append(words.count(item["probes"]))
        row += [_state_count(item["states"], state) for state in STATES]
        rate = item.get("ratePerSecond")
        row += ["-" if rate is None else f"{rate:,.1f}", words.ratio(item.get("successRatio"))]
        row += [words.quantile(item, name) for name in ("p50", "p90", "p99")]
        table.add_row(*row)
    return table


def _state_count(states: Mapping[str, int], state: str) -> Text:
    n = states.get(state, 0)
    return Text(words.count(n), style=words.MARKS[state][1]) if n else Text("·", style="bright_black")


def probe_details(item: Item, now: float) -> Table:
    """Everything about one probe, a fact a line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    state = state_text(item["state"], stale=item.get("stale", False), suppressed=item.get("suppressed", False))
    table.add_row("name", item["name"])
    table.add_row("state", state.append(f"  for {words.since(item.get('since'), now)}", style="default"))
    if words.why(item):
        table.add_row("why", words.why(item))
    table.add_row("target", f"{item['target']}  ({item['kind']}, {item['lane']} lane)")
    tags = {"cluster": item.get("cluster"), "namespace": item.get("namespace"), **item.get("labels", {})}
    table.add_row("tags", "  ".join(f"{key}={value}" for key, value in tags.items() if value) or "-")
    table.add_row("schedule", f"every {words.age(item['intervalSeconds'])}, timeout {words.latency(item['timeoutSeconds'])}")
    table.add_row(
        "last run",
        f"{words.since(item.get('lastRun'), now)} ago, {words.latency(item.get('latencySeconds'))}"
        if item.get("lastRun")
        else "-",
    )
    table.add_row("latency", "  ".join(f"{name} {words.quantile(item, name)}" for name in ("p50", "p90", "p99")))
    table.add_row("runs", "  ".join(f"{name} {words.count(n)}" for name, n in item["runs"].items() if n) or "none yet")
    table.add_row("skipped", words.count(item.get("skipped", 0)))
    table.add_row("transitions", words.count(item.get("transitions", 0)))
    return table


def recent_table(item: Item, now: float) -> Table:
    """The last results of one probe, newest first."""
    table = _table("recent results")
    table.add_column("AGO", justify="right")
    table.add_column("RESULT")
    table.add_column("LATENCY", justify="right")
    table.add_column("REASON")
    colours = {"ok": "green", "degraded": "yellow"}
    for one in reversed(item.get("recent") or []):
        detail = f" {one['detail']}" if one.get("detail") else ""
        result = Text(one["result"], style=colours.get(one["result"], "red"))
        table.add_row(
            words.since(one["at"], now), result, words.latency(one["latencySeconds"]), f"{one.get('reason', '')}{detail}"
        )
    return table


def host_table(rows: Sequence[Item]) -> Table:
    """One row a host: reachable or why not, and its probes by state."""
    table = _table()
    table.add_column("HOST", no_wrap=True, overflow="ellipsis", max_width=40)
    table.add_column("PROBES", justify="right")
    for state in STATES:
        table.add_column(
            f"{words.MARKS[state][0]} {state.upper()}",
            justify="right",
            no_wrap=True,
            header_style=f"bold {words.MARKS[state][1]}",
        )
    table.add_column("RATE/S", justify="right")
    table.add_column("NOTE", overflow="ellipsis", no_wrap=True)
    for row in rows:
        if "problem" in row:
            table.add_row(row["host"], "-", *["-"] * len(STATES), "-", Text(row["problem"], style="red"))
        else:
            rate = row.get("ratePerSecond")
            table.add_row(
                row["host"],
                words.count(row["probes"]),
                *[_state_count(row["states"], state) for state in STATES],
                "-" if rate is None else f"{rate:,.1f}",
                f"{row['stale']} stale" if row.get("stale") else "",
            )
    return table
