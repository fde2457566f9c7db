"""A proxy between datagrams: what passes untouched, what faults do to it, and how soon they are gone."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from meshkit_fastprobe.chaos.bench import Bench
from meshkit_fastprobe.chaos.faults.bandwidth import Bandwidth
from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.blackhole import Blackhole
from meshkit_fastprobe.chaos.faults.latency import Latency
from meshkit_fastprobe.chaos.faults.packet_loss import PacketLoss
from meshkit_fastprobe.chaos.faults.reset import Reset
from meshkit_fastprobe.chaos.lots import Delay, Loss
from meshkit_fastprobe.chaos.proxies import Shape
from meshkit_fastprobe.chaos.proxying import datagrams
from meshkit_fastprobe.chaos.proxying.datagrams import MAX_CLIENTS, UdpProxy
from meshkit_fastprobe.chaos.proxying.holding import ITEM_BYTES
from meshkit_fastprobe.experiments import ProxySettings

from .conftest import no_descriptors, until

pytestmark = pytest.mark.integration
PATIENCE_S = 20


@contextmanager
def proxied():
    """A proxy in front of a server that sends back what it gets, and counts it."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve():
            while True:
                data, address = server.recvfrom(65_536)
                if data == b"end":
                    return
                heard.append(data)
                server.sendto(data, address)

        thread = threading.Thread(target=serve)
        thread.start()
        proxy = UdpProxy(ProxySettings(name="dns", listen="127.0.0.1:0", upstream=_text(server), protocol="udp"))
        proxy.open()
        try:
            yield proxy, heard
        finally:
            proxy.close()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"end", server.getsockname())
            thread.join()


def _text(sock):
    return "{}:{}".format(*sock.getsockname())


@contextmanager
def client(proxy):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        host, _, port = proxy.address.rpartition(":")
        sock.connect((host, int(port)))
        sock.settimeout(PATIENCE_S)
        yield sock


def test_datagrams_find_their_way_and_back_to_who_asked():
    with proxied() as (proxy, _), client(proxy) as one, client(proxy) as other:
        one.send(b"one")
        other.send(b"other")
        assert (one.recv(64), other.recv(64)) == (b"one", b"other")
        assert (proxy.counts.connections, proxy.counts.touched) == (2, 0)


def test_a_delay_is_kept_and_never_shorter_than_asked():
    with proxied() as (proxy, _), client(proxy) as sock:
        proxy.put(Shape(delay=Delay(0.05)), "a")
        for _ in range(3):
            began = time.monotonic()
            sock.send(b"?")
            assert sock.recv(64) == b"?"
            assert time.monotonic() - began >= 0.1


def test_a_ratio_is_lost_in_the_direction_that_was_asked_for():
    with proxied() as (proxy, heard), client(proxy) as sock:
        proxy.put(Shape(loss=Loss(1.0), direction="down"), "a")
        sock.send(b"heard")
        while not proxy.counts.touched:
            time.sleep(0.001)
        assert heard == [b"heard"]
        proxy.put(Shape(loss=Loss(1.0), direction="up"), "a")
        sock.send(b"not heard")
        while proxy.counts.touched < 2:
            time.sleep(0.001)
        proxy.put(None)
        sock.send(b"again")
        assert sock.recv(64) == b"again"
        assert b"not heard" not in heard


def test_a_share_is_lost_by_lot():
    with proxied() as (proxy, heard), client(proxy) as sock:
        proxy.put(Shape(loss=Loss(0.3), direction="up"), "a")
        for number in range(1000):
            sock.send(number.to_bytes(4))
            while number % 20 == 19 and proxy.counts.touched + len(heard) <= number:
                time.sleep(0.001)  # so that no buffer overflows
        assert 600 <= len(heard) <= 790  # 700 by lot: beyond this once in 10^9


def test_bursts_are_lost_in_a_row():
    with proxied() as (proxy, heard), client(proxy) as sock:
        proxy.put(Shape(loss=Loss(0.5, burst=5), direction="up"), "a")
        for number in range(40):
            sock.send(bytes([number]))
        while len(heard) < 20:
            time.sleep(0.001)
        assert [data[0] % 10 for data in heard] == [5, 6, 7, 8, 9] * 4


def test_what_waits_when_a_fault_is_taken_off_goes_out_at_once():
    with proxied() as (proxy, _), client(proxy) as sock:
        proxy.put(Shape(delay=Delay(30.0), direction="up"), "a")
        sock.send(b"?")
        while not proxy.counts.touched:
            time.sleep(0.001)
        began = time.monotonic()
        proxy.put(None)
        assert sock.recv(64) == b"?"
        assert time.monotonic() - began < PATIENCE_S / 2


def test_empty_datagrams_count_with_what_it_costs_to_hold_them(monkeypatch):
    monkeypatch.setattr(datagrams, "HELD_BYTES", 16 * ITEM_BYTES)
    with proxied() as (proxy, heard), client(proxy) as sock:
        proxy.put(Shape(delay=Delay(30.0), direction="up"), "a")
        for number in range(40):
            sock.send(b"")
            until(lambda number=number: proxy.counts.touched > number)
        proxy.put(None)
        sock.send(b"last")
        until(lambda: b"last" in heard)
        assert heard == [b""] * 16 + [b"last"]
        assert proxy._held_bytes == 0


def test_a_bandwidth_is_kept():
    with proxied() as (proxy, _), client(proxy) as sock:
        proxy.put(Shape(bytes_per_s=10_000, direction="up"), "a")
        began = time.monotonic()
        for _ in range(3):
            sock.send(bytes(1000))
        for _ in range(3):
            sock.recv(2000)
        assert time.monotonic() - began >= 0.3


def test_what_is_lost_for_want_of_room_takes_no_time_of_a_bandwidth(monkeypatch):
    monkeypatch.setattr(datagrams, "HELD_BYTES", ITEM_BYTES + 500)
    with proxied() as (proxy, _), client(proxy) as sock:
        proxy.put(Shape(bytes_per_s=1000, direction="up"), "a")
        for number in range(100):  # 50 s of it
            sock.send(bytes(500))
            until(lambda number=number: proxy.counts.touched > number)
        assert sock.recv(1000) == bytes(500)
        sock.send(b"next")
        while sock.recv(1000) != b"next":
            pass


def test_a_dependency_that_is_not_there_is_silence_and_the_proxy_lives():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = _text(taken)
    proxy = UdpProxy(ProxySettings(name="dns", listen="127.0.0.1:0", upstream=nowhere, protocol="udp"))
    proxy.open()
    try:
        with client(proxy) as sock:
            sock.settimeout(0.2)
            for _ in range(3):
                sock.send(b"?")
            with pytest.raises(TimeoutError):
                sock.recv(64)
        proxy.put(None)
        assert proxy.counts.connections == 1
    finally:
        proxy.close()


def test_without_descriptors_datagrams_of_new_clients_are_lost_and_the_proxy_goes_on():
    with proxied() as (proxy, _), client(proxy) as one, client(proxy) as other:
        one.send(b"one")
        assert one.recv(64) == b"one"
        with no_descriptors():
            other.send(b"lost")
            until(lambda: proxy.counts.refused)
            one.send(b"one")
            assert one.recv(64) == b"one"
        other.send(b"other")
        assert other.recv(64) == b"other"
        assert proxy.is_open


async def test_a_proxy_that_has_ended_carries_no_fault_and_says_so():
    with proxied() as (proxy, _):
        host, fault = Bench("here", {}, None), Latency(proxy="dns", delay="30s")
        host.offer("proxy:dns", proxy)
        plan = await fault.plan(host, "a")
        await fault.apply(host, plan)
        proxy._loop.soon(lambda: proxy.no_such_thing)
        until(lambda: not proxy.is_open)
        effect = await fault.verify(host, plan)
        assert (effect.in_force, "has ended" in effect.told) == (False, True)
        assert await Latency.is_gone(host, plan)
        await Latency.revert(host, plan)
        with pytest.raises(FaultError, match="has ended"):
            await fault.apply(host, plan)
        assert "has ended" in (await fault.preflight(host))[-1].why


def test_more_clients_than_the_bound_are_refused_and_counted(monkeypatch):
    monkeypatch.setattr("meshkit_fastprobe.chaos.proxying.datagrams.MAX_CLIENTS", 1)
    assert MAX_CLIENTS == 4096
    with proxied() as (proxy, _), client(proxy) as one, client(proxy) as other:
        one.send(b"one")
        assert one.recv(64) == b"one"
        other.send(b"other")
        while not proxy.counts.refused:
            time.sleep(0.001)


@pytest.mark.parametrize(
    "fault",
    [
        Latency(proxy="dns", delay="30s"),
        PacketLoss(proxy="dns", ratio=1.0, direction="both"),
        Blackhole(proxy="dns"),
        Bandwidth(proxy="dns", bytes_per_s=100),
    ],
    ids=lambda fault: fault.kind,
)
async def test_each_fault_of_datagrams_is_put_on_felt_and_taken_off(fault):
    with proxied() as (proxy, _), client(proxy) as sock:
        host = Bench("here", {}, None)
        host.offer("proxy:dns", proxy)
        assert [way.name for way in await fault.preflight(host) if way.usable] == ["proxy"]
        plan = await fault.plan(host, "a")
        await fault.apply(host, plan)
        assert (await fault.verify(host, plan)).in_force
        sock.settimeout(0.2)
        sock.send(bytes(1000))
        with pytest.raises(TimeoutError):
            sock.recv(64)
        assert (await fault.verify(host, plan)).touched == 1
        assert await type(fault).scan(host) == (plan,)
        for _ in range(2):
            await type(fault).revert(host, plan)
        assert await type(fault).is_gone(host, plan)
        sock.settimeout(PATIENCE_S)
        sock.send(b"well")
        while sock.recv(2000) != b"well":
            pass


@pytest.mark.parametrize(
    ("fault", "words"),
    [(Reset(proxy="dns"), "is for udp, and this is a fault of tcp")],
    ids=["reset"],
)
async def test_a_fault_of_connections_does_not_fit_datagrams(fault, words):
    with proxied() as (proxy, _):
        host = Bench("here", {}, None)
        host.offer("proxy:dns", proxy)
        assert words in (await fault.preflight(host))[0].why
        with pytest.raises(FaultError, match=words):
            await fault.plan(host, "a")
