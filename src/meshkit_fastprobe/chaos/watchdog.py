"""What the kernel does not end by itself when we die, a watchdog process ends: it lives while there is something to guard.

It notices our death by the end of a socket and by a descriptor of our process, and our hanging by a lease.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from meshkit_fastprobe.chaos.faults.base import LEASE_S, MARK_PATTERN, FaultError
from meshkit_fastprobe.chaos.processes import Identity, held

PROGRAM: Final = Path(__file__).with_name("watchdog_process.py")
ANSWER_S: Final = 5.0
"""Also for it to start on a host that is short of everything."""
LEASE_MS: Final = round(LEASE_S * 1000)
MAX_ANSWER: Final = 64

_mark = re.compile(MARK_PATTERN)


class Watchdog:
    """At most one process; started by the first guard, gone after the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._marks: set[str] = set()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def guard(self, mark: str, identity: Identity) -> None:
        """From now on it is continued when we do not renew. FaultError: it is not guarded; ProcessLookupError: ended."""
        assert _mark.fullmatch(mark), "marks are ids of experiments"
        with self._lock, held(identity) as process:
            if mark in self._marks:
                raise FaultError(f"{mark} is guarded already")
            self._ask(f"guard {mark} {LEASE_MS}", [process])
            self._marks.add(mark)

    def renew(self, mark: str) -> None:
        """FaultError: it is not guarded any more; the lease has run out, or the watchdog has died."""
        with self._lock:
            if mark not in self._marks:
                raise FaultError(f"{mark} is not guarded")
            self._ask(f"renew {mark} {LEASE_MS}")

    def forget(self, mark: str) -> None:
        """Calm when it is not guarded, or nobody is there to forget it."""
        with self._lock:
            if mark in self._marks:
                self._marks.discard(mark)
                with contextlib.suppress(FaultError):
                    self._ask(f"forget {mark}")
            if not self._marks:
                self._end()

    def close_copies(self) -> None:
        """In a forked child: it is no parent of the watchdog."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.returncode = 0  # not this process's to wait for
        self.__init__()  # type: ignore[misc]  # a lock that another thread held is held for ever in here

    def _ask(self, message: str, descriptors: list[int] | None = None) -> None:
        line = self._line or self._start()
        try:
            socket.send_fds(line, [message.encode("ascii")], descriptors or [])
            answer = line.recv(MAX_ANSWER)
        except OSError as error:
            self._end()  # it continues what it guards; nobody renews
            raise FaultError(f"the watchdog does not answer: {error.strerror or error}") from error
        if not answer:
            self._end()
            raise FaultError("the watchdog has died")
        if answer != b"ok":
            raise FaultError(f"the watchdog refuses {message!r}: its lease has run out")

    def _start(self) -> socket.socket:
        if not sys.executable:
            raise FaultError("there is no Python interpreter to run the watchdog with")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(ANSWER_S)
        command = [sys.executable, "-I", "-S", str(PROGRAM), str(os.getpid())]
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our interpreter, our file, our number
                    command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True, cwd="/"
                )
        except OSError as error:
            ours.close()
            raise FaultError(f"the watchdog does not start: {error.strerror}") from error
        self._line = ours
        return ours

    def _end(self) -> None:
        """It goes when it is hung up on; what it still guards it continues first."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            try:
                self._process.wait(ANSWER_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(ANSWER_S)
            self._process = None
        self._marks.clear()


watchdog: Final = Watchdog()
"""Of this process, for all faults that need one."""

os.register_at_fork(after_in_child=watchdog.close_copies)
