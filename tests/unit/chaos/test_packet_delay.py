"""The keys of packet_delay, and the line in which packets wait. No kernel is asked."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from meshkit_fastprobe.chaos.faults.packet_delay import PacketDelay
from meshkit_fastprobe.chaos.network.delay_process import PACKET, Line, attribute, request
from meshkit_fastprobe.errors import ConfigError


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"delay": 0}, "delay"),
        ({"delay": "11s"}, "delay"),
        ({"delay": "fast"}, "delay"),
        ({"jitter": "51ms"}, "jitter"),
        ({"jitter": -1.0}, "jitter"),
        ({"targets": ()}, "targets"),
        ({"targets": ("10.0.0.7\n",)}, "targets[0]"),
        ({"targets": ("10.0.0.7:53",), "protocol": "icmp"}, "targets"),
        ({"protocol": "udp;"}, "protocol"),
        ({"direction": ""}, "direction"),
        ({"proxy": "db", "protocol": "icmp"}, "proxy"),
        ({"proxy": "db", "targets": ()}, "targets"),
    ],
)
def test_what_cannot_be_is_refused_at_its_key(keys: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as told:
        PacketDelay(**{"delay": "50ms", "targets": ("10.0.0.7",), **keys})
    assert told.value.where == f"PacketDelay.{where}"


def test_durations_are_read_as_everywhere() -> None:
    fault = PacketDelay(targets=("10.0.0.7",), delay="1.5s", jitter=0.25)
    assert (fault.delay_s, fault.jitter_s) == (1.5, 0.25)


def test_a_packet_that_comes_while_others_are_read_is_held_as_long_as_they_are() -> None:
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernel:
        line = Line(ours, queue=7, delay_us=1, jitter_us=0)
        moments_ns = iter(range(0, 10_000, 500))
        for number in range(10):
            kernel.send(request(PACKET, 7, attribute(1, number.to_bytes(4))))
        line.read(lambda: next(moments_ns))  # each is taken 500 ns after the one before
        for number in range(10):
            due_ns = 1000 + 500 * number
            assert line.due_ns() == due_ns
            line.let_go(due_ns - 1)
            assert line.gone == number
            line.let_go(due_ns)
        assert (line.gone, line.late_ns) == (10, 0)
