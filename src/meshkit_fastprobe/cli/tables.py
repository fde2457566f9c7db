"""Tables of probes, groups and hosts from items of the wire: dictionaries in, rich renderables out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from meshkit_fastprobe.cli import pipes, words

Item = dict[str, Any]

STATES = ("unhealthy", "degraded", "healthy", "unknown", "paused")
CRAMPED = 60
"""Below this many columns states are their marks, and latencies are left to -o wide or json."""
ROOMY = 100
"""From this many columns on there is room for what is good to know besides what is needed."""
WIDE = 200
"""What -o wide takes at least: a terminal that is narrower wraps."""
GAP = 2


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Left alone it exits with 1, which says that something is unhealthy, and passes whoever minds output that fails."""
        self.quiet = True
        pipes.drop(self.file)
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None


def console(*, stderr: bool = False, wide: bool = False) -> Console:
    """A console that fits the terminal, or COLUMNS; where neither says how wide it is, 160.

    It raises BrokenPipeError once when its reader has gone, and says nothing more.
    """
    made = _Console(stderr=stderr, highlight=False)
    width = made.size.width if made.is_terminal or os.environ.get("COLUMNS", "").strip("0") else 160
    if made.is_terminal and not wide:
        return made  # it follows the terminal when that is resized
    return _Console(stderr=stderr, highlight=False, width=max(width, WIDE) if wide else width)


def state_text(state: str) -> Text:
    mark, colour = words.MARKS[state]
    return Text(f"{mark} {state}", style=colour)


def unreachable(*, cramped: bool = False) -> Text:
    """In place of a state, of a host that gives none."""
    return Text("!" if cramped else "! no answer", style="red")


def title(text: str) -> Text:
    return Text(text, style="bold")


def bare_table(title: str = "") -> Table:
    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
        padding=(0, 2, 0, 0),
    )


def fitted(table: Table, width: int, least: Mapping[str, int]) -> Table:
    """Without the columns for which a terminal of this width is too narrow; least: from how many on each is shown."""
    kept = [column for column in table.columns if width >= least.get(str(column.header), 0)]
    made = bare_table()
    for one in kept:
        made.add_column(one.header, justify=one.justify, no_wrap=one.no_wrap, overflow=one.overflow, max_width=one.max_width)
    for cells in zip(*(list(column.cells) for column in kept), strict=True):
        made.add_row(*cells)
    return made


def probe_table(items: Sequence[Item], now: float, *, width: int, wide: bool = False, hosts: bool = False) -> Table:
    """One row a probe, in `width` columns: names and reasons share what the fixed ones leave, and little room has no namespace.

    wide adds target, kind, lane and counters; hosts a first column for several hosts.
    """
    cramped = width < CRAMPED and not wide
    fixed = [("", 1, False)] if cramped else [("STATE", 11, False)]
    if wide or width >= ROOMY:
        fixed.append(("NAMESPACE", 14, False))
    if wide:
        fixed += [("CLUSTER", 10, False), ("KIND", 8, False), ("LANE", 6, False), ("TARGET", 28, False)]
    numbers = ["SINCE", *_quantile_columns(width, wide=wide, hosts=hosts), *(("RUNS", "OK", "SKIPPED") if wide else ())]
    fixed += [(name, 7, True) for name in numbers]
    if hosts:
        longest = max((len(item["_host"]) for item in items), default=4)
        fixed.insert(0, ("HOST", max(4, min(longest, 16, width // 5)), False))
    left = max(18, width - sum(size + GAP for _, size, _ in fixed) - GAP)
    longest = max((len(item.get("name", "")) for item in items), default=4)
    reasons = any("problem" in item or words.why(item) for item in items)
    name_width = min(longest, left * 3 // 5) if reasons else min(longest, left)
    fixed.insert(2 if hosts else 1, ("NAME", max(4, name_width), False))
    table = bare_table()
    for name, size, right in fixed:
        table.add_column(name, width=size, no_wrap=True, overflow="ellipsis", justify="right" if right else "left")
    table.add_column("WHY", width=max(4, left - name_width), no_wrap=True, overflow="ellipsis")
    for item in items:
        row: list[Any] = [item["_host"]] if hosts else []
        if "problem" in item:
            unknown = ["-"] * (len(table.columns) - len(row) - 2)
            row += [unreachable(cramped=cramped), *unknown, Text(item["problem"], style="red")]
        else:
            row += _probe_cells(item, now, width=width, wide=wide, hosts=hosts)
        table.add_row(*row)
    return table


def _quantile_columns(width: int, *, wide: bool, hosts: bool) -> tuple[str, ...]:
    """As many as leave room for names and reasons."""
    if wide or width >= (ROOMY if hosts else CRAMPED):
        return ("P50", "P99")
    return ("P99",) if width >= CRAMPED else ()


def _probe_cells(item: Item, now: float, *, width: int, wide: bool, hosts: bool) -> list[Any]:
    """What probe_table has columns for, behind the host."""
    cramped = width < CRAMPED and not wide
    cells: list[Any] = [state_text(item["state"])[:1] if cramped else state_text(item["state"]), item["name"]]
    if wide or width >= ROOMY:
        cells.append(item.get("namespace", "") or "-")
    if wide:
        cells += [item.get("cluster", "") or "-", item["kind"], item["lane"], item["target"]]
    cells.append(words.since(item.get("since"), now))
    cells += [words.quantile(item, name.lower()) for name in _quantile_columns(width, wide=wide, hosts=hosts)]
    if wide:
        runs = sum(item["runs"].values())
        cells += [words.count(runs), words.ratio(item.get("successRatio")), words.count(item.get("skipped", 0))]
    return [*cells, _remarks(item)]


def _remarks(item: Item) -> str:
    """Why it is not well, after what casts doubt on the state itself."""
    doubts = [word for word in ("stale", "suppressed", "flapping") if item.get(word)]
    if item.get("maintenance"):
        doubts.append(f"maintenance ({item['maintenanceReason']})" if item.get("maintenanceReason") else "maintenance")
    why = words.why(item) if item["state"] != "healthy" else ""
    return "; ".join([*doubts, why] if why else doubts)


def group_table(items: Iterable[Item], by: Sequence[str], *, width: int, title: str = "", hosts: bool = False) -> Table:
    """One row a group: its tags, how many probes are in which state, rate, success and latency."""
    states = STATES if width >= ROOMY else STATES[:3]
    quantiles = ("p50", "p90", "p99") if width >= ROOMY else ("p50", "p99")
    table = bare_table(title)
    if hosts:
        table.add_column("HOST", no_wrap=True, overflow="ellipsis", max_width=16)
    for tag in by:
        table.add_column(tag.upper(), no_wrap=True, overflow="ellipsis", max_width=16)
    table.add_column("PROBES", justify="right", no_wrap=True, min_width=6)
    for state in states:
        mark, colour = words.MARKS[state]
        table.add_column(mark, justify="right", no_wrap=True, min_width=5, header_style=f"bold {colour}")
    if width >= ROOMY:
        table.add_column("RATE/S", justify="right", no_wrap=True, min_width=7)
    table.add_column("OK", justify="right", no_wrap=True, min_width=6)
    for name in quantiles:
        table.add_column(name.upper(), justify="right", no_wrap=True, min_width=7)
    for item in items:
        row: list[Any] = [item["_host"]] if hosts else []
        row += [item["tags"].get(tag, "") or "-" for tag in by]
        row.append(words.count(item["probes"]))
        row += [state_count(item["states"], state) for state in states]
        if width >= ROOMY:
            rate = item.get("ratePerSecond")
            row.append("-" if rate is None else f"{rate:,.1f}")
        row.append(words.ratio(item.get("successRatio")))
        row += [words.quantile(item, name) for name in quantiles]
        table.add_row(*row)
    return table


def state_count(states: Mapping[str, int], state: str) -> Text:
    n = states.get(state, 0)
    return Text(words.count(n), style=words.MARKS[state][1]) if n else Text("·", style="bright_black")


def probe_details(item: Item, now: float) -> Table:
    """Everything about one probe, a fact a line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    state = state_text(item["state"])
    table.add_row("name", item["name"])
    table.add_row("state", state.append(f"  for {words.since(item.get('since'), now)}", style="default"))
    if _remarks(item):
        table.add_row("why", _remarks(item))
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
    table = bare_table("recent results")
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


def host_table(rows: Sequence[Item], *, width: int) -> Table:
    """One row a host: reachable or why not, and its probes by state."""
    roomy = width >= CRAMPED
    states = STATES if roomy else STATES[:2]
    table = bare_table()
    table.add_column("HOST", no_wrap=True, overflow="ellipsis", max_width=32 if roomy else 12)
    if roomy:
        table.add_column("PROBES", justify="right", no_wrap=True, min_width=6)
    for state in states:
        mark, colour = words.MARKS[state]
        title = f"{mark} {state.upper()}" if width >= ROOMY else mark
        table.add_column(title, justify="right", no_wrap=True, min_width=5, header_style=f"bold {colour}")
    if roomy:
        table.add_column("RATE/S", justify="right", no_wrap=True, min_width=7)
    table.add_column("NOTE", overflow="ellipsis" if roomy else "fold", no_wrap=roomy)
    for row in rows:
        if "problem" in row:
            unknown = ["-"] * (len(states) + (2 if roomy else 0))
            table.add_row(row["host"], *unknown, Text(row["problem"], style="red"))
            continue
        told: list[Any] = [state_count(row["states"], state) for state in states]
        if roomy:
            rate = row.get("ratePerSecond")
            told = [words.count(row["probes"]), *told, "-" if rate is None else f"{rate:,.1f}"]
        note = f"{row['stale']} stale" if row.get("stale") else ""
        table.add_row(row["host"], *told, note)
    return table


def member_table(items: Sequence[Item], *, width: int) -> Table:
    """One row a host of the fleet, that which told of them marked: where it is asked, and what it told or why nothing."""
    roomy = width >= CRAMPED
    table = bare_table()
    table.add_column("", no_wrap=True, width=1)
    table.add_column("HOST", no_wrap=True, overflow="ellipsis", max_width=width // 4 if roomy else width // 2)
    table.add_column("ADDRESS", no_wrap=True, overflow="ellipsis", max_width=max(16, width // 3))
    table.add_column("PROBES", justify="right", no_wrap=True)
    table.add_column("CHAOS", no_wrap=True, overflow="ellipsis", max_width=max(8, width // 5))
    table.add_column("NOTE", overflow="ellipsis" if roomy else "fold", no_wrap=roomy)
    for item in items:
        told = [words.count(item.get("probes", 0)), ", ".join(item.get("chaos", ())) or "-"]
        note = Text(f"{item['stale']} stale" if item.get("stale") else "")
        if "problem" in item:
            told, note = ["-", "-"], Text(item["problem"], style="red")
        name = "-" if roomy and item["name"] == item["url"] else item["name"]
        table.add_row("*" if item.get("here") else "", name, item["url"], *told, note)
    return fitted(table, width, {"ADDRESS": CRAMPED, "PROBES": CRAMPED, "CHAOS": ROOMY})


def problem_lines(rows: Sequence[Item]) -> Text:
    """Hosts without an answer, a line each, below a table of many narrow columns."""
    lines = [Text.assemble(f"{row['_host']}  ", (f"! no answer: {row['problem']}", "red")) for row in rows]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def hosts_line(rows: Sequence[Item]) -> Text:
    """All hosts in one line: how many answer, and their probes by state."""
    silent = sum("problem" in row for row in rows)
    text = Text(f"{words.count(len(rows) - silent)} of {words.count(len(rows))} hosts answer  ", style="bold")
    text.append(f"{words.count(sum(row.get('probes', 0) for row in rows))} probes  ")
    for state in STATES:
        n = sum(row.get("states", {}).get(state, 0) for row in rows)
        if n:
            mark, colour = words.MARKS[state]
            text.append(f"{mark} {words.count(n)} {state}  ", style=colour)
    text.rstrip()
    return text


def shard_table(items: Sequence[Item], *, width: int, wide: bool = False) -> Table:
    """One row a cluster and namespace: the hosts that hold its probes, and from how many of them each is probed."""
    roomy = wide or width >= CRAMPED
    table = bare_table()
    for name in ("CLUSTER", "NAMESPACE"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=width // 6)
    for name, least in (("PROBES", 7), ("HOSTS", 5), ("FROM", 5)):
        table.add_column(name, justify="right", no_wrap=True, min_width=least)
    if roomy:
        room = width - 2 * (width // 6) - 17 - 5 * GAP
        table.add_column("HELD BY", overflow="fold" if wide else "ellipsis", no_wrap=not wide, max_width=room)
    for item in items:
        least, most = item["vantagePoints"]["min"], item["vantagePoints"]["max"]
        points = words.count(least) if least == most else f"{words.count(least)}-{words.count(most)}"
        held = ", ".join(f"{one['host']} {words.count(one['probes'])}" for one in item["hosts"])
        row = [item["cluster"] or "-", item["namespace"] or "-", words.count(item["probes"]), words.count(len(item["hosts"]))]
        table.add_row(*row, points, *([held] if roomy else []))
    return table


def context_table(items: Sequence[Item], *, width: int) -> Table:
    """One row a context; the current one is marked."""
    table = bare_table()
    table.add_column("", no_wrap=True, width=1)
    table.add_column("NAME", no_wrap=True, overflow="ellipsis", max_width=max(8, width // 4))
    table.add_column("HOSTS", no_wrap=True, overflow="ellipsis", max_width=max(12, width // 2))
    table.add_column("TOKEN", no_wrap=True, overflow="ellipsis")
    for item in items:
        hosts = ", ".join([*item["hosts"], *([f"@{item['hostsFile']}"] if item["hostsFile"] else [])])
        table.add_row("*" if item["current"] else "", item["name"], hosts, item["tokenFile"] or "-")
    return table


def facts_table(facts: Iterable[tuple[str, str]]) -> Table:
    """Names and values, one a line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, Text(value))
    return table
