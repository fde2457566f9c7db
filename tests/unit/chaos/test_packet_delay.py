"""The keys of packet_delay. No kernel is asked."""

from __future__ import annotations

from typing import Any

import pytest

from meshkit_fastprobe.chaos.faults.packet_delay import PacketDelay
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
