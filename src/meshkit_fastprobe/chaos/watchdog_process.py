"""The watchdog itself: a process that continues what was paused when its parent dies, or does not renew in time.

It is run as a file by `watchdog.py`, knows nothing of this package, and imports little: it has to start fast and need nobody.
Its parent sends it `guard ID LEASE_MS` with a descriptor of a process, `renew ID LEASE_MS` and `forget ID`, and is answered
`ok` or `unknown`. There are no other verbs, and what they name is never evaluated, only compared.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time

MAX_MESSAGE = 256
MAX_GUARDS = 256
MAX_LEASE_MS = 60_000
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
"""Whatever asks a whole group or unit to end asks the parent too, whose end is ours."""

Guards = dict[bytes, tuple[float, int]]  # by id: when the lease is over, and the process


def let_go(guards: Guards, ids: list[bytes]) -> None:
    for which in ids:
        _, process = guards.pop(which)
        with contextlib.suppress(OSError):  # it has ended
            signal.pidfd_send_signal(process, signal.SIGCONT)
        os.close(process)


def obey(guards: Guards, message: bytes, descriptors: list[int], now: float) -> bytes:
    match message.split(b" "):
        case [b"guard", which, lease] if len(descriptors) == 1 and lease.isdigit() and len(guards) < MAX_GUARDS:
            if which in guards:
                return b"unknown"
            guards[which] = (now + min(int(lease), MAX_LEASE_MS) / 1000, descriptors.pop())
        case [b"renew", which, lease] if which in guards and lease.isdigit():
            guards[which] = (now + min(int(lease), MAX_LEASE_MS) / 1000, guards[which][1])
        case [b"forget", which] if which in guards:
            os.close(guards.pop(which)[1])
        case _:
            return b"unknown"
    return b"ok"


def watch(line: socket.socket, parent: int) -> None:
    """Until the parent hangs up or dies: one of its children may hold the line open longer than it lives."""
    guards: Guards = {}
    poll = select.poll()
    poll.register(line, select.POLLIN)
    poll.register(parent, select.POLLIN)
    try:
        while True:
            first = min((due for due, _ in guards.values()), default=None)
            ready = dict(poll.poll(None if first is None else max(0.0, first - time.monotonic()) * 1000))
            now = time.monotonic()
            let_go(guards, [which for which, (due, _) in guards.items() if due <= now])
            if parent in ready:
                return
            if line.fileno() in ready:
                message, descriptors, _, _ = socket.recv_fds(line, MAX_MESSAGE, 4)
                if not message:
                    return
                line.send(obey(guards, message, descriptors, now))
                for left in descriptors:
                    os.close(left)
    finally:
        let_go(guards, list(guards))


def main() -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    parent = os.pidfd_open(int(sys.argv[1]))
    with socket.socket(fileno=0) as line, contextlib.suppress(OSError):
        if os.getppid() == int(sys.argv[1]):  # or it has died already, and somebody else may have its number
            watch(line, parent)


if __name__ == "__main__":
    main()
