"""Targets as people write them: `host:port`, `[v6]:port`, `unix:/path`."""

from __future__ import annotations

import ipaddress

from meshkit_fastprobe.errors import ConfigError


def split_host_port(where: str, text: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`; ConfigError names what is wrong."""
    host, separator, port_text = text.rpartition(":")
    if not separator:
        raise ConfigError(where, f"{text!r} has no port", "write host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise ConfigError(where, f"{text!r} has brackets around something that is not an IPv6 address")
    elif ":" in host:
        raise ConfigError(where, f"{text!r} is ambiguous", f"write an IPv6 address in brackets: [{host}]:{port_text}")
    if not host or any(character.isspace() or not character.isprintable() or character in "/@?#[]%" for character in host.replace("%", "", 1)):
        raise ConfigError(where, f"{text!r} has no valid host", "write host:port")
    if not (port_text.isascii() and port_text.isdecimal() and 1 <= int(port_text) <= 65535):
        raise ConfigError(where, f"port {port_text!r} is not in 1..65535")
    return host, int(port_text)


def is_literal(host: str) -> bool:
    """Whether host is an IP address and needs no resolving."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
