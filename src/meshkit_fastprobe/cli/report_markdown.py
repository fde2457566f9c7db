"""A report as Markdown: tables that read well unrendered, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from meshkit_fastprobe.cli import report_words as words

SHOWN_GAPS: Final = 20
_SPARKS: Final = "▁▂▃▄▅▆▇█"
_NOBODY: Final = "·"


def text(report: dict[str, Any]) -> str:
    blocks = [f"# {words.title(report)}", _hosts(report["hosts"])]
    for host in report["hosts"]:
        if "problem" not in host:
            blocks += _host(host, report)
    blocks.append(f"Made {report['generatedAt']} by fastprobe. `{_NOBODY}` in a line is a time in which nobody watched.")
    return "\n\n".join(blocks) + "\n"


def _hosts(hosts: Sequence[dict[str, Any]]) -> str:
    rows = [words.host_row(host) for host in hosts]
    return _table(words.HOST_COLUMNS, [row if len(row) > 2 else (row[0], f"**{row[1]}**") for row in rows])


def _host(host: dict[str, Any], report: dict[str, Any]) -> list[str]:
    zone, history = words.zone_of(report), host["history"]
    blocks = [f"## {_plain(host['host'])}"]
    if history.get("problem"):
        blocks.append(f"**The history is not being kept now:** {_plain(history['problem'])}")
    if history.get("lost"):
        blocks.append(f"{history['lost']:,} minutes could not be kept since the host started.")
    if note := words.chaos_note(host, zone):
        blocks.append(f"**{_plain(note)}**")
    gaps = history.get("gaps", [])
    if gaps:
        told = [f"- {words.gap_text(gap, zone)}" for gap in gaps[:SHOWN_GAPS]]
        more = [f"- and {len(gaps) - SHOWN_GAPS} more"] if len(gaps) > SHOWN_GAPS else []
        blocks.append("Nobody watched:\n\n" + "\n".join([*told, *more]))
    if host["trend"]:
        blocks.append(_trend(host, report))
    blocks += _section("By group", words.GROUP_COLUMNS, map(words.group_row, host["groups"]))
    blocks += _section("Worst probes", words.WORST_COLUMNS, map(words.worst_row, host["worst"]))
    blocks += _section(
        "Chaos", words.CHAOS_COLUMNS, (row for run in reversed(host["chaos"]) for row in words.chaos_rows(run, zone))
    )
    windows = history.get("maintenance", [])
    blocks += _section("Maintenance", words.UPKEEP_COLUMNS, (words.upkeep_row(window, zone) for window in windows))
    return blocks


def _section(heading: str, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> list[str]:
    listed = list(rows)
    return [f"### {heading}", _table(columns, listed)] if listed else []


def _trend(host: dict[str, Any], report: dict[str, Any]) -> str:
    """One character a step; the scale is that of the line itself."""
    steps = words.steps_of(host, report)
    lines = [
        ("success", [None if item is None else item.get("successRatio") for item in steps], words.percent),
        ("p50", [None if item is None else item.get("p50Seconds") for item in steps], words.latency),
        ("p99", [None if item is None else item.get("p99Seconds") for item in steps], words.latency),
    ]
    told = []
    for name, values, said in lines:
        known = [value for value in values if value is not None]
        if known:
            told.append(f"{name:<8}{_spark(values)}  {said(min(known))} to {said(max(known))}")
    return "```text\n" + "\n".join(told) + "\n```"


def _spark(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    low, spread = min(known), max(known) - min(known)
    return "".join(
        _NOBODY if value is None else _SPARKS[round((value - low) / spread * (len(_SPARKS) - 1)) if spread else 3]
        for value in values
    )


def _table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    cells = [[_plain(cell) for cell in (*row, *[""] * (len(columns) - len(row)))] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [columns, ["-" * width for width in widths], *cells]
    return "\n".join(
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def _plain(cell: str) -> str:
    """Names are others' text: they make no table, no heading and no link of their own."""
    return " ".join(cell.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
