"""`fastprobe calibrate`: how far what probes measure lies from the truth, on this machine."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document

if TYPE_CHECKING:
    from rich.table import Table

    from meshkit_fastprobe.cli.calibrating import Asked, Spread, Told


def calibrate(
    probes: Annotated[int, typer.Option("--probes", min=1, max=10_000, help="How many look at the port.")] = 20,
    interval: Annotated[str, typer.Option("--interval", help="Of each probe.")] = "200ms",
    timeout: Annotated[str, typer.Option("--timeout", help="Of each probe.")] = "100ms",
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=1000, help="How many outages.")] = 10,
    seed: Annotated[int, typer.Option("--seed", help="At which moments they begin.")] = 1,
    namespace: Annotated[
        bool, typer.Option("--namespace/--no-namespace", help="Let a table of the kernel time them, in a network of its own.")
    ] = True,
    output: Annotated[Form, typer.Option("-o", "--output", help="table, json or yaml.")] = Form.table,
) -> int:
    """Measure outages whose times the kernel keeps, and tell by how much probes see them late. Touches nothing of this host."""
    from meshkit_fastprobe.cli.calibrating import Asked
    from meshkit_fastprobe.config.durations import parse_duration

    if output not in {Form.table, Form.json, Form.yaml}:
        raise CliError(f"calibrate cannot print {output.value}", "use -o table, json or yaml", Exit.USAGE)
    asked = Asked(
        probes=probes,
        interval_s=parse_duration("--interval", interval),
        timeout_s=parse_duration("--timeout", timeout),
        rounds=rounds,
        seed=seed,
    )
    told = _told(asked, namespace=namespace)
    if output is not Form.table:
        import msgspec

        write_document(output, msgspec.to_builtins(told))
    else:
        _show(told)
    return Exit.WELL


def _told(asked: Asked, *, namespace: bool) -> Told:
    import msgspec

    from meshkit_fastprobe.cli.calibrating import Told

    command = [sys.executable, "-m", "meshkit_fastprobe.cli.calibrating_process", msgspec.json.encode(asked).decode()]
    command += ["--namespace"] if namespace else []
    ended = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our interpreter, our file, our numbers
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CliError(f"it could not be measured: {said}", "try fewer probes, or --no-namespace", Exit.INTERNAL)
    return msgspec.json.decode(ended.stdout, type=Told)


def _show(told: Told) -> None:
    from meshkit_fastprobe.cli import tables

    asked, console = told.asked, tables.console()
    console.print(
        f"{asked.rounds} outages of {_ms(told.outage_s)}, timed by {told.by} ({told.why}) to {_ms(told.unsure_s)}\n"
        f"{asked.probes} TCP probes every {_ms(asked.interval_s)}, timeout {_ms(asked.timeout_s)}; "
        f"measured less true times:\n"
    )
    table = tables.bare_table()
    for name in ("", "MEAN", "+-", "MIN", "P90", "MAX", "SAMPLES"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for what, bias in (("detection", told.detection), ("recovery", told.recovery)):
        _add(table, f"{what}, a probe", bias.of_probes)
        _add(table, f"{what}, a group", bias.of_experiments)
    console.print(table)
    within = min(told.detection.within_bound, told.recovery.within_bound)
    console.print(
        f"\na probe that looks every {_ms(told.bound_s)} sees an outage {_ms(told.expected_s)} late on average; "
        f"{within:.1%} lie within the bound of {_ms(told.bound_s)} that experiments give"
    )


def _add(table: Table, what: str, spread: Spread) -> None:
    times = (spread.mean_s, spread.error_s, spread.min_s, spread.p90_s, spread.max_s)
    table.add_row(what, *map(_ms, times), f"{spread.samples:,}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
