"""Processes by identity: a number alone may be somebody else's by now, a number and a start time are not."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import trio

MAX_ANCESTORS: Final = 64
NO_SIGNAL: Final = 0
"""Sent to learn whether one might be."""
MAX_PID: Final = 4_194_304  # PID_MAX_LIMIT

_STATE, _PARENT, _STARTED = 0, 1, 19  # of /proc/PID/stat, behind the name: state, parent, start time


class Identity(NamedTuple):
    """One process, and no other that has its number before or after. started: ticks since the kernel started."""

    pid: int
    started: int


def must_be_supported() -> None:
    """ProcessLookupError where processes have no descriptors, so that none can be told from its successor."""
    if not hasattr(os, "pidfd_open") or not Path("/proc/self/stat").exists():
        raise ProcessLookupError(errno.ENOSYS, "processes can be told apart on Linux only, with /proc")


def _stat(pid: int) -> list[str] | None:
    """The fields behind the name, which may hold spaces and parentheses; None: no such process, or only its remains."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if not fields or fields[_STATE] in "ZX" else fields


def identify(pid: int) -> Identity | None:
    """Who has this number now; None: nobody, or one that has ended and was not yet reaped."""
    fields = _stat(pid)
    return None if fields is None else Identity(pid, int(fields[_STARTED]))


def state_of(identity: Identity) -> str | None:
    """The letter that ps shows (R, S, D, T, ...); None: it has ended."""
    fields = _stat(identity.pid)
    return fields[_STATE] if fields is not None and int(fields[_STARTED]) == identity.started else None


def name_of(pid: int) -> str:
    """What it is called, printable and short; empty when it has ended."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return ""
    return "".join(character if character.isprintable() else "?" for character in name)


def ourselves_and_ancestors() -> tuple[int, ...]:
    """Us, and those whose end may be ours: the supervisor, the container's first process."""
    found = [os.getpid()]
    while found[-1] > 1 and len(found) < MAX_ANCESTORS:
        fields = _stat(found[-1])
        if fields is None or int(fields[_PARENT]) == 0:
            break
        found.append(int(fields[_PARENT]))
    return tuple(found)


@contextlib.contextmanager
def held(identity: Identity) -> Iterator[int]:
    """A descriptor of exactly this process. ProcessLookupError: it has ended."""
    descriptor = os.pidfd_open(identity.pid)
    try:
        # The descriptor is of whoever had the number when it was opened; that was the one we mean if it still is.
        if identify(identity.pid) != identity:
            raise ProcessLookupError(identity.pid)
        yield descriptor
    finally:
        os.close(descriptor)


def send(identity: Identity, number: int) -> bool:
    """Signal exactly this process; False: it has ended. PermissionError: it is not ours to signal."""
    try:
        with held(identity) as descriptor:
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    return True


async def end(identity: Identity, grace_s: float) -> bool:
    """Ask it to end, and after grace_s make it; whether it had to be made. Returns when it has ended, calm when it had."""
    try:
        with held(identity) as descriptor:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            with trio.move_on_after(grace_s):
                await trio.lowlevel.wait_readable(descriptor)
                return False
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            await trio.lowlevel.wait_readable(descriptor)
            return True
    except ProcessLookupError:
        return False
