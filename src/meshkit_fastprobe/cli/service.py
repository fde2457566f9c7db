"""`fastprobe run CONFIG`: a host that probes until it is told to stop."""

from __future__ import annotations

import logging
import signal
from functools import partial
from pathlib import Path

import msgspec
import trio

from meshkit_fastprobe.cli.logs import LogForm, logging_aside
from meshkit_fastprobe.config.spec import Config
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.loading import load_config
from meshkit_fastprobe.model import ServerSettings
from meshkit_fastprobe.runtime import Diagnostics

log = logging.getLogger("meshkit_fastprobe")


async def serve_config(path: Path, listen: str | None, form: LogForm = LogForm.console) -> None:
    """Load, run, reload on SIGHUP, leave on SIGTERM or SIGINT."""
    config = _load(path, listen)
    diag = Diagnostics.from_config(config, partial(_load, path, listen))
    with logging_aside(form=form), trio.open_signal_receiver(signal.SIGHUP, signal.SIGTERM, signal.SIGINT) as signals:
        async with diag:
            log.info("%d probes of %s are running", len(diag.catalog), path)
            async for number in signals:
                if number != signal.SIGHUP:
                    log.info("stopping: %s", signal.Signals(number).name)
                    return
                await _reload(diag)


def _load(path: Path, listen: str | None) -> Config:
    """The file, served in any case: at `listen`, or where it says, or at the default address."""
    config = load_config(path)
    server = config.settings.server or ServerSettings()
    server = msgspec.structs.replace(server, listen=listen or server.listen)
    return msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, server=server))


async def _reload(diag: Diagnostics) -> None:
    """A file that cannot be used changes nothing: what runs goes on, and the log says what is wrong."""
    try:
        summary = await diag.reload_file()
    except ConfigError as error:
        log.error("not reloaded, everything goes on as before: %s", error)
    else:
        log.info("reloaded: %s", summary)
