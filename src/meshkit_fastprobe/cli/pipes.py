"""Output that nobody reads any more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from meshkit_fastprobe.cli.exits import CliError


def drop(stream: IO[str]) -> None:
    """What is still in its buffer would fail once more on the way out: that, and all that follows, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


@contextmanager
def needed(what: str) -> Iterator[None]:
    """For what is shown before something is done: that is not done when nobody reads this."""
    try:
        yield
    except BrokenPipeError:
        drop(sys.stdout)
        raise CliError(f"nobody reads {what}, so nothing was done", "let its reader stay, as `| cat` does") from None


@contextmanager
def welcome() -> Iterator[None]:
    """For what is told once all is done: that nobody reads it changes nothing of how it went."""
    try:
        yield
    except BrokenPipeError:
        drop(sys.stdout)
