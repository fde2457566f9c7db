"""The local token: how the CLI on the same host is known.

On loopback or a unix socket without TLS, the default identity is whoever can read `<state_dir>/local-token`: the user this
process runs as, and root. The token is new at each start. It travels in the Authorization header only: URLs end up in histories
and logs.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from meshkit_fastprobe.errors import ConfigError

TOKEN_FILE: Final = "local-token"  # noqa: S105 - the file's name, not a token
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
