"""Loopback targets for a test: in a thread of this process, for as long as the block lasts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from meshkit_fastprobe.testing.behaviour import Target
from meshkit_fastprobe.testing.targets import Targets


@contextmanager
def loopback(*wanted: Target) -> Iterator[list[Target]]:
    """The targets with the ports that they got, in the order in which they were asked for."""
    targets = Targets()
    ended = threading.Event()
    heard, told = os.pipe()
    try:
        opened = [targets.open(target) for target in wanted]
        targets.watch_input(heard, targets.forget)
        thread = threading.Thread(target=targets.serve, args=(ended.is_set,), name="fastprobe-targets", daemon=True)
        thread.start()
        try:
            yield opened
        finally:
            ended.set()
            os.write(told, b"\0")
            thread.join()
    finally:
        targets.close()
        os.close(heard)
        os.close(told)
