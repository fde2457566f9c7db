"""The tables of [chaos], as types: what keys there are, what they hold, and what the JSON Schema says of them.

As in shapes.py, bounds stand here for the schema only; the messages of chaos.py enforce them in words.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from meshkit_fastprobe.config.shape_parts import Days, LastsEachTime, Span, TimeZone, at_of_day, bounded, lasting, words
from meshkit_fastprobe.config.shapes import LABELS, PLUGIN_PATTERN
from meshkit_fastprobe.experiments import ID_PATTERN

MAX_EXPERIMENTS: Final = 10_000
MAX_PROXIES: Final = 1000
MAX_PROTECTED: Final = 1000
MAX_BLACKOUTS: Final = 1000
MAX_CONCURRENT: Final = 1000
MAX_RESTARTS: Final = 1000
PROXIED: Final = ("tcp", "udp")


class SelectorKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """Probes that meet all of this; nothing is all of them."""

    name: Annotated[str, words("Probes whose name matches this pattern (* ? [...]).", least=1)] | UnsetType = UNSET
    cluster: Annotated[str, words("Probes of this cluster.")] | UnsetType = UNSET
    namespace: Annotated[str, words("Probes of this namespace.")] | UnsetType = UNSET
    labels: (
        Annotated[dict[str, str], Meta(description="Probes with all of these tags.", extra_json_schema=LABELS)] | UnsetType
    ) = UNSET


class SteadyStateKeys(SelectorKeys, kw_only=True, forbid_unknown_fields=True):
    """What has to hold before, while and after."""

    healthy_ratio: (
        Annotated[float, bounded("The share of these probes that has to be up (healthy or degraded).", 0, 1)] | UnsetType
    ) = UNSET


class ExperimentKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[[chaos.experiment]]: what every fault has beside its own keys."""

    id: Annotated[
        str, Meta(description="Unique: small letters, digits and dashes.", extra_json_schema={"pattern": f"^{ID_PATTERN}$"})
    ]
    fault: Annotated[str, Meta(description="What is done.")]
    duration: Annotated[Span, lasting("How long it lasts, 100ms to max_duration.")]
    steady_state: SteadyStateKeys | UnsetType = UNSET
    affects: SelectorKeys | UnsetType = UNSET
    recovery: Annotated[Span, lasting("How long what was hurt has to be well again, up to 1h.")] | UnsetType = UNSET
    two_person: Annotated[bool, Meta(description="true needs somebody else's approval.")] | UnsetType = UNSET
    says: Annotated[str, words("What it is for, for the people who read it.")] | UnsetType = UNSET


class BlackoutKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[[chaos.blackout]]: when nothing may start. Either start and end, or days, at and duration."""

    reason: Annotated[str, words("Why, for the people who wonder.", least=1)]
    start: Annotated[datetime, Meta(description="When it begins, once.")] | UnsetType = UNSET
    end: Annotated[datetime, Meta(description="When it ends, once; at most 90 days after start.")] | UnsetType = UNSET
    days: Days | UnsetType = UNSET
    at: Annotated[str, at_of_day("When it begins on each of these days: 02:00.")] | UnsetType = UNSET
    duration: LastsEachTime | UnsetType = UNSET
    time_zone: TimeZone | UnsetType = UNSET


class ProxyKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[[chaos.proxy]]: a listener in front of a dependency, through which faults can pass."""

    name: Annotated[str, words("Unique.", least=1)]
    listen: Annotated[str, Meta(description="host:port on a loopback address.")]
    upstream: Annotated[str, Meta(description="host:port of the dependency.")]
    protocol: Annotated[str, Meta(description="What passes.", extra_json_schema={"enum": list(PROXIED)})] | UnsetType = UNSET


class ChaosKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[chaos]: experiments, and how far they may go. Without this table nothing can be injected."""

    plugins: (
        Annotated[
            tuple[Annotated[str, Meta(extra_json_schema={"pattern": PLUGIN_PATTERN})], ...],
            Meta(
                description='"package.module:factory", called with the registry of fault kinds.',
                extra_json_schema={"uniqueItems": True},
            ),
        ]
        | UnsetType
    ) = UNSET
    protected: (
        Annotated[
            tuple[Annotated[str, words("A glob.", least=1)], ...],
            Meta(
                description="Targets, resources and probes that no experiment may touch.",
                extra_json_schema={"maxItems": MAX_PROTECTED},
            ),
        ]
        | UnsetType
    ) = UNSET
    healthy_floor: (
        Annotated[float, bounded("The share of every affected group that has to stay up at worst.", 0, 1)] | UnsetType
    ) = UNSET
    max_duration: Annotated[Span, lasting("The longest that an experiment may last, 100ms to 1d.")] | UnsetType = UNSET
    max_concurrent: Annotated[int, bounded("Experiments at once.", 1, MAX_CONCURRENT)] | UnsetType = UNSET
    max_concurrent_per_group: (
        Annotated[int, bounded("Experiments at once that concern one cluster and namespace.", 1, MAX_CONCURRENT)] | UnsetType
    ) = UNSET
    max_concurrent_fleet: (
        Annotated[
            int, bounded("Experiments at once on this host and its peers; without it they are not asked.", 1, MAX_CONCURRENT)
        ]
        | UnsetType
    ) = UNSET
    max_restarts_per_hour: Annotated[int, bounded("Restarts of nodes within an hour.", 0, MAX_RESTARTS)] | UnsetType = UNSET
    cooldown: Annotated[Span, lasting("Rest between two runs on the same thing, up to 1d.")] | UnsetType = UNSET
    confirm: Annotated[Span, lasting("How long a confirmation is good, 1s to 5m.")] | UnsetType = UNSET
    two_person: Annotated[bool, Meta(description="true needs a second person for everything.")] | UnsetType = UNSET
    blackout: Annotated[tuple[BlackoutKeys, ...], Meta(extra_json_schema={"maxItems": MAX_BLACKOUTS})] | UnsetType = UNSET
    proxy: Annotated[tuple[ProxyKeys, ...], Meta(extra_json_schema={"maxItems": MAX_PROXIES})] | UnsetType = UNSET
    experiment: Annotated[tuple[dict[str, Any], ...], Meta(extra_json_schema={"maxItems": MAX_EXPERIMENTS})] | UnsetType = UNSET
