"""The process that holds packets back: it reads a queue of the kernel and lets each packet go when its delay is over.

It is run as a file by a fault, with its parent's number, the queue's, the delay and its jitter in microseconds. It needs
nothing of this package; its interpreter lock is its own. It answers each message on its standard input with `packets
late_us`: how many it has let go, and by how much the latest of them was late. Hung up on, or when its parent dies, it lets
all go and ends.
"""

import collections
import contextlib
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable

NETLINK_NETFILTER = 12
SUBSYSTEM_QUEUE = 3
PACKET, VERDICT, CONFIG, VERDICT_BATCH = 0, 1, 2, 3
ACCEPT = 1
BIND = 1
COPY_META = 1
FAIL_OPEN, GSO = 1, 4
SOL_NETLINK, NO_ENOBUFS = 270, 5
SO_RCVBUFFORCE = 33
MAX_HELD = 65_536
"""Packets that the kernel keeps for us; more than these pass undelayed."""
RECEIVE_BYTES = 64 * 1024
BUFFER_BYTES = 16 * 1024 * 1024
READ_AT_ONCE = 256
SPIN_NS = 1_000_000
"""Sleeps shorter than what poll() can count."""
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)

_header = struct.Struct("=IHHII")
_family = struct.Struct("!BBH")
_attribute = struct.Struct("=HH")
_id = struct.Struct("!I")


def attribute(number: int, value: bytes) -> bytes:
    return _attribute.pack(4 + len(value), number) + value + bytes(-len(value) % 4)


def request(message: int, queue: int, body: bytes, flags: int = 1) -> bytes:
    content = _family.pack(0, 0, queue) + body
    return _header.pack(16 + len(content), SUBSYSTEM_QUEUE << 8 | message, flags, 0, 0) + content


def bind(kernel: socket.socket, queue: int) -> None:
    """OSError: another program reads this queue, or the kernel has none."""
    kernel.bind((0, 0))
    with contextlib.suppress(OSError):
        kernel.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    kernel.setsockopt(SOL_NETLINK, NO_ENOBUFS, 1)
    flags = struct.pack("!I", FAIL_OPEN | GSO)
    for body in (
        attribute(1, struct.pack("!BxH", BIND, 0)),
        attribute(2, struct.pack("!IB", 0, COPY_META)) + attribute(3, struct.pack("!I", MAX_HELD)),
        attribute(4, flags) + attribute(5, flags),
    ):
        kernel.send(request(CONFIG, queue, body, flags=5))  # asking for an answer
        error = -struct.unpack_from("=i", kernel.recv(RECEIVE_BYTES), 16)[0]
        if error:
            raise OSError(error, os.strerror(error))


class Line:
    """Packets in the order of their coming, which they keep: one is never let go before another that came earlier."""

    def __init__(self, kernel: socket.socket, queue: int, delay_us: int, jitter_us: int) -> None:
        self._kernel = kernel
        self._queue = queue
        self._delay_ns, self._jitter_ns = delay_us * 1000, jitter_us * 1000
        self._waiting: collections.deque[tuple[int, int]] = collections.deque()
        self._last_due = 0
        self._newest = 0
        self.gone = 0
        self.late_ns = 0

    def read(self, clock_ns: Callable[[], int]) -> None:
        """Take in what the kernel has queued. The first attribute of its message is the packet's number."""
        for _ in range(READ_AT_ONCE):
            try:
                data = self._kernel.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except OSError:
                return
            came_ns = clock_ns()  # of each: one that comes while others are read would be early by the time of those
            if len(data) >= 28 and _header.unpack_from(data)[1] == SUBSYSTEM_QUEUE << 8 | PACKET:
                spread = random.randint(-self._jitter_ns, self._jitter_ns) if self._jitter_ns else 0  # noqa: S311 - no secret
                self._last_due = max(self._last_due, came_ns + self._delay_ns + spread)
                self._newest = _id.unpack_from(data, 24)[0]
                self._waiting.append((self._last_due, self._newest))

    def due_ns(self) -> int | None:
        return self._waiting[0][0] if self._waiting else None

    def let_go(self, now_ns: int) -> None:
        """All that are due, in one verdict: it holds for every packet up to a number."""
        last = None
        while self._waiting and self._waiting[0][0] <= now_ns:
            due, last = self._waiting.popleft()
            self.gone += 1
            self.late_ns = max(self.late_ns, now_ns - due)
        if last is not None:
            self._accept(last)

    def let_all_go(self) -> None:
        """Also what was queued and not read yet: numbers go round, and what is less than half a round ahead counts as later."""
        self._accept((self._newest + 2**30) % 2**32)

    def _accept(self, up_to: int) -> None:
        self._kernel.send(request(VERDICT_BATCH, self._queue, attribute(2, struct.pack("!II", ACCEPT, up_to))))


def hold(line: Line, kernel: socket.socket, parent_line: socket.socket, parent: int) -> None:
    poll = select.poll()
    for one in (kernel, parent_line, parent):
        poll.register(one, select.POLLIN)
    while True:
        due = line.due_ns()
        wait_ns = None if due is None else max(0, due - time.monotonic_ns())
        if wait_ns is not None and wait_ns < SPIN_NS:
            time.sleep(wait_ns / 1e9)
            wait_ns = 0
        ready = {descriptor for descriptor, _ in poll.poll(None if wait_ns is None else wait_ns // 1_000_000)}
        if kernel.fileno() in ready:
            line.read(time.monotonic_ns)
        line.let_go(time.monotonic_ns())
        if parent in ready:
            return
        if parent_line.fileno() in ready:
            if not parent_line.recv(64):
                return
            parent_line.send(b"%d %d" % (line.gone, line.late_ns // 1000))


def main() -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    ours, queue, delay_us, jitter_us = map(int, sys.argv[1:5])
    parent = os.pidfd_open(ours)
    with (
        socket.socket(fileno=0) as parent_line,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel,
        contextlib.suppress(OSError),  # the parent has died, or hears of it when it asks
    ):
        if os.getppid() != ours:
            return
        bind(kernel, queue)
        line = Line(kernel, queue, delay_us, jitter_us)
        try:
            hold(line, kernel, parent_line, parent)
        finally:
            line.let_all_go()


if __name__ == "__main__":
    main()
