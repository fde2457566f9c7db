"""The targets of the test kit, where there is epoll and where there is not; and nothing heavy in their process."""

from __future__ import annotations

import select
import socket
import subprocess
import sys

import pytest

from meshkit_fastprobe.testing import Target, loopback

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("epoll", [True, False], ids=["epoll", "poll"])
def test_targets_answer(epoll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not epoll:
        monkeypatch.delattr(select, "epoll", raising=False)
    with loopback(Target("http", "healthy", body="hello"), Target("tcp", "refusing"), Target("http", "slow")) as targets:
        healthy, refusing, slow = targets
        for target in (healthy, slow):
            with socket.create_connection((target.host, target.port), timeout=20) as client:
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert client.recv(64).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((refusing.host, refusing.port), timeout=20)


def test_a_connection_that_a_client_keeps_is_closed_when_the_targets_go() -> None:
    with loopback(Target("http", "healthy")) as (target,):
        client = socket.create_connection((target.host, target.port), timeout=20)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    with client:
        assert client.recv(1000) == b""


def test_their_process_needs_neither_trio_nor_numpy() -> None:
    told = "import sys; import meshkit_fastprobe.testing.targets; sys.exit(bool({'trio', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
