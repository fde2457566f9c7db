"""The tree of commands, as a table. Only the asked verb is built, and its body imports what it needs when it runs."""

from __future__ import annotations

import errno
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Final

import typer

from meshkit_fastprobe import __version__
from meshkit_fastprobe.cli.exits import CliError, Exit

# typer stands on click up to some version and on a copy of its own after it: take the class from where typer does.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[2]

INTERRUPTED = 130
"""What shells say of a command that Ctrl-C ended."""

VERBS: Final = {
    "demo": "hosting:demo",
    "run": "hosting:run",
    "once": "hosting:once",
    "calibrate": "calibrate:calibrate",
    "status": "status:status",
    "top": "top:top",
    "fleet members": "fleet:fleet_members",
    "fleet shards": "shards:fleet_shards",
    "fleet status": "fleet:fleet_status",
    "groups": "reading:groups",
    "probes list": "reading:probes_list",
    "probes show": "reading:probes_show",
    "probes run": "writing:probes_run",
    "probes pause": "writing:probes_pause",
    "probes resume": "writing:probes_resume",
    "events": "control:events",
    "chaos faults": "chaos:faults",
    "chaos list": "chaos:experiments",
    "chaos show": "chaos:show",
    "chaos prepare": "chaos:prepare",
    "chaos approve": "chaos:approve",
    "chaos activate": "chaos:activate",
    "chaos stop": "chaos:stop",
    "chaos halt": "chaos:halt",
    "chaos resume": "chaos:resume",
    "chaos history": "chaos:history",
    "chaos objects": "chaos:objects",
    "chaos receipt": "chaos:receipt",
    "chaos scenario run": "scenario:run",
    "chaos scenario lint": "scenario:lint",
    "chaos scenario schema": "scenario:schema",
    "toggles list": "control:toggles_list",
    "toggles set": "control:toggles_set",
    "audit list": "control:audit_list",
    "audit verify": "control:audit_verify",
    "audit export": "control:audit_export",
    "report daily": "report:report_daily",
    "report weekly": "report:report_weekly",
    "bench": "bench:bench",
    "token issue": "token:token_issue",
    "token inspect": "token:token_inspect",
    "config check": "config:check",
    "config schema": "config:schema",
    "config show": "config:show",
    "completion": "completion:completion",
    "context list": "context:context_list",
    "context use": "context:context_use",
    "context show": "context:context_show",
}
"""Every verb, and the function of cli/ that is its body: module:name."""

FAMILIES: Final = {
    "fleet": "The hosts that a host knows: which they are, and how they are.",
    "probes": "List, show, run, pause and resume probes of a running host.",
    "chaos": "Experiments: what may be injected, what runs, and how to end it.",
    "chaos scenario": "Experiments in steps, from a file: run it, or check it without running.",
    "toggles": "What is switched on at a running host.",
    "audit": "Who did what at a host, and whether the record is whole.",
    "report": "What a day or a week was like, as Markdown, HTML or JSON.",
    "token": "Sign tokens with a key of your own, and see what one says.",
    "config": "Check, describe and show configuration files.",
    "context": "Sets of hosts by name, so that --host need not be written.",
}


ContextName = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Ask the hosts of this context, not of the current one (see context list)."),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastprobe {__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of internal errors.", envvar="FASTPROBE_DEBUG")
    ] = False,
) -> None:
    if debug:
        os.environ["FASTPROBE_DEBUG"] = "1"


def tree(first: str | None = None) -> Any:
    """The command with the verbs that begin with this word, or all of them: what is not asked for is not imported."""
    root = _family("Health probes for control planes: what is up, degraded or down, why, and since when.")
    root.callback()(_root)
    families: dict[str, typer.Typer] = {"": root}
    for verb, body in VERBS.items():
        family, _, name = verb.rpartition(" ")
        if first not in {None, verb.partition(" ")[0]}:
            continue
        _grow(families, family)
        module, _, function = body.partition(":")
        spoken = getattr(import_module(f"meshkit_fastprobe.cli.{module}"), function)
        families[family].command(name)(_with_context(spoken))
    return typer.main.get_command(root)


def _grow(families: dict[str, typer.Typer], family: str) -> None:
    """Add a family, and those it is in."""
    if family in families:
        return
    above, _, name = family.rpartition(" ")
    _grow(families, above)
    families[family] = _family(FAMILIES[family])
    families[above].add_typer(families[family], name=name)


def _family(does: str) -> typer.Typer:
    return typer.Typer(
        help=does,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _with_context(body: Callable[..., Any]) -> Callable[..., Any]:
    """Every verb that takes --host takes --context too, after it."""
    signature = inspect.signature(body, eval_str=True)
    if "host" not in signature.parameters:
        return body

    def in_context(*, context: str | None, **asked: Any) -> Any:
        if context is not None:
            os.environ["FASTPROBE_CONTEXT"] = context
        return body(**asked)

    parameters = list(signature.parameters.values())
    at = list(signature.parameters).index("host") + 1
    parameters.insert(at, inspect.Parameter("context", parameters[at - 1].kind, default=None, annotation=ContextName))
    vars(in_context)["__signature__"] = signature.replace(parameters=parameters)
    in_context.__annotations__ = {each.name: each.annotation for each in parameters}
    in_context.__doc__ = body.__doc__
    return in_context


def run(arguments: list[str]) -> int:
    """One command from its arguments to its exit code; errors are a line what and a line what to do next."""
    if os.environ.get("_FASTPROBE_COMPLETE"):
        from meshkit_fastprobe.cli.completion import tell

        return tell(arguments)
    first = next((argument for argument in arguments if not argument.startswith("-")), None)
    known = first in {verb.partition(" ")[0] for verb in VERBS}
    try:
        result = tree(first if known else None)(arguments, prog_name="fastprobe", standalone_mode=False)
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:  # noqa: BLE001 - the last place to tell it in our words
        return _ended(error)
    except SystemExit as error:
        # typer makes an exit of this, too: with 1, which says that something is unhealthy.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _ended(error.__context__)
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
    from meshkit_fastprobe.cli import pipes

    pipes.drop(sys.stdout)


def _unexpected(error: BaseException) -> int:
    from meshkit_fastprobe.errors import AuditError, ConfigError, FastprobeError, MissingExtraError

    if isinstance(error, ConfigError | MissingExtraError | AuditError):
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
