"""Where the CLI finds things of its own: the state directory and the local token."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.config.addresses import is_loopback

TOKEN_NAME = "local-token"  # noqa: S105 - the name of a file


def default_state_dir() -> Path:
    """$FASTPROBE_STATE_DIR, else this user's runtime directory, else one of this user in the temporary directory."""
    asked = os.environ.get("FASTPROBE_STATE_DIR")
    if asked:
        return Path(asked)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "fastprobe"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"fastprobe-{user}"


def state_dirs() -> tuple[Path, Path]:
    """Where a host of this machine keeps its state when nobody says where, the likelier first."""
    return Path("state"), default_state_dir()


def find_token(token_file: Path | None, hosts: Sequence[str]) -> str | None:
    """The bearer token: the named file, FASTPROBE_TOKEN, ./state, or the default state directory; None when there is none.

    hosts: URLs of whom it is for. What lies about, and was not named, is of a host of this machine, and goes to no other.
    """
    if token_file is not None:
        return _read(token_file)
    named = os.environ.get("FASTPROBE_TOKEN", "").strip()
    if named:
        return _checked(named, "FASTPROBE_TOKEN is no token", "copy what stands in <state_dir>/local-token")
    if not all(is_loopback(urlsplit(host).hostname or "") for host in hosts):
        return None
    for directory in state_dirs():
        candidate = directory / TOKEN_NAME
        if _is_ours(candidate):
            return _read(candidate)
    return None


def _is_ours(path: Path) -> bool:
    """A token in a directory others can write to must be a plain file of this user, or somebody else's token would be sent."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid in {os.getuid(), 0})


def _read(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a token"
        raise CliError(f"cannot read the token file {path}: {reason}", "name another with --token-file", Exit.REFUSED) from None
    return _checked(token, f"{path} holds no token", "name another with --token-file")


def _checked(token: str, what: str, next_step: str) -> str:
    """A header carries it: one word of printable ASCII. The token itself is not told."""
    if not re.fullmatch(r"[!-~]+", token):
        raise CliError(what, next_step, Exit.REFUSED)
    return token
