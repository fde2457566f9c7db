"""Completion for shells: what may follow the words so far, from the table of verbs and the signatures of their bodies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from enum import Enum, StrEnum
from importlib import import_module
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
import typer

from meshkit_fastprobe.cli.exits import Exit

VARIABLE: Final = "_FASTPROBE_COMPLETE"
"""Set by the scripts: the words of the command line are to be completed, not obeyed."""

Candidate = tuple[str, str]
"""A word, and what it is."""


class Shell(StrEnum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


SCRIPTS: Final = {
    Shell.bash: """\
_fastprobe_completion() {
    local word words
    # The words as they stand before the cursor; ":" separates words for bash, and not for us.
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=()
    while IFS=$'\\t' read -r word _; do
        COMPREPLY+=("$word")
    done < <(_FASTPROBE_COMPLETE=1 fastprobe "${words[@]}" 2>/dev/null)
}
complete -o default -F _fastprobe_completion fastprobe
""",
    Shell.zsh: """\
#compdef fastprobe
_fastprobe() {
    local line
    local -a told
    while IFS=$'\\t' read -r word what; do
        told+=("${word//:/\\\\:}:${what}")
    done < <(_FASTPROBE_COMPLETE=1 fastprobe "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#told} )); then
        _describe fastprobe told
    else
        _files
    fi
}
compdef _fastprobe fastprobe
""",
    Shell.fish: """\
function __fastprobe_complete
    set -l words (commandline -opc) (commandline -ct)
    _FASTPROBE_COMPLETE=1 fastprobe $words[2..-1] 2>/dev/null
end
complete -c fastprobe -f -n 'test -n "$(__fastprobe_complete)"' -a '(__fastprobe_complete)'
""",
}


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> int:
    """Print what makes a shell complete this command: eval "$(fastprobe completion bash)"."""
    typer.echo(SCRIPTS[shell], nl=False)
    return Exit.WELL


def tell(words: Sequence[str]) -> int:
    """Candidates for the last of these words, one a line, with what each is behind a tab."""
    for word, what in candidates(words):
        typer.echo(f"{word}\t{what}")
    return Exit.WELL


def candidates(words: Sequence[str]) -> list[Candidate]:
    """What may stand in the place of the last word."""
    *before, current = words or [""]
    verb, rest = _verb(before)
    found = _verbs(" ".join(before)) if verb is None else _of_verb(verb, rest, current)
    return [one for one in found if one[0].startswith(current)]


class _Option(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    says: str
    values: Callable[[], list[Candidate]] | None
    """None for a flag, which takes no value."""


def _verb(before: Sequence[str]) -> tuple[str | None, list[str]]:
    """The verb that these words begin with, and the words behind it."""
    from meshkit_fastprobe.cli.app import VERBS

    for length in (1, 2, 3):
        verb = " ".join(before[:length])
        if verb in VERBS:
            return verb, list(before[length:])
    return None, []


def _verbs(family: str) -> list[Candidate]:
    from meshkit_fastprobe.cli.app import FAMILIES, VERBS

    within = f"{family} " if family else ""
    below = [(name.removeprefix(within), body) for name, body in VERBS.items() if name.startswith(within)]
    found = [(name, _does(body)) for name, body in below if " " not in name]
    families = [(name.removeprefix(within), says) for name, says in FAMILIES.items() if name.startswith(within)]
    found += [(name, says) for name, says in families if " " not in name]
    return found if family else sorted(found)


def _of_verb(verb: str, rest: Sequence[str], current: str) -> list[Candidate]:
    from meshkit_fastprobe.cli.app import VERBS

    options, arguments = _parameters(_body(VERBS[verb]))
    named = {name: option for option in options for name in option.names}
    if rest and (waiting := named.get(rest[-1])) is not None and waiting.values is not None:
        return waiting.values()
    if current.startswith("-"):
        return [(option.names[-1], option.says) for option in options]
    at, value = 0, False
    for word in rest:
        option = named.get(word)
        at += not value and option is None
        value = not value and option is not None and option.values is not None
    return arguments[min(at, len(arguments) - 1)]() if arguments else []


def _parameters(body: Callable[..., Any]) -> tuple[list[_Option], list[Callable[[], list[Candidate]]]]:
    options = [_Option(("-h", "--help"), "Show this message and exit.", None)]
    arguments = []
    for name, parameter in inspect.signature(body, eval_str=True).parameters.items():
        kind, info = get_args(parameter.annotation)[:2]
        if isinstance(info, typer.models.ArgumentInfo):
            arguments.append(_values(f"{body.__module__}:{name}", kind))
            continue
        said = [info.default, *(info.param_decls or ())]
        names = tuple(one for one in said if isinstance(one, str) and one.startswith("-"))
        ordered = tuple(sorted(names, key=len))
        options.append(_Option(ordered, info.help or "", None if kind is bool else _values(ordered[-1], kind)))
    if any("--host" in option.names for option in options):
        options.append(_Option(("--context",), "Ask the hosts of this context.", _contexts))
    return options, arguments


def _values(what: str, kind: Any) -> Callable[[], list[Candidate]]:
    """What an option or an argument can be. Nothing known: the shell offers files."""
    if what == "meshkit_fastprobe.cli.context:name":
        return _contexts
    if what == "--state":
        return lambda: [(state, "") for state in ("unknown", "healthy", "degraded", "unhealthy", "paused")]
    kinds = [kind, *get_args(kind)] if get_origin(kind) is not Annotated else [kind]
    choices = next((one for one in kinds if isinstance(one, type) and issubclass(one, Enum)), None)
    return lambda: [(str(choice.value), "") for choice in choices] if choices is not None else []


def _contexts() -> list[Candidate]:
    from meshkit_fastprobe.cli.contexts import read_contexts

    return [(name, ", ".join(context.hosts)) for name, context in read_contexts().context.items()]


def _body(path: str) -> Callable[..., Any]:
    module, _, function = path.partition(":")
    body: Callable[..., Any] = getattr(import_module(f"meshkit_fastprobe.cli.{module}"), function)
    return body


def _does(path: str) -> str:
    """The first sentence of its help."""
    return (_body(path).__doc__ or "").partition("\n")[0].partition(". ")[0].rstrip(".")
