"""The verbs of chaos: prepare, approve, activate, stop, halt, resume.

Starting is hard: switches, guardrails, a confirmation, a record on the disk, in this order, all of it in one step that no
disconnecting client can split. Stopping is easy: no token, no disk, no gate but the permission.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
import trio

from meshkit_fastprobe.aggregation.glance import Seen
from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.chaos.bench import Bench, offered_proxies
from meshkit_fastprobe.chaos.faults.base import FaultPlan
from meshkit_fastprobe.chaos.faults.registry import FaultRegistry
from meshkit_fastprobe.chaos.fleet_budget import AskFleet, beyond_budget, told_by_fleet
from meshkit_fastprobe.chaos.guardrails import Situation, refusals, why_end
from meshkit_fastprobe.chaos.halting import Halt
from meshkit_fastprobe.chaos.in_force import InForce
from meshkit_fastprobe.chaos.journal import Journal, JournalError
from meshkit_fastprobe.chaos.judging import as_fault, planned_fault, situation
from meshkit_fastprobe.chaos.known import KnownExperiments
from meshkit_fastprobe.chaos.life import Life
from meshkit_fastprobe.chaos.lives import Lives
from meshkit_fastprobe.chaos.on_record import HOST, REFUSED, Record, fields_of
from meshkit_fastprobe.chaos.reconciling import reconciled, sweep, tried_again
from meshkit_fastprobe.chaos.refused import ChaosRefusedError, Refusal, guarded
from meshkit_fastprobe.chaos.resting import Resting
from meshkit_fastprobe.chaos.run import Plan, Run, plan_of
from meshkit_fastprobe.chaos.states import FINAL, HALTED, HARMFUL, WAITING, Phase
from meshkit_fastprobe.chaos.stuck import Stuck
from meshkit_fastprobe.chaos.surroundings import Prepared, Surroundings
from meshkit_fastprobe.chaos.surveying import Survey
from meshkit_fastprobe.chaos.tally import Tally
from meshkit_fastprobe.config.spec import Faults
from meshkit_fastprobe.experiments import MAX_CONFIRM_S, ChaosSettings, Experiment
from meshkit_fastprobe.security.confirmation import ConfirmationRefusedError, Confirmations

TEND_S: Final = 0.5
HALT_PATIENCE_S: Final = 15.0

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
        glance: Callable[[], Seen],
    ) -> None:
        self.settings = settings
        self.known = KnownExperiments(settings)
        self.faults = faults
        self.bench = bench
        self.survey = Survey()
        self.journal = Journal(bench.state_dir)
        self.tally = Tally()
        self._halt = Halt()
        self.broken: str | None = "not started"
        self.snapshot = snapshot
        self._glance = glance
        self._in_force = InForce()
        self._host, self._cluster = host, cluster
        self._confirmations = Confirmations(host)
        self._stuck = Stuck()
        self._lives = Lives(self.known, self._stuck)
        self._allowed: dict[str, Callable[[], bool]] = {}
        self._resting = Resting()
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
        # What this process did while it ran earlier, the journal tells, but for a fault that is stuck where nothing is kept.
        self._lives.start_anew()
        self._in_force = InForce()
        unfinished = self._stuck.start_anew()
        try:
            unfinished |= {run.id: run for run in await self.journal.open()}
            await self._halt.recall(self.journal)
            self.broken = None
        except JournalError as error:
            self.broken = str(error)
            log.critical("%s", error)
        for run in unfinished.values():
            self._reconciled(await reconciled(run, self.faults, self.bench))
        for plan, failed in await sweep(self.faults, self.bench, lambda plan: plan.mark in self._stuck.marks):
            told = f"{plan.kind} {plan.mark}: " + ("undone" if failed is None else f"{failed}; by hand: {plan.manual}")
            self._record.note_orphan(plan.mark, told)
            log.warning("a fault without a run was found: %s", told)
        try:
            await self.journal.catch_up()
        except JournalError as error:
            self.broken = str(error)

    def _reconciled(self, run: Run) -> None:
        self.journal.note(run)
        self.tally.took(run)
        self._in_force.took(run)
        self._stuck.took(run)
        if run.phase is Phase.REVERT_FAILED:
            self.known.left_behind(run)
        if run.phase in FINAL:
            self.known.over(run, self._in_force)
        if run.phase in {Phase.ORPHAN_REVERTED, Phase.REVERT_FAILED}:
            self._record.note(run, HOST, f"chaos.{run.phase}")
        self._tell(run)

    async def _tend(self) -> None:
        """Let confirmations lapse, and write what the disk did not take."""
        while True:
            await trio.sleep(TEND_S)
            self._lives.let_lapse()
            try:
                await self.journal.catch_up()
            except JournalError as error:
                log.error("%s", error)

    # -- reading -------------------------------------------------------------------------------------------------------------

    @property
    def halted(self) -> str | None:
        """By whom, and why; None when experiments may start."""
        return self._halt.why

    @property
    def experiments(self) -> dict[str, Experiment]:
        """By id."""
        return self.known.by_id

    def current(self, experiment_id: str) -> Run | None:
        """The newest run of this process, or one of an earlier that is, or was, stuck."""
        return self._lives.current(experiment_id)

    @property
    def live(self) -> tuple[Run, ...]:
        """Runs whose fault is in force, about to be, or not undone."""
        return tuple(self._lives.as_it_is(run) for run in self._in_force)

    @property
    def _surroundings(self) -> Surroundings:
        assert self._around is not None, "run() runs"
        return self._around

    @property
    def _record(self) -> Record:
        return Record(self._surroundings.audit, self._host)

    def adopt(self, faults: Faults) -> None:
        """Go by another registry of fault kinds: that of a configuration, with what its plug-ins added."""
        self.faults = cast("FaultRegistry", faults)

    def configure(self, settings: ChaosSettings) -> None:
        """Another configuration: its experiments and limits hold from now on; what runs ends as it began.

        A confirmation of what its experiment was before is worth nothing: it is cancelled.
        """
        self.known.configure(settings, self._in_force)
        self.settings = settings
        self._lives.take_back_changed()

    # -- starting ------------------------------------------------------------------------------------------------------------

    def register(self, experiment: Experiment) -> None:
        """Make an experiment known until the host stops."""
        self.known.register(experiment)

    async def prepare(
        self, experiment_id: str, *, subject: str, standing: str = "", reason: str = "", ticket: str = ""
    ) -> Prepared:
        """Freeze what would be hurt, judge it, and hand out the confirmation. Changes nothing out there.

        standing: the roles of the subject, as text: with other roles than these the confirmation is worth nothing.
        """
        self._must_run()
        experiment, draft, why_not = await self._drafted(experiment_id, subject, reason, ticket)
        run, plan = msgspec.structs.replace(draft, id=self.journal.next_id(experiment_id)), draft.plan
        life = Life(self, experiment, as_fault(experiment), run)
        if why_not:
            life.move(Phase.REJECTED, "; ".join(why_not))
            self._record.note(life.run, subject, "chaos.prepare", result=REFUSED)
            raise guarded(experiment_id, why_not)
        await self._record.append(run, subject, "chaos.prepare", reason=reason, ticket=ticket, detail=f"plan {plan.id}")
        # Meanwhile an earlier run may have started, which must not be lost sight of, or another may have been prepared,
        # or the experiment may be another.
        self._lives.must_not_be_live(experiment_id)
        self.known.must_be_as(experiment)
        lasts_s = min(MAX_CONFIRM_S, self.settings.confirm_s * (5 if plan.two_person else 1))
        self._lives.await_confirmation(life, lasts_s)
        try:
            await life.move_durably(Phase.AWAITING_APPROVAL if plan.two_person else Phase.PREPARED)
        except JournalError as error:
            if life.run.phase in WAITING:  # nobody has taken it back meanwhile
                life.move(Phase.CANCELLED, str(error))
            raise ChaosRefusedError(Refusal.UNAVAILABLE, str(error)) from None
        token = self._confirmations.issue(plan=plan.id, run=run.id, subject=subject, standing=standing, lasts_s=lasts_s)
        return Prepared(life.run, token, lasts_s)

    async def approve(self, experiment_id: str, plan_id: str, *, subject: str, reason: str = "") -> Run:
        """The second person's yes, to this very plan."""
        life = self._lives.waiting(experiment_id, Phase.AWAITING_APPROVAL)
        if life.run.plan.id != plan_id:
            raise ChaosRefusedError(Refusal.CONFIRMATION, "the plan was prepared anew since", "look at it again, then decide")
        if subject == life.run.requested_by:
            raise ChaosRefusedError(Refusal.CONFIRMATION, "who asked for it cannot approve it", "ask somebody else")
        await self._record.append(life.run, subject, "chaos.approve", reason=reason, detail=f"plan {plan_id}")
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
        fleet: AskFleet | None = None,
    ) -> Run:
        """Confirm and inject, in one step: returns once the fault is in force, or was refused, or is undone again.

        subject: who the token was given to. Whoever asked may go away meanwhile: it happens all the same. still_allowed: asked
        while it runs; when who activated it no longer may, it ends. fleet: how other hosts are asked, on behalf of the subject.
        """
        self._must_run()
        run, why_not = await self._confirmable(experiment_id, token, subject, standing)
        # From here to ARMED nothing else has a turn: of many who redeem at once one gets through, none if it was prepared anew.
        nursery, life = self._must_run(), self._lives.waiting(experiment_id, *WAITING)
        self._confirmed(self._confirmations.redeem, token, life.run, subject, standing)
        if why_not:
            life.move(Phase.REJECTED, "; ".join(why_not))
            self._record.note(life.run, subject, "chaos.activate", result=REFUSED)
            raise guarded(experiment_id, why_not)
        self._allowed[run.id] = still_allowed
        life.move(Phase.ARMED, activated_by=subject, reason=reason or run.reason, ticket=ticket or run.ticket)
        nursery.start_soon(self._conduct, life, fleet)
        await life.settled.wait()
        if life.run.phase is Phase.REJECTED:
            raise guarded(experiment_id, [life.run.why])
        return life.run

    async def rehearse(
        self, experiment_id: str, *, subject: str, standing: str = "", token: str = "", to_activate: bool = False
    ) -> Run:
        """What `prepare`, or `activate`, would be about, refused where they are; nothing is written down, and no host asked.

        token: of what was prepared; empty: it would be prepared first. Returns the run that waits, or a draft that is not kept.
        """
        self._must_run()
        if token:
            run, why_not = await self._confirmable(experiment_id, token, subject, standing)
        else:
            _, run, why_not = await self._drafted(experiment_id, subject)
            if to_activate and not why_not:
                _must_be_approved(run)
        if why_not:
            raise guarded(experiment_id, why_not)
        return run

    async def _conduct(self, life: Life, fleet: AskFleet | None) -> None:
        """Within the fleet's budget, and on record first; a run that is not on record is not run."""
        run, subject, why = life.run, life.run.activated_by or HOST, "the host stopped before anything was injected"
        try:
            if why_not := await self._beyond_fleet(life, fleet):
                life.move(Phase.REJECTED, "; ".join(why_not))
                self._record.note(life.run, subject, "chaos.activate", result=REFUSED)
                return
            told = f"plan {run.plan.id}"
            if not life.called_off():  # while others were asked
                await self._record.append(run, subject, "chaos.activate", reason=run.reason, ticket=run.ticket, detail=told)
            if life.called_off():  # also while that was written: the record has to tell that it was not done
                self._record.note(life.run, subject, "chaos.activate", result=REFUSED)
                return
            await life.conduct()
        except ChaosRefusedError as error:
            why = error.what
        except Exception as error:
            # A mistake of ours must not take the host's probes down; the fault is undone before conduct() ends in any way.
            log.exception("experiment %s", run.id)
            why = f"a mistake of ours, {type(error).__name__}; the log has it"
        finally:
            if life.run.phase is Phase.ARMED:
                life.move(Phase.CANCELLED, why)
            life.give_up()

    # -- stopping ------------------------------------------------------------------------------------------------------------

    async def stop(self, experiment_id: str, *, subject: str, reason: str = "") -> Run:
        """End what runs of it, or take back what waits; calm when nothing does. Returns once the fault is gone."""
        self.known.find(experiment_id)
        run = self.current(experiment_id)
        if run is None:
            raise ChaosRefusedError(Refusal.WRONG_PHASE, f"{experiment_id} has never run", "there is nothing to stop")
        if run.phase not in FINAL:
            self._record.note(run, subject, "chaos.stop", reason=reason)
        await self._end(run, f"stopped by {subject}" + (f": {reason}" if reason else ""), subject)
        return self.current(experiment_id) or run

    async def halt(self, *, subject: str, reason: str = "") -> list[Run]:
        """Stop everything, and let nothing start until `resume`: also over restarts. Returns each run as it is then."""
        why = f"by {subject}" + (f": {reason}" if reason else "")
        self._halt.begin(self.journal, why)
        concerned = [*(life.run for life in self._lives if life.run.phase in WAITING), *self.live]
        if self._around is not None:
            self._record.note(None, subject, "chaos.halt", reason=reason)
        for life in self._lives:
            life.end(Phase.ABORTED, f"{HALTED} {why}", subject)
        with trio.move_on_after(HALT_PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._halt.keep, self.journal)
                for run in concerned:
                    nursery.start_soon(self._end, run, f"{HALTED} {why}", subject)
        return [self._lives.as_it_is(run) for run in concerned]

    async def resume(self, *, subject: str, reason: str) -> None:
        """Let experiments start again. ChaosRefusedError, and all stays halted, when somebody halts anew meanwhile."""
        halted = self.halted
        await self._record.append(None, subject, "chaos.resume", reason=reason)
        try:
            await self._halt.release(self.journal, halted)
        except ChaosRefusedError as error:
            self._record.note(None, subject, "chaos.resume", reason=reason, detail=error.what, result=REFUSED)
            raise

    async def _end(self, run: Run, why: str, subject: str) -> None:
        if run.id in self._stuck:
            await self._retry(run)
            return
        life = self._lives.get(run.experiment)  # None: it was stuck, and somebody has undone it meanwhile
        if life is not None and life.run.phase in WAITING:
            life.move(Phase.CANCELLED, why, stopped_by=subject)
        elif life is not None and life.run.phase not in FINAL:
            life.end(Phase.ABORTED, why, subject)
            await life.healed.wait()

    async def _retry(self, run: Run) -> None:
        """Undo what could not be undone before."""
        run = await tried_again(run, self.faults, self.bench)
        if run.id not in self._stuck:  # somebody else has undone it meanwhile
            return
        life = self._lives.of(run)
        if life is not None:
            life.run = run
        self.journal.note(run)
        self.moved(run)

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
        self._in_force.took(run)
        self._stuck.took(run)
        if run.phase in FINAL:
            self._allowed.pop(run.id, None)
            self.known.over(run, self._in_force)
        if run.phase in FINAL and run.injected_at is not None:
            self._resting.took(run, trio.current_time())
        level = logging.WARNING if run.phase in HARMFUL else logging.INFO
        log.log(level, "experiment %s is %s%s", run.id, run.phase, f": {run.why}" if run.why else "", extra=fields_of(run))
        if run.phase not in {Phase.PREPARED, Phase.AWAITING_APPROVAL, Phase.ARMED, Phase.REJECTED}:
            self._record.note(run, run.activated_by or run.requested_by, f"chaos.{run.phase}", detail=run.why)
        self._tell(run)

    def _tell(self, run: Run) -> None:
        self._surroundings.tell(run)

    # -- small parts -----------------------------------------------------------------------------------------------------

    def _judged(self, experiment: Experiment, plan: FaultPlan) -> tuple[list[str], Situation]:
        """Reads only what is in memory: nothing can change between the judgement and what follows from it at once."""
        now = situation(
            experiment,
            plan,
            self._glance(),
            self._in_force,
            is_on=self._surroundings.is_on,
            halted=self.halted,
            broken=self.broken,
            stuck=tuple(self._stuck),
            resting=self._resting,
        )
        return refusals(self.settings, experiment, plan, now), now

    async def _beyond_fleet(self, life: Life, fleet: AskFleet | None) -> list[str]:
        """Why it may not start after all: what other hosts tell, and what has changed here while they were asked."""
        budget = self.settings.max_concurrent_fleet
        if budget is None:
            return []
        told = await told_by_fleet(fleet, life)
        if told is None:
            return []
        why_not, _ = self._judged(life.experiment, life.run.plan.fault)
        return [*beyond_budget(budget, self._host, len(self._in_force), told), *why_not]

    async def _plan(self, experiment: Experiment) -> Plan:
        planned = await planned_fault(experiment, self.bench)
        two_person = experiment.two_person or self.settings.two_person  # as of when it is planned, not of before
        return plan_of(experiment, planned, host=self._host, cluster=self._cluster, two_person=two_person)

    async def _drafted(
        self, experiment_id: str, subject: str, reason: str = "", ticket: str = ""
    ) -> tuple[Experiment, Run, list[str]]:
        """What would be prepared, and what speaks against it. Changes nothing."""
        experiment = self.known.find(experiment_id)
        self._lives.must_not_be_live(experiment_id)
        plan = await self._plan(experiment)
        why_not, now = self._judged(experiment, plan.fault)
        run = Run(
            id=f"{experiment_id}-0",  # no run has this number
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
        return experiment, run, why_not

    async def _confirmable(self, experiment_id: str, token: str, subject: str, standing: str) -> tuple[Run, list[str]]:
        """What the token confirms, and what speaks against it by now. The token stays as good as it was."""
        life = self._lives.waiting(experiment_id, *WAITING)
        run = life.run
        self._confirmed(self._confirmations.check, token, run, subject, standing)
        _must_be_approved(run)
        plan = await self._plan(life.experiment)
        why_not, _ = self._judged(life.experiment, plan.fault)
        if plan.id != run.plan.id:
            why_not = ["what it would hurt has changed since it was prepared: look at the new plan", *why_not]
        return run, why_not

    def _confirmed(self, how: Callable[..., Any], token: str, run: Run, subject: str, standing: str) -> None:
        try:
            how(token, plan=run.plan.id, run=run.id, subject=subject, standing=standing)
        except ConfirmationRefusedError as error:
            raise ChaosRefusedError(Refusal.CONFIRMATION, str(error), "prepare it again, and confirm what is shown") from None

    def _must_run(self) -> trio.Nursery:
        if self._nursery is None:
            raise ChaosRefusedError(Refusal.UNAVAILABLE, "the host is starting, or stopping", "ask again in a second")
        return self._nursery


def _must_be_approved(run: Run) -> None:
    if run.plan.two_person and run.approved_by is None:
        raise ChaosRefusedError(Refusal.CONFIRMATION, f"{run.id} waits for a second person", "fastprobe chaos approve")
