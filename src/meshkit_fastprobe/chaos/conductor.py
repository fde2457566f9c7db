"""The verbs of chaos: prepare, approve, activate, stop, halt, resume.

Starting is hard: switches, guardrails, a confirmation, a record on the disk, in this order, all of it in one step that no
disconnecting client can split. Stopping is easy: no token, no disk, no gate but the permission.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec
import trio

from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.chaos.bench import Bench, offered_proxies
from meshkit_fastprobe.chaos.faults.base import FaultPlan
from meshkit_fastprobe.chaos.faults.registry import FaultRegistry
from meshkit_fastprobe.chaos.guardrails import Situation, refusals, why_end
from meshkit_fastprobe.chaos.journal import Journal, JournalError
from meshkit_fastprobe.chaos.judging import as_fault, planned_fault, situation
from meshkit_fastprobe.chaos.life import Life
from meshkit_fastprobe.chaos.reconciling import reconciled, sweep, undone
from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal, guarded
from meshkit_fastprobe.chaos.run import Move, Plan, Run, plan_of
from meshkit_fastprobe.chaos.states import FINAL, HALTED, HARMFUL, LIVE, WAITING, Phase
from meshkit_fastprobe.chaos.surroundings import Auditor, Prepared, Surroundings
from meshkit_fastprobe.chaos.tally import Tally
from meshkit_fastprobe.config.spec import Faults
from meshkit_fastprobe.errors import AuditError
from meshkit_fastprobe.experiments import MAX_CONFIRM_S, ChaosSettings, Experiment
from meshkit_fastprobe.security.audit_chain import Entry
from meshkit_fastprobe.security.confirmation import ConfirmationRefusedError, Confirmations
from meshkit_fastprobe.telemetry.tracing import traced

MAX_EXPERIMENTS: Final = 10_000
TEND_S: Final = 0.5
HALT_PATIENCE_S: Final = 15.0
DONE: Final = "allowed"
HOST: Final = "host"
"""The actor of what nobody asked for: expiry, reconciliation."""

log = logging.getLogger("meshkit_fastprobe.chaos")


class Conductor:
    """Of one host. Making one does no I/O; `run` has to run for anything to happen."""

    def __init__(
        self,
        settings: ChaosSettings,
        *,
        host: str,
        cluster: str,
        faults: FaultRegistry,
        bench: Bench,
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self.settings = settings
        self.experiments: dict[str, Experiment] = {one.id: one for one in settings.experiments}
        self.faults = faults
        self.bench = bench
        self.journal = Journal(bench.state_dir)
        self.tally = Tally()
        self.halted: str | None = None
        self.broken: str | None = "not started"
        self.snapshot = snapshot
        self._host, self._cluster = host, cluster
        self._confirmations = Confirmations(host)
        self._lives: dict[str, Life] = {}
        """By experiment: the newest run of this process, whatever it came to."""
        self._stuck: dict[str, Run] = {}
        """Runs that could not be undone, by id."""
        self._expires: dict[str, float] = {}
        self._allowed: dict[str, Callable[[], bool]] = {}
        self._ended: dict[str, float] = {}
        self._nursery: trio.Nursery | None = None
        self._around: Surroundings | None = None

    # -- running -------------------------------------------------------------------------------------------------------------

    async def run(self, around: Surroundings, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then every fault is undone before this returns. Started once what a dead process left is undone."""
        self._around = around
        async with offered_proxies(self.bench, self.settings.proxies):
            await self._run(task_status)

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self._open()
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._tend)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self.broken = "not started"
            await self.journal.close()

    async def _open(self) -> None:
        unfinished: list[Run] = []
        try:
            unfinished = await self.journal.open()
            self.halted = await self.journal.fact("halted")
            self.broken = None
        except JournalError as error:
            self.broken = str(error)
            log.critical("%s", error)
        for run in unfinished:
            now = await reconciled(run, self.faults, self.bench)
            self._reconciled(now)
        for plan, failed in await sweep(self.faults, self.bench, lambda plan: plan.mark in self._stuck_marks):
            told = f"{plan.kind} {plan.mark}: " + ("undone" if failed is None else f"{failed}; by hand: {plan.manual}")
            self._audit.note(Entry(actor=HOST, action="chaos.orphan", scope=plan.mark, result=DONE, detail=told))
            log.warning("a fault without a run was found: %s", told)
        try:
            await self.journal.catch_up()
        except JournalError as error:
            self.broken = str(error)

    def _reconciled(self, run: Run) -> None:
        self.journal.note(run)
        self.tally.took(run)
        if run.phase is Phase.REVERT_FAILED:
            self._stuck[run.id] = run
        if run.phase in {Phase.ORPHAN_REVERTED, Phase.REVERT_FAILED}:
            self._audit.note(Entry(actor=HOST, action=f"chaos.{run.phase}", scope=run.id, result=DONE, detail=run.why))
        self._tell(run)

    async def _tend(self) -> None:
        """Let confirmations lapse, and write what the disk did not take."""
        while True:
            await trio.sleep(TEND_S)
            for experiment, life in self._lives.items():
                if life.run.phase in WAITING and trio.current_time() >= self._expires[experiment]:
                    life.move(Phase.EXPIRED, "it was not confirmed in time")
            try:
                await self.journal.catch_up()
            except JournalError as error:
                log.error("%s", error)

    # -- reading -------------------------------------------------------------------------------------------------------------

    def experiment(self, experiment_id: str) -> Experiment:
        found = self.experiments.get(experiment_id)
        if found is None:
            raise ChaosRefusedError(
                Refusal.UNKNOWN, f"no experiment is named {experiment_id[:256]!r}", "list them: fastprobe chaos list"
            )
        return found

    def current(self, experiment_id: str) -> Run | None:
        """The newest run of this process, or one of an earlier that is stuck."""
        life = self._lives.get(experiment_id)
        if life is not None:
            return life.run
        return next((run for run in self._stuck.values() if run.experiment == experiment_id), None)

    @property
    def live(self) -> tuple[Run, ...]:
        """Runs whose fault is in force, about to be, or not undone."""
        return (*(life.run for life in self._lives.values() if life.run.phase in LIVE), *self._stuck_elsewhere)

    @property
    def _stuck_elsewhere(self) -> tuple[Run, ...]:
        if not self._stuck:
            return ()
        ours = {life.run.id for life in self._lives.values()}
        return tuple(run for run in self._stuck.values() if run.id not in ours)

    @property
    def _stuck_marks(self) -> set[str]:
        return {run.plan.fault.mark for run in self._stuck.values()}

    @property
    def _surroundings(self) -> Surroundings:
        assert self._around is not None, "run() runs"
        return self._around

    @property
    def _audit(self) -> Auditor:
        return self._surroundings.audit

    def adopt(self, faults: Faults) -> None:
        """Go by another registry of fault kinds: that of a configuration, with what its plug-ins added."""
        self.faults = cast("FaultRegistry", faults)

    def configure(self, settings: ChaosSettings) -> None:
        """Another configuration: its experiments and limits hold from now on; what runs ends as it began."""
        configured = {one.id for one in self.settings.experiments}
        registered = {key: one for key, one in self.experiments.items() if key not in configured}
        self.experiments = {**registered, **{one.id: one for one in settings.experiments}}
        self.settings = settings

    # -- starting ------------------------------------------------------------------------------------------------------------

    def register(self, experiment: Experiment) -> None:
        """Make an experiment known until the host stops."""
        if experiment.id in self.experiments:
            raise ChaosRefusedError(Refusal.DUPLICATE, f"{experiment.id} exists already", "choose another id")
        if len(self.experiments) >= MAX_EXPERIMENTS:
            raise ChaosRefusedError(Refusal.GUARDED, f"there are {MAX_EXPERIMENTS} experiments, which is the bound")
        self.experiments[experiment.id] = experiment

    async def prepare(
        self, experiment_id: str, *, subject: str, standing: str = "", reason: str = "", ticket: str = ""
    ) -> Prepared:
        """Freeze what would be hurt, judge it, and hand out the confirmation. Changes nothing out there.

        standing: the roles of the subject, as text: with other roles than these the confirmation is worth nothing.
        """
        experiment = self.experiment(experiment_id)
        self._must_run()
        before = self._lives.get(experiment_id)
        if before is not None and before.run.phase in LIVE:
            raise ChaosRefusedError(
                Refusal.WRONG_PHASE, f"{before.run.id} is {before.run.phase}", f"stop it: fastprobe chaos stop {experiment_id}"
            )
        plan = await self._plan(experiment)
        two_person = plan.two_person
        why_not, now = self._judged(experiment, plan.fault)
        run = Run(
            id=self.journal.next_id(experiment_id),
            experiment=experiment_id,
            phase=Phase.DRAFT,
            plan=plan,
            requested_by=subject,
            reason=reason,
            ticket=ticket,
            remaining=dict(now.remaining),
            groups=now.groups,
            steady_before=now.up,
        )
        life = Life(self, experiment, as_fault(experiment), run)
        if why_not:
            life.move(Phase.REJECTED, "; ".join(why_not))
            self._note(life.run, subject, "chaos.prepare", result="refused")
            raise guarded(experiment_id, why_not)
        await self._on_record(run, subject, "chaos.prepare", reason=reason, ticket=ticket, detail=f"plan {plan.id}")
        if before is not None and before.run.phase in WAITING:
            before.move(Phase.CANCELLED, f"prepared again as {run.id}")
        lasts_s = min(MAX_CONFIRM_S, self.settings.confirm_s * (5 if two_person else 1))
        self._lives[experiment_id] = life
        self._expires[experiment_id] = trio.current_time() + lasts_s
        try:
            await life.move_durably(Phase.AWAITING_APPROVAL if two_person else Phase.PREPARED)
        except JournalError as error:
            life.move(Phase.CANCELLED, str(error))
            raise ChaosRefusedError(Refusal.UNAVAILABLE, str(error)) from None
        token = self._confirmations.issue(plan=plan.id, run=run.id, subject=subject, standing=standing, lasts_s=lasts_s)
        return Prepared(life.run, token, lasts_s)

    async def approve(self, experiment_id: str, plan_id: str, *, subject: str, reason: str = "") -> Run:
        """The second person's yes, to this very plan."""
        life = self._waiting(experiment_id, Phase.AWAITING_APPROVAL)
        if life.run.plan.id != plan_id:
            raise ChaosRefusedError(Refusal.CONFIRMATION, "the plan was prepared anew since", "look at it again, then decide")
        if subject == life.run.requested_by:
            raise ChaosRefusedError(Refusal.CONFIRMATION, "who asked for it cannot approve it", "ask somebody else")
        await self._on_record(life.run, subject, "chaos.approve", reason=reason, detail=f"plan {plan_id}")
        life.run = msgspec.structs.replace(life.run, approved_by=subject)
        self._tell(life.run)
        return life.run

    async def activate(
        self,
        experiment_id: str,
        token: str,
        *,
        subject: str,
        standing: str = "",
        reason: str = "",
        ticket: str = "",
        still_allowed: Callable[[], bool] = lambda: True,
    ) -> Run:
        """Confirm and inject, in one step: returns once the fault is in force, or was refused, or is undone again.

        subject: who the token was given to. Whoever asked may go away meanwhile: it happens all the same. still_allowed: asked
        while it runs; when who activated it no longer may, it ends.
        """
        self._must_run()
        life = self._waiting(experiment_id, *WAITING)
        run = life.run
        self._confirmed(self._confirmations.check, token, run, subject, standing)
        if run.plan.two_person and run.approved_by is None:
            raise ChaosRefusedError(Refusal.CONFIRMATION, f"{run.id} waits for a second person", "fastprobe chaos approve")
        plan = await self._plan(life.experiment)
        why_not, _ = self._judged(life.experiment, plan.fault)
        if plan.id != run.plan.id:
            why_not = ["what it would hurt has changed since it was prepared: look at the new plan", *why_not]
        # From here to ARMED nothing else has a turn: of many who redeem at once, one gets through.
        life = self._waiting(experiment_id, *WAITING)
        self._confirmed(self._confirmations.redeem, token, run, subject, standing)
        if why_not:
            life.move(Phase.REJECTED, "; ".join(why_not))
            self._note(life.run, subject, "chaos.activate", result="refused")
            raise guarded(experiment_id, why_not)
        self._allowed[run.id] = still_allowed
        life.move(Phase.ARMED, activated_by=subject, reason=reason or run.reason, ticket=ticket or run.ticket)
        assert self._nursery is not None
        self._nursery.start_soon(self._conduct, life)
        await life.settled.wait()
        return life.run

    async def _conduct(self, life: Life) -> None:
        """On record first; a run that is not on record is not run."""
        run = life.run
        try:
            await self._on_record(
                run,
                run.activated_by or HOST,
                "chaos.activate",
                reason=run.reason,
                ticket=run.ticket,
                detail=f"plan {run.plan.id}",
            )
        except ChaosRefusedError as error:
            life.move(Phase.CANCELLED, error.what)
            return
        try:
            await life.conduct()
        except Exception:
            # A mistake of ours must not take the host's probes down; the fault is undone before conduct() ends in any way.
            log.exception("experiment %s", run.id)
        finally:
            life.give_up()

    # -- stopping ------------------------------------------------------------------------------------------------------------

    async def stop(self, experiment_id: str, *, subject: str, reason: str = "") -> Run:
        """End what runs of it, or take back what waits; calm when nothing does. Returns once the fault is gone."""
        self.experiment(experiment_id)
        run = self.current(experiment_id)
        if run is None:
            raise ChaosRefusedError(Refusal.WRONG_PHASE, f"{experiment_id} has never run", "there is nothing to stop")
        if run.phase not in FINAL:
            self._note(run, subject, "chaos.stop", reason=reason)
        await self._end(run, f"stopped by {subject}" + (f": {reason}" if reason else ""), subject)
        stopped = self.current(experiment_id)
        assert stopped is not None
        return stopped

    async def halt(self, *, subject: str, reason: str = "") -> list[Run]:
        """Stop everything, and let nothing start until `resume`: also over restarts. Returns each run as it is then."""
        self.halted = f"by {subject}" + (f": {reason}" if reason else "")
        concerned = [*(life.run for life in self._lives.values() if life.run.phase not in FINAL), *self._stuck_elsewhere]
        if self._around is not None:
            self._audit.note(Entry(actor=subject, action="chaos.halt", scope=self._host, result=DONE, reason=reason))
        for life in self._lives.values():
            life.end(Phase.ABORTED, f"{HALTED} {self.halted}", subject)
        with trio.move_on_after(HALT_PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for run in concerned:
                    nursery.start_soon(self._end, run, f"{HALTED} {self.halted}", subject)
        try:
            await self.journal.keep("halted", self.halted)
        except JournalError as error:
            log.error("the halt is in force, but would not outlive a restart: %s", error)
        return [self._as_it_is(run) for run in concerned]

    async def resume(self, *, subject: str, reason: str) -> None:
        """Let experiments start again."""
        await self._on_record(None, subject, "chaos.resume", reason=reason)
        try:
            await self.journal.keep("halted", None)
        except JournalError as error:
            raise ChaosRefusedError(Refusal.UNAVAILABLE, str(error)) from None
        self.halted = None

    async def _end(self, run: Run, why: str, subject: str) -> None:
        if run.id in self._stuck:
            await self._retry(run)
            return
        life = self._lives[run.experiment]
        if life.run.phase in WAITING:
            life.move(Phase.CANCELLED, why, stopped_by=subject)
        elif life.run.phase not in FINAL:
            life.end(Phase.ABORTED, why, subject)
            await life.healed.wait()

    async def _retry(self, run: Run) -> None:
        """Undo what could not be undone before."""
        failed = await undone(run.plan.fault, self.faults, self.bench)
        if failed is None:
            del self._stuck[run.id]
        phase, why = (Phase.ORPHAN_REVERTED, "undone at last") if failed is None else (Phase.REVERT_FAILED, failed)
        run = msgspec.structs.replace(run, phase=phase, why=why, moves=(*run.moves, Move(phase, time.time(), why)))
        if failed is not None:
            self._stuck[run.id] = run
        life = self._lives.get(run.experiment)
        if life is not None and life.run.id == run.id:
            life.run = run
        self.journal.note(run)
        self.moved(run)

    def _as_it_is(self, run: Run) -> Run:
        life = self._lives.get(run.experiment)
        return life.run if life is not None and life.run.id == run.id else self._stuck.get(run.id, run)

    # -- what a life asks of us (life.Means) ---------------------------------------------------------------------------------

    def forbidden(self, run: Run) -> str | None:
        why = why_end(self.settings, run.plan.fault.kind, self._surroundings.is_on, time.time())
        if why is not None:
            return why
        if not self._allowed[run.id]():
            return f"{run.activated_by} may not do this any more"
        return None

    def moved(self, run: Run) -> None:
        self.tally.took(run)
        if run.phase is Phase.REVERT_FAILED:
            self._stuck[run.id] = run
        if run.phase in FINAL:
            self._allowed.pop(run.id, None)
        if run.phase in FINAL and run.injected_at is not None:
            now = trio.current_time()
            self._ended.update(dict.fromkeys((run.experiment, *run.plan.fault.resources), now))
        level = logging.WARNING if run.phase in HARMFUL else logging.INFO
        log.log(level, "experiment %s is %s%s", run.id, run.phase, f": {run.why}" if run.why else "", extra=_fields(run))
        if run.phase not in {Phase.PREPARED, Phase.AWAITING_APPROVAL, Phase.ARMED, Phase.REJECTED}:
            self._note(run, run.activated_by or run.requested_by, f"chaos.{run.phase}", detail=run.why)
        self._tell(run)

    def _tell(self, run: Run) -> None:
        self._surroundings.tell(run)

    # -- small parts -----------------------------------------------------------------------------------------------------

    def _judged(self, experiment: Experiment, plan: FaultPlan) -> tuple[list[str], Situation]:
        """Reads only what is in memory: nothing can change between the judgement and what follows from it at once."""
        now = situation(
            experiment,
            plan,
            self.snapshot(),
            is_on=self._surroundings.is_on,
            halted=self.halted,
            broken=self.broken,
            live=tuple(run for run in self.live if run.experiment != experiment.id),
            stuck=tuple(self._stuck),
            ended=self._ended,
        )
        return refusals(self.settings, experiment, plan, now), now

    async def _plan(self, experiment: Experiment) -> Plan:
        two_person = experiment.two_person or self.settings.two_person
        planned = await planned_fault(experiment, self.bench)
        return plan_of(experiment, planned, host=self._host, cluster=self._cluster, two_person=two_person)

    def _waiting(self, experiment_id: str, *phases: Phase) -> Life:
        self.experiment(experiment_id)
        life = self._lives.get(experiment_id)
        if life is None or life.run.phase not in phases:
            stands = "has not been prepared" if life is None else f"is {life.run.phase}"
            raise ChaosRefusedError(
                Refusal.WRONG_PHASE, f"{experiment_id} {stands}", f"prepare it: fastprobe chaos prepare {experiment_id}"
            )
        return life

    def _confirmed(self, how: Callable[..., Any], token: str, run: Run, subject: str, standing: str) -> None:
        try:
            how(token, plan=run.plan.id, run=run.id, subject=subject, standing=standing)
        except ConfirmationRefusedError as error:
            raise ChaosRefusedError(Refusal.CONFIRMATION, str(error), "prepare it again, and confirm what is shown") from None

    def _must_run(self) -> None:
        if self._nursery is None:
            raise ChaosRefusedError(Refusal.UNAVAILABLE, "the host is starting, or stopping", "ask again in a second")

    # -- the record ----------------------------------------------------------------------------------------------------------

    async def _on_record(
        self, run: Run | None, subject: str, action: str, *, reason: str = "", ticket: str = "", detail: str = ""
    ) -> None:
        scope = self._host if run is None else run.id
        try:
            await self._audit.append(
                Entry(actor=subject, action=action, scope=scope, result=DONE, reason=reason, ticket=ticket, detail=detail)
            )
        except AuditError as error:
            raise ChaosRefusedError(
                Refusal.UNAVAILABLE, f"nothing was done: {error}", "look at the disk of state_dir"
            ) from None

    def _note(self, run: Run, subject: str, action: str, *, reason: str = "", detail: str = "", result: str = DONE) -> None:
        self._audit.note(
            Entry(actor=subject, action=action, scope=run.id, result=result, reason=reason, detail=detail or run.why)
        )


def _fields(run: Run) -> Mapping[str, object]:
    """For structured logs."""
    return {"experiment": run.experiment, "run": run.id, "phase": str(run.phase), "fault": run.plan.fault.kind, **traced()}
