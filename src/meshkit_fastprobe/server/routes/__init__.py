"""All routes in one table: path, method, the permission it asks for, and who answers.

No route is reached another way, and only a route without a permission is open: /livez, /readyz and the files of the page. No
GET changes anything.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.model import State
from meshkit_fastprobe.security.policy import Resource
from meshkit_fastprobe.server.chaos_items import (
    ExperimentItem,
    FaultItem,
    HaltItem,
    ObjectItem,
    ReceiptItem,
    RunItem,
    resource_of,
)
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.dashboard import FILES, ROOT
from meshkit_fastprobe.server.envelope import AuditItem, GroupItem, ProbeItem, ReloadItem, ToggleItem
from meshkit_fastprobe.server.guard import OPEN_PATHS
from meshkit_fastprobe.server.history_items import HistoryItem, OffenderItem, PastItem, ProbePastItem
from meshkit_fastprobe.server.peers import HostItem
from meshkit_fastprobe.server.query import Parameter
from meshkit_fastprobe.server.reply import Answer
from meshkit_fastprobe.server.routes import (
    audit,
    chaos,
    configuration,
    dashboard,
    description,
    events,
    fleet,
    groups,
    health,
    history,
    metrics,
    probes,
    toggles,
)

Handler: TypeAlias = Callable[[Context, Request], Awaitable[Answer]]


class Over(enum.Enum):
    """What a permission is asked about."""

    HOST = "the whole host"
    PROBE = "the probe in the path"
    SOME = "anything; the handler shows what may be seen"
    EXPERIMENT = "the experiment in the path"


class RouteSpec(msgspec.Struct, frozen=True):
    method: str
    path: str
    """Below the prefix of the settings when it is a resource, at the root otherwise. {name} takes slashes and colons."""
    permission: Permission | None
    handler: Handler
    says: str
    over: Over = Over.HOST
    query: tuple[Parameter, ...] = ()
    body: type[msgspec.Struct] | None = None
    needs_body: bool = True
    versioned: bool = False
    """Whether the change says by If-Match what it is based on."""
    item: type[msgspec.Struct] | None = None
    """What the envelope holds; one, or with `many` a list."""
    many: bool = False
    media: str = ""
    """Of an answer that is no envelope."""
    action: str = ""
    """What the audit calls it, of a route that changes something: written down before it is done."""
    says_more: bool = False
    """The handler writes it down itself, since it knows more."""
    resource: bool = True


def _page(most: int, default: int) -> tuple[Parameter, Parameter]:
    size = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Parameter("page_size", "how many at most", size), Parameter("page_token", "nextPageToken of the page before")


_FLAG: Final = {"type": "boolean", "default": False}
_CLUSTER: Final = Parameter("cluster", "only of this cluster")
_NAMESPACE: Final = Parameter("namespace", "only of this namespace")
_KIND: Final = Parameter("kind", "only of this kind")
_NAME: Final = Parameter("name", "only names that match this glob")
_STATE: Final = Parameter("state", "only in this state", {"type": "string", "enum": [state.name.lower() for state in State]})
_LABEL: Final = Parameter("label", "only with this label: KEY=VALUE", repeatable=True)
_BY: Final = Parameter("by", "tags with commas: cluster, namespace, kind, or names of labels")
_WINDOW: Final = Parameter(
    "window", "of the recent past; without it, since the start", {"type": "string", "enum": [*groups.WINDOWS]}
)
_BUCKETS: Final = Parameter("buckets", "true tells the histogram of each as well: sums of them are histograms", _FLAG)
_TYPES: Final = Parameter("types", f"only these, with commas: {', '.join(events.TYPES)}")
_EXPERIMENT: Final = Parameter("experiment", "only of this experiment")
_AUDIT_FILTERS: Final = tuple(Parameter(name, f"only with this {name}") for name in audit.FILTERS)

_STRETCH: Final = (
    Parameter("start", "from this moment on: 2030-01-31T08:00:00Z"),
    Parameter("end", "until this moment; by default now"),
    Parameter("last", f"so long before the end, without start; by default {history.DEFAULT_LAST}"),
)
_PAST_BY: Final = Parameter("by", "cluster, namespace, kind, with commas; by default cluster,namespace")
_WORST: Final = Parameter(
    "limit",
    "how many at most",
    {"type": "integer", "minimum": 1, "maximum": history.MAX_WORST, "default": history.DEFAULT_WORST},
)
_STEP: Final = Parameter(
    "step", "one item for each", {"type": "string", "enum": [*history.STEPS], "default": history.DEFAULT_STEP}
)

ROUTES: Final = (
    RouteSpec("GET", "/livez", None, health.livez, "whether the process answers", media="text/plain", resource=False),
    RouteSpec("GET", "/readyz", None, health.readyz, "whether probes are being run", media="text/plain", resource=False),
    RouteSpec("GET", ROOT, None, dashboard.show_page, "the page for people", media="text/html", resource=False),
    RouteSpec(
        "GET", FILES + "{name}", None, dashboard.show_file, "a file of the page", media="text/javascript", resource=False
    ),
    RouteSpec(
        "GET",
        "/metrics",
        Permission.TELEMETRY_READ,
        metrics.metrics,
        "metrics for Prometheus",
        query=(Parameter("per_probe", "false leaves the series of single probes out", {"type": "boolean"}),),
        media="text/plain",
        resource=False,
    ),
    RouteSpec(
        "GET",
        "/probes",
        Permission.PROBES_READ,
        probes.list_probes,
        "a page of probes, by name",
        Over.SOME,
        query=(_CLUSTER, _NAMESPACE, _KIND, _STATE, _LABEL, _NAME, *_page(probes.MAX_PAGE, probes.DEFAULT_PAGE)),
        item=ProbeItem,
        many=True,
    ),
    RouteSpec(
        "GET",
        "/probes/{name}",
        Permission.PROBES_READ,
        probes.show_probe,
        "one probe, with its recent results",
        Over.PROBE,
        item=ProbeItem,
    ),
    RouteSpec(
        "POST",
        "/probes/{name}:run",
        Permission.PROBES_RUN,
        probes.run_probe,
        "the probe after a run that was made for you",
        Over.PROBE,
        query=(Parameter("explain", "true tells how the run went", _FLAG),),
        item=ProbeItem,
        action="probe.run",
    ),
    RouteSpec(
        "POST",
        "/probes/{name}:pause",
        Permission.PROBES_WRITE,
        probes.pause_probe,
        "the probe, paused",
        Over.PROBE,
        item=ProbeItem,
        action="probe.pause",
    ),
    RouteSpec(
        "POST",
        "/probes/{name}:resume",
        Permission.PROBES_WRITE,
        probes.resume_probe,
        "the probe, scheduled again",
        Over.PROBE,
        item=ProbeItem,
        action="probe.resume",
    ),
    RouteSpec(
        "GET",
        "/groups",
        Permission.PROBES_READ,
        groups.list_groups,
        "counts, rates and percentiles by tags",
        Over.SOME,
        query=(_BY, _WINDOW, _BUCKETS, _CLUSTER, _NAMESPACE, _KIND, _LABEL),
        item=GroupItem,
        many=True,
    ),
    RouteSpec(
        "GET",
        "/history",
        Permission.TELEMETRY_READ,
        history.show_history,
        "what is kept of the past, what is missing in it, and what was under maintenance",
        query=_STRETCH,
        item=HistoryItem,
    ),
    RouteSpec(
        "GET",
        "/history/groups",
        Permission.PROBES_READ,
        history.list_past,
        "counts, times in states and percentiles of the past, by tags and steps of time",
        Over.SOME,
        query=(*_STRETCH, _STEP, _PAST_BY, _CLUSTER, _NAMESPACE, _KIND),
        item=PastItem,
        many=True,
    ),
    RouteSpec(
        "GET",
        "/history/probes",
        Permission.PROBES_READ,
        history.list_worst,
        "probes that were unhealthy or failed, those first that were so for longest",
        Over.SOME,
        query=(*_STRETCH, _WORST, _CLUSTER, _NAMESPACE, _KIND, _NAME),
        item=OffenderItem,
        many=True,
    ),
    RouteSpec(
        "GET",
        "/history/probes/{name}",
        Permission.PROBES_READ,
        history.show_past,
        "one probe over time: counts, times in states, percentiles, and each change of state",
        Over.PROBE,
        query=(*_STRETCH, _STEP),
        item=ProbePastItem,
    ),
    RouteSpec(
        "GET",
        "/events",
        Permission.PROBES_READ,
        events.follow,
        "what happens, as it happens",
        Over.SOME,
        query=(_TYPES, _CLUSTER, _NAMESPACE, _KIND, _NAME),
        media=events.MEDIA_TYPE,
    ),
    RouteSpec(
        "GET", "/toggles", Permission.TOGGLES_READ, toggles.list_toggles, "what is switched on", item=ToggleItem, many=True
    ),
    RouteSpec(
        "PUT",
        "/toggles/{name}",
        Permission.TOGGLES_WRITE,
        toggles.set_toggle,
        "the switch, changed",
        body=toggles.Change,
        versioned=True,
        item=ToggleItem,
        action=toggles.ACTION,
        says_more=True,
    ),
    RouteSpec(
        "GET",
        "/chaos/faults",
        Permission.CHAOS_READ,
        chaos.list_faults,
        "what may be injected on this host, and by which ways",
        Over.SOME,
        item=FaultItem,
        many=True,
    ),
    RouteSpec(
        "GET",
        "/chaos/experiments",
        Permission.CHAOS_READ,
        chaos.list_experiments,
        "experiments, and where each stands",
        Over.SOME,
        item=ExperimentItem,
        many=True,
    ),
    RouteSpec(
        "POST",
        "/chaos/experiments",
        Permission.CHAOS_PREPARE,
        chaos.add_experiment,
        "the experiment, known until the host stops",
        Over.SOME,
        body=chaos.NewExperiment,
        item=ExperimentItem,
        action="chaos.add",
        says_more=True,
    ),
    RouteSpec(
        "GET",
        "/chaos/experiments/{name}",
        Permission.CHAOS_READ,
        chaos.show_experiment,
        "one experiment, with its newest run",
        Over.EXPERIMENT,
        item=ExperimentItem,
    ),
    RouteSpec(
        "POST",
        "/chaos/experiments/{name}:prepare",
        Permission.CHAOS_PREPARE,
        chaos.prepare,
        "the plan that would be carried out, and what confirms it",
        Over.EXPERIMENT,
        body=chaos.Preparing,
        needs_body=False,
        item=ExperimentItem,
        action="chaos.prepare",
        says_more=True,
    ),
    RouteSpec(
        "POST",
        "/chaos/experiments/{name}:approve",
        Permission.CHAOS_APPROVE,
        chaos.approve,
        "the experiment, approved by a second person",
        Over.EXPERIMENT,
        body=chaos.Approved,
        item=ExperimentItem,
        action="chaos.approve",
        says_more=True,
    ),
    RouteSpec(
        "POST",
        "/chaos/experiments/{name}:activate",
        Permission.CHAOS_ACTIVATE,
        chaos.activate,
        "the experiment, with its fault in force",
        Over.EXPERIMENT,
        body=chaos.Confirmed,
        item=ExperimentItem,
        action="chaos.activate",
        says_more=True,
    ),
    RouteSpec(
        "POST",
        "/chaos/experiments/{name}:stop",
        Permission.CHAOS_STOP,
        chaos.stop,
        "the experiment, with its fault gone",
        Over.EXPERIMENT,
        body=chaos.Why,
        needs_body=False,
        item=ExperimentItem,
        action="chaos.stop",
        says_more=True,
    ),
    RouteSpec(
        "POST",
        "/chaos:halt",
        Permission.CHAOS_HALT,
        chaos.halt,
        "every run, ended; nothing starts until :resume",
        body=chaos.Why,
        needs_body=False,
        item=HaltItem,
        action="chaos.halt",
        says_more=True,
    ),
    RouteSpec(
        "POST",
        "/chaos:resume",
        Permission.CHAOS_RESUME,
        chaos.resume,
        "experiments may start again",
        body=chaos.Released,
        item=HaltItem,
        action="chaos.resume",
        says_more=True,
    ),
    RouteSpec(
        "GET",
        "/chaos/runs",
        Permission.CHAOS_READ,
        chaos.list_runs,
        "runs of now and of the past, newest first",
        Over.SOME,
        query=(_EXPERIMENT, *_page(chaos.MAX_PAGE, chaos.DEFAULT_PAGE)),
        item=RunItem,
        many=True,
    ),
    RouteSpec(
        "GET",
        "/chaos/runs/{name}",
        Permission.CHAOS_READ,
        chaos.show_run,
        "one run",
        Over.SOME,
        item=RunItem,
    ),
    RouteSpec(
        "GET",
        "/chaos/receipts/{name}",
        Permission.CHAOS_READ,
        chaos.show_receipt,
        "the signed receipt of a run that has ended",
        Over.SOME,
        item=ReceiptItem,
    ),
    RouteSpec(
        "GET",
        "/chaos/objects",
        Permission.CHAOS_READ,
        chaos.list_objects,
        "what carries our mark, beside what the journal says",
        item=ObjectItem,
        many=True,
    ),
    RouteSpec(
        "GET",
        "/audit",
        Permission.AUDIT_READ,
        audit.list_records,
        "who did what, and who was refused",
        query=(*_AUDIT_FILTERS, *_page(audit.MAX_PAGE, audit.DEFAULT_PAGE)),
        item=AuditItem,
        many=True,
    ),
    RouteSpec(
        "GET",
        "/fleet/hosts",
        Permission.PROBES_READ,
        fleet.list_hosts,
        "this host and the others it knows, each as it tells itself to you",
        Over.SOME,
        query=(
            Parameter("ask", "false asks none of the others: where they are, at once", {"type": "boolean", "default": True}),
        ),
        item=HostItem,
        many=True,
    ),
    RouteSpec(
        "POST",
        "/reload",
        Permission.PROBES_WRITE,
        configuration.reload_file,
        "the configuration file, read again and applied as a difference",
        item=ReloadItem,
        action="config.reload",
    ),
    RouteSpec(
        "GET",
        "/openapi.json",
        Permission.PROBES_READ,
        description.describe,
        "this table, for programs",
        Over.SOME,
        media="application/json",
    ),
)

assert {route.path for route in ROUTES if route.permission is None} == OPEN_PATHS | {ROOT, FILES + "{name}"}, (
    "open is what the guard lets through, no more"
)
assert all((route.method == "GET") is (not route.action) for route in ROUTES), (
    "what changes something is not a GET, and is audited"
)


def _experiment(context: Context, name: str) -> Resource | None:
    conductor = context.host.chaos
    experiment = None if conductor is None else conductor.experiments.get(name)
    return None if experiment is None else resource_of(context.host, experiment)


async def admit(context: Context, spec: RouteSpec, request: Request) -> None:
    """Problem when who asks may not; a change is on record when this returns."""
    if spec.permission is None:
        return
    authorization, principal = context.authorization, request.principal
    match spec.over:
        case Over.HOST:
            authorization.over_host(principal, spec.permission)
        case Over.PROBE:
            authorization.over_probe(principal, spec.permission, request.name)
        case Over.SOME:
            authorization.over_some(principal, spec.permission)
        case Over.EXPERIMENT:
            authorization.over_fault(principal, spec.permission, request.name, _experiment(context, request.name))
    if spec.action and not spec.says_more:
        await authorization.record(principal, spec.action, request.name or context.host.settings.host)
