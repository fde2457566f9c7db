"""Follows /events on many connections at once, in one process and without decoding: counts what each was sent.

Arguments: HOST:PORT, token, path, how many, transitions that there will be, seconds to wait for them. Prints "ready" once all
of them follow, and as JSON what they saw once all have seen or missed every transition.
"""

import json
import re
import selectors
import socket
import sys
import time

_TOLD = re.compile(rb"\nevent: (transition|gap)\n")
_MISSED = re.compile(rb'"missed":(\d+)')


class Watcher:
    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.sendall(request)
        self.socket.setblocking(False)
        self.greeted = False
        self.transitions = self.missed = 0
        self._tail = b""

    def read(self) -> None:
        try:
            part = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        if not part:
            raise SystemExit("the host left a watcher")
        text = self._tail + part
        whole = text.rfind(b"\n\n") + 2
        if whole < 2:
            self._tail = text
            return
        text, self._tail = text[:whole], text[whole:]
        self.greeted = self.greeted or b"event: hello" in text
        for told in _TOLD.findall(text):
            self.transitions += told == b"transition"
        self.missed += sum(int(count) for count in _MISSED.findall(text))


def main(where: str, token: str, path: str, count: int, expected: int, seconds: float) -> None:
    host, _, port = where.rpartition(":")
    request = f"GET {path} HTTP/1.1\r\nhost: {where}\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    watchers = [Watcher((host, int(port)), request) for _ in range(count)]
    ready = selectors.DefaultSelector()
    for watcher in watchers:
        ready.register(watcher.socket, selectors.EVENT_READ, watcher)

    def follow(until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0:
            for key, _ in ready.select(min(left_s, 0.1)):
                key.data.read()

    while not all(watcher.greeted for watcher in watchers):
        follow(time.monotonic() + 0.2)
    print("ready", flush=True)
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and min(watcher.transitions + watcher.missed for watcher in watchers) < expected:
        follow(time.monotonic() + 0.05)
    told = [watcher.transitions + watcher.missed for watcher in watchers]
    print(
        json.dumps(
            {"least": min(told), "most": max(told), "missed": sum(watcher.missed for watcher in watchers), "watchers": count}
        ),
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6]))
