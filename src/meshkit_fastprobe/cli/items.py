"""Local probes and groups in the shape of the wire, so that one set of tables serves both."""

from __future__ import annotations

from typing import Any

import msgspec

from meshkit_fastprobe.aggregation.groups import Group
from meshkit_fastprobe.aggregation.snapshot import ProbeView
from meshkit_fastprobe.model import Explanation
from meshkit_fastprobe.server import envelope, reports

Item = dict[str, Any]


def probe_item(view: ProbeView) -> Item:
    item: Item = msgspec.to_builtins(envelope.probe_item(view))
    return item


def explanation_item(told: Explanation) -> Item:
    item: Item = msgspec.to_builtins(reports.explanation_item(told, envelope.rfc3339(told.at)))
    return item


def group_item(group: Group) -> Item:
    item: Item = msgspec.to_builtins(envelope.group_item(group))
    return item
