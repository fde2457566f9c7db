"""Processes of our own that stand beside us: started from a file of this package, ended by hanging up on them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from meshkit_fastprobe.chaos.faults.base import FaultError

START_S: Final = 5.0
"""For the first answer: it has to start, on a host that may be short of everything."""
ANSWER_S: Final = 1.0
"""For the others, and to end: it has nothing else to do."""
MAX_ANSWER: Final = 256


class Helper:
    """One that runs. Its standard input is a line to us; its first argument is our number, to see us die."""

    def __init__(self, program: Path, *arguments: int) -> None:
        """FaultError: it does not start."""
        if not sys.executable:
            raise FaultError(f"there is no Python interpreter to run {program.name} with")
        self._name = program.stem.removesuffix("_process")
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.settimeout(START_S)
        command = [sys.executable, "-I", "-S", str(program), str(os.getpid()), *map(str, arguments)]
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our interpreter, our file, our numbers
                    command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True, cwd="/"
                )
        except OSError as error:
            self._line.close()
            raise FaultError(f"the {self._name} does not start: {error.strerror}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, message: bytes, descriptors: Sequence[int] = ()) -> bytes:
        """Its answer. FaultError: it has died, or hangs; hang up on it then."""
        try:
            socket.send_fds(self._line, [message], list(descriptors))
            answer = self._line.recv(MAX_ANSWER)
        except OSError as error:
            raise FaultError(f"the {self._name} does not answer: {error.strerror or error}") from error
        if not answer:
            raise FaultError(f"the {self._name} has died")
        self._line.settimeout(ANSWER_S)
        return answer

    def hang_up(self) -> None:
        """It sets right what it has to, and ends; made to when it does not. Calm when it has died."""
        self._line.close()
        try:
            self._process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(START_S)

    def disown(self) -> None:
        """In a forked child: drop our copy of the line; it is not ours to wait for."""
        self._line.close()
        self._process.returncode = 0
