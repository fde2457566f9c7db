"""A proxy that finds no descriptor, or no thread, is not opened, and keeps nothing of what it had taken before."""

from __future__ import annotations

import gc
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshkit_fastprobe.chaos.proxies import ProxyError
from meshkit_fastprobe.chaos.proxying.datagrams import UdpProxy
from meshkit_fastprobe.chaos.proxying.streams import TcpProxy
from meshkit_fastprobe.experiments import ProxySettings

pytestmark = pytest.mark.integration

ROOM = 64
NEEDED = 4
"""Of a proxy: listener, epoll, timer, bell."""


@contextmanager
def filled() -> Iterator[list[int]]:
    """No descriptor is left; those in the list are the test's to close."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(highest + ROOM, hard), hard))
    try:
        fill(held)
        yield held
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def fill(held: list[int]) -> int:
    """Take all there are; how many there were."""
    before = len(held)
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return len(held) - before


@pytest.fixture
def nothing_is_collected() -> Iterator[None]:
    """What is left open is not found by chance."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("nothing_is_collected")
@pytest.mark.parametrize("left", range(NEEDED))
@pytest.mark.parametrize("kind", [TcpProxy, UdpProxy])
def test_a_proxy_that_finds_too_few_descriptors_takes_none(kind, left):
    proxy = kind(ProxySettings(name="db", listen="127.0.0.1:0", upstream="127.0.0.1:9", protocol=kind.protocol))
    with filled() as held:
        for _ in range(left):
            os.close(held.pop())
        with pytest.raises(ProxyError, match=r"proxy db: cannot listen on 127\.0\.0\.1:0: .*[Tt]oo many open files"):
            proxy.open()
        assert fill(held) == left
    proxy.close()


def test_a_proxy_that_finds_no_thread_is_closed_again(monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    proxy = TcpProxy(ProxySettings(name="db", listen="127.0.0.1:0", upstream="127.0.0.1:9"))
    with filled() as held, monkeypatch.context() as patched:
        for _ in range(NEEDED):
            os.close(held.pop())
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(ProxyError, match="can't start new thread"):
            proxy.open()
        assert fill(held) == NEEDED
