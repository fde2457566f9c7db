"""`fastprobe config`: check files, describe what they may hold, show what they come to."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshkit_fastprobe.cli.exits import Exit
from meshkit_fastprobe.cli.output import Form, write_document

if TYPE_CHECKING:
    from meshkit_fastprobe.config.spec import Config

File = Annotated[Path, typer.Argument(help="A configuration file.", metavar="FILE")]


class ShowForm(StrEnum):
    toml = "toml"
    json = "json"
    yaml = "yaml"
    name = "name"


def check(
    files: Annotated[list[Path], typer.Argument(help="Configuration files.", metavar="FILE...")],
    form: Annotated[Form, typer.Option("-o", "--output", help="How to answer.")] = Form.table,
) -> int:
    """Say everything that is wrong with configuration files, or how many probes they hold. Nothing is probed."""
    answers = [_check(path) for path in files]
    if form in {Form.json, Form.yaml}:
        write_document(form, {"items": answers})
    else:
        for answer in answers:
            _tell(answer, form)
    return Exit.WELL if all(answer["ok"] for answer in answers) else Exit.USAGE


def schema() -> None:
    """Print the JSON Schema of configuration files, for editors."""
    import msgspec

    from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
    from meshkit_fastprobe.config.schema import config_schema
    from meshkit_fastprobe.probes.builtin import builtin_kinds

    typer.echo(msgspec.json.format(msgspec.json.encode(config_schema(builtin_kinds, builtin_faults)), indent=2).decode())


def show(
    file: File,
    name: Annotated[str, typer.Option("--name", help="Only probes whose name matches this pattern.", metavar="GLOB")] = "*",
    form: Annotated[ShowForm, typer.Option("-o", "--output", help="How to answer.")] = ShowForm.toml,
) -> None:
    """Print what a file comes to: defaults filled in, targets expanded, values of secret headers left out."""
    from meshkit_fastprobe.config.show import effective
    from meshkit_fastprobe.config.toml import to_toml
    from meshkit_fastprobe.loading import load_config

    document = effective(load_config(file), name)
    if form is ShowForm.toml:
        typer.echo(to_toml(document), nl=False)
    elif form is ShowForm.name:
        for probe in document["probe"]:
            typer.echo(probe["name"])
    else:
        write_document(Form(form.value), document)


def _check(path: Path) -> dict[str, Any]:
    from meshkit_fastprobe.errors import ConfigError, ConfigErrors
    from meshkit_fastprobe.loading import load_config

    try:
        config = load_config(path)
    except ConfigError as error:
        errors = error.errors if isinstance(error, ConfigErrors) else (error,)
        told = [{"where": each.where, "problem": each.problem, "fix": each.fix} for each in errors]
        return {"file": str(path), "ok": False, "probes": 0, "errors": told}
    return {"file": str(path), "ok": True, "probes": len(config.probes), "kinds": _by_kind(config), "errors": []}


def _by_kind(config: Config) -> dict[str, int]:
    kinds = [spec.probe.kind for spec in config.probes]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _tell(answer: dict[str, Any], form: Form) -> None:
    if form is Form.name:
        if answer["ok"]:
            typer.echo(answer["file"])
        return
    for error in answer["errors"]:
        typer.echo(f"{error['where']}: {error['problem']}" + (f"\n  -> {error['fix']}" if error["fix"] else ""), err=True)
    if answer["ok"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in answer["kinds"].items())
        typer.echo(f"{answer['file']}: {answer['probes']} probes OK" + (f" ({kinds})" if kinds else ""))
    else:
        count = len(answer["errors"])
        typer.echo(f"{answer['file']}: {count} problem{'' if count == 1 else 's'}", err=True)
