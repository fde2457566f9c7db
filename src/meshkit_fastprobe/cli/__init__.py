"""The `fastprobe` command. One file a command group: parse, call, print; what a verb does not use is not imported."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; leaves by SystemExit with a code of cli.exits.Exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        from meshkit_fastprobe.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "click", "rich"}:
            raise
        from meshkit_fastprobe.errors import MissingExtraError

        sys.stderr.write(f"{MissingExtraError('The command line', 'cli')}\n")
        raise SystemExit(2) from None
    raise SystemExit(run(arguments))
