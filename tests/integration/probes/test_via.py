"""How connections leave this host, on real sockets and in both lanes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from meshkit_fastprobe import Diagnostics, HttpProbe, Settings, SkippedError, State, TcpProbe, Via

pytestmark = pytest.mark.integration
SOON = {"interval": "1h", "timeout": "10s", "enabled": False}


@pytest.fixture(params=[True, False], ids=["native", "task"])
def diag(request: pytest.FixtureRequest) -> Diagnostics:
    return Diagnostics(Settings(host="test", native_lane=request.param))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def address_of(server: socket.socket) -> str:
    host, port = server.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def test_a_connection_comes_from_the_source_that_was_asked_for(diag: Diagnostics, listener: socket.socket) -> None:
    diag.add(TcpProbe(address_of(listener), via=Via(source="127.0.0.77", interface="lo", tos=8)), name="a", **SOON)
    async with diag:
        await diag.run_once("a")
    peer, (host, _) = listener.accept()
    peer.close()
    assert host == "127.0.0.77"


async def test_a_source_this_host_does_not_have_is_skipped_and_no_failure(diag: Diagnostics) -> None:
    diag.add(TcpProbe("[::1]:9", via=Via(source="::2")), name="a", **SOON)
    async with diag:
        with pytest.raises(SkippedError, match="source"):
            await diag.run_once("a")
        assert diag.view("a").result is None


async def test_an_interface_this_host_does_not_have_is_skipped(diag: Diagnostics, listener: socket.socket) -> None:
    diag.add(TcpProbe(address_of(listener), via=Via(interface="nosuchif0")), name="a", **SOON)
    async with diag:
        with pytest.raises(SkippedError, match="source"):
            await diag.run_once("a")


async def test_half_a_handshake_passes_and_nobody_is_accepted(listener: socket.socket) -> None:
    diag = Diagnostics(Settings(host="test"))
    diag.add(TcpProbe(address_of(listener), handshake="half"), name="a", **SOON)
    async with diag:
        for _ in range(10):
            assert (await diag.run_once("a")).result == 0
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_of_a_name_the_preferred_family_is_asked(diag: Diagnostics, monkeypatch: pytest.MonkeyPatch) -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        six = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this kernel has no IPv6 loopback; switch it on with sysctl net.ipv6.conf.lo.disable_ipv6=0")
    with six:
        port = six.getsockname()[1]
        answers = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        ]

        really = socket.getaddrinfo

        def getaddrinfo(host, *more, **options):
            return list(answers) if host == "both" else really(host, *more, **options)

        monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
        diag.add(TcpProbe(f"both:{port}", via=Via(ip="prefer_ipv6")), name="six", **SOON)
        diag.add(HttpProbe(f"http://both:{port}/", via=Via(ip="ipv4")), name="four", **SOON)
        async with diag:
            assert (await diag.run_once("six")).result == 0
            assert str((await diag.run_once("four")).reason) == "connect_refused"
        assert diag.view("six").state is State.PAUSED
