"""`fastprobe report daily|weekly`: what a day or a week was like, of one host or several, as Markdown, HTML or JSON."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.reading import Fleet, Hosts, TokenFile, _client, _worst_code

SCHEMA_VERSION: Final = 1
MAX_RUNS: Final = 500
"""Chaos runs that are fetched of each host, newest first."""


class ReportForm(StrEnum):
    markdown = "markdown"
    html = "html"
    json = "json"


_SUFFIXES: Final = {".md": ReportForm.markdown, ".html": ReportForm.html, ".htm": ReportForm.html, ".json": ReportForm.json}

At = Annotated[
    str | None,
    typer.Option("--at", metavar="DATE", help="The calendar day (or its week), as 2030-01-31; without it, up to now."),
]
Zone = Annotated[str, typer.Option("--tz", metavar="ZONE", help="Whose days: Europe/Berlin.")]
Worst = Annotated[int, typer.Option("--worst", min=1, max=1000, help="How many of the worst probes of each host.")]
FormOption = Annotated[
    ReportForm | None, typer.Option("-o", "--output", help="markdown, html or json; by default as --out ends, or markdown.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there instead of to stdout.")]


def report_daily(
    at: At = None,
    tz: Zone = "UTC",
    worst: Worst = 10,
    host: Hosts = None,
    fleet: Fleet = False,
    output: FormOption = None,
    out: Out = None,
    token_file: TokenFile = None,
) -> int:
    """A day: success, latencies, the worst probes, changes, chaos and maintenance. Exit 4 when a host did not answer."""
    return _report("daily", "15m", _day(at, _zone(tz)), host, fleet, token_file, worst, output, out)


def report_weekly(
    at: At = None,
    tz: Zone = "UTC",
    worst: Worst = 10,
    host: Hosts = None,
    fleet: Fleet = False,
    output: FormOption = None,
    out: Out = None,
    token_file: TokenFile = None,
) -> int:
    """A week, from Monday on; otherwise as daily."""
    return _report("weekly", "1h", _week(at, _zone(tz)), host, fleet, token_file, worst, output, out)


def _report(
    kind: str,
    step: str,
    stretch: tuple[datetime, datetime],
    host: list[str] | None,
    fleet: bool,
    token_file: Path | None,
    worst: int,
    output: ReportForm | None,
    out: Path | None,
) -> int:
    form = output or _SUFFIXES.get("" if out is None else out.suffix.lower(), ReportForm.markdown)
    client = _client(host, token_file, fleet=fleet)
    asked = [("start", stretch[0].isoformat()), ("end", stretch[1].isoformat())]
    found = client.each_at_once(lambda url: _of_host(client, url, asked, step, worst))
    codes = {code for _, code in found}
    report = {
        "schemaVersion": SCHEMA_VERSION,
        "kind": kind,
        "start": stretch[0].isoformat(),
        "end": stretch[1].isoformat(),
        "timeZone": str(stretch[0].tzinfo),
        "generatedAt": datetime.now(stretch[0].tzinfo).isoformat(timespec="seconds"),
        "step": step,
        "hosts": [told for told, _ in found],
    }
    _write(rendered(report, form), out)
    return _worst_code(codes, unhealthy=False)


def rendered(report: dict[str, Any], form: ReportForm) -> str:
    """The report as text."""
    if form is ReportForm.json:
        import msgspec

        return msgspec.json.format(msgspec.json.encode(report, order="sorted"), indent=2).decode() + "\n"
    if form is ReportForm.html:
        from meshkit_fastprobe.cli.report_html import page

        return page(report)
    from meshkit_fastprobe.cli.report_markdown import text

    return text(report)


def _of_host(client: Any, url: str, asked: list[tuple[str, str]], step: str, worst: int) -> tuple[dict[str, Any], Exit]:
    """All that one host says; the reason, when it does not."""
    told: dict[str, Any] = {}
    questions: tuple[tuple[str, str, list[tuple[str, str]]], ...] = (
        ("history", "/history", []),
        ("groups", "/history/groups", [("step", "all")]),
        ("total", "/history/groups", [("step", "all"), ("by", "")]),
        ("trend", "/history/groups", [("step", step), ("by", "")]),
        ("worst", "/history/probes", [("limit", str(worst))]),
    )
    for key, path, more in questions:
        answer = client.one(url, "GET", path, [*asked, *more])
        if answer.envelope is None:
            return {"host": url, "problem": answer.problem, "hint": answer.next_step}, answer.code
        told["host"] = answer.host
        told[key] = answer.envelope["item"] if key == "history" else answer.envelope["items"]
        if key == "history" and not told[key].get("enabled", False):
            told["problem"] = "keeps no history"
            told["hint"] = "give it a state_dir, and leave [history] enabled = false out"
            return told, Exit.WELL
    return _with_chaos(told, client.pages(url, "/chaos/runs", [], MAX_RUNS), asked)


def _with_chaos(told: dict[str, Any], runs: Any, asked: list[tuple[str, str]]) -> tuple[dict[str, Any], Exit]:
    """`chaosProblem` when what there was is not known, `chaosSince` when it is known of the end of the stretch alone."""
    told["chaos"] = []
    if runs.envelope is None:
        if runs.kind == "chaos_not_configured":
            return told, Exit.WELL
        told["chaosProblem"] = runs.problem
        return told, runs.code
    items = runs.envelope["items"]
    told["chaos"] = [run for run in items if _within(run, asked)]
    if runs.envelope.get("nextPageToken") is not None and items:
        since = items[-1]["moves"][0]["at"]
        if datetime.fromisoformat(since) >= datetime.fromisoformat(asked[0][1]):
            told["chaosSince"] = since
    return told, Exit.WELL


def _within(run: dict[str, Any], asked: list[tuple[str, str]]) -> bool:
    """Whether its fault was in force in the stretch, for a part of it at least."""
    start, end = (datetime.fromisoformat(moment) for _, moment in asked)
    began, reverted = run.get("injectedAt"), run.get("revertedAt")
    if began is None or datetime.fromisoformat(began) >= end:
        return False
    return reverted is None or datetime.fromisoformat(reverted) >= start


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot write {out}: {error.strerror}", "name another file with --out") from None


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CliError(f"--tz: {name!r} is no time zone", "name one as Europe/Berlin, or UTC") from None


def _day(at: str | None, zone: tzinfo) -> tuple[datetime, datetime]:
    if at is None:
        return _until_now(zone, timedelta(days=1))
    day = _date(at)
    return datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone)


def _week(at: str | None, zone: tzinfo) -> tuple[datetime, datetime]:
    if at is None:
        return _until_now(zone, timedelta(days=7))
    monday = _date(at)
    monday -= timedelta(days=monday.weekday())
    return datetime.combine(monday, time(), zone), datetime.combine(monday + timedelta(days=7), time(), zone)


def _until_now(zone: tzinfo, length: timedelta) -> tuple[datetime, datetime]:
    now = datetime.now(zone).replace(second=0, microsecond=0)
    return now - length, now


def _date(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise CliError(f"--at: {text!r} is no date", "write it as 2030-01-31") from None
    if not date(1971, 1, 1) <= found <= date(9000, 1, 1):
        raise CliError(f"--at: {text!r} is in no host's life", "write it as 2030-01-31")
    return found
