"""Scenes in a network namespace of their own: what a test does to the kernel there, nobody else ever sees.

A scene is an async function of a file beside the tests, which ends with `if __name__ == "__main__": play(globals())`. What the
scene returns is what the test judges.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from meshkit_fastprobe._native.injection import InjectionPoint

HERE = Path(__file__).parent
PATIENCE_S = 20.0


class Host:
    """What faults are given here: whatever services a test names."""

    def __init__(self, **services: object) -> None:
        self.services = {key.replace("__", ":"): value for key, value in services.items()}

    name = "here"
    points: Mapping[str, InjectionPoint] = {}
    state_dir = None

    def service(self, key: str) -> object:
        return self.services[key]

    @property
    def offered(self) -> Collection[str]:
        return self.services.keys()


def scene(file: str, name: str, *said: Any, privileged: bool = True) -> Any:
    """Play it with loopback up; without privileges also without CAP_NET_ADMIN in its own namespace."""
    taken = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    dropped = () if privileged else (sys.executable, __file__, *taken)
    command = ["unshare", "-Urn", *dropped, sys.executable, str(HERE / file), name, json.dumps(said)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except FileNotFoundError:
        pytest.skip("needs unshare: apt-get install util-linux")
    if ended.stderr.startswith("unshare:"):
        pytest.skip(f"this kernel gives no network namespace: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])  # children of a scene may say something, too
    if isinstance(told, dict) and "skip" in told:
        pytest.skip(told["skip"])
    return told


def _loopback_up() -> None:
    with socket.socket() as sock, contextlib.suppress(PermissionError):
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running


def play(scenes: Mapping[str, Any]) -> None:
    _loopback_up()
    print(json.dumps(trio.run(scenes[sys.argv[1]], *json.loads(sys.argv[2]))))


def until(what: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
    """How many seconds went by until it was so."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < patience_s, "it never came to be"
    return time.monotonic() - began


def nft(*arguments: str) -> str:
    try:
        return subprocess.run(["nft", *arguments], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        print(json.dumps({"skip": "needs nft: apt-get install nftables"}))
        sys.exit(0)


if __name__ == "__main__":
    _loopback_up()
    os.execvp(sys.argv[1], sys.argv[1:])
