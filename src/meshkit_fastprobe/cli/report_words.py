"""What reports say of the numbers, the same in Markdown and in HTML: one row is one tuple of texts."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

STEPS_S: Final = {"15m": 900, "1h": 3600}
"""Of the trend."""
_UP: Final = ("healthy", "degraded")
_JUDGED: Final = (*_UP, "unhealthy")

HOST_COLUMNS: Final = ("host", "watched", "probes", "runs", "success", "up", "p50", "p99", "changes", "chaos")
GROUP_COLUMNS: Final = ("cluster", "namespace", "probes", "runs", "success", "up", "unhealthy", "p50", "p99", "changes")
WORST_COLUMNS: Final = ("probe", "namespace", "kind", "unhealthy", "failed", "success", "changes")
CHAOS_COLUMNS: Final = ("run", "fault", "in force", "group", "hurt", "detected after", "recovered after", "ended")
UPKEEP_COLUMNS: Final = ("from", "until", "of", "why")


def zone_of(report: dict[str, Any]) -> tzinfo:
    return ZoneInfo(report["timeZone"])


def title(report: dict[str, Any]) -> str:
    zone = zone_of(report)
    start, end = (moment(report[key], zone) for key in ("start", "end"))
    return f"{report['kind'].capitalize()} report, {start} to {end} ({report['timeZone']})"


def host_row(host: dict[str, Any]) -> tuple[str, ...]:
    """Of the table of all hosts; the reason instead of numbers where there are none."""
    if "problem" in host:
        return (host["host"], host["problem"])
    total = host["total"][0] if host["total"] else {}
    return (
        host["host"],
        watched(host),
        count(total.get("probes")),
        count(total.get("runs")),
        percent(total.get("successRatio")),
        percent(up(total)),
        quantile(total, "p50"),
        quantile(total, "p99"),
        count(total.get("transitions")),
        _chaos_count(host),
    )


def _chaos_count(host: dict[str, Any]) -> str:
    """Never 0 where it is not known."""
    if host.get("chaosProblem"):
        return "-"
    return count(len(host["chaos"])) + ("+" if host.get("chaosSince") else "")


def chaos_note(host: dict[str, Any], zone: tzinfo) -> str:
    """What is not known of chaos; empty when all is."""
    if host.get("chaosProblem"):
        return f"What chaos there was is not known: {host['chaosProblem']}"
    if host.get("chaosSince"):
        return (
            f"Only the newest chaos runs were looked at, back to {moment(host['chaosSince'], zone)}: there may be more before."
        )
    return ""


def group_row(item: dict[str, Any]) -> tuple[str, ...]:
    tags = item["tags"]
    return (
        tags.get("cluster", "") or "-",
        tags.get("namespace", "") or "-",
        count(item["probes"]),
        count(item["runs"]),
        percent(item.get("successRatio")),
        percent(up(item)),
        duration(item["stateSeconds"].get("unhealthy", 0.0)),
        quantile(item, "p50"),
        quantile(item, "p99"),
        count(item["transitions"]),
    )


def worst_row(item: dict[str, Any]) -> tuple[str, ...]:
    failed = sum(item["results"].get(result, 0) for result in ("fail", "timeout", "error"))
    return (
        item["name"],
        item["tags"].get("namespace", "") or "-",
        item["tags"].get("kind", ""),
        duration(item["stateSeconds"].get("unhealthy", 0.0)),
        f"{failed:,} of {item['runs']:,}",
        percent(item.get("successRatio")),
        count(item["transitions"]),
    )


def chaos_rows(run: dict[str, Any], zone: tzinfo) -> list[tuple[str, ...]]:
    """One for each group that looked; one alone when none did."""
    began = moment(run["injectedAt"], zone)
    until = "still" if run.get("revertedAt") is None else moment(run["revertedAt"], zone).rpartition(" ")[2]
    head = (run["id"], run["plan"]["fault"], f"{began} - {until}")
    ended = run["phase"] + (f": {run['why']}" if run.get("why") else "")
    measures = run.get("measures", [])
    if not measures:
        return [(*head, "-", "-", "-", "-", ended)]
    return [
        (
            *head,
            one["group"],
            f"{one['hurt']:,} of {one['probes']:,}",
            _measured(one, "detectionSeconds"),
            _measured(one, "recoverySeconds"),
            ended,
        )
        for one in measures
    ]


def upkeep_row(window: dict[str, Any], zone: tzinfo) -> tuple[str, ...]:
    of = [f"{key} {window[key]}" for key in ("cluster", "namespace", "name") if window.get(key)]
    return (moment(window["start"], zone), moment(window["end"], zone), ", ".join(of) or "everything", window["reason"])


def gap_text(gap: dict[str, Any], zone: tzinfo) -> str:
    seconds = (datetime.fromisoformat(gap["end"]) - datetime.fromisoformat(gap["start"])).total_seconds()
    return f"{moment(gap['start'], zone)} to {moment(gap['end'], zone)} ({duration(seconds)})"


def watched(host: dict[str, Any]) -> str:
    """The share of the stretch that somebody watched."""
    history = host["history"]
    seconds = (datetime.fromisoformat(history["end"]) - datetime.fromisoformat(history["start"])).total_seconds()
    return percent(min(1.0, history.get("coveredSeconds", 0.0) / seconds))


def up(item: dict[str, Any]) -> float | None:
    """The share of the probes' time, as far as it was judged, in which they were healthy or degraded."""
    times = item.get("stateSeconds", {})
    judged = sum(times.get(state, 0.0) for state in _JUDGED)
    return sum(times.get(state, 0.0) for state in _UP) / judged if judged else None


def percent(ratio: float | None) -> str:
    """Never 100 % of what is less."""
    if ratio is None:
        return "-"
    if 0.9999 <= ratio < 1.0:
        return "99.99 %" if ratio < 0.99999 else ">99.99 %"
    return f"{ratio * 100:.2f} %".replace(".00 %", " %")


def count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def quantile(item: dict[str, Any], name: str) -> str:
    if name in item.get("beyondRange", ()):
        return "timeout"
    seconds = item.get(f"{name}Seconds")
    return "-" if seconds is None else latency(seconds)


def latency(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def duration(seconds: float) -> str:
    if seconds < 1:
        return "0" if seconds == 0 else "<1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, days = seconds / 60, seconds / 86_400
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if days < 3 else f"{days:.1f} d"


def _measured(measure: dict[str, Any], key: str) -> str:
    seconds = measure.get(key)
    return "not seen" if seconds is None else f"{latency(max(seconds, 0.0))} ± {latency(measure['errorSeconds'])}"


def moment(text: str, zone: tzinfo) -> str:
    """To the minute, as a clock there shows it."""
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def seconds(text: str) -> float:
    """Since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def ticks(start_s: float, end_s: float, step_s: int, zone: tzinfo) -> list[tuple[float, str]]:
    """Along the bottom of a chart: hours of a day, days of a week, as clocks there show them; places from 0 to 1."""
    of_week = end_s - start_s > 2 * 86_400
    every = 24 if of_week else 4
    told = []
    for at in range(int(start_s) // step_s * step_s, int(end_s), step_s):
        shown = datetime.fromtimestamp(at, zone)
        if shown.minute == 0 and shown.hour % every == 0 and start_s < at < end_s:
            told.append(((at - start_s) / (end_s - start_s), shown.strftime("%a %d" if of_week else "%H:%M")))
    return told


def steps_of(host: dict[str, Any], report: dict[str, Any]) -> list[dict[str, Any] | None]:
    """The trend step by step over the whole stretch, None where nobody watched."""
    length_s = STEPS_S[report["step"]]
    start_s, end_s = (datetime.fromisoformat(host["history"][key]).timestamp() for key in ("start", "end"))
    found = {datetime.fromisoformat(item["start"]).timestamp(): item for item in host["trend"]}
    return [found.get(start_s + at * length_s) for at in range(-int(-(end_s - start_s) // length_s))]
