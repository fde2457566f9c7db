"""The tree of commands. Each command's body imports what it needs when it runs."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Annotated, Any

import typer

from meshkit_fastprobe import __version__
from meshkit_fastprobe.cli import chaos, control, hosting, reading, writing
from meshkit_fastprobe.cli.exits import CliError, Exit

# typer stands on click up to some version and on a copy of its own after it: take the class from where typer does.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[2]

INTERRUPTED = 130
"""What shells say of a command that Ctrl-C ended."""

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
toggles = typer.Typer(help="What is switched on at a running host.", no_args_is_help=True, rich_markup_mode=None)
toggles.command("list")(control.toggles_list)
toggles.command("set")(control.toggles_set)
app.add_typer(toggles, name="toggles")
audit = typer.Typer(
    help="Who did what at a host, and whether the record is whole.", no_args_is_help=True, rich_markup_mode=None
)
audit.command("list")(control.audit_list)
audit.command("verify")(control.audit_verify)
audit.command("export")(control.audit_export)
app.add_typer(audit, name="audit")
app.command("events")(control.events)
app.add_typer(chaos.app, name="chaos")


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
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:  # noqa: BLE001 - the last place to tell it in our words
        return _ended(error)
    if result == INTERRUPTED:  # typer makes an exit of Ctrl-C
        return _say("interrupted", "", INTERRUPTED)
    return result if isinstance(result, int) else Exit.WELL


def _ended(error: BaseException) -> int:
    """The exit code of a command that ended by an error, which is told here."""
    if isinstance(error, _USAGE_ERROR):
        _show_usage(error)
        return Exit.USAGE
    if isinstance(error, typer.Abort | KeyboardInterrupt) or _holds_interrupt(error):
        return _say("interrupted", "", INTERRUPTED)
    if isinstance(error, CliError):
        return _say(error.what, error.next_step, error.code)
    if isinstance(error, BrokenPipeError):  # the reader of our output has gone, as `| head` does
        _drop_output()
        return Exit.WELL
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        _drop_output()
        return _say(f"cannot write: {error.strerror}", "make room, or write elsewhere", Exit.INTERNAL)
    return _unexpected(error)


def _show_usage(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError" and error.ctx:
        typer.echo(error.ctx.get_help())
    else:
        error.show()


def _holds_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C is in a group: the nurseries of trio wrap what ends them."""
    return isinstance(error, BaseExceptionGroup) and error.subgroup(KeyboardInterrupt) is not None


def _drop_output() -> None:
    """What is still in the buffer would fail once more on the way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: BaseException) -> int:
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
