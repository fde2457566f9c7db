"""Exit codes, and the error that carries one: a line saying what, a line saying what to do next."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    WELL = 0
    UNHEALTHY = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    INTERNAL = 5


class CliError(Exception):
    """Ends the command: `what` went wrong, what to do `next`."""

    def __init__(self, what: str, next_step: str = "", code: Exit = Exit.USAGE) -> None:
        self.what = what
        self.next_step = next_step
        self.code = code
        super().__init__(what)
