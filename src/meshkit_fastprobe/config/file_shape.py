"""The whole configuration file, as a type: its tables, each from the module of its shapes."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from meshkit_fastprobe.config.chaos_shapes import ChaosKeys
from meshkit_fastprobe.config.shapes import (
    MAX_MAINTENANCE,
    PLUGIN_PATTERN,
    AuditKeys,
    BudgetsKeys,
    DefaultKeys,
    EngineKeys,
    HistoryKeys,
    HostKeys,
    MaintenanceKeys,
    SecurityKeys,
    ServerKeys,
    TelemetryKeys,
)


class FileKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    host: HostKeys | UnsetType = UNSET
    server: ServerKeys | UnsetType = UNSET
    security: SecurityKeys | UnsetType = UNSET
    audit: AuditKeys | UnsetType = UNSET
    history: HistoryKeys | UnsetType = UNSET
    telemetry: TelemetryKeys | UnsetType = UNSET
    toggles: (
        Annotated[
            dict[str, Any],
            Meta(
                description='Ceilings: what is false here cannot be switched on; "log.level" is fixed.',
                extra_json_schema={"additionalProperties": {"type": ["boolean", "string", "object"]}},
            ),
        ]
        | UnsetType
    ) = UNSET
    engine: EngineKeys | UnsetType = UNSET
    budgets: BudgetsKeys | UnsetType = UNSET
    defaults: DefaultKeys | UnsetType = UNSET
    chaos: ChaosKeys | UnsetType = UNSET
    plugins: (
        Annotated[
            tuple[Annotated[str, Meta(extra_json_schema={"pattern": PLUGIN_PATTERN})], ...],
            Meta(
                description='"package.module:factory", called with the registry of probe kinds.',
                extra_json_schema={"uniqueItems": True},
            ),
        ]
        | UnsetType
    ) = UNSET
    maintenance: Annotated[tuple[MaintenanceKeys, ...], Meta(extra_json_schema={"maxItems": MAX_MAINTENANCE})] | UnsetType = (
        UNSET
    )
    probe: tuple[dict[str, Any], ...] | UnsetType = UNSET
