"""Who may ask: the local token.

On loopback or a unix socket without TLS, the default identity is whoever can read `<state_dir>/local-token`: the user this
process runs as, and root. The token is new at each start. It travels in the Authorization header only: URLs end up in histories
and logs.
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Any, Final

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.server.problems import HOST_REFUSED, UNAUTHENTICATED, Problem
from meshkit_fastprobe.server.reply import Answer, Receive, Scope, Send

TOKEN_FILE: Final = "local-token"  # noqa: S105 - the file's name, not a token
OPEN_PATHS: Final = frozenset({"/livez", "/readyz"})
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_TOKEN_FILE_BYTES: Final = 4096


def rotate_token(state_dir: Path) -> str:
    """A new token, in `<state_dir>/local-token` with mode 0600. Readers of the file see the old or the new one, never a part.

    ConfigError when the directory cannot be used safely.
    """
    where = "host.state_dir"
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            where, f"{state_dir}: {os.strerror(error.errno or errno.EIO)}", "name a directory we may write to"
        ) from error
    try:
        _refuse_unsafe(directory, state_dir)
        token = secrets.token_urlsafe(32)
        _replace(directory, TOKEN_FILE, f"{token}\n".encode())
    except OSError as error:
        problem = f"{state_dir / TOKEN_FILE}: {os.strerror(error.errno or errno.EIO)}"
        raise ConfigError(where, problem, "name a directory we may write to") from error
    finally:
        os.close(directory)
    return token


def read_token(state_dir: Path) -> str | None:
    """What the CLI sends; None when there is no token file or it is not ours to read. Follows no symbolic link."""
    try:
        file = os.open(state_dir / TOKEN_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(file, MAX_TOKEN_FILE_BYTES).decode("ascii", "replace").strip() or None
    finally:
        os.close(file)


def _refuse_unsafe(directory: int, state_dir: Path) -> None:
    mode = os.fstat(directory).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise ConfigError("host.state_dir", f"{state_dir} is writable by everybody", f"chmod o-w {state_dir}")
    try:
        present = os.stat(TOKEN_FILE, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(present.st_mode):
        problem = f"{state_dir / TOKEN_FILE} is not a regular file; somebody may have put it there to catch the token"
        raise ConfigError("host.state_dir", problem, "look at it, then remove it")


def _replace(directory: int, name: str, content: bytes) -> None:
    temporary = f".{name}.{secrets.token_hex(8)}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        try:
            os.fchmod(file, 0o600)  # whatever the umask
            os.write(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise


class Guard:
    """Stands before every route: nothing but OPEN_PATHS is reached without the token. token None: nobody has one.

    hosts: the Host headers that are answered, without port; None for all. A page in a browser whose name was rebound to
    127.0.0.1 sends its own name, and is refused before anything else is looked at.
    """

    def __init__(self, app: Answer, token: str | None, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            problem = self._refusal(scope)
            if problem is not None:
                await problem.reply()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        if self._hosts is not None and not _is_for(self._hosts, scope):
            return Problem(
                HOST_REFUSED, "the Host header names another host", "ask for one of: " + ", ".join(sorted(self._hosts))
            )
        if not self._is_known(scope):
            return Problem(
                UNAUTHENTICATED,
                "no Authorization header with a valid bearer token",
                f"send 'Authorization: Bearer TOKEN' with what stands in <state_dir>/{TOKEN_FILE}; it is new at each start",
                headers={"www-authenticate": 'Bearer realm="meshkit-fastprobe"'},
            )
        return None

    def _is_known(self, scope: Scope) -> bool:
        values = _header(scope, b"authorization")
        if self._token is None or len(values) != 1:
            return False
        scheme, _, credentials = values[0].partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(credentials.strip(), self._token)


def _is_for(hosts: frozenset[str], scope: Scope) -> bool:
    values = _header(scope, b"host")
    if len(values) != 1:
        return False
    host, colon, port = values[0].decode("latin-1").lower().rpartition(":")
    if not (colon and port.isdigit()):
        host = values[0].decode("latin-1").lower()
    return host in hosts


def _header(scope: Scope, name: bytes) -> list[bytes]:
    headers: list[Any] = scope["headers"]
    return [value for key, value in headers if key.lower() == name]
