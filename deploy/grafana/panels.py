"""The few shapes our panels have, as Grafana 10 and later import them. Pure: values in, dictionaries out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

COLUMNS: Final = 24
"""Of Grafana's grid."""
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
# Okabe and Ito: told apart by people who see red and green alike.
HEALTHY, DEGRADED, UNHEALTHY, PAUSED, UNKNOWN = "#009E73", "#E69F00", "#D55E00", "#56B4E9", "#999999"
STATE_COLOURS: Final = {
    "healthy": HEALTHY,
    "degraded": DEGRADED,
    "unhealthy": UNHEALTHY,
    "paused": PAUSED,
    "unknown": UNKNOWN,
}


def target(expr: str, legend: str = "", *, table: bool = False) -> dict[str, Any]:
    now = {"instant": True, "range": False, "format": "table"} if table else {"range": True}
    return {"datasource": SOURCE, "expr": expr, "legendFormat": legend or "__auto", **now}


def series(title: str, says: str, *targets: dict[str, Any], unit: str = "short", stacked: bool = False) -> dict[str, Any]:
    custom: dict[str, Any] = {"fillOpacity": 60 if stacked else 8, "lineWidth": 1, "showPoints": "never"}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    return {
        **_panel("timeseries", title, says, targets),
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": _state_colours()},
        "options": {
            "legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi"},
        },
    }


def stat(
    title: str, says: str, expr: str, *, unit: str = "short", steps: Sequence[tuple[float | None, str]] = ()
) -> dict[str, Any]:
    """steps: from which value on which colour; None is from the beginning."""
    thresholds = [{"value": value, "color": colour} for value, colour in steps or ((None, PAUSED),)]
    return {
        **_panel("stat", title, says, [{**target(expr), "instant": True, "range": False}]),
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": {"mode": "absolute", "steps": thresholds}}, "overrides": []},
        "options": {"colorMode": "background", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}},
    }


def table(title: str, says: str, expr: str, *, unit: str = "short", hidden: Sequence[str] = ()) -> dict[str, Any]:
    return {
        **_panel("table", title, says, [target(expr, table=True)]),
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"filterable": True}}, "overrides": []},
        "options": {"sortBy": [{"displayName": "Value", "desc": True}]},
        "transformations": [{"id": "organize", "options": {"excludeByName": dict.fromkeys(("Time", *hidden), True)}}],
    }


def state_history(title: str, says: str, expr: str, legend: str) -> dict[str, Any]:
    """A strip for each series whose values are numbers of states."""
    names = ("unknown", "healthy", "degraded", "unhealthy", "paused")
    values = {str(number): {"text": name, "color": STATE_COLOURS[name]} for number, name in enumerate(names)}
    return {
        **_panel("state-timeline", title, says, [target(expr, legend)]),
        "fieldConfig": {"defaults": {"mappings": [{"type": "value", "options": values}]}, "overrides": []},
        "options": {"showValue": "never", "mergeValues": True, "rowHeight": 0.8},
    }


def heatmap(title: str, says: str, expr: str) -> dict[str, Any]:
    return {
        **_panel("heatmap", title, says, [{**target(expr, "{{le}}"), "format": "heatmap"}]),
        "options": {"calculate": False, "yAxis": {"unit": "s"}, "color": {"scheme": "Viridis", "mode": "scheme"}},
    }


def dashboard(
    uid: str, title: str, says: str, rows: Sequence[Sequence[dict[str, Any]]], more: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Rows share the width of the grid evenly. more: variables beside source, cluster and namespace."""
    return {
        "uid": uid,
        "title": title,
        "description": says,
        "tags": ["meshkit-fastprobe"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "tags": ["meshkit-fastprobe"],
                "title": "fastprobe",
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": [_source(), *_places(), *more]},
        "panels": _placed(rows),
    }


def variable(name: str, query: str) -> dict[str, Any]:
    """Several values at once; at first, all."""
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _places() -> list[dict[str, Any]]:
    return [
        variable("cluster", "label_values(meshkit_group_probes, cluster)"),
        variable("namespace", 'label_values(meshkit_group_probes{cluster=~"$cluster"}, namespace)'),
    ]


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _panel(kind: str, title: str, says: str, targets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    lettered = [{**one, "refId": chr(ord("A") + at)} for at, one in enumerate(targets)]
    return {"type": kind, "title": title, "description": says, "datasource": SOURCE, "targets": lettered}


def _placed(rows: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        height = 4 if all(panel["type"] == "stat" for panel in row) else 9
        width = COLUMNS // len(row)
        for at, panel in enumerate(row):
            panels.append({"id": len(panels) + 1, **panel, "gridPos": {"x": at * width, "y": y, "w": width, "h": height}})
        y += height
    return panels


def _state_colours() -> list[dict[str, Any]]:
    """Series that are named like a state have its colour everywhere."""
    return [
        {
            "matcher": {"id": "byName", "options": state},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for state, colour in STATE_COLOURS.items()
    ]
