"""A process of the embedding program that chaos may restart, or pause: the embedder starts it through this."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

import trio

from meshkit_fastprobe.chaos.processes import Identity, identify
from meshkit_fastprobe.errors import FastprobeError


class ChildError(FastprobeError):
    """A child could not be started; the message says why."""


class ManagedChild:
    """One program and its process group. `async with` starts it, and ends it on leaving.

    >>> async with ManagedChild(["orders-worker", "--queue", "eu"]) as worker: ...
    """

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None, grace_s: float = 10.0
    ) -> None:
        if not argv:
            raise ValueError("argv is empty: it needs at least a program")
        self.argv = tuple(argv)
        self.grace_s = grace_s
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._process: trio.Process | None = None
        self._identity: Identity | None = None
        self._moving = trio.Lock()

    @property
    def identity(self) -> Identity | None:
        """The process that runs now; None: there is none, or it has ended."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._identity

    async def start(self) -> Identity:
        """Calm when it runs already. ChildError: it cannot be started."""
        async with self._moving:
            return await self._start()

    async def stop(self, grace_s: float | None = None) -> bool:
        """Ask it to end, after the grace make it, then end what it left behind; whether it had to be made."""
        async with self._moving:
            return await self._stop(self.grace_s if grace_s is None else grace_s)

    async def restart(self, grace_s: float | None = None) -> Identity:
        """Stop and start. A cancellation comes through when the new one runs: nobody is left without a child by it."""
        async with self._moving:
            with trio.CancelScope(shield=True):
                await self._stop(self.grace_s if grace_s is None else grace_s)
                await self._start()
        assert self._identity is not None, "it was started"
        return self._identity

    async def __aenter__(self) -> ManagedChild:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True):
            await self.stop()

    async def _start(self) -> Identity:
        if (running := self.identity) is not None:
            return running
        try:
            process = await trio.lowlevel.open_process(
                list(self.argv), stdin=subprocess.DEVNULL, env=self._env, cwd=self._cwd, start_new_session=True
            )
        except (OSError, ValueError) as error:
            raise ChildError(f"{self.argv[0]!r} does not start: {error}") from error
        self._process = process
        # One that has ended at once is not reaped yet, but tells no start time: it is as good as never started.
        self._identity = identify(process.pid) or Identity(process.pid, 0)
        return self._identity

    async def _stop(self, grace_s: float) -> bool:
        process, killed = self._process, False
        if process is None:
            return False
        if process.returncode is None:
            killed = await self._end(process, grace_s)
        await process.wait()
        self._process = None
        return killed

    @staticmethod
    async def _end(process: trio.Process, grace_s: float) -> bool:
        """Without reaping it: until then its number, and its group's, belong to nobody else."""
        descriptor = os.pidfd_open(process.pid)
        killed = True
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)  # one that is paused would not hear the other
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            with trio.move_on_after(grace_s):
                await trio.lowlevel.wait_readable(descriptor)
                killed = False
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        return killed
