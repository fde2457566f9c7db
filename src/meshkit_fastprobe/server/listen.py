"""Where to listen: the text of the setting, and the bound socket. Without TLS only loopback and unix sockets."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from meshkit_fastprobe.errors import ConfigError

BACKLOG: Final = 128
MAX_UNIX_PATH: Final = 90
"""Bytes. The kernel takes 107; the name under which the socket is made may be longer than its own."""
_WHERE: Final = "server.listen"
_FORMS: Final = "write it as 127.0.0.1:9464, [::1]:9464 or unix:/path/to/socket (port 0 picks a free one)"


class TcpAddress(msgspec.Struct, frozen=True):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(msgspec.Struct, frozen=True):
    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


def parse_listen(text: str, *, encrypted: bool = False) -> TcpAddress | UnixAddress:
    """ConfigError for what cannot be listened on, or must not be without TLS."""
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
        raise ConfigError(_WHERE, f"{text!r} is not an address with a port from 0 to 65535", _FORMS)
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ConfigError(_WHERE, f"{host!r} is not an IP address", _FORMS) from None
    if not address.is_loopback and not encrypted:
        raise ConfigError(
            _WHERE,
            f"{text} can be reached by other hosts, and there is no TLS",
            f"add server.tls with cert and key, or listen on 127.0.0.1:{port}, [::1]:{port} or unix:/path",
        )
    return TcpAddress(str(address), int(port))


def _unix(path: str) -> UnixAddress:
    if not path:
        raise ConfigError(_WHERE, "unix: names no path", _FORMS)
    size = len(os.fsencode(path))
    if size > MAX_UNIX_PATH:
        raise ConfigError(_WHERE, f"the unix socket's path has {size} bytes, more than {MAX_UNIX_PATH}", "choose a shorter one")
    return UnixAddress(path)


@contextlib.contextmanager
def listening(address: TcpAddress | UnixAddress) -> Iterator[tuple[socket.socket, TcpAddress | UnixAddress]]:
    """A bound, listening socket and the address it got; a unix socket's file is removed at the end.

    ConfigError when the address is taken or cannot be had.
    """
    try:
        sock = _listen_tcp(address) if isinstance(address, TcpAddress) else _listen_unix(Path(address.path))
    except OSError as error:
        raise _explain(address, error) from error
    with sock:
        if isinstance(address, TcpAddress):
            yield sock, TcpAddress(*sock.getsockname()[:2])
            return
        path = Path(address.path)
        inode = path.stat().st_ino
        try:
            yield sock, address
        finally:
            # Not when another process has put its own in our place meanwhile.
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()


def _listen_tcp(address: TcpAddress) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A restart finds connections of its predecessor in TIME_WAIT; without this it would have to wait them out.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _listen_unix(path: Path) -> socket.socket:
    """Made under another name and then moved: nobody connects before the mode is 0600, and a stale file is replaced at once."""
    _refuse_taken(path)
    temporary = path.with_name(f".{secrets.token_hex(4)}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(os.fspath(temporary))
        try:
            temporary.chmod(0o600)
            sock.listen(BACKLOG)
            temporary.rename(path)
        except BaseException:
            temporary.unlink()
            raise
    except BaseException:
        sock.close()
        raise
    return sock


def _refuse_taken(path: Path) -> None:
    try:
        present = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(present.st_mode):
        raise OSError(errno.EEXIST, "there is a file that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        try:
            visitor.connect(os.fspath(path))
        except ConnectionRefusedError:
            return  # left behind by a process that is gone
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _explain(address: TcpAddress | UnixAddress, error: OSError) -> ConfigError:
    fixes = {
        errno.EADDRINUSE: "stop the process that listens there, or choose another address (port 0 picks a free one)",
        errno.EACCES: "choose a port from 1024 on, or a directory we may write to",
        errno.EADDRNOTAVAIL: "choose an address this host has; IPv6 may be switched off",
        errno.EEXIST: "remove it, or choose another path",
        errno.ENOENT: "make the directory first",
    }
    what = "is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return ConfigError(_WHERE, f"{address}: {what}", fixes.get(error.errno or 0, _FORMS))
