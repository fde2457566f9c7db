"""What an ICMP probe refuses to be, and the judge of its answers."""

from __future__ import annotations

from typing import Any

import pytest

from meshkit_fastprobe._native.datagram import Echo
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Reason
from meshkit_fastprobe.probes.icmp import IcmpProbe
from meshkit_fastprobe.probes.via import Via


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"target": "10.0.0.1:80"}, "IcmpProbe.target", "is no host"),
        ({"target": "[::1]:80"}, "IcmpProbe.target", "is no host"),
        ({"target": "/run/it.sock"}, "IcmpProbe.target", "host"),
        ({"target": ""}, "IcmpProbe.target", "host"),
        ({"payload_bytes": 7}, "IcmpProbe.payload_bytes", r"8\.\.8192"),
        ({"payload_bytes": 8193}, "IcmpProbe.payload_bytes", r"8\.\.8192"),
        ({"via": Via(source="::1")}, "IcmpProbe.via.source", "other family"),
    ],
)
def test_what_cannot_be_asked_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        IcmpProbe(**{"target": "10.0.0.1", **refused})
    assert caught.value.where == where
    assert caught.value.fix


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("db.example.org", "db.example.org"),
        ("fe80::1%lo", "fe80::1%lo"),
    ],
)
def test_a_host_is_written_without_a_port(target: str, host: str) -> None:
    assert IcmpProbe(target).endpoint == (host, 0)


def _reply(echo: Echo, at: int = 0, bit: int = 0) -> bytes:
    message = bytearray(echo.request())
    message[0], message[2:4] = 129, b"\0\0"
    message[at] ^= bit
    return bytes(message)


def test_a_reply_is_held_against_its_request() -> None:
    echo = Echo(v6=True, number=7, nonce=8, payload=56)
    assert echo.read(_reply(echo), with_header=False, own_id=True) == (0, 0, b"")
    assert echo.read(_reply(echo, 63, 1), with_header=False, own_id=True) == (Reason.REPLY_MISMATCH, 56, b"")
    assert echo.read(_reply(echo)[:-1], with_header=False, own_id=True) == (Reason.REPLY_MISMATCH, 55, b"")


@pytest.mark.parametrize("at", [4, 6, 12], ids=["number", "sequence", "nonce"])
def test_an_answer_to_another_request_is_none(at: int) -> None:
    echo = Echo(v6=True, number=7, nonce=8, payload=56)
    assert echo.read(_reply(echo, at, 1), with_header=False, own_id=True) is None


def test_a_ping_socket_renames_the_asker() -> None:
    echo = Echo(v6=True, number=7, nonce=8, payload=56)
    assert echo.read(_reply(echo, 4, 1), with_header=False, own_id=False) == (0, 0, b"")


def test_a_payload_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"8\.\.8192"):
        Echo(v6=False, number=1, nonce=1, payload=7)
