"""Carrying out a scenario through a host's public verbs. Whatever happens, what was started is undone before this is over.

A step counts as started before its activation is sent: an answer that is lost on the way may have been a yes. Undoing goes from
the last to the first, shielded from cancellation, within a time of its own. Should this process die, nothing new starts, and
each fault ends when its duration is over: the host sees to that, and nobody else has to.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
import trio

from meshkit_fastprobe.chaos.run import Measure
from meshkit_fastprobe.chaos.scenarios.hands import Hands, HostLostError, HostRefusedError, Offered, Seen
from meshkit_fastprobe.chaos.scenarios.judging import Circumstances, Judged, Meter, Verdict, judge_measured, unmet
from meshkit_fastprobe.chaos.scenarios.planning import ScenarioPlan
from meshkit_fastprobe.chaos.scenarios.states import UNTOUCHED, StepPhase
from meshkit_fastprobe.chaos.scenarios.step import NOT_UNDONE, Rollback, StepLife, Undone
from meshkit_fastprobe.chaos.states import HALTED, Phase
from meshkit_fastprobe.config.durations import format_duration
from meshkit_fastprobe.experiments import Selector
from meshkit_fastprobe.scenarios import MEASURED, Requirements

POLL_S: Final = 0.2
LOOK_S: Final = 0.5
"""How often probes are looked at that objectives are about."""
AGAIN_S: Final = 1.0
"""Before the host is asked once more whether it would start something."""
LOST_S: Final = 15.0
"""Without an answer for so long, the host is given up."""
ROLLBACK_S: Final = 30.0
"""For undoing everything."""
SETTLE_S: Final = 3.0
"""How long to wait, once all is undone, for what the host still measures."""

R = TypeVar("R")


class EndKind(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    HALTED = "halted"
    LOST = "unreachable"
    TOO_LONG = "too_long"


class Ending(msgspec.Struct, frozen=True):
    kind: EndKind
    why: str = ""


class StepFailedError(Exception):
    """A step comes to nothing good; the message says why."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(why)


class Conduct:
    """One go. shown: by experiment, what the person who said yes has seen of its plan; a step that would do otherwise fails."""

    def __init__(
        self,
        plan: ScenarioPlan,
        hands: Hands,
        *,
        shown: Mapping[str, Mapping[str, object]],
        tell: Callable[[StepLife], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self.lives = {planned.step.name: StepLife(planned, tell) for planned in plan.steps}
        self.meters = [Meter(one) for one in plan.scenario.objectives if one.metric not in MEASURED]
        """Of the whole."""
        self.began_at = time.time()
        self.ended_at: float | None = None
        self.is_rolling_back = False
        self._hands = hands
        self._shown = shown
        self._ending: Ending | None = None
        self._forward = trio.CancelScope()
        self._started: list[StepLife] = []
        self._open: list[tuple[StepLife | None, Meter]] = []
        self._heard: float | None = None
        self._undone = 0

    # -- the whole ---------------------------------------------------------------------------------------------------------

    async def run(self) -> Ending:
        """Until everything is over and undone; the only one who ends it early is `end`, or whoever cancels."""
        self.began_at = time.time()
        try:
            with self._forward:
                await self._go_forward()
        finally:
            with trio.CancelScope(shield=True):
                await self._roll_back()
                await self._last_look()
                self.ended_at = time.time()
        return self.ending

    def end(self, kind: EndKind, why: str) -> None:
        """Start nothing more, undo what was started. The first to say so decides what it was."""
        if self._ending is None and self.ended_at is None:
            self._ending = Ending(kind, why)
            self._forward.cancel()

    @property
    def ending(self) -> Ending:
        """How it ended; completed when nobody ended it, which is not to say that every objective was met."""
        if self._ending is not None:
            return self._ending
        failed = [life for life in self.lives.values() if life.phase is not StepPhase.PASSED]
        if failed:
            refused = any(life.is_refused for life in failed)
            kind = EndKind.REFUSED if refused else EndKind.FAILED
            return Ending(kind, "; ".join(f"{life.step.name}: {life.why}" for life in failed if life.why))
        if any(one.verdict is not Verdict.MET for one in self.judged()):
            return Ending(EndKind.FAILED, "an objective of the whole was missed")
        return Ending(EndKind.COMPLETED)

    def judged(self) -> tuple[Judged, ...]:
        """What the whole is judged by, in the order in which it was written."""
        measures = [one for life in self.lives.values() if life.seen is not None for one in life.seen.measures]
        return tuple(self._judge_whole(measures))

    def _judge_whole(self, measures: list[Measure]) -> Iterator[Judged]:
        meters = {id(meter.objective): meter for meter in self.meters}
        for objective in self.plan.scenario.objectives:
            meter = meters.get(id(objective))
            yield judge_measured(objective, measures) if meter is None else meter.judged()

    async def _go_forward(self) -> None:
        scenario = self.plan.scenario
        async with trio.open_nursery() as background:
            background.start_soon(self._keep_to_length)
            try:
                await self._met(scenario.requires)
            except StepFailedError as error:
                self.end(EndKind.REFUSED if error.refused else EndKind.FAILED, str(error))
                await trio.lowlevel.checkpoint()
            await self._watch(None, self.meters)
            background.start_soon(self._look)
            async with trio.open_nursery() as steps:
                for life in self.lives.values():
                    steps.start_soon(self._step, life)
            await self._look_once(self._open)
            background.cancel_scope.cancel()

    async def _keep_to_length(self) -> None:
        await trio.sleep(self.plan.scenario.max_length_s)
        self.end(EndKind.TOO_LONG, f"max_length, {format_duration(self.plan.scenario.max_length_s)}, is over")

    # -- a step ------------------------------------------------------------------------------------------------------------

    async def _step(self, life: StepLife) -> None:
        step = life.step
        for need in step.needs:
            await self.lives[need].over.wait()
        try:
            await self._carried_out(life)
            _must_be_met(life)
            life.move(StepPhase.PASSED)
        except StepFailedError as error:
            life.is_refused = error.refused
            if step.on_failure == "stop":  # first, so that nothing that waits for this step begins
                self.end(EndKind.REFUSED if error.refused else EndKind.FAILED, f"{step.name}: {error}")
            elif life.seen is not None and not life.seen.is_over and life.is_started:
                # What needs this step goes on: nothing of it may be in force then.
                await self._undo(life, f"{step.name} failed: {error}", trio.current_time() + ROLLBACK_S)
                assert life.rollback is not None
                if life.rollback.how in NOT_UNDONE:
                    self.end(EndKind.FAILED, f"{step.name} could not be undone: {life.rollback.why}")
            life.move(StepPhase.FAILED, str(error))
        finally:
            self._open = [pair for pair in self._open if pair[0] is not life]
        life.over.set()

    async def _carried_out(self, life: StepLife) -> None:
        step = life.step
        if step.wait_s:
            life.rests_until = trio.current_time() + step.wait_s
            life.move(StepPhase.RESTING)
            await trio.sleep(step.wait_s)
        life.move(StepPhase.CHECKING)
        patient_until = trio.current_time() + step.requires.patience_s
        await self._met(step.requires)
        if step.experiment is not None:
            offered = await self._offered(life, step.experiment, patient_until)
            await self._watch(life, life.meters)
            await self._inject(life, step.experiment, offered)
            await self._follow(life, step.experiment)
        else:
            await self._watch(life, life.meters)
        if step.hold_s:
            life.rests_until = trio.current_time() + step.hold_s
            life.move(StepPhase.LOOKING)
            await trio.sleep(step.hold_s)
        await self._look_once([pair for pair in self._open if pair[0] is life])

    async def _met(self, requires: Requirements) -> None:
        """Returns once it all holds; StepFailedError when patience ends before."""
        until = trio.current_time() + requires.patience_s
        while True:
            now = await self._answered(self._circumstances, requires)
            against = unmet(requires, now)
            if not against:
                return
            if trio.current_time() >= until:
                raise StepFailedError("; ".join(against), refused=True)
            await trio.sleep(min(AGAIN_S, max(0.05, until - trio.current_time())))

    async def _circumstances(self, requires: Requirements) -> Circumstances:
        ours = {life.seen.id for life in self._started if life.seen is not None}
        asks_toggles = requires.toggles or requires.no_incident
        others = await self._hands.in_force() if requires.no_other_run else {}
        return Circumstances(
            now_s=time.time(),
            toggles=await self._hands.toggles() if asks_toggles else {},
            others=sorted(run for run in others.values() if run not in ours),
            up=[(await self._hands.sums(steady)).up for steady in requires.steady_state],
        )

    async def _offered(self, life: StepLife, experiment: str, patient_until: float) -> Offered:
        """Prepared, as it was shown, and approved where that is asked for."""
        while True:
            try:
                offered = await self._answered(self._hands.prepare, experiment)
                break
            except StepFailedError:
                if trio.current_time() >= patient_until:
                    raise
                await trio.sleep(AGAIN_S)
        life.offered, life.seen = offered, offered.run
        if dict(offered.shown) != dict(self._shown[experiment]):
            await self._take_back(life, "it is not what was shown")
            raise StepFailedError(f"{experiment} would not do what was shown before: look at the new plan", refused=True)
        if offered.two_person:
            await self._approved(life, experiment, offered)
        return offered

    async def _approved(self, life: StepLife, experiment: str, offered: Offered) -> None:
        life.rests_until = trio.current_time() + offered.lasts_s
        life.move(
            StepPhase.APPROVING, f"somebody else approves it: fastprobe chaos approve {experiment} --plan {offered.run.plan}"
        )
        while True:
            seen = await self._answered(self._hands.run, experiment, offered.run.id)
            life.seen = seen
            if seen.approved_by is not None:
                return
            if seen.is_over:
                raise StepFailedError(f"nobody approved it: {seen.why or seen.phase}", refused=True)
            await trio.sleep(POLL_S)

    async def _inject(self, life: StepLife, experiment: str, offered: Offered) -> None:
        # Before it is sent: whatever becomes of the answer, this is undone from here on.
        life.is_started = True
        self._started.append(life)
        life.move(StepPhase.STARTING, "")
        try:
            life.saw(await self._hands.activate(experiment, offered.token))
            self._heard = trio.current_time()
        except HostRefusedError as error:
            raise StepFailedError(error.what, refused=True) from None
        except HostLostError:
            return  # it may be in force: following tells

    async def _follow(self, life: StepLife, experiment: str) -> None:
        """Until the run is over; StepFailedError when it came to nothing good."""
        assert life.seen is not None
        run = life.seen.id
        while True:
            seen = await self._answered(self._hands.run, experiment, run)
            life.saw(seen)
            if seen.is_over or seen.phase is Phase.REVERT_FAILED:
                break
            await trio.sleep(POLL_S)
        if seen.why.startswith(HALTED):
            self.end(EndKind.HALTED, seen.why)
        if seen.phase is not Phase.COMPLETED:
            by_hand = f"; undo it by hand: {seen.manual}" if seen.phase is Phase.REVERT_FAILED else ""
            raise StepFailedError(f"{run} came to {seen.phase}: {seen.why}{by_hand}")
        if life.phase is StepPhase.STARTING:  # it was over before it was seen
            life.move(StepPhase.RUNNING)

    async def _take_back(self, life: StepLife, reason: str) -> None:
        """What was prepared and not activated lapses by itself: this only spares others the sight of it."""
        assert life.step.experiment is not None
        assert life.seen is not None
        try:
            life.seen = await self._hands.stop(life.step.experiment, life.seen.id, reason)
        except (HostRefusedError, HostLostError):
            return

    # -- asking ------------------------------------------------------------------------------------------------------------

    async def _answered(self, ask: Callable[..., Awaitable[R]], *what: object) -> R:
        """The answer, asking again while there is none; the host is given up in the end. StepFailedError when it says no."""
        while True:
            try:
                answer = await ask(*what)
            except HostRefusedError as error:
                self._heard = trio.current_time()
                raise StepFailedError(error.what, refused=True) from None
            except HostLostError as error:
                self._lost(str(error))
                await trio.sleep(POLL_S)
            else:
                self._heard = trio.current_time()
                return answer

    def _lost(self, why: str) -> None:
        now = trio.current_time()
        if self._heard is None or now - self._heard >= LOST_S:
            self.end(EndKind.LOST, f"the host gives no answer: {why}")

    # -- looking -----------------------------------------------------------------------------------------------------------

    async def _watch(self, life: StepLife | None, meters: list[Meter]) -> None:
        """Look at the probes of these from now on."""
        pairs = [(life, meter) for meter in meters]
        await self._look_once(pairs)
        self._open += pairs

    async def _look(self) -> None:
        while True:
            await trio.sleep(LOOK_S)
            await self._look_once(self._open)

    async def _look_once(self, pairs: list[tuple[StepLife | None, Meter]]) -> None:
        """One look at each set of probes that an objective is about."""
        meant: dict[Selector, list[tuple[StepLife | None, Meter]]] = {}
        for pair in pairs:
            meant.setdefault(pair[1].objective.probes, []).append(pair)
        async with trio.open_nursery() as looks:
            for selector, asking in meant.items():
                looks.start_soon(self._look_at, selector, asking)

    async def _look_at(self, selector: Selector, asking: list[tuple[StepLife | None, Meter]]) -> None:
        try:
            sums = await self._hands.sums(selector)
        except HostLostError as error:
            for _, meter in asking:
                meter.trouble = str(error)
            self._lost(str(error))
            return
        except HostRefusedError as error:
            for _, meter in asking:
                meter.trouble = error.what
            return
        self._heard = trio.current_time()
        for life, meter in asking:
            meter.take(sums)
            on_failure = self.plan.scenario.on_failure if life is None else life.step.on_failure
            if meter.is_broken and on_failure == "stop":
                self.end(EndKind.FAILED, ("" if life is None else f"{life.step.name}: ") + _told(meter.judged()))

    # -- undoing -----------------------------------------------------------------------------------------------------------

    async def _roll_back(self) -> None:
        """Everything that was started, the last one first; then see what the host says of it."""
        self.is_rolling_back = True
        reason = f"scenario {self.plan.scenario.name}: {self.ending.why or 'it is over'}"[:400]
        deadline = trio.current_time() + ROLLBACK_S
        for life in reversed(self._started):
            await self._undo_somehow(life, reason, deadline)
        for life in self.lives.values():
            if life.phase in UNTOUCHED:
                if life.offered is not None:
                    with trio.move_on_after(SETTLE_S):
                        await self._take_back(life, reason)
                life.move(StepPhase.SKIPPED, self.ending.why)
        with trio.move_on_after(SETTLE_S):
            async with trio.open_nursery() as nursery:
                for life in self._started:
                    nursery.start_soon(self._settled, life)
        for life in self.lives.values():
            if life.phase is StepPhase.STOPPING:
                failed = life.rollback is not None and life.rollback.how is Undone.FAILED
                life.move(StepPhase.FAILED if failed else StepPhase.STOPPED, self._why_stopped(life))
            elif not life.is_over:
                life.move(StepPhase.STOPPED, self._why_stopped(life))

    def _why_stopped(self, life: StepLife) -> str:
        if life.rollback is not None and life.rollback.how in NOT_UNDONE:
            return life.rollback.why
        return self.ending.why

    async def _undo_somehow(self, life: StepLife, reason: str, deadline: float) -> None:
        """A mistake of ours, or an answer that nobody foresaw, leaves nothing of the others in force."""
        assert life.seen is not None
        for _ in range(2):  # what went wrong may have been the telling of it, which is done once
            try:
                await self._undo(life, reason, deadline)
            except Exception as error:  # noqa: BLE001 - whatever it was
                why = f"{type(error).__name__}: {error}"
            else:
                return
        life.rollback = self._rolled_back(Undone.UNCONFIRMED, _by_itself(life.seen, why))

    async def _undo(self, life: StepLife, reason: str, deadline: float) -> None:
        """Fill in its rollback, one way or the other. Undoing twice is calm."""
        assert life.step.experiment is not None
        assert life.seen is not None
        if not life.is_over and life.phase is not StepPhase.STOPPING:
            life.move(StepPhase.STOPPING)
        if life.seen.is_over:
            life.rollback = life.rollback or self._rolled_back(Undone.ENDED, life.seen.why)
            return
        why = ""
        while True:
            try:
                seen = await self._hands.stop(life.step.experiment, life.seen.id, reason)
            except HostRefusedError as error:
                why = error.what
            except HostLostError as error:
                why = str(error)
            else:
                life.seen = seen
                life.rollback = self._rolled_back(Undone.STOPPED if seen.is_gone else Undone.FAILED, seen.why)
                return
            if trio.current_time() >= deadline:
                life.rollback = self._rolled_back(Undone.UNCONFIRMED, _by_itself(life.seen, why))
                return
            await trio.sleep(AGAIN_S)

    def _rolled_back(self, how: Undone, why: str) -> Rollback:
        self._undone += 1
        return Rollback(order=self._undone, how=how, at=time.time(), why=why)

    async def _settled(self, life: StepLife) -> None:
        """What the host still measures, and the receipt."""
        assert life.step.experiment is not None
        assert life.seen is not None
        try:
            while not life.seen.is_over:
                await trio.sleep(POLL_S)
                life.seen = await self._hands.run(life.step.experiment, life.seen.id)
            life.receipt = await self._hands.receipt(life.seen.id)
        except (HostRefusedError, HostLostError):
            return

    async def _last_look(self) -> None:
        """What the whole is judged by covers the time in which things were undone."""
        with trio.move_on_after(SETTLE_S):
            await self._look_once([(None, meter) for meter in self.meters])


def _must_be_met(life: StepLife) -> None:
    missed = life.missed
    if missed:
        raise StepFailedError("; ".join(_told(one) for one in missed))


def _by_itself(seen: Seen, why: str) -> str:
    """What a person has to know of a fault that nobody saw end."""
    if seen.ends_at is None:
        return f"{why}; if it is in force, the host ends it when its duration is over"
    left_s = math.ceil(max(0.0, seen.ends_at - time.time()))
    return f"{why}; the host ends it by itself within {format_duration(left_s)}"


def _told(judged: Judged) -> str:
    seen = f"it was {judged.told}" if judged.observed is not None else judged.why
    return f"{judged.objective.title} was {judged.verdict}: {seen}"
