"""The tree of commands. Each command's body imports what it needs when it runs."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer

from meshkit_fastprobe import __version__
from meshkit_fastprobe.cli import hosting, reading, writing
from meshkit_fastprobe.cli.exits import CliError, Exit

# typer stands on click up to some version and on a copy of its own after it: take the class from where typer does.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="fastprobe",
    help="Health probes for control planes: what is up, degraded or down, why, and since when.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
probes = typer.Typer(
    help="List, show, run, pause and resume probes of a running host.", no_args_is_help=True, rich_markup_mode=None
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastprobe {__version__}")
        raise typer.Exit


@app.callback()
def fastprobe(
    _version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of internal errors.", envvar="FASTPROBE_DEBUG")
    ] = False,
) -> None:
    if debug:
        os.environ["FASTPROBE_DEBUG"] = "1"


app.command("demo")(hosting.demo)
app.command("run")(hosting.run)
app.command("once")(hosting.once)
app.command("status")(reading.status)
app.command("groups")(reading.groups)
probes.command("list")(reading.probes_list)
probes.command("show")(reading.probes_show)
probes.command("run")(writing.probes_run)
probes.command("pause")(writing.probes_pause)
probes.command("resume")(writing.probes_resume)
app.add_typer(probes, name="probes")


def _mount_config() -> None:
    """`config` needs the configuration loader: mounted only when asked for, or for the list of commands."""
    from meshkit_fastprobe.cli.config import app as config

    app.add_typer(config, name="config", help="Check, describe and show configuration files.")


def run(arguments: list[str]) -> int:
    """One command from its arguments to its exit code; errors are a line what and a line what to do next."""
    first = next((argument for argument in arguments if not argument.startswith("-")), None)
    if first in {None, "config"} or os.environ.get("_FASTPROBE_COMPLETE"):
        _mount_config()
    try:
        result = app(arguments, prog_name="fastprobe", standalone_mode=False)
    except _USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError" and error.ctx:
            typer.echo(error.ctx.get_help())
        else:
            error.show()
        return Exit.USAGE
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", "", 130)
    except CliError as error:
        return _say(error.what, error.next_step, error.code)
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.WELL
    except Exception as error:  # noqa: BLE001 - the last place where an error can be told in our words
        return _unexpected(error)
    return result if isinstance(result, int) else Exit.WELL


def _unexpected(error: Exception) -> int:
    from meshkit_fastprobe.errors import ConfigError, FastprobeError, MissingExtraError

    if isinstance(error, ConfigError | MissingExtraError):
        return _say(str(error), "", Exit.USAGE)
    if isinstance(error, BaseExceptionGroup):
        known = error.subgroup(lambda one: isinstance(one, FastprobeError | CliError))
        if known is not None:
            first: BaseException = known
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            if isinstance(first, CliError):
                return _say(first.what, first.next_step, first.code)
            return _say(str(first), "", Exit.USAGE)
    if os.environ.get("FASTPROBE_DEBUG"):
        traceback.print_exception(error)
    return _say(
        f"internal error: {type(error).__name__}: {error}", "run it again with --debug and report what it prints", Exit.INTERNAL
    )


def _say(what: str, next_step: str, code: int) -> int:
    typer.echo(f"fastprobe: {what}", err=True)
    if next_step:
        typer.echo(f"  -> {next_step}", err=True)
    return code
