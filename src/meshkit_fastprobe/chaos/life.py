"""One run, from injection to its end. Whatever happens, what was injected is undone before this is over.

The heal is shielded from cancellation, has a deadline of its own, needs nothing but the plan, and does not wait for a disk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import msgspec
import trio

from meshkit_fastprobe.aggregation.snapshot import Snapshot
from meshkit_fastprobe.chaos.faults.base import LEASE_S, Effect, Fault, FaultError, FaultHost, Leased
from meshkit_fastprobe.chaos.journal import Journal, JournalError
from meshkit_fastprobe.chaos.measuring import Observer
from meshkit_fastprobe.chaos.run import Move, Run
from meshkit_fastprobe.chaos.sight import share_up
from meshkit_fastprobe.chaos.states import FINAL, Phase, moved
from meshkit_fastprobe.experiments import Experiment, Selector

APPLY_S: Final = 10.0
REVERT_S: Final = 10.0
REVERT_TRIES: Final = 3
CHECK_S: Final = 1.0
"""How often the effect and the permission to go on are looked at."""

T = TypeVar("T")

log = logging.getLogger("meshkit_fastprobe.chaos")


class Means(Protocol):
    """What a run is conducted with."""

    @property
    def journal(self) -> Journal: ...
    @property
    def bench(self) -> FaultHost: ...
    def snapshot(self) -> Snapshot: ...
    def forbidden(self, run: Run) -> str | None:
        """Why it may not go on; None when it may."""

    def moved(self, run: Run) -> None:
        """Tell everybody; never waits, never fails."""


class Life:
    """A run that is under way. One task conducts it; others may end it."""

    def __init__(self, means: Means, experiment: Experiment, fault: Fault, run: Run) -> None:
        self.run = run
        self.experiment = experiment
        self.settled = trio.Event()
        """Set once the fault is in force, or never will be."""
        self.healed = trio.Event()
        """Set once the fault is gone, or could not be undone."""
        self.over = trio.Event()
        self._means = means
        self._fault = fault
        self._ending = trio.Event()
        self._verdict = Phase.COMPLETED
        self._why = "its time was over" if fault.lasts else "it was done"
        selector = experiment.affects or experiment.steady_state
        self._observer = Observer(selector or Selector())
        self._watches = selector is not None

    # -- moving --------------------------------------------------------------------------------------------------------------

    def move(self, phase: Phase, why: str = "", **known: object) -> None:
        """To this phase, in memory and towards the disk; never waits."""
        at = time.time()
        self.run = msgspec.structs.replace(
            self.run,
            phase=moved(self.run.phase, phase),
            why=why or self.run.why,
            moves=(*self.run.moves, Move(phase, at, why)),
            **known,
        )
        self._means.journal.note(self.run)
        self._means.moved(self.run)
        if phase in FINAL:
            self.settled.set()
            self.healed.set()
            self.over.set()

    async def move_durably(self, phase: Phase, why: str = "", **known: object) -> None:
        """The same; on the disk when this returns. JournalError when it is not."""
        self.move(phase, why, **known)
        await self._means.journal.record(self.run)

    def end(self, verdict: Phase, why: str, by: str | None = None) -> None:
        """Undo the fault now. The first to say so decides what it was; when it is being undone already, nobody does."""
        if self.run.phase in FINAL or self._ending.is_set():
            return
        self._verdict, self._why = verdict, why
        if by is not None:
            self.run = msgspec.structs.replace(self.run, stopped_by=by)
        self._ending.set()

    def called_off(self) -> bool:
        """Whether somebody has ended it before anything was injected: then it is cancelled."""
        if self._ending.is_set() and self.run.phase is Phase.ARMED:
            self.move(Phase.CANCELLED, self._why)
        return self._ending.is_set()

    def give_up(self) -> None:
        """Nobody conducts it any more: whoever waits for it need not."""
        for event in (self.settled, self.healed, self.over):
            event.set()

    async def unless_ended(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """What it comes to; None when somebody ends the run before, who is kept waiting by nobody."""
        answer = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_on_end, nursery.cancel_scope)
            answer = await ask()
            nursery.cancel_scope.cancel()
        return answer

    # -- conducting ----------------------------------------------------------------------------------------------------------

    async def conduct(self) -> None:
        """ARMED to its end."""
        if self.called_off():
            return
        try:
            await self.move_durably(Phase.INJECTING)  # what the disk does not know of is not injected
            await self._inject_and_hold()
        except Exception as error:  # noqa: BLE001 - a fault of anybody may raise anything; it is undone like any other
            self.end(Phase.ABORTED, _told(error))
            log.warning("experiment %s: %s", self.run.id, _told(error))
        except BaseException:
            self.end(Phase.CANCELLED, "the host stopped")
            with trio.CancelScope(shield=True):
                await self._heal()
                await self._finish(patient=False)
            raise
        with trio.CancelScope(shield=True):
            await self._heal()
        await self._finish(patient=self.run.injected_at is not None)

    async def _inject_and_hold(self) -> None:
        if self._watches:  # what ran before is no sample
            self._look()
        if self._ending.is_set():  # while that it is about to be injected was written
            return
        effect = await self._applied()
        if effect is None:  # ended while it was being applied
            return
        if self._fault.lasts and not effect.in_force:
            self.end(Phase.NO_EFFECT, f"the fault is not in force: {effect.told}")
            return
        now = time.time()
        duration_s = self.experiment.duration_s if self._fault.lasts else 0.0
        # A restart undoes INJECTING as well, which the disk has: one that hangs by now must not hold what it is to undo.
        self.move(Phase.ACTIVE, effect.told, effect=effect, injected_at=now, ends_at=now + duration_s)
        self.settled.set()
        with trio.move_on_after(duration_s):
            async with trio.open_nursery() as nursery:
                if self._watches:
                    nursery.start_soon(self._watch)
                nursery.start_soon(self._check)
                if isinstance(self._fault, Leased):
                    nursery.start_soon(self._renew, self._fault.renew)
                await self._ending.wait()
                nursery.cancel_scope.cancel()

    async def _applied(self) -> Effect | None:
        """Make it so, unless somebody ends it first."""
        plan, host, effect = self.run.plan.fault, self._means.bench, None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_on_end, nursery.cancel_scope)
            with trio.fail_after(APPLY_S):
                self._observer.injected = trio.current_time()
                # Whoever ends it from here on may have let it do harm; once it is in force, the time of that is told instead.
                self.run = msgspec.structs.replace(self.run, injected_at=time.time())
                await self._fault.apply(host, plan)
                self._observer.injected = trio.current_time()
                effect = await self._fault.verify(host, plan)
            nursery.cancel_scope.cancel()
        return effect

    async def _cancel_on_end(self, scope: trio.CancelScope) -> None:
        await self._ending.wait()
        scope.cancel()

    def _look(self) -> tuple[Snapshot, float]:
        """What the probes say now, and for how long nothing more needs to be seen."""
        now = trio.current_time()  # first: a snapshot tells of the moment at which its making begins, which takes milliseconds
        snapshot = self._means.snapshot()
        return snapshot, self._observer.look(snapshot, now)

    async def _watch(self) -> None:
        """Take in what the probes say; end the run when the steady state is broken, or nobody can see."""
        while True:
            snapshot, wait_s = self._look()
            steady = self.experiment.steady_state
            if steady is not None:
                share = share_up(snapshot, steady)
                if share is None:
                    self.end(Phase.ABORTED, "the probes of the steady state cannot see any more")
                elif share < steady.healthy_ratio:
                    asked = steady.healthy_ratio
                    self.end(Phase.ABORTED, f"the steady state is broken: {share:.0%} of its probes are up, not {asked:.0%}")
            await trio.sleep(wait_s)

    async def _check(self) -> None:
        """Whether it may go on, and what it has done so far."""
        while True:
            why = self._means.forbidden(self.run)
            if why is not None:
                self.end(Phase.ABORTED, why)
            await trio.sleep(CHECK_S)
            effect = await self._fault.verify(self._means.bench, self.run.plan.fault)
            self.run = msgspec.structs.replace(self.run, effect=effect)
            if not effect.in_force:
                self.end(Phase.ABORTED, f"the fault ended by itself: {effect.told}")

    async def _renew(self, renew: Callable[..., Awaitable[None]]) -> None:
        while True:
            await trio.sleep(LEASE_S / 3)
            await renew(self._means.bench, self.run.plan.fault)

    # -- healing -------------------------------------------------------------------------------------------------------------

    async def _heal(self) -> None:
        """Undo it, and see that it is undone. Never raises; REVERT_FAILED is what it comes to when it is not."""
        self._ending.set()
        self.move(Phase.REVERTING, self._why, effect=await self._last_effect())
        failed = await self._revert()
        self._observer.reverted = trio.current_time()
        if failed is None:
            self.move(Phase.RECOVERING, self._why, reverted_at=time.time())
        else:
            manual = self.run.plan.fault.manual
            self.move(Phase.REVERT_FAILED, f"{failed}; undo it by hand: {manual}")
            log.critical("experiment %s COULD NOT BE UNDONE: %s; undo it by hand: %s", self.run.id, failed, manual)
        self.settled.set()
        self.healed.set()

    async def _revert(self) -> str | None:
        """Why it could not be undone; None when it is."""
        plan, host, failed = self.run.plan.fault, self._means.bench, "it did not end in time"
        with trio.move_on_after(REVERT_S):
            for attempt in range(REVERT_TRIES):
                try:
                    await self._fault.revert(host, plan)
                    if await self._fault.is_gone(host, plan):
                        return None
                    failed = "it is still there"
                except Exception as error:  # noqa: BLE001 - a fault of anybody may raise anything; it is tried again
                    failed = _told(error)
                await trio.sleep(0.1 * 4**attempt)
        return failed

    async def _last_effect(self) -> Effect | None:
        if self.run.injected_at is None:
            return None
        with trio.move_on_after(0.05):  # undoing it does not wait for what it has to tell
            try:
                return await self._fault.verify(self._means.bench, self.run.plan.fault)
            except Exception as error:  # noqa: BLE001 - only its last count is lost
                log.debug("experiment %s: no last count: %s", self.run.id, error)
        return self.run.effect

    async def _finish(self, *, patient: bool) -> None:
        """See what was hurt become well again, then say what it was."""
        if self.run.phase is not Phase.RECOVERING:
            self.over.set()
            return
        verdict, why = self._verdict, self._why
        if patient:
            recovered = await self._recover()
            if not self._fault.lasts:  # who brings it back may have taken until now
                self.run = msgspec.structs.replace(self.run, effect=await self._last_effect())
            verdict, why = self._judge(recovered)
        steady = self.experiment.steady_state
        after = None if steady is None else share_up(self._means.snapshot(), steady)
        self.move(verdict, why, measures=self._observer.measures() if self._watches else (), steady_after=after)
        try:
            await self._means.journal.record(self.run)
        except JournalError as error:
            log.error("experiment %s ended, which the journal does not know yet: %s", self.run.id, error)

    async def _recover(self) -> bool:
        """Whether what was hurt became well again in time, as far as anybody watches."""
        if not self._watches:
            return True
        lasts_s = 0.0 if self._fault.lasts else self.experiment.duration_s
        with trio.move_on_after(max(lasts_s, self.experiment.recovery_s)):
            while True:
                snapshot, wait_s = self._look()
                steady = self.experiment.steady_state
                share = None if steady is None else share_up(snapshot, steady)
                holds = steady is None or (share is not None and share >= steady.healthy_ratio)
                # What is done at once may be over before a probe looked: then all have to have looked since.
                well = self._observer.recovered and (self._fault.lasts or self._observer.looked)
                if holds and well:
                    return True
                await trio.sleep(wait_s)
        return False

    def _judge(self, recovered: bool) -> tuple[Phase, str]:
        if not recovered:
            return Phase.ABORTED, f"{self._why}; what was hurt was not well again {self.experiment.recovery_s:g} s later"
        effect = self.run.effect
        if not self._fault.lasts and (effect is None or not effect.in_force):
            return Phase.ABORTED, f"{self._why}; it was not done: {'nobody knows' if effect is None else effect.told}"
        seen = (self._watches and self._observer.hurt) or (effect is not None and bool(effect.touched))
        if self._verdict is Phase.COMPLETED and self._fault.lasts and not seen:
            return Phase.NO_EFFECT, f"{self._why}; neither a probe nor the fault itself saw any effect"
        return self._verdict, self._why


def _told(error: BaseException) -> str:
    """The first cause, in one line: nurseries wrap what ends them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, FaultError | JournalError) else f"{type(error).__name__}: {error}"
