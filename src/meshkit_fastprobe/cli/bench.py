"""`fastprobe bench`: what checks cost on this machine, measured on targets of its own; a minute at most."""

from __future__ import annotations

import os
import platform
import time
from typing import Annotated, Any, Final

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document

SCHEMA_VERSION: Final = 1
TARGETS: Final = 20
WARM_S: Final = 1.0
INTERVAL_S: Final = 0.5
USUAL_INTERVAL_S: Final = 10.0
"""At which the table says how many probes a core would carry."""
KINDS: Final = ("tcp", "http", "dns")


def bench(
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, max=15.0, help="How long each kind is measured.")] = 3.0,
    rate: Annotated[
        int, typer.Option("--rate", min=100, max=50_000, help="Checks a second that are asked for of each kind.")
    ] = 4000,
    output: Annotated[Form, typer.Option("-o", "--output", help="table, json or yaml.")] = Form.table,
) -> int:
    """What checks of real loopback targets cost here: CPU time a check, and what a core could carry."""
    if output not in {Form.table, Form.json, Form.yaml}:
        raise CliError(f"bench cannot print {output.value}", "use -o table, json or yaml")
    import trio

    from meshkit_fastprobe import __version__

    kinds = []
    for kind in KINDS:
        kinds.append(trio.run(_measure, kind, seconds, rate))
        if output is Form.table:
            typer.echo(f"{kind} measured", err=True)
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count() or 1,
        "load1m": round(os.getloadavg()[0], 2),
        "kinds": kinds,
    }
    if output is Form.table:
        _show(document)
    else:
        write_document(output, document)
    return Exit.WELL


async def _measure(kind: str, seconds: float, rate: int) -> dict[str, Any]:
    """CPU time is this process's alone; the kernel's part of a connection on loopback is in it, the target's is not."""
    import trio

    from meshkit_fastprobe import Diagnostics, Settings
    from meshkit_fastprobe.cli.demo import probe_of
    from meshkit_fastprobe.cli.target_process import targets_running

    wanted = [
        {"kind": kind, "role": "healthy", "host": f"127.0.9.{at + 1}", "delay_s": 0.0, "flap_s": 0.0} for at in range(TARGETS)
    ]
    with targets_running(wanted) as opened:
        diag = Diagnostics(Settings(host="bench", first_run_window_s=INTERVAL_S))
        for at in range(max(1, round(rate * INTERVAL_S))):
            target = opened[at % len(opened)]
            probe = probe_of(kind, f"{target['host']}:{target['port']}")
            diag.add(probe, name=f"{kind}-{at}", interval=INTERVAL_S, timeout=INTERVAL_S)
        async with diag:
            await trio.sleep(WARM_S)
            before, cpu_s, began = diag.snapshot().totals, time.process_time(), time.monotonic()
            await trio.sleep(seconds)
            totals, cpu_s, took_s = diag.snapshot().totals, time.process_time() - cpu_s, time.monotonic() - began
    runs, failed = totals.runs - before.runs, (totals.runs - totals.ok) - (before.runs - before.ok)
    cost_s = cpu_s / runs if runs else 0.0
    return {
        "kind": kind,
        "wantedPerSecond": rate,
        "checksPerSecond": round(runs / took_s, 1),
        "failed": failed,
        "skipped": totals.skipped - before.skipped,
        "cpuMicrosecondsPerCheck": round(cost_s * 1e6, 1),
        "checksPerSecondPerCore": round(1 / cost_s) if cost_s else 0,
        "probesPerCoreAt10s": round(USUAL_INTERVAL_S / cost_s) if cost_s else 0,
        "lagP99Milliseconds": round((totals.lag_p99_s or 0.0) * 1000, 2),
    }


def _show(document: dict[str, Any]) -> None:
    from rich.table import Table

    from meshkit_fastprobe.cli import tables, words

    console = tables.console()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("KIND", "CHECKS/S", "FAILED", "CPU/CHECK", "CHECKS/S A CORE", "PROBES A CORE AT 10S", "LAG P99"):
        table.add_column(column, justify="left" if column == "KIND" else "right")
    for one in document["kinds"]:
        table.add_row(
            one["kind"],
            f"{one['checksPerSecond']:,.0f} of {one['wantedPerSecond']:,}",
            words.count(one["failed"]),
            f"{one['cpuMicrosecondsPerCheck']:.1f} µs",
            words.count(one["checksPerSecondPerCore"]),
            words.count(one["probesPerCoreAt10s"]),
            f"{one['lagP99Milliseconds']:.1f} ms",
        )
    console.print(table)
    console.print(
        f"{document['cores']} cores, load {document['load1m']:.1f} before, {document['system']}, Python {document['python']}. "
        "One engine thread drives native probes: plan with half of what a core carries.",
        style="bright_black",
    )
