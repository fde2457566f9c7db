"""The demo's last words, for people."""

from __future__ import annotations

from rich.table import Table

from meshkit_fastprobe.cli import tables, words
from meshkit_fastprobe.cli.demo import Options, Summary


def print_summary(summary: Summary, options: Options) -> None:
    console = tables.console()
    share = summary.cpu_seconds / summary.seconds if summary.seconds else 0.0
    percent = 100 * summary.runs / summary.expected_runs if summary.expected_runs else 100.0
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold")
    facts.add_row(
        "probes", f"{words.count(summary.probes)} on {words.count(summary.targets)} targets for {summary.seconds:.1f} s"
    )
    facts.add_row("runs", f"{words.count(summary.runs)} of {words.count(summary.expected_runs)} expected ({percent:.1f}%)")
    facts.add_row("lost", f"{words.count(summary.dropped)} records dropped, {words.count(summary.skipped)} runs skipped")
    facts.add_row(
        "lag", f"p50 {summary.lag_ms['p50']:.2f} ms, p99 {summary.lag_ms['p99']:.2f} ms, max {summary.lag_ms['max']:.2f} ms"
    )
    facts.add_row("cost", f"{share * 100:.0f}% of one core, {summary.rss_bytes / 2**20:.0f} MiB")
    facts.add_row("reasons", ", ".join(f"{reason} {words.count(n)}" for reason, n in summary.reasons.items()) or "none")
    console.print(facts)
    console.print()
    console.print(_roles(summary))
    if summary.unexpected:
        console.print(f"{summary.unexpected} probes are in a state that their target does not explain", style="red")
    if options.seconds is not None and options.seconds < max(10.0, 1.0):
        console.print("Every probe has run after 10 s: give it --for 10s to see all states.", style="bright_black")


def _roles(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("TARGETS THAT ARE")
    for state in tables.STATES:
        mark, colour = words.MARKS[state]
        table.add_column(f"{mark} {state}", justify="right", style=colour)
    for role, states in summary.roles.items():
        table.add_row(role, *[words.count(states[state]) if state in states else "·" for state in tables.STATES])
    return table
