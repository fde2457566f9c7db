"""URLs of HTTP probes: where to connect, what the Host header says, and the path as it goes on the wire."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.probes.base import Endpoint
from meshkit_fastprobe.probes.targets import split_host_port, unix_path

FORM: Final = "write http://host:port/path or http+unix://%2Fpath%2Fto.sock/path"
SAFE: Final = "/%:@!$&'()*+,;=-._~"
"""What a path may hold unquoted; a query may also hold a question mark."""

_credentials = re.compile(r"[a-z+]*:?/*[^/?#]+@", re.IGNORECASE)
_usual = re.compile(r"http://(?P<host>[A-Za-z0-9._-]+)(?P<port>:[0-9]+)?(?P<path>/[A-Za-z0-9/%:@!$&'()*+,;=._~?-]*)?")


class Dialect(NamedTuple):
    """What the URLs of one kind look like."""

    where: str
    form: str
    schemes: tuple[str, ...]
    port: int


HTTP: Final = Dialect("HttpProbe.target", FORM, ("http", "http+unix"), 80)
HTTPS: Final = Dialect("HttpsProbe.target", "write https://host:port/path", ("https",), 443)


class Url(NamedTuple):
    endpoint: Endpoint
    host_header: str
    path: str


@lru_cache(maxsize=4)  # where a probe connects and what it says are asked one after the other
def parse_url(target: str) -> Url:
    """Take a URL apart; ConfigError for one that no HTTP probe can use."""
    usual = _usual.fullmatch(target)
    if usual is None:
        return _parse_unusual(target, HTTP)
    host, port, path = usual.groups()
    endpoint = split_host_port(HTTP.where, host + (port or ":80"))
    return Url(endpoint, host + (port or ""), path or "/")


@lru_cache(maxsize=4)
def parse_https_url(target: str) -> Url:
    """The same for https."""
    return _parse_unusual(target, HTTPS)


def _parse_unusual(target: str, of: Dialect) -> Url:
    """Other schemes, IPv6, names and paths that are not ASCII, and everything that is wrong."""
    if _credentials.match(target):  # first of all: no later message may repeat them
        raise ConfigError(of.where, "a URL must not hold credentials", "send them in headers")
    if not target.isprintable():
        raise ConfigError(of.where, f"{shown(target)} holds characters that do not print", of.form)
    try:
        url = urlsplit(target)
        host, port = url.hostname or "", url.port
    except ValueError as error:
        raise ConfigError(of.where, f"{shown(target)} is not a URL: {error}", of.form) from None
    if url.scheme == "https" and of is HTTP:
        raise ConfigError(of.where, "https is a kind of its own", 'write kind = "https"')
    if url.scheme not in of.schemes:
        raise ConfigError(of.where, f"{shown(target)} has no scheme that is known", of.form)
    if not url.netloc:
        raise ConfigError(of.where, f"{shown(target)} names no host", of.form)
    if url.fragment:
        raise ConfigError(of.where, f"{shown(target)} has a fragment, which is never sent", "remove what follows #")
    path = quote(url.path or "/", safe=SAFE) + (f"?{quote(url.query, safe=SAFE + '?')}" if url.query else "")
    if url.scheme == "http+unix":
        return Url(unix_path(of.where, unquote(url.netloc)), "localhost", path)
    if ":" in host:
        endpoint = split_host_port(of.where, f"[{host.replace('%25', '%')}]:{of.port if port is None else port}")
        header = f"[{host.partition('%')[0]}]"  # the scope is ours, not the server's (RFC 6874)
    else:
        header = _ascii_host(host, of)
        endpoint = split_host_port(of.where, f"{header}:{of.port if port is None else port}")
    return Url(endpoint, header if port is None else f"{header}:{port}", path)


def _ascii_host(host: str, of: Dialect) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        raise ConfigError(of.where, f"{shown(host)} is not a valid host", of.form) from None
