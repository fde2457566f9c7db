"""What a UDP probe refuses to be."""

from __future__ import annotations

from typing import Any

import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.udp import UdpExpect, UdpProbe, octets, plan_of


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"target": "10.0.0.1"}, "UdpProbe.target", "no port"),
        ({"target": "10.0.0.1:0"}, "UdpProbe.target", "1..65535"),
        ({"send": "x" * 1473}, "UdpProbe.send", "the bound is 1472"),
        ({"send": "hex:1"}, "UdpProbe.send", "not hexadecimal"),
        ({"max_reply_bytes": -1}, "UdpProbe.max_reply_bytes", r"0\.\.16384"),
        ({"max_reply_bytes": 16_385}, "UdpProbe.max_reply_bytes", r"0\.\.16384"),
        ({"max_reply_bytes": 2, "expect": UdpExpect(prefix="abc")}, "UdpProbe.expect.prefix", "3 bytes"),
    ],
)
def test_what_cannot_be_asked_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        UdpProbe(**{"target": "10.0.0.1:53", **refused})
    assert caught.value.where == where
    assert caught.value.fix


def test_an_expectation_that_is_no_text_nor_digits_is_refused() -> None:
    with pytest.raises(ConfigError, match="not hexadecimal") as caught:
        UdpExpect(contains="hex:zz")
    assert caught.value.where == "UdpExpect.contains"


def test_text_and_digits_say_bytes() -> None:
    assert octets("", "grün") == "grün".encode()
    assert octets("", "hex:de ad BEEF") == b"\xde\xad\xbe\xef"
    assert octets("", "hex:") == b""


def test_probes_that_send_the_same_share_a_plan() -> None:
    assert plan_of("x", UdpExpect(), 10) is plan_of("x", UdpExpect(), 10)
