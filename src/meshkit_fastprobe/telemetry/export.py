"""The export of a host as it is switched on: nothing of it is imported, and nothing runs, without `Settings.otlp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from meshkit_fastprobe.errors import MissingExtraError
from meshkit_fastprobe.model import Settings
from meshkit_fastprobe.telemetry.source import Source
from meshkit_fastprobe.telemetry.usage import OtlpUse

if TYPE_CHECKING:
    from meshkit_fastprobe.telemetry.otlp.exporting import Exporter


class Export:
    """Of one host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._exporter: Exporter | None = None

    @property
    def use(self) -> OtlpUse:
        return OtlpUse() if self._exporter is None else self._exporter.use

    async def run(self, source: Source, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled, or at once where it is off. MissingExtraError without the library."""
        settings = self._settings.otlp
        if settings is None:
            task_status.started()
            return
        try:
            from meshkit_fastprobe.telemetry.otlp.exporting import Exporter
        except ModuleNotFoundError as error:
            raise MissingExtraError("Settings.otlp", "otel") from error
        resource = {"host.name": self._settings.host, "meshkit.cluster": self._settings.cluster}
        self._exporter = Exporter(settings, source, {key: value for key, value in resource.items() if value})
        task_status.started()
        await self._exporter.run()
