"""What can go wrong by somebody's mistake. The weather of the network is never an exception: it is an Outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_ERRORS_SHOWN: Final = 100
"""Errors that the message of ConfigErrors repeats."""


class FastprobeError(Exception):
    """Base of every exception this package raises on purpose."""


class ConfigError(FastprobeError):
    """A setting that cannot be: names where it stands, the value, the bound it breaks, and the fix.

    where: a dotted path like `probe.orders.interval`, or `FILE:LINE: probe[3].interval` when it came from a file.
    """

    def __init__(self, where: str, problem: str, fix: str = "") -> None:
        self.where = where
        self.problem = problem
        self.fix = fix
        super().__init__(f"{where}: {problem}" + (f"; {fix}" if fix else ""))


class ConfigErrors(ConfigError):  # noqa: N818 - it is several
    """Several settings that cannot be, found in one go. `errors` holds each; where, problem and fix are those of the first."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        first = errors[0]
        super().__init__(first.where, first.problem, first.fix)
        self.errors = tuple(errors)
        lines = [f"  {error}" for error in self.errors[:MAX_ERRORS_SHOWN]]
        if len(self.errors) > MAX_ERRORS_SHOWN:
            lines.append(f"  ... and {len(self.errors) - MAX_ERRORS_SHOWN} more")
        self.args = ("\n".join([f"{len(self.errors)} problems", *lines]),)


class DuplicateNameError(ConfigError):
    """A name that is taken already. The first owner keeps it."""


class UnknownProbeError(FastprobeError, KeyError):
    """No probe has this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"no probe is named {self.name!r}"


class CapacityError(FastprobeError):
    """A bound was reached that cannot be moved while running: the message names it and the setting that raises it."""


class AuditError(FastprobeError):
    """The audit cannot be written, so what would have been recorded does not happen; the message names the file and why."""


class NotRunningError(FastprobeError):
    """The operation needs a started Diagnostics (inside `async with diag:`)."""


class SkippedError(FastprobeError):
    """A run that was asked for did not happen: `reason` is the skip reason's code."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"the run of {name!r} was skipped: {reason}")


class MissingExtraError(FastprobeError, ImportError):
    """A part was used whose optional dependencies are not installed: the message holds the pip command."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs an optional part; install it with: pip install 'meshkit-fastprobe[{extra}]'")


class FaultInjectedError(FastprobeError):
    """What an experiment raises at an injection point: the embedder's code should treat it as its dependency's failure."""
