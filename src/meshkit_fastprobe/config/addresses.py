"""Network addresses as people write them: `host:port`, `[v6]:port`."""

from __future__ import annotations

import ipaddress
import re
import socket

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

_usual = re.compile(r"((?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z][A-Za-z0-9-]{0,62}|([0-9.]{7,15})):([0-9]{1,5})")
_label = re.compile(r"[^\s\x00-\x2c/:-@\[-^`{-\x7f.]{1,63}")
_number = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def split_host_port(where: str, text: str, *, lowest_port: int = 1) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`; ConfigError names what is wrong. A name is not looked up."""
    usual = _usual.fullmatch(text)
    if usual is not None:
        host, numbers, port_text = usual.groups()
        if lowest_port <= int(port_text) <= 65535 and len(host) <= 253 and (numbers is None or is_literal(numbers)):
            return host, int(port_text)
    host, separator, port_text = text.rpartition(":")
    if not separator or "]" in port_text:
        raise ConfigError(where, f"{shown(text)} has no port", "write host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host or not is_literal(host):
            raise ConfigError(
                where, f"{shown(text)} has brackets around something that is not an IPv6 address", "write [::1]:port"
            )
    elif ":" in host:
        raise ConfigError(where, f"{shown(text)} is ambiguous", f"write an IPv6 address in brackets: [{host}]:{port_text}")
    else:
        check_host(where, host, text)
    if not (port_text.isascii() and port_text.isdecimal() and len(port_text) <= 5 and lowest_port <= int(port_text) <= 65535):
        raise ConfigError(where, f"port {shown(port_text)} is not in {lowest_port}..65535", "write host:port")
    return host, int(port_text)


def check_host(where: str, host: str, text: str) -> None:
    """Refuse what is neither an IPv4 address nor a name that could be looked up. `text` is what a message repeats."""
    if is_literal(host):
        return
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_label.fullmatch(label) for label in labels):
        raise ConfigError(where, f"{shown(text)} has no valid host", "write host:port")
    if _number.fullmatch(labels[-1]):
        # getaddrinfo would read 10.1 as 10.0.0.1; somebody mistyped an address.
        raise ConfigError(
            where, f"{shown(text)} has neither an IPv4 address nor a name for a host", "write four numbers of 0..255"
        )


def is_literal(host: str) -> bool:
    """Whether host is an IP address and needs no resolving."""
    try:
        if ":" not in host:
            socket.inet_pton(socket.AF_INET, host)
        else:
            ipaddress.IPv6Address(host)  # knows the scope of fe80::1%eth0, which inet_pton does not
    except (OSError, ValueError):
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this host can reach it. Of names, only localhost is taken for it."""
    return host == "localhost" or (is_literal(host) and ipaddress.ip_address(host).is_loopback)
