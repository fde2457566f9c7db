"""Verbs that run probes in this process: demo, run, once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.logs import LogForm
from meshkit_fastprobe.cli.output import Form, write_document

ConfigFile = Annotated[Path, typer.Argument(help="Configuration file (TOML).")]


def demo(
    for_: Annotated[str | None, typer.Option("--for", help='How long, as "10s" or "1m"; without it, until Ctrl-C.')] = None,
    probes: Annotated[int, typer.Option("--probes", min=20, max=1_000_000, help="How many probes.")] = 10_000,
    targets: Annotated[int, typer.Option("--targets", min=9, max=5_000, help="How many loopback targets they look at.")] = 300,
    listen: Annotated[str, typer.Option("--listen", help="Where endpoints and metrics are served.")] = "127.0.0.1:9464",
    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="Where the local token is kept.")] = None,
    output: Annotated[Form, typer.Option("-o", "--output", help="table or json.")] = Form.table,
    seed: Annotated[int, typer.Option("--seed", help="Which clusters, namespaces and intervals are drawn.")] = 1,
) -> int:
    """10,000 real probes of a few hundred real loopback targets: slow, refusing and flapping ones among them."""
    if output not in {Form.table, Form.json}:
        raise CliError(f"demo cannot print {output.value}", "use -o table or -o json")
    import msgspec
    import trio

    from meshkit_fastprobe.cli.demo import Options
    from meshkit_fastprobe.cli.demo import demo as run_demo
    from meshkit_fastprobe.cli.interrupts import until_interrupted
    from meshkit_fastprobe.cli.places import default_state_dir
    from meshkit_fastprobe.cli.summary import print_summary
    from meshkit_fastprobe.config.durations import parse_duration

    options = Options(
        probes=probes,
        targets=targets,
        seconds=None if for_ is None else parse_duration("--for", _number_or_text(for_)),
        listen=listen,
        state_dir=state_dir or default_state_dir(),
        form=output,
        seed=seed,
    )
    summary = trio.run(until_interrupted, run_demo, options)
    if output is Form.json:
        write_document(output, msgspec.to_builtins(summary))
    else:
        print_summary(summary, options)
    return Exit.WELL


def _number_or_text(written: str) -> float | str:
    """Plain numbers are seconds: a shell knows no floats."""
    return float(written) if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", written, re.ASCII) else written


def run(
    config: ConfigFile,
    listen: Annotated[str | None, typer.Option("--listen", help="Serve here, whatever the file says.")] = None,
    log: Annotated[
        LogForm,
        typer.Option("--log", envvar="FASTPROBE_LOG", help="The log on stderr: console, or json for a JSON object a line."),
    ] = LogForm.console,
) -> int:
    """Probe what a configuration file names until stopped. SIGHUP reads the file again, SIGTERM and Ctrl-C end orderly."""
    import trio

    from meshkit_fastprobe.cli.service import serve_config

    trio.run(serve_config, config, listen, log)
    return Exit.WELL


def once(
    config: ConfigFile,
    output: Annotated[Form, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")] = Form.table,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="NAME", help="Run this probe alone, and tell how it went.")
    ] = None,
) -> int:
    """Run every probe of a configuration file once. Exit 0 when all pass, 1 when one does not."""
    import trio

    from meshkit_fastprobe.cli.once import explain_once, run_all_once, show_once

    if explain is not None:
        from meshkit_fastprobe.cli.writing import show_explained

        told = trio.run(explain_once, config, explain)
        show_explained([told], output)
        return Exit.WELL if told["result"] in {"ok", "degraded"} else Exit.UNHEALTHY

    items = trio.run(run_all_once, config)
    return show_once(items, output)
