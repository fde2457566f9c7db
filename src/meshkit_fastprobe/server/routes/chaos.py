"""/chaos: what may be injected, experiments, their runs, and the verbs. Stopping asks for less than starting."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.chaos.conductor import Conductor
from meshkit_fastprobe.chaos.faults.base import Backing, FaultPlan
from meshkit_fastprobe.chaos.judging import as_fault
from meshkit_fastprobe.chaos.receipts import sign
from meshkit_fastprobe.chaos.reconciling import marked
from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal
from meshkit_fastprobe.chaos.run import Run
from meshkit_fastprobe.chaos.states import FINAL, HARMFUL, Phase
from meshkit_fastprobe.config.chaos import check_experiment, read_experiment
from meshkit_fastprobe.config.places import Place, Problems, Source
from meshkit_fastprobe.errors import AuditError, ConfigError
from meshkit_fastprobe.experiments import Experiment, parameters_of
from meshkit_fastprobe.server import problems
from meshkit_fastprobe.server.bodies import read_json, read_object
from meshkit_fastprobe.server.chaos_items import (
    ConfirmationItem,
    ExperimentItem,
    FaultItem,
    HaltItem,
    ObjectItem,
    ReceiptItem,
    WayItem,
    experiment_item,
    resource_of,
    resource_of_run,
    run_item,
)
from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.envelope import SCHEMA_VERSION, Envelope, envelope_reply, rfc3339
from meshkit_fastprobe.server.paging import make_token, read_number
from meshkit_fastprobe.server.problems import Problem, ProblemKind
from meshkit_fastprobe.server.query import whole_number
from meshkit_fastprobe.server.reply import Reply
from meshkit_fastprobe.server.reports import Body

DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 1000
MAX_TEXT: Final = 500
_KINDS: Final[Mapping[Refusal, ProblemKind]] = {
    Refusal.UNKNOWN: problems.UNKNOWN_EXPERIMENT,
    Refusal.DUPLICATE: problems.DUPLICATE_EXPERIMENT,
    Refusal.GUARDED: problems.CHAOS_REFUSED,
    Refusal.WRONG_PHASE: problems.CHAOS_WRONG_PHASE,
    Refusal.CONFIRMATION: problems.CONFIRMATION_REFUSED,
    Refusal.UNAVAILABLE: problems.CHAOS_UNAVAILABLE,
}


class Why(Body, forbid_unknown_fields=True):
    """The body of most verbs; it may be left out."""

    reason: str = ""
    ticket: str = ""


class Preparing(Why, forbid_unknown_fields=True):
    """The body of what prepares. dryRun: only say what would be confirmed, or why it is refused."""

    dry_run: bool = False


class Confirmed(Body, forbid_unknown_fields=True):
    """The body of an activation: the token that `:prepare` gave.

    dryRun: only say what would be injected, or why it is refused; then an empty token stands for preparing it first.
    """

    token: str
    reason: str = ""
    ticket: str = ""
    dry_run: bool = False


class Approved(Body, forbid_unknown_fields=True):
    """The body of an approval: the id of the plan that was looked at."""

    plan_id: str
    reason: str = ""


class Released(Body, forbid_unknown_fields=True):
    """The body of a resume."""

    reason: str


class NewExperiment(Body):
    """The keys of a [[chaos.experiment]] table, as in the configuration."""

    id: str
    fault: str
    duration: float | str
    recovery: float | str = 60.0
    two_person: bool = msgspec.field(name="two_person", default=False)
    says: str = ""
    steady_state: dict[str, Any] = msgspec.field(name="steady_state", default_factory=dict)
    affects: dict[str, Any] = msgspec.field(default_factory=dict)


# -- reading -------------------------------------------------------------------------------------------------------------------


async def list_faults(context: Context, request: Request) -> Reply:
    request.refuse_query()
    chaos, toggles = _chaos(context), context.toggles
    ways = await chaos.survey.ways(chaos.faults, chaos.bench)
    items = []
    for name in chaos.faults:
        kind = chaos.faults[name]
        fields = msgspec.structs.fields(kind)
        on = all(toggles[one].value is True for one in ("chaos.enabled", f"chaos.{name}.enabled") if one in toggles.declared)
        items.append(
            FaultItem(
                kind=name,
                says=(kind.__doc__ or "").strip().partition("\n")[0],
                enabled=on and f"chaos.{name}.enabled" in toggles.declared,
                keys=[field.encode_name for field in fields],
                needs=[field.encode_name for field in fields if field.required],
                ways=[WayItem(name=way.name, available=way.available, reason=way.reason) for way in ways[name]],
            )
        )
    return envelope_reply(request, _envelope(context, items=items))


async def list_experiments(context: Context, request: Request) -> Reply:
    request.refuse_query()
    chaos = _chaos(context)
    seen = [one for one in chaos.experiments.values() if _may_see(context, request, one)]
    items = [_item(context, one) for one in sorted(seen, key=lambda one: one.id)]
    return envelope_reply(request, _envelope(context, items=items))


async def show_experiment(context: Context, request: Request) -> Reply:
    request.refuse_query()
    return _one(context, request, _chaos(context).experiments[request.name])


async def list_runs(context: Context, request: Request) -> Reply:
    """Runs of the past and of now, newest first."""
    query = request.query
    experiment = query.text("experiment")
    size = query.one("page_size", whole_number("page_size", 1, MAX_PAGE), DEFAULT_PAGE)
    token = query.text("page_token")
    fingerprint = experiment or ""
    before = read_number(token, fingerprint) if token else None
    with _told():
        runs = await _chaos(context).journal.past(size, before, experiment)
    may = context.authorization.may
    seen = [run for run in runs if may(request.principal, Permission.CHAOS_READ, resource_of_run(context.host, run))]
    more = make_token(runs[-1].id.rpartition("-")[2], fingerprint) if len(runs) == size else None
    return envelope_reply(request, _envelope(context, items=[run_item(run) for run in seen], next_page_token=more))


async def show_run(context: Context, request: Request) -> Reply:
    request.refuse_query()
    return envelope_reply(request, _envelope(context, item=run_item(await _run(context, request))))


async def show_receipt(context: Context, request: Request) -> Reply:
    """Of a run that has ended."""
    request.refuse_query()
    run = await _run(context, request)
    audit = context.host.endpoints.audit
    if run.phase not in FINAL or audit is None:
        raise Problem(problems.CHAOS_WRONG_PHASE, f"{run.id} is {run.phase}", "ask again when it has ended")
    receipt = sign(run, audit.signing_key)
    item = ReceiptItem(content=receipt.content.decode(), signature=receipt.signature.hex(), public_key=receipt.public_key.hex())
    return envelope_reply(request, _envelope(context, item=item))


async def list_objects(context: Context, request: Request) -> Reply:
    """What the kernel has with our mark beside what the journal says it should have."""
    request.refuse_query()
    chaos = _chaos(context)
    held = {run.plan.fault.mark: run for run in chaos.live if run.phase in HARMFUL}
    found: list[FaultPlan] = []
    for kind in chaos.faults:
        found += await marked(kind, chaos.faults, chaos.bench)
    items = [_object(plan, held.get(plan.mark)) for plan in found]
    there = {plan.mark for plan in found}
    for mark, run in held.items():
        if mark not in there and not run.plan.fault.local:
            items.append(_object(run.plan.fault, run, state="missing"))
    return envelope_reply(request, _envelope(context, items=items))


# -- verbs ---------------------------------------------------------------------------------------------------------------------


async def add_experiment(context: Context, request: Request) -> Reply:
    """Make an experiment known until the host stops: what is to last stands in the configuration."""
    request.refuse_query()
    chaos = _chaos(context)
    raw = await read_object(request.scope)
    found = Problems()
    place = Place(source=Source("experiment"))
    experiment = read_experiment(place, raw, found, chaos.faults)
    if experiment is not None:
        check_experiment(experiment, place, chaos.settings, found)
    try:
        found.refuse()
    except ConfigError as error:
        raise Problem(problems.INVALID_EXPERIMENT, str(error), error.fix or "correct it") from None
    assert experiment is not None
    context.authorization.over_fault(
        request.principal, Permission.CHAOS_PREPARE, experiment.id, resource_of(context.host, experiment)
    )
    detail = f"{experiment.fault.kind} for {experiment.duration_s:g} s"
    await context.authorization.record(request.principal, "chaos.add", experiment.id, detail=detail)
    with _told():
        chaos.register(experiment)
    return _one(context, request, experiment)


async def prepare(context: Context, request: Request) -> Reply:
    request.refuse_query()
    chaos, why = _chaos(context), await read_json(request.scope, Preparing, optional=True)
    _check_texts(why.reason, why.ticket)
    experiment = _as_it_is_now(context, request, Permission.CHAOS_PREPARE)
    _may_prepare(context, request, experiment)
    if why.dry_run:
        return await _rehearsed(context, request, experiment)
    with _told():
        prepared = await chaos.prepare(
            request.name,
            subject=request.principal.subject,
            standing=context.authorization.standing(request.principal),
            reason=why.reason,
            ticket=why.ticket,
        )
    confirmation = ConfirmationItem(token=prepared.token, plan_id=prepared.run.plan.id, expires_seconds=prepared.lasts_s)
    return _one(context, request, experiment, confirmation, await as_fault(experiment).preflight(chaos.bench))


async def approve(context: Context, request: Request) -> Reply:
    request.refuse_query()
    body = await read_json(request.scope, Approved)
    _check_texts(body.reason)
    experiment = _as_it_is_now(context, request, Permission.CHAOS_APPROVE)
    with _told():
        await _chaos(context).approve(request.name, body.plan_id, subject=request.principal.subject, reason=body.reason)
    return _one(context, request, experiment)


async def activate(context: Context, request: Request) -> Reply:
    """Answers once the fault is in force, or will not be. Whoever goes away meanwhile changes nothing."""
    request.refuse_query()
    body = await read_json(request.scope, Confirmed)
    _check_texts(body.reason, body.ticket)
    chaos, principal, peers = _chaos(context), request.principal, context.peers
    experiment = _as_it_is_now(context, request, Permission.CHAOS_ACTIVATE)
    may, resource = context.authorization.may, resource_of(context.host, experiment)
    if body.dry_run:
        if not body.token:
            context.authorization.over_fault(principal, Permission.CHAOS_PREPARE, experiment.id, resource)
            _may_prepare(context, request, experiment)
        return await _rehearsed(context, request, experiment, token=body.token, to_activate=True)
    with _told():
        run = await chaos.activate(
            request.name,
            body.token,
            subject=principal.subject,
            standing=context.authorization.standing(principal),
            reason=body.reason,
            ticket=body.ticket,
            still_allowed=lambda: may(principal, Permission.CHAOS_ACTIVATE, resource),
            fleet=None if peers is None else lambda: peers.in_force(request.scope, context.host.endpoints.local_token),
        )
    if run.phase in {*FINAL, Phase.RECOVERING} and all(move.phase is not Phase.ACTIVE for move in run.moves):
        told = "nothing was injected" if run.injected_at is None else "it was undone before it was known to be in force"
        raise Problem(problems.CHAOS_UNAVAILABLE, f"{told}: {run.why}", "GET the run to see its steps")
    return _one(context, request, experiment)


async def stop(context: Context, request: Request) -> Reply:
    request.refuse_query()
    chaos, why = _chaos(context), await _why(request)
    experiment = _as_it_is_now(context, request, Permission.CHAOS_STOP)  # before: one that is configured no more is forgotten
    with _told():
        await chaos.stop(request.name, subject=request.principal.subject, reason=why.reason)
    return _one(context, request, experiment)


async def halt(context: Context, request: Request) -> Reply:
    request.refuse_query()
    chaos, why = _chaos(context), await _why(request)
    runs = await chaos.halt(subject=request.principal.subject, reason=why.reason)
    item = HaltItem(halted=True, why=chaos.halted or "", runs=[run_item(run) for run in runs])
    return envelope_reply(request, _envelope(context, item=item))


async def resume(context: Context, request: Request) -> Reply:
    request.refuse_query()
    body = await read_json(request.scope, Released)
    _check_texts(body.reason)
    if not body.reason.strip():
        raise Problem(problems.INVALID_BODY, "reason is empty", "say why experiments may start again")
    with _told():
        await _chaos(context).resume(subject=request.principal.subject, reason=body.reason)
    return envelope_reply(request, _envelope(context, item=HaltItem(halted=False, why="", runs=[])))


# -- small parts ---------------------------------------------------------------------------------------------------------------


class _told:  # noqa: N801 - read as a verb: with _told()
    """What the conductor refuses becomes a problem."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, ChaosRefusedError):
            raise Problem(_KINDS[error.kind], error.what, error.fix or "nothing was done") from None
        if isinstance(error, AuditError):
            raise Problem(problems.CHAOS_UNAVAILABLE, str(error), "look at the disk of the host's state_dir") from None


def _chaos(context: Context) -> Conductor:
    chaos = context.host.chaos
    if chaos is None:
        raise Problem(problems.NO_CHAOS, "this host has no [chaos] in its configuration", "add [chaos], then start it again")
    return chaos


def _as_it_is_now(context: Context, request: Request, permission: Permission) -> Experiment:
    """It may have been configured anew, or away, while the body of the request was read: Problem as for the route."""
    experiment = _chaos(context).experiments.get(request.name)
    resource = None if experiment is None else resource_of(context.host, experiment)
    context.authorization.over_fault(request.principal, permission, request.name, resource)
    assert experiment is not None
    return experiment


def _may_prepare(context: Context, request: Request, experiment: Experiment) -> None:
    """What `:prepare` asks for beside its permission."""
    if "*" in _texts(parameters_of(experiment.fault)):
        resource = resource_of(context.host, experiment)
        context.authorization.over_fault(request.principal, Permission.CHAOS_ANY_TARGET, experiment.id, resource)


async def _rehearsed(
    context: Context, request: Request, experiment: Experiment, *, token: str = "", to_activate: bool = False
) -> Reply:
    """A dry run: refused where the verb would be, and nothing is kept of it."""
    chaos, principal = _chaos(context), request.principal
    with _told():
        standing = context.authorization.standing(principal)
        run = await chaos.rehearse(
            experiment.id, subject=principal.subject, standing=standing, token=token, to_activate=to_activate
        )
    backings = await as_fault(experiment).preflight(chaos.bench)
    return envelope_reply(request, _envelope(context, item=experiment_item(context.host, experiment, run, backings=backings)))


async def _why(request: Request) -> Why:
    why = await read_json(request.scope, Why, optional=True)
    _check_texts(why.reason, why.ticket)
    return why


def _check_texts(*texts: str) -> None:
    for text in texts:
        if len(text) > MAX_TEXT or not text.isprintable():
            hint = f"write up to {MAX_TEXT} printable characters"
            raise Problem(problems.INVALID_BODY, "a text is too long, or holds characters that do not print", hint)


def _texts(value: Any) -> list[str]:
    """All texts anywhere in it."""
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [text for part in inside for text in _texts(part)]


def _may_see(context: Context, request: Request, experiment: Experiment) -> bool:
    return context.authorization.may(request.principal, Permission.CHAOS_READ, resource_of(context.host, experiment))


async def _run(context: Context, request: Request) -> Run:
    with _told():
        run = await _chaos(context).journal.run(request.name)
    may = context.authorization.may
    if run is None or not may(request.principal, Permission.CHAOS_READ, resource_of_run(context.host, run)):
        raise Problem(problems.UNKNOWN_RUN, f"no run is named {request.name[:256]!r}", "list them with GET /chaos/runs")
    return run


def _item(context: Context, experiment: Experiment) -> ExperimentItem:
    return experiment_item(context.host, experiment, _chaos(context).current(experiment.id))


def _one(
    context: Context,
    request: Request,
    experiment: Experiment,
    confirmation: ConfirmationItem | None = None,
    backings: tuple[Backing, ...] = (),
) -> Reply:
    item = experiment_item(context.host, experiment, _chaos(context).current(experiment.id), confirmation, backings)
    return envelope_reply(request, _envelope(context, item=item))


def _object(plan: FaultPlan, run: Run | None, state: str = "") -> ObjectItem:
    if not state:
        state = "orphan" if run is None else "stuck" if run.phase is Phase.REVERT_FAILED else "held"
    return ObjectItem(
        mark=plan.mark, fault=plan.kind, resources=list(plan.resources), state=state, run=None if run is None else run.id
    )


def _envelope(context: Context, **told: Any) -> Envelope:
    return Envelope(schema_version=SCHEMA_VERSION, generated_at=rfc3339(time.time()), host=context.host.settings.host, **told)
