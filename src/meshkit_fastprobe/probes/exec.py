"""exec: a command of this host says how its target is. No shell, a clean environment, bounded output, ended as a group."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, ClassVar, Final, Literal

import msgspec
import trio
from msgspec import Meta

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import AsyncProbe, OurLimit
from meshkit_fastprobe.probes.registry import probe_kind

MAX_ARGUMENTS: Final = 128
MAX_ARGUMENT_BYTES: Final = 4096
MAX_ENVIRONMENT: Final = 64
MAX_OUTPUT_BYTES: Final = 1024 * 1024
DEFAULT_MAX_OUTPUT_BYTES: Final = 64 * 1024
MAX_MESSAGE_CHARACTERS: Final = 200
MAX_DETAIL: Final = 65535
READ_BYTES: Final = 16 * 1024
REAP_S: Final = 5.0
"""How long a killed process is waited for. One that hangs in the kernel dies when it may; the worker goes on before."""
CLEAN: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
"""The whole environment of a command, but for what `env` adds: nothing of ours leaks, and it is the same on every host."""

_OURS: Final = {
    errno.EMFILE: Reason.DESCRIPTORS,
    errno.ENFILE: Reason.DESCRIPTORS,
    errno.EAGAIN: Reason.MEMORY,
    errno.ENOMEM: Reason.MEMORY,
}
_MEANINGS: Final = {
    "plain": ({0: Result.OK}, Result.FAIL),
    "nagios": ({0: Result.OK, 1: Result.DEGRADED, 2: Result.FAIL}, Result.ERROR),
}


@probe_kind()
class ExecProbe(msgspec.Struct, frozen=True, gc=False):
    """Run argv, in whose arguments {target} stands for the target; exit status 0 passes.

    exit_status "nagios": 1 is degraded, 2 fails, anything else is an error of the command. The first line of the output is the
    message. The process group is killed at the timeout, and what is left of it when the command ends.
    """

    kind: ClassVar[str] = "exec"
    target: str
    argv: tuple[str, ...]
    exit_status: Literal["plain", "nagios"] = "plain"
    output_contains: str = ""
    env: dict[str, str] = {}
    cwd: str = "/"
    max_output_bytes: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_OUTPUT_BYTES})] = (
        DEFAULT_MAX_OUTPUT_BYTES
    )

    def __post_init__(self) -> None:
        if not isinstance(self.argv, tuple):
            msgspec.structs.force_setattr(self, "argv", tuple(self.argv))
        _check_arguments(self.argv, self.target)
        if self.exit_status not in _MEANINGS:
            raise ConfigError("ExecProbe.exit_status", f"{shown(self.exit_status)} is not known", 'use "plain" or "nagios"')
        if not 0 <= self.max_output_bytes <= MAX_OUTPUT_BYTES:
            raise ConfigError(
                "ExecProbe.max_output_bytes", f"{self.max_output_bytes} is not in 0..{MAX_OUTPUT_BYTES}", "choose one between"
            )
        if not self.cwd.startswith("/") or "\0" in self.cwd:
            raise ConfigError("ExecProbe.cwd", f"{shown(self.cwd)} is not an absolute path", "write it from / on")
        if len(self.env) > MAX_ENVIRONMENT:
            raise ConfigError("ExecProbe.env", f"{len(self.env)} variables; the bound is {MAX_ENVIRONMENT}", "pass fewer")
        for name, value in self.env.items():
            if not name or "=" in name or "\0" in name + value:  # a value may be a secret: it is not repeated
                raise ConfigError("ExecProbe.env", f"{shown(name)} is no name and value of a variable", "correct it")

    def __hash__(self) -> int:
        return hash((self.target, self.argv))

    async def check(self) -> Outcome:
        process = await self._start()
        if isinstance(process, Outcome):
            return process
        output = _Output(self.max_output_bytes)
        async with _ending(process), trio.open_nursery() as nursery:
            nursery.start_soon(output.read, process, nursery.cancel_scope)
            await _exited(process)
            _kill_group(process)  # what it left behind would hold its output open
        if output.overflowed:
            return Outcome.fail(f"more than {self.max_output_bytes} bytes", reason=Reason.EXEC_OUTPUT)
        assert process.returncode is not None, "reaped on leaving the context"
        return judge(self, process.returncode, bytes(output.data))

    async def _start(self) -> trio.Process | Outcome:
        try:
            return await trio.lowlevel.open_process(
                [argument.replace("{target}", self.target) for argument in self.argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**CLEAN, **self.env},
                cwd=self.cwd,
                start_new_session=True,
            )
        except OSError as error:
            if error.errno in _OURS:
                raise OurLimit(_OURS[error.errno]) from None
            return Outcome.error(error.strerror or "", reason=Reason.EXEC_FAILED, detail=error.errno or 0)


class _Output:
    """What a command wrote, up to a bound."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.data = bytearray()
        self.overflowed = False

    async def read(self, process: trio.Process, everything: trio.CancelScope) -> None:
        """To the end; past the bound, end the run."""
        assert process.stdout is not None
        while data := await process.stdout.receive_some(READ_BYTES):
            self.data += data
            if len(self.data) > self._max_bytes:
                self.overflowed = True
                everything.cancel()
                return


def judge(probe: ExecProbe, status: int, output: bytes) -> Outcome:
    """What the exit status and the output come to; a negative status is the signal that ended the command."""
    text = output.decode(errors="replace")
    message = _message(text)
    if status < 0:
        return Outcome.fail(_signal_name(-status), reason=Reason.EXEC_SIGNAL, detail=-status)
    known, otherwise = _MEANINGS[probe.exit_status]
    result = known.get(status, otherwise)
    if result is not Result.OK:
        return Outcome(result, Reason.EXEC_STATUS, message, min(status, MAX_DETAIL))
    if probe.output_contains not in text:
        return Outcome.fail(message, reason=Reason.BODY_MISMATCH)
    return Outcome.ok(message)


def _message(text: str) -> str:
    """The first line, without what Nagios' plug-ins write for machines behind a bar."""
    line = text.lstrip().partition("\n")[0].partition("|")[0].strip()
    return "".join(character if character.isprintable() else "?" for character in line[:MAX_MESSAGE_CHARACTERS])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@asynccontextmanager
async def _ending(process: trio.Process) -> AsyncIterator[None]:
    """On leaving, nothing of the command is left: its group is killed, and the command reaped."""
    try:
        yield
    finally:
        _kill_group(process)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + REAP_S):
            assert process.stdout is not None
            await trio.aclose_forcefully(process.stdout)
            await process.wait()


async def _exited(process: trio.Process) -> None:
    """Wait for the end of the command without reaping it: until then its number, and its group's, belong to nobody else."""
    if hasattr(os, "pidfd_open"):
        descriptor = os.pidfd_open(process.pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
    else:
        await process.wait()


def _kill_group(process: trio.Process) -> None:
    """End whoever is left in the command's group; nothing once it was reaped, when the number may be another's."""
    if process._proc.returncode is None:  # noqa: SLF001 - asking for the public one reaps
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _check_arguments(argv: tuple[str, ...], target: str) -> None:
    where = "ExecProbe.argv"
    if not argv or not argv[0].startswith("/"):
        raise ConfigError(where, "its first word is not an absolute path", 'write argv = ["/path/to/command", ...]')
    if len(argv) > MAX_ARGUMENTS:
        raise ConfigError(where, f"{len(argv)} arguments; the bound is {MAX_ARGUMENTS}", "pass fewer")
    for argument in (*argv, target):
        if len(argument.encode(errors="surrogatepass")) > MAX_ARGUMENT_BYTES or "\0" in argument:
            raise ConfigError(where, f"{shown(argument)} is no argument", f"at most {MAX_ARGUMENT_BYTES} bytes, none of them 0")
    if "{target}" in argv[0]:
        raise ConfigError(where, "a target must not choose the command", "write the path of the command")
    if target.startswith("-") and "{target}" in argv:
        raise ConfigError("ExecProbe.target", f"{shown(target)} would be taken for an option", "write it otherwise")


_: type[AsyncProbe] = ExecProbe
