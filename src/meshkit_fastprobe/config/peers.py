"""[server] peers: other hosts that this one tells of. They are sent the token of who asks: it must not travel in the clear."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from meshkit_fastprobe.config.addresses import is_loopback
from meshkit_fastprobe.config.places import Place, Problems, shown
from meshkit_fastprobe.config.shapes import MAX_PEERS
from meshkit_fastprobe.model import ServerSettings

_FIX = "write https://HOST:PORT, without a path"


def check_peers(server: ServerSettings, at: Callable[[str], Place], problems: Problems) -> None:
    """Refuse what is no base of a host's URLs, and what would show a token to the network."""
    place = at("server.peers")
    if len(server.peers) > MAX_PEERS:
        problems.add(place, f"{len(server.peers)} peers; the bound is {MAX_PEERS}", "name fewer")
    for index, url in enumerate(server.peers):
        wrong = _wrong_with(url)
        if wrong:
            problems.add(place.at(index), f"{shown(url)} {wrong}", _FIX)
        elif server.peers.index(url) != index:
            problems.add(place.at(index), f"{shown(url)} is named twice", "remove one")
    if server.peers_ca is not None and (not server.peers_ca or "\0" in server.peers_ca):
        problems.add(at("server.peers_ca"), f"{shown(server.peers_ca)} is not a file", "name a file in PEM")


def _wrong_with(url: str) -> str:
    try:
        parts = urlsplit(url)
        bare = parts._replace(scheme="", netloc="").geturl() == "" and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return "is not the URL of a host"
    if not url.isprintable() or " " in url or parts.scheme not in {"http", "https"} or not parts.hostname or not bare:
        return "is not the URL of a host"
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return "would be sent tokens in the clear"
    return ""
