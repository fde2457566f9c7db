"""docs/reference/http.md tells what stands."""

import re
from pathlib import Path

from meshkit_fastprobe.server import connections, problems, reply
from meshkit_fastprobe.server.chaos_items import (
    ConfirmationItem,
    ExperimentItem,
    FaultItem,
    HaltItem,
    ObjectItem,
    PlanItem,
    ReceiptItem,
    RunItem,
    WayItem,
)
from meshkit_fastprobe.server.envelope import AuditItem, GroupItem, ProbeItem, RecentItem, ReloadItem, ToggleItem
from meshkit_fastprobe.server.filters import FILTERS
from meshkit_fastprobe.server.grpc.resources import PATHS
from meshkit_fastprobe.server.peers import HostItem
from meshkit_fastprobe.server.routes import ROUTES
from meshkit_fastprobe.server.routes.probes import DEFAULT_PAGE, MAX_PAGE

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "http.md").read_text(encoding="utf-8")


def camel(name):
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def test_every_route_is_listed_with_its_permission():
    listed = re.findall(r"^\| `(GET|POST|PUT) (?:PREFIX)?(\S+)` \| `?([\w.]+)`? \|", REFERENCE, re.MULTILINE)
    assert listed == [(route.method, route.path, route.permission or "none") for route in ROUTES]


def test_every_method_of_grpc_is_listed_with_its_route():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "grpc.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| `(\w+) PREFIX(\S+)` \|", page, re.MULTILINE)
    assert listed == [(name, *route) for name, route in PATHS.items()]


def test_every_problem_is_listed_with_its_status():
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \|", REFERENCE, re.MULTILINE)
    assert listed == [(kind.code, str(kind.status)) for kind in problems.ALL]


def test_every_field_is_listed():
    experiments = (ExperimentItem, RunItem, PlanItem, ConfirmationItem, FaultItem, WayItem, ObjectItem, ReceiptItem, HaltItem)
    for item in (ProbeItem, RecentItem, GroupItem, HostItem, AuditItem, ToggleItem, ReloadItem, *experiments):
        for field in item.__struct_fields__:
            assert f"`{camel(field)}`" in REFERENCE, field


def test_filters_and_bounds_are_listed():
    assert all(f"`{name}" in REFERENCE for name in FILTERS)
    assert f"{DEFAULT_PAGE} unless given, at most {MAX_PAGE:,}" in REFERENCE
    assert f"{connections.MAX_CONNECTIONS} connections at once" in REFERENCE
    assert f"{connections.MAX_HEADER_BYTES // 1024} KiB of headers" in REFERENCE
    assert f"{connections.IDLE_S:.0f} seconds between requests" in REFERENCE
    assert f"{reply.SEND_PATIENCE_S:.0f} seconds for a reader" in REFERENCE
