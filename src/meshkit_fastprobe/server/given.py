"""What was handed in through ControlEndpoint: nothing, mostly."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import trio


class Given:
    """Of one host. app, in_flight, idle: of an app that is mounted elsewhere; the app is there while the host runs."""

    def __init__(self) -> None:
        self.listener: socket.socket | None = None
        self.context: ssl.SSLContext | None = None
        self.mounted = False
        self.app: Any = None
        self.in_flight = 0
        self.idle = trio.Event()
