"""Small files that somebody else names: read without waiting, and never more than is expected."""

from __future__ import annotations

import errno
import os
import stat


def read_small_file(path: str, max_bytes: int) -> bytes:
    """Its first max_bytes. OSError: it cannot be read, or is no regular file: a pipe would be waited for."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return os.read(descriptor, max_bytes)
    finally:
        os.close(descriptor)
