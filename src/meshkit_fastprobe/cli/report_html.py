"""A report as one HTML page: no script, nothing from elsewhere, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from meshkit_fastprobe.cli import report_words as words
from meshkit_fastprobe.cli.report_charts import Line, chart
from meshkit_fastprobe.cli.report_style import STYLE

_TEXT_COLUMNS = {
    "host",
    "cluster",
    "namespace",
    "probe",
    "kind",
    "run",
    "fault",
    "group",
    "ended",
    "in force",
    "from",
    "until",
    "of",
    "why",
}


def page(report: dict[str, Any]) -> str:
    title = escape(words.title(report))
    silent = sum("problem" in host for host in report["hosts"])
    unanswered = f", {silent:,} of them without an answer" if silent else ""
    made = f"Made {escape(report['generatedAt'])} by fastprobe."
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<style>{STYLE}</style></head><body><main>",
        f"<header><p class=kind>{escape(report['kind'])} report</p><h1>{_span(report)}</h1>",
        f"<p>{len(report['hosts']):,} hosts{unanswered} &middot; times of {escape(report['timeZone'])}</p></header>",
        _hosts(report["hosts"]),
        *(_host(at, host, report) for at, host in enumerate(report["hosts"]) if "problem" not in host),
        f"<footer>{made} Hatched is time in which nobody watched: nothing is made up for it.</footer>",
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _span(report: dict[str, Any]) -> str:
    start, end = (words.moment(report[key], words.zone_of(report)) for key in ("start", "end"))
    return f"{escape(start)} <span>to</span> {escape(end)}"


def _hosts(hosts: Sequence[dict[str, Any]]) -> str:
    rows = []
    for host in hosts:
        row = words.host_row(host)
        if "problem" in host:
            cells = f"<td>{escape(row[0])}</td><td class=problem colspan={len(words.HOST_COLUMNS) - 1}>{escape(row[1])}"
            hint = f"<small>{escape(host['hint'])}</small>" if host.get("hint") else ""
            rows.append(f"<tr>{cells}{hint}</td></tr>")
        else:
            rows.append(_row(words.HOST_COLUMNS, row))
    return f"<section>{_table(words.HOST_COLUMNS, rows)}</section>"


def _host(at: int, host: dict[str, Any], report: dict[str, Any]) -> str:
    zone, history = words.zone_of(report), host["history"]
    parts = [f"<section><h2>{escape(host['host'])}</h2>"]
    if history.get("problem"):
        parts.append(f"<p class=problem>The history is not being kept now: {escape(history['problem'])}</p>")
    if history.get("lost"):
        parts.append(f"<p class=problem>{history['lost']:,} minutes could not be kept since the host started.</p>")
    if note := words.chaos_note(host, zone):
        parts.append(f"<p class=problem>{escape(note)}</p>")
    if host["total"]:
        parts.append(_tiles(host))
        parts.append(_charts(at, host, report))
    else:
        parts.append("<p>Nothing ran.</p>")
    if history.get("gaps"):
        told = "".join(f"<li>{escape(words.gap_text(gap, zone))}</li>" for gap in history["gaps"][:20])
        more = f"<li>and {len(history['gaps']) - 20:,} more</li>" if len(history["gaps"]) > 20 else ""
        parts.append(f"<h3>Nobody watched</h3><ul>{told}{more}</ul>")
    chaos = [row for run in reversed(host["chaos"]) for row in words.chaos_rows(run, zone)]
    windows = history.get("maintenance", [])
    parts += [
        _listed("By group", words.GROUP_COLUMNS, map(words.group_row, host["groups"])),
        _listed("Worst probes", words.WORST_COLUMNS, map(words.worst_row, host["worst"])),
        _listed("Chaos", words.CHAOS_COLUMNS, chaos),
        _listed("Maintenance", words.UPKEEP_COLUMNS, (words.upkeep_row(window, zone) for window in windows)),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _tiles(host: dict[str, Any]) -> str:
    total = host["total"][0]
    told = (
        (words.percent(total.get("successRatio")), "of runs passed"),
        (words.percent(words.up(total)), "of probe time up"),
        (words.quantile(total, "p50"), "median latency"),
        (words.quantile(total, "p99"), "99th percentile"),
        (words.count(total.get("transitions")), "changes of state"),
        (words.watched(host), "of the time watched"),
    )
    return "<dl>" + "".join(f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for value, what in told) + "</dl>"


def _charts(at: int, host: dict[str, Any], report: dict[str, Any]) -> str:
    steps = words.steps_of(host, report)
    zone = words.zone_of(report)
    length_s = words.STEPS_S[report["step"]]
    start_s = words.seconds(host["history"]["start"])
    ticks = words.ticks(start_s, start_s + length_s * len(steps), length_s, zone)
    missing = [item is None for item in steps]

    def values(key: str) -> list[float | None]:
        return [None if item is None else item.get(key) for item in steps]

    success = chart(
        f"success-{at}",
        "Runs that passed",
        [Line("success", "good", values("successRatio"))],
        missing,
        ticks,
        words.percent,
        ceiling=1.0,
    )
    latency = chart(
        f"latency-{at}",
        "Latency",
        [
            Line("p50", "calm", values("p50Seconds")),
            Line("p90", "middle", values("p90Seconds")),
            Line("p99", "loud", values("p99Seconds")),
        ],
        missing,
        ticks,
        words.latency,
        logarithmic=True,
    )
    return f"<div class=charts>{success}{latency}</div>"


def _listed(heading: str, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    told = [_row(columns, row) for row in rows]
    return f"<h3>{heading}</h3>{_table(columns, told)}" if told else ""


def _table(columns: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th{'' if name in _TEXT_COLUMNS else ' class=n'}>{escape(name)}</th>" for name in columns)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def _row(columns: Sequence[str], row: Sequence[str]) -> str:
    cells = (
        f"<td{'' if name in _TEXT_COLUMNS else ' class=n'}>{escape(cell)}</td>" for name, cell in zip(columns, row, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"
