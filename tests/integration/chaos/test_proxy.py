"""A proxy between real sockets: what passes untouched, what faults do to it, and how soon they are gone."""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import trio

from meshkit_fastprobe.chaos.bench import Bench
from meshkit_fastprobe.chaos.faults.bandwidth import Bandwidth
from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.blackhole import Blackhole
from meshkit_fastprobe.chaos.faults.latency import Latency
from meshkit_fastprobe.chaos.faults.reset import Reset
from meshkit_fastprobe.chaos.lots import Delay
from meshkit_fastprobe.chaos.proxies import ProxyError, Shape
from meshkit_fastprobe.chaos.proxying import streams
from meshkit_fastprobe.chaos.proxying.holding import ITEM_BYTES
from meshkit_fastprobe.chaos.proxying.streams import HELD_BYTES, TcpProxy
from meshkit_fastprobe.experiments import ProxySettings

from .conftest import no_descriptors, until

pytestmark = pytest.mark.integration
PATIENCE_S = 20


@contextmanager
def echo():
    """A server that sends back what it gets, a thread a connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:

        def serve(connection):
            with connection:
                try:
                    while data := connection.recv(65536):
                        connection.sendall(data)
                except OSError:
                    return

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError as error:
                    if error.errno != errno.EMFILE:
                        return
                    time.sleep(0.01)  # it is a test that has taken them, and gives them back
                    continue
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(upstream=None):
    with echo() as server:
        proxy = TcpProxy(ProxySettings(name="db", listen="127.0.0.1:0", upstream=upstream or server))
        proxy.open()
        try:
            yield proxy
        finally:
            proxy.close()


def connect(proxy):
    host, _, port = proxy.address.rpartition(":")
    client = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive(client, size):
    data = b""
    while len(data) < size:
        piece = client.recv(65536)
        assert piece, "it ended"
        data += piece
    return data


def round_trip_s(client, said=b"?"):
    began = time.monotonic()
    client.sendall(said)
    assert receive(client, len(said)) == said
    return time.monotonic() - began


def test_bytes_pass_unchanged_in_both_directions():
    data = bytes(range(256)) * 40_000  # ten megabytes: more than any buffer on the way
    with proxied() as proxy, connect(proxy) as client:
        threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
        assert receive(client, len(data)) == data
        assert proxy.counts.touched == 0


def test_a_half_closed_connection_still_answers():
    with proxied() as proxy, connect(proxy) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        assert receive(client, 10) == b"last words"
        assert client.recv(1) == b""


def test_who_cannot_reach_the_dependency_is_reset():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with proxied(upstream=f"127.0.0.1:{taken.getsockname()[1]}") as proxy:
            with pytest.raises(ConnectionResetError), connect(proxy) as client:
                client.recv(1)
            assert proxy.counts.refused == 1


def test_a_taken_address_is_told_with_its_name():
    with proxied() as proxy:
        twin = TcpProxy(ProxySettings(name="twin", listen=proxy.address, upstream="127.0.0.1:1"))
        with pytest.raises(ProxyError, match=r"proxy twin: cannot listen on 127\.0\.0\.1"):
            twin.open()
        twin.close()


def test_a_delay_holds_bytes_of_connections_that_exist_and_never_less_than_asked():
    with proxied() as proxy, connect(proxy) as client:
        round_trip_s(client)
        proxy.put(Shape(delay=Delay(0.05), direction="down"), "a")
        for _ in range(5):
            assert round_trip_s(client) >= 0.05
        proxy.put(Shape(delay=Delay(0.05)), "a")
        assert round_trip_s(client) >= 0.1


def test_delayed_bytes_stay_in_their_order_whatever_the_jitter():
    with proxied() as proxy, connect(proxy) as client:
        proxy.put(Shape(delay=Delay(0.005, 0.005)), "a")
        data = b"".join(number.to_bytes(4) for number in range(20_000))

        def send():
            for at in range(0, len(data), 997):
                client.sendall(data[at : at + 997])

        threading.Thread(target=send, daemon=True).start()
        assert receive(client, len(data)) == data


def test_what_waits_when_a_fault_is_taken_off_goes_out_at_once():
    with proxied() as proxy, connect(proxy) as client:
        proxy.put(Shape(delay=Delay(30.0)), "a")
        client.sendall(b"?")
        while not proxy.counts.touched:
            time.sleep(0.001)
        began = time.monotonic()
        proxy.put(None)
        assert receive(client, 1) == b"?"
        assert time.monotonic() - began < PATIENCE_S / 2


def test_what_a_delay_holds_is_bounded_and_slows_the_writer():
    with proxied() as proxy, connect(proxy) as client:
        proxy.put(Shape(delay=Delay(30.0), direction="up"), "a")
        client.settimeout(2.0)
        sent = 0
        with suppress(TimeoutError):
            while sent < 1 << 30:
                sent += client.send(bytes(65536))
        # Held here, and in the buffers of two sockets that the kernel lets grow to 6 MiB each.
        assert HELD_BYTES <= sent <= HELD_BYTES + (16 << 20)


def test_many_connections_share_what_a_proxy_may_hold_and_each_moves_on(monkeypatch):
    monkeypatch.setattr(streams, "PROXY_BYTES", HELD_BYTES)
    with proxied() as proxy:
        clients = [connect(proxy) for _ in range(16)]
        for client in clients:
            round_trip_s(client)
        proxy.put(Shape(delay=Delay(30.0), direction="up"), "a")
        for client in clients:
            client.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    client.send(bytes(65536))
        share = HELD_BYTES // (2 * len(clients))
        pumps = [connection._pumps[0] for connection in tuple(proxy._connections)]
        # Too little is left for the cost of one more piece.
        until(lambda: all(share - ITEM_BYTES <= pump._held_bytes <= share for pump in pumps))
        assert proxy.held_bytes == sum(pump._held_bytes for pump in pumps)
        proxy.put(None)
        for client in clients:
            client.settimeout(PATIENCE_S)
            assert client.recv(1)
            client.close()
        until(lambda: not proxy.counts.connections)
        assert proxy.held_bytes == 0


def test_who_comes_when_a_proxy_holds_all_it_may_has_the_least(monkeypatch):
    monkeypatch.setattr(streams, "PROXY_BYTES", HELD_BYTES)
    with proxied() as proxy, connect(proxy) as first, connect(proxy) as second:
        for client in (first, second):
            round_trip_s(client)
        proxy.put(Shape(delay=Delay(30.0), direction="up"), "a")
        proxy.held_bytes += HELD_BYTES  # as those who have gone on with larger shares would hold
        second.sendall(bytes(65536))
        until(lambda: proxy.held_bytes >= HELD_BYTES + streams.LEAST_BYTES)
        time.sleep(0.05)
        assert proxy.held_bytes == HELD_BYTES + streams.LEAST_BYTES
        proxy.put(None)
        assert len(receive(second, 65536)) == 65536


def test_small_pieces_count_with_what_it_costs_to_hold_them(monkeypatch):
    monkeypatch.setattr(streams, "HELD_BYTES", streams.LEAST_BYTES)
    most = streams.LEAST_BYTES // (ITEM_BYTES + 1)
    with proxied() as proxy, connect(proxy) as client:
        round_trip_s(client)
        proxy.put(Shape(delay=Delay(30.0), direction="up"), "a")
        for number in range(most):
            client.sendall(b"?")
            until(lambda number=number: proxy.counts.touched > number)
        clock = time.pthread_getcpuclockid(proxy._thread.ident)
        began_s = time.clock_gettime(clock)
        client.sendall(bytes(100))
        time.sleep(0.3)
        assert proxy.counts.touched == most
        assert time.clock_gettime(clock) - began_s < 0.1, "it asks for what it has no room for"
        proxy.put(None)
        assert receive(client, most + 100) == b"?" * most + bytes(100)
        until(lambda: not proxy.held_bytes)


def test_without_descriptors_connections_wait_and_nothing_spins():
    with proxied() as proxy, socket.socket() as client, connect(proxy) as before:
        round_trip_s(before)
        host, _, port = proxy.address.rpartition(":")
        clock = time.pthread_getcpuclockid(proxy._thread.ident)
        with no_descriptors():
            client.connect((host, int(port)))
            began_s = time.clock_gettime(clock)
            time.sleep(0.5)
            assert time.clock_gettime(clock) - began_s < 0.1
            round_trip_s(before)
        client.settimeout(PATIENCE_S)
        round_trip_s(client)


def test_a_blackhole_swallows_and_keeps_the_connection():
    with proxied() as proxy, connect(proxy) as client:
        proxy.put(Shape(swallow=True, direction="up"), "a")
        client.sendall(b"lost")
        while not proxy.counts.touched:
            time.sleep(0.001)
        proxy.put(None)
        assert round_trip_s(client, b"kept") < PATIENCE_S


@contextmanager
def blackholed(said=b""):
    """A proxy that swallows what goes up, after this was said; its client, and the end that the dependency has."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        proxied(upstream=f"127.0.0.1:{server.getsockname()[1]}") as proxy,
        connect(proxy) as client,
        server.accept()[0] as end,
    ):
        end.settimeout(PATIENCE_S)
        client.sendall(said)
        assert receive(end, len(said)) == said
        proxy.put(Shape(swallow=True, direction="up"), "a")
        yield proxy, client, end


def hears_nothing(end):
    end.settimeout(0.2)
    with pytest.raises(TimeoutError):
        end.recv(1)
    end.settimeout(PATIENCE_S)


@pytest.mark.parametrize("ended", ["meanwhile", "afterwards"])
def test_an_end_after_swallowed_bytes_is_a_reset_and_not_before_the_fault_is_undone(ended):
    with blackholed(b"first half;") as (proxy, client, end):
        client.sendall(b"second half")
        until(lambda: proxy.counts.touched)
        if ended == "meanwhile":
            client.shutdown(socket.SHUT_WR)
        hears_nothing(end)
        proxy.put(None)
        if ended == "afterwards":
            client.sendall(b"; more")
            assert receive(end, 6) == b"; more"
            client.shutdown(socket.SHUT_WR)
        for one in (end, client):
            with pytest.raises(ConnectionResetError):
                one.recv(1)
        until(lambda: not proxy.counts.connections)


def test_an_end_that_nothing_was_lost_before_passes_when_a_blackhole_is_undone():
    with blackholed(b"all of it") as (proxy, client, end):
        client.shutdown(socket.SHUT_WR)
        hears_nothing(end)
        proxy.put(None)
        assert end.recv(1) == b""
        end.sendall(b"answer")
        assert receive(client, 6) == b"answer"


def test_a_reset_ends_what_exists_and_what_comes():
    with proxied() as proxy, connect(proxy) as client:
        round_trip_s(client)
        proxy.put(Shape(reset=True), "a")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionResetError), connect(proxy) as another:
            another.recv(1)
        proxy.put(None)
        with connect(proxy) as well:
            round_trip_s(well)


def test_a_bandwidth_is_kept():
    with proxied() as proxy, connect(proxy) as client:
        proxy.put(Shape(bytes_per_s=100_000, direction="up"), "a")
        assert round_trip_s(client, bytes(30_000)) >= 0.3 * 0.95


def test_a_share_hits_that_share_of_the_connections():
    with proxied() as proxy:
        clients = [connect(proxy) for _ in range(200)]
        for client in clients:
            round_trip_s(client)
        proxy.put(Shape(delay=Delay(30.0), direction="down", share=0.5), "a")
        for client in clients:
            client.sendall(b"?")
        answered = select.poll()
        for client in clients:
            answered.register(client, select.POLLIN)
        # A connection is hit or it is answered: then all has been seen.
        until(lambda: proxy.counts.touched + len(answered.poll(0)) == len(clients))
        slow = 0
        for client in clients:
            client.settimeout(0.0)
            try:
                client.recv(1)
            except BlockingIOError:
                slow += 1
            client.close()
        assert 60 <= slow <= 140  # 100 by lot: beyond this once in 10^8


def test_closing_it_resets_what_is_open():
    with proxied() as proxy:
        client = connect(proxy)
        round_trip_s(client)
        proxy.close()
        with client, pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize(
    "fault",
    [
        Latency(proxy="db", delay="30s"),
        Blackhole(proxy="db"),
        Reset(proxy="db"),
        Bandwidth(proxy="db", bytes_per_s=100),
    ],
    ids=lambda fault: fault.kind,
)
async def test_each_fault_of_a_proxy_is_put_on_seen_and_taken_off(fault):
    with proxied() as proxy:
        host = Bench("here", {}, None)
        host.offer("proxy:db", proxy)
        kind = type(fault)
        assert [way.name for way in await fault.preflight(host) if way.usable] == ["proxy"]
        plan = await fault.plan(host, "a")
        assert proxy.shape is None
        await fault.apply(host, plan)
        assert (await fault.verify(host, plan)).in_force
        assert await kind.scan(host) == (plan,)
        other = await fault.plan(host, "b")
        with pytest.raises(FaultError, match="a fault of a passes through it already"):
            await fault.apply(host, other)
        await kind.revert(host, other)
        assert not await kind.is_gone(host, plan)
        for _ in range(2):
            await kind.revert(host, plan)
        assert await kind.is_gone(host, plan)
        assert await kind.scan(host) == ()
        assert not (await fault.verify(host, plan)).in_force


async def test_without_its_proxy_a_fault_says_what_to_add():
    host = Bench("here", {}, None)
    fault = Latency(proxy="db", delay=0.1)
    assert "add [[chaos.proxy]]" in (await fault.preflight(host))[-1].why
    with pytest.raises(FaultError, match="no proxy 'db'"):
        await fault.plan(host, "a")
    await trio.lowlevel.checkpoint()
