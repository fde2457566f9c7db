"""Target files are looked at again and again, and applied as they change."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from meshkit_fastprobe.config.diff import ReloadSummary
from meshkit_fastprobe.config.load import refresh, target_files_changed
from meshkit_fastprobe.config.spec import Config
from meshkit_fastprobe.errors import ConfigError

IDLE_S: Final = 30.0
"""How often to look whether there are any."""

log = logging.getLogger("meshkit_fastprobe")


async def keep_target_files(
    current: Callable[[], Config | None], apply: Callable[[Callable[[], Config]], Awaitable[ReloadSummary]]
) -> None:
    """Apply those of the current configuration; one that cannot be read leaves everything as it is.

    apply: reads, in a thread, and applies; no other configuration takes hold in between.
    """

    def refreshed() -> Config:
        config = current()
        assert config is not None, "there is one, so there is always one"
        return refresh(config)

    while True:
        config = current()
        every_s = None if config is None else config.refresh_s
        await trio.sleep(every_s or IDLE_S)
        if config is None or every_s is None:
            continue
        try:
            if await trio.to_thread.run_sync(target_files_changed, config):
                summary = await apply(refreshed)
                log.info("target files changed: %s", summary)
        except ConfigError as error:
            log.error("target files not applied, everything goes on as before: %s", error)
