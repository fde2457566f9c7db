"""Targets as people write them: `host:port`, `[v6]:port`, the path of a unix socket."""

from __future__ import annotations

from typing import Final

from meshkit_fastprobe.config.addresses import is_literal, split_host_port
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

__all__ = ["is_literal", "split_host_port", "unix_path"]

MAX_UNIX_PATH: Final = 107
"""Bytes that sockaddr_un takes."""


def unix_path(where: str, path: str) -> str:
    """The path of a unix socket, or @name for an abstract one. ConfigError for what the kernel would not take."""
    if not path.startswith(("/", "@")) or len(path) < 2 or "\0" in path:
        raise ConfigError(where, f"{shown(path)} is not the path of a unix socket", "write it absolute, or as @name")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise ConfigError(where, f"{shown(path)} cannot be written as UTF-8", "correct the path") from None
    if size > MAX_UNIX_PATH:
        raise ConfigError(where, f"{shown(path)} has {size} bytes; the bound is {MAX_UNIX_PATH}", "use a shorter path")
    return path
