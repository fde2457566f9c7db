"""Listeners in front of a dependency through which faults can pass: what those for TCP and those for UDP share.

Each has a thread and an event loop of its own. Faults are put on and taken off what exists: nothing here has to be asked or
waited for, and what waits when a fault is taken off goes out at once.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import ExitStack
from functools import partial
from typing import Final, Literal

import msgspec

from meshkit_fastprobe.chaos.lots import Delay, Loss
from meshkit_fastprobe.chaos.proxying.loop import Loop
from meshkit_fastprobe.config.addresses import split_host_port
from meshkit_fastprobe.errors import FastprobeError
from meshkit_fastprobe.experiments import ProxySettings

Direction = Literal["up", "down", "both"]
START_S: Final = 10.0
TURN_S: Final = 1.0
"""For the proxy's loop to come round: it takes milliseconds."""

log = logging.getLogger("meshkit_fastprobe.chaos")


class ProxyError(FastprobeError):
    """A proxy could not be opened; the message says which and why."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault does to what passes.

    direction: up is to the dependency, down from it. share: of connections, or datagrams.
    """

    delay: Delay | None = None
    loss: Loss | None = None
    """Of datagrams."""
    bytes_per_s: float = 0.0
    """0 is no bound."""
    swallow: bool = False
    """Bytes vanish; the connection stays."""
    reset: bool = False
    """Of connections."""
    share: float = 1.0
    direction: Direction = "both"

    def towards(self, direction: str) -> Shape | None:
        """What it does in this direction, if anything."""
        return self if self.direction in {direction, "both"} else None


class Counts(msgspec.Struct):
    connections: int = 0
    """Open now; of datagrams: clients that have been heard of lately."""
    accepted: int = 0
    refused: int = 0
    """Because the dependency did not take them, or there were too many."""
    touched: int = 0
    """Pieces and datagrams that a fault delayed, lost or swallowed, and connections it reset."""


class Proxy:
    """One listener. `open`, `close` and `put` may be called from any thread."""

    protocol = ""
    """What passes: tcp or udp."""
    socket_kind = socket.SOCK_STREAM

    def __init__(self, settings: ProxySettings) -> None:
        self.settings = settings
        self.address = ""
        """Where it listens, once it does."""
        self.counts = Counts()
        self.shaped_by = ""
        """The mark of the fault that passes through it."""
        self.shape: Shape | None = None
        self._thread = threading.Thread(target=self._run, name=f"fastprobe-proxy-{settings.name}", daemon=True)

    def open(self) -> None:
        """Listen. ProxyError when that cannot be; then nothing is left open."""
        with ExitStack() as taken:
            try:
                self._socket = taken.enter_context(self._listening())
                self._loop = Loop()
                taken.callback(self._loop.close)
                host, port = self._socket.getsockname()[:2]
                self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                self._thread.start()
            except (OSError, RuntimeError, FastprobeError) as error:  # RuntimeError: no thread is left
                raise ProxyError(f"proxy {self.settings.name}: cannot listen on {self.settings.listen}: {error}") from error
            taken.pop_all()  # the thread's, from here on

    @property
    def is_open(self) -> bool:
        """Whether anything passes: not before it is opened, not once it has ended, by whatever."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Drop what is open, and end. Blocks until it is done; calm when it was never opened."""
        if self.is_open:
            self._loop.soon(self._loop.end)
            self._thread.join()

    def put(self, shape: Shape | None, mark: str = "") -> None:
        """Let a fault pass, or none: in force for everything, also what exists, when this returns.

        Blocks for a turn of the proxy's loop, never for a connection; not at all when it has ended: look at is_open.
        """
        self.shape = shape
        self.shaped_by = mark if shape is not None else ""
        if not self.is_open:
            return
        done = threading.Event()
        self._loop.soon(partial(self._reshape, done))
        done.wait(TURN_S)

    # -- on its own thread ---------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Ask for what the listener brings."""
        raise NotImplementedError

    def reshape(self) -> None:
        """There is another shape: it concerns what exists too."""
        raise NotImplementedError

    def drop(self) -> None:
        """Close everything but the listener."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            self.serve()
            self._loop.run()
        except Exception:
            log.exception("proxy %s ended", self.settings.name)
        finally:
            self.drop()
            self._socket.close()
            self._loop.close()

    def _reshape(self, done: threading.Event) -> None:
        self.reshape()
        done.set()

    def _listening(self) -> socket.socket:
        host, port = split_host_port("proxy.listen", self.settings.listen, lowest_port=0)
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, self.socket_kind)
        try:
            if self.socket_kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            if self.socket_kind == socket.SOCK_STREAM:
                sock.listen(4096)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        return sock
