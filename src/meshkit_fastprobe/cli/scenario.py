"""Verbs of scenarios: run one, check one without running, describe the file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from meshkit_fastprobe.cli import pipes
from meshkit_fastprobe.cli.chaos import Reason, Ticket, _ask, _one
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.cli.output import Form, write_document
from meshkit_fastprobe.cli.reading import Hosts, Output, TokenFile, _client
from meshkit_fastprobe.cli.writing import DryRun

if TYPE_CHECKING:
    from meshkit_fastprobe.chaos.scenarios.planning import ScenarioPlan
    from meshkit_fastprobe.chaos.scenarios.report import Report

INTERRUPTED: Final = 130
"""What shells say of a command that Ctrl-C ended."""

File = Annotated[Path, typer.Argument(help="A scenario file.", metavar="FILE")]


class ReportForm(StrEnum):
    json = "json"
    junit = "junit"


def run(
    file: File,
    report: Annotated[
        list[str] | None,
        typer.Option("--report", metavar="FORM=FILE", help="Write a report: json=FILE or junit=FILE; repeatable."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; every plan is confirmed all the same.")] = False,
    reason: Reason = "",
    ticket: Ticket = "",
    dry_run: DryRun = False,
    host: Hosts = None,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """Carry out a scenario: shows all plans, asks, then runs its steps; whatever happens, what it started is undone.

    Exit 1 when a step failed or an objective was missed, 3 when the host refused, 4 when it cannot be reached.
    """
    import trio

    from meshkit_fastprobe.cli.scenario_hands import HttpHands
    from meshkit_fastprobe.cli.scenario_look import look
    from meshkit_fastprobe.cli.scenario_run import conducted
    from meshkit_fastprobe.config.scenario import load_scenario

    scenario, place = load_scenario(file)
    reports = [_report_file(text) for text in report or []]
    hands = HttpHands(_one(_client(host, token_file)), reason=reason or f"scenario {scenario.name}", ticket=ticket)
    looked = trio.run(look, scenario, place, hands)
    quiet = output in {Form.json, Form.yaml}
    if not quiet or dry_run:
        with pipes.needed("the plan"):
            _show_plan(looked.plan, looked.items, output)
    if dry_run:
        return Exit.WELL
    if not yes:
        _ask(hands.host)

    def keep(told: Report) -> None:
        for form, path in reports:
            _write(told, form, path)
        if quiet:
            import msgspec

            with pipes.welcome():
                write_document(output, msgspec.to_builtins(told))

    return _code(trio.run(conducted, looked.plan, hands, looked.shown, quiet, reason, ticket, keep))


def lint(
    files: Annotated[list[Path], typer.Argument(help="Scenario files.", metavar="FILE...")],
    config: Annotated[
        Path | None, typer.Option("--config", help="The host's configuration: its experiments, bounds and probes.")
    ] = None,
    host: Hosts = None,
    output: Output = Form.table,
    token_file: TokenFile = None,
) -> int:
    """Say everything that is wrong with scenarios, without running anything; exit 2 when something is.

    With --config, against the configuration of a host; with --host, against a running one; else each file by itself.
    """
    from meshkit_fastprobe.cli.scenario_look import linted

    answers = linted(files, config, _one(_client(host, token_file)) if host else None)
    if output in {Form.json, Form.yaml}:
        write_document(output, {"items": answers})
        return _verdict(answers)
    for answer in answers:
        for error in answer["errors"]:
            typer.echo(f"{error['where']}: {error['problem']}" + (f"\n  -> {error['fix']}" if error["fix"] else ""), err=True)
        if answer["ok"] and output is Form.name:
            typer.echo(answer["file"])
        elif answer["ok"]:
            longest = f", over within {answer['longest']}" if answer["longest"] else ""
            typer.echo(f"{answer['file']}: {answer['steps']} steps OK{longest} ({answer['against']})")
        elif output is not Form.name:
            count = len(answer["errors"])
            typer.echo(f"{answer['file']}: {count} problem{'' if count == 1 else 's'}", err=True)
    return _verdict(answers)


def schema(
    of_report: Annotated[bool, typer.Option("--report", help="That of JSON reports instead.")] = False,
) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    import msgspec

    from meshkit_fastprobe.chaos.scenarios.report import report_schema
    from meshkit_fastprobe.config.scenario_shapes import scenario_schema

    described = report_schema() if of_report else scenario_schema()
    typer.echo(msgspec.json.format(msgspec.json.encode(described), indent=2).decode())


def _verdict(answers: list[dict[str, Any]]) -> int:
    return Exit.WELL if all(answer["ok"] for answer in answers) else Exit.USAGE


def _report_file(text: str) -> tuple[ReportForm, Path]:
    """Looked at before anything runs: a report that cannot be written is worth knowing of now."""
    form, _, name = text.partition("=")
    if form not in set(ReportForm) or not name:
        raise CliError(f"--report: {text!r} is no report", "write json=FILE or junit=FILE")
    path = Path(name)
    if not path.parent.is_dir() or path.is_dir():
        raise CliError(f"--report: {name!r} cannot be written", "name a file in a directory that exists")
    return ReportForm(form), path


def _write(told: Report, form: ReportForm, path: Path) -> None:
    from meshkit_fastprobe.chaos.scenarios.junit import junit

    try:
        path.write_bytes(told.encoded() if form is ReportForm.json else junit(told))
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", "the scenario is over all the same") from None


def _show_plan(plan: ScenarioPlan, items: Mapping[str, Mapping[str, Any]], output: Form) -> None:
    from meshkit_fastprobe.cli import scenario_tables, tables

    if output in {Form.json, Form.yaml}:
        write_document(output, scenario_tables.plan_document(plan, items))
        return
    console = tables.console(wide=output is Form.wide)
    for part in scenario_tables.plan_parts(plan, items):
        console.print(part)


def _code(told: Report) -> int:
    codes: dict[str, int] = {
        "completed": Exit.WELL,
        "refused": Exit.REFUSED,
        "unreachable": Exit.UNREACHABLE,
        "cancelled": INTERRUPTED,
    }
    return codes.get(told.outcome, Exit.UNHEALTHY)
