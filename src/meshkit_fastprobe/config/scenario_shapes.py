"""The tables of a scenario file, as types: what keys there are, what they hold, and what the JSON Schema says of them.

As in shapes.py, bounds stand here for the schema only; the messages of scenario.py enforce them in words.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from meshkit_fastprobe.config.chaos_shapes import SelectorKeys, SteadyStateKeys
from meshkit_fastprobe.config.shape_parts import Days, LastsEachTime, Span, TimeZone, at_of_day, lasting, words
from meshkit_fastprobe.experiments import ID_PATTERN
from meshkit_fastprobe.scenarios import MAX_OBJECTIVES, MAX_STEPS, Metric, OnFailure

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MAX_REQUIRED: Final = 32
"""Toggles, groups of probes or windows that a step may ask for."""

_ID: Final = {"pattern": f"^{ID_PATTERN}$"}


_OnFailure = Annotated[
    OnFailure, Meta(description='What a failed step does to the others: "stop" ends all of them, "continue" none.')
]


class ObjectiveKeys(SelectorKeys, kw_only=True, forbid_unknown_fields=True):
    """[[objective]] and [[step.objective]]: a bound, and of which probes."""

    metric: Annotated[Metric, Meta(description="What is measured.")]
    at_least: (
        Annotated[float, Meta(description="The bound of a share.", extra_json_schema={"minimum": 0, "maximum": 1})] | UnsetType
    ) = UNSET
    at_most: Annotated[Span, lasting("The bound of a time.")] | UnsetType = UNSET
    title: Annotated[str, words("What reports call it.", least=1)] | UnsetType = UNSET


class WindowKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """When it may start. Either start and end, or days, at and duration."""

    start: Annotated[datetime, Meta(description="When it begins, once.")] | UnsetType = UNSET
    end: Annotated[datetime, Meta(description="When it ends, once.")] | UnsetType = UNSET
    days: Days | UnsetType = UNSET
    at: Annotated[str, at_of_day("When it begins on these days: 09:00.")] | UnsetType = UNSET
    duration: LastsEachTime | UnsetType = UNSET
    time_zone: TimeZone | UnsetType = UNSET


class RequiresKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[requires] and step.requires: what has to hold before it starts."""

    toggles: (
        Annotated[
            tuple[Annotated[str, words("A toggle.", least=1)], ...],
            Meta(description="Toggles that have to be on.", extra_json_schema={"maxItems": MAX_REQUIRED, "uniqueItems": True}),
        ]
        | UnsetType
    ) = UNSET
    steady_state: (
        Annotated[
            tuple[SteadyStateKeys, ...],
            Meta(description="Shares of probes that have to be up.", extra_json_schema={"maxItems": MAX_REQUIRED}),
        ]
        | UnsetType
    ) = UNSET
    window: (
        Annotated[
            tuple[WindowKeys, ...],
            Meta(description="Times of which one has to be open.", extra_json_schema={"maxItems": MAX_REQUIRED}),
        ]
        | UnsetType
    ) = UNSET
    no_incident: (
        Annotated[bool, Meta(description="false leaves it to the host, which starts nothing during an incident anyway.")]
        | UnsetType
    ) = UNSET
    no_other_run: Annotated[bool, Meta(description="false bears experiments of somebody else beside it.")] | UnsetType = UNSET
    patience: (
        Annotated[Span, lasting("How long it may take until all of this holds and the host lets it start, up to 1h.")]
        | UnsetType
    ) = UNSET


class StepKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[[step]]: an experiment of the host, or a time of looking."""

    name: Annotated[str, Meta(description="Unique: small letters, digits and dashes.", extra_json_schema=_ID)]
    experiment: (
        Annotated[
            str, Meta(description="The id of an experiment of the host; none: only look, for hold.", extra_json_schema=_ID)
        ]
        | UnsetType
    ) = UNSET
    needs: (
        Annotated[
            tuple[Annotated[str, Meta(extra_json_schema=_ID)], ...],
            Meta(
                description="Steps that have to be over before this one begins.",
                extra_json_schema={"maxItems": MAX_STEPS, "uniqueItems": True},
            ),
        ]
        | UnsetType
    ) = UNSET
    wait: Annotated[Span, lasting("Rest before it begins, up to 1h.")] | UnsetType = UNSET
    hold: Annotated[Span, lasting("Go on looking for so long after it, up to 1h.")] | UnsetType = UNSET
    on_failure: _OnFailure | UnsetType = UNSET
    requires: RequiresKeys | UnsetType = UNSET
    says: Annotated[str, words("What it is for.")] | UnsetType = UNSET
    objective: (
        Annotated[
            tuple[ObjectiveKeys, ...],
            Meta(description="What this step is judged by.", extra_json_schema={"maxItems": MAX_OBJECTIVES}),
        ]
        | UnsetType
    ) = UNSET


class ScenarioKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    name: Annotated[str, Meta(description="Small letters, digits and dashes.", extra_json_schema=_ID)]
    says: Annotated[str, words("What it is for, for the people who read it.")] | UnsetType = UNSET
    max_length: Annotated[Span, lasting("When this is over everything is ended, 1s to 1d; by default 1h.")] | UnsetType = UNSET
    on_failure: _OnFailure | UnsetType = UNSET
    requires: RequiresKeys | UnsetType = UNSET
    objective: (
        Annotated[
            tuple[ObjectiveKeys, ...],
            Meta(description="What all of it is judged by.", extra_json_schema={"maxItems": MAX_OBJECTIVES}),
        ]
        | UnsetType
    ) = UNSET
    step: Annotated[tuple[StepKeys, ...], Meta(description="Steps.", extra_json_schema={"minItems": 1, "maxItems": MAX_STEPS})]


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of scenario files, for editors."""
    [file], parts = msgspec.json.schema_components([ScenarioKeys], ref_template="#/$defs/{name}")
    return {"$schema": DIALECT, "title": "fastprobe scenario", **file, "$defs": parts}
