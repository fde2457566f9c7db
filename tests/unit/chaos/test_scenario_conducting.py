"""Whatever a host does to a scenario (refuse, break off, go away), whoever ends it when: nothing it began is left in force."""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise

import msgspec
import pytest
import trio
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.run import Measure
from meshkit_fastprobe.chaos.scenarios.conducting import LOST_S, Conduct, EndKind
from meshkit_fastprobe.chaos.scenarios.hands import Hands, HostLostError, HostRefusedError, Offered, ReceiptReference, Seen
from meshkit_fastprobe.chaos.scenarios.judging import Sums, Verdict
from meshkit_fastprobe.chaos.scenarios.planning import Known, plan_scenario
from meshkit_fastprobe.chaos.scenarios.states import ALLOWED, OVER, StepPhase
from meshkit_fastprobe.chaos.scenarios.step import Undone
from meshkit_fastprobe.chaos.states import HALTED, Phase
from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.experiments import SteadyState
from meshkit_fastprobe.scenarios import Metric, Objective, Requirements, Scenario, Step

RECOVERY_S = 0.5
MOODS = (
    "well",
    "refuses",
    "refuses late",
    "answer lost",
    "question lost",
    "breaks off",
    "sees nothing",
    "halted",
    "stuck once",
    "tells nothing",
)


class Fake(msgspec.Struct, kw_only=True):
    """An experiment of the fake host. mood: what becomes of it."""

    duration_s: float
    resources: frozenset[str]
    mood: str = "well"


class FakeHost:
    """Remembers what was in force when. Held to the same protocol as the hands of the command line."""

    def __init__(self, experiments, *, down=(0.0, 0.0), up=1.0, two_person=False):
        self.experiments = experiments
        self.down = down
        self.up = up
        self.two_person = two_person
        self.approved = True
        self.changed = False
        self.runs = {}
        self.violations = []
        self.activated = []
        self.foreign = {}
        self.on = {"chaos.enabled": True, "chaos.incident": False}

    def _answers(self):
        now = trio.current_time()
        if self.down[0] <= now < self.down[1]:
            raise HostLostError("connection refused")
        return now

    def in_force_at(self, run, now):
        return run["from"] is not None and run["from"] <= now < run["to"]

    def _seen(self, name, run, now):
        wall = time.time() - now
        fake = self.experiments[name]
        phase, why = Phase.PREPARED, ""
        if run["rejected"]:
            phase, why = Phase.REJECTED, "the host changed its mind"
        elif run["cancelled"]:
            phase, why = Phase.CANCELLED, "taken back"
        elif run["stuck"] and run["from"] is not None and now >= run["to"]:
            phase, why = Phase.REVERT_FAILED, "it is still there"
        elif run["from"] is not None:
            if now < run["to"]:
                phase = Phase.ACTIVE
            elif now < run["to"] + RECOVERY_S:
                phase, why = Phase.RECOVERING, run["why"]
            else:
                phase, why = run["comes to"], run["why"]
        hurt = 0 if fake.mood == "sees nothing" else 1
        measures = (
            (Measure(group="/orders", probes=1, hurt=hurt, samples=9, detection_s=0.1, recovery_s=0.2, error_s=0.05),)
            if run["from"] is not None and phase in {Phase.COMPLETED, Phase.ABORTED, Phase.NO_EFFECT}
            else ()
        )
        return Seen(
            id=run["id"],
            phase=phase,
            plan=f"plan of {name}",
            why=why,
            approved_by="user:second" if self.two_person and self.approved else None,
            injected_at=None if run["from"] is None else wall + run["from"],
            ends_at=None if run["from"] is None else wall + run["to"],
            measures=measures,
            manual="undo it",
        )

    async def prepare(self, experiment):
        await trio.sleep(0.01)
        now = self._answers()
        if self.experiments[experiment].mood == "refuses":
            raise HostRefusedError(f"{experiment} may not run")
        run = {"id": f"{experiment}-{len(self.runs)}", "from": None, "to": None, "why": "its time was over"}
        run |= {"comes to": Phase.COMPLETED, "stuck": False, "rejected": False, "cancelled": False, "experiment": experiment}
        self.runs[run["id"]] = run
        offered = Offered(
            run=self._seen(experiment, run, now),
            token="yes",
            lasts_s=60.0,
            two_person=self.two_person,
            shown=shown_of(experiment) | ({"more": 1} if self.changed else {}),
        )
        self.newest = run
        return offered

    async def activate(self, experiment, token):
        assert token == "yes"
        run = [one for one in self.runs.values() if one["experiment"] == experiment][-1]
        fake = self.experiments[experiment]
        await trio.sleep(0.01)
        if fake.mood == "question lost":
            raise HostLostError("no answer within 10 s")
        now = self._answers()
        if fake.mood == "refuses late":
            run["rejected"] = True
            raise HostRefusedError("it has changed")
        for other in self.runs.values():
            if self.in_force_at(other, now) and self.experiments[other["experiment"]].resources & fake.resources:
                self.violations.append((experiment, other["experiment"]))
        run["from"], run["to"] = now, now + fake.duration_s
        self.activated.append((now, experiment))
        match fake.mood:
            case "breaks off":
                run |= {"to": now + fake.duration_s / 2, "comes to": Phase.ABORTED, "why": "the steady state is broken"}
            case "sees nothing":
                run |= {"comes to": Phase.NO_EFFECT, "why": "nobody saw it"}
            case "halted":
                run |= {"to": now + fake.duration_s / 2, "comes to": Phase.ABORTED, "why": f"{HALTED} by user:else"}
            case "stuck once" | "stuck for good":
                run["stuck"] = True
        if fake.mood == "answer lost":
            await trio.sleep(1.0)
            raise HostLostError("no answer within 10 s")
        return self._seen(experiment, run, now)

    async def run(self, experiment, run):
        await trio.sleep(0.01)
        now = self._answers()
        if self.experiments[experiment].mood == "tells nothing":
            raise HostRefusedError("you may not see this")
        return self._seen(experiment, self.runs[run], now)

    async def stop(self, experiment, run, reason):
        assert reason
        await trio.sleep(0.01)
        now, one = self._answers(), self.runs[run]
        if one["from"] is None:
            one["cancelled"] = True
        elif now < one["to"]:
            one |= {"to": now, "why": "stopped by you", "comes to": Phase.ABORTED}
        one["stuck"] &= self.experiments[experiment].mood == "stuck for good"
        return self._seen(experiment, one, now)

    async def in_force(self):
        now = self._answers()
        return {one["experiment"]: key for key, one in self.runs.items() if self.in_force_at(one, now)} | self.foreign

    async def toggles(self):
        self._answers()
        return self.on

    async def sums(self, _probes):
        now = self._answers()
        up = self.up(now) if callable(self.up) else self.up
        runs = int(now * 100)
        states = {"healthy": round(up * 100), "unhealthy": 100 - round(up * 100)}
        return Sums(states=states, stale=0, runs=runs, passed=runs, buckets={0.05: runs})

    async def receipt(self, run):
        self._answers()
        return ReceiptReference(path=f"/chaos/receipts/{run}", sha256="", signature="", public_key="")

    def still_in_force(self, now):
        return {key for key, one in self.runs.items() if self.in_force_at(one, now)}


_: type[Hands] = FakeHost


def shown_of(experiment):
    return {"experiment": experiment}


def known(host):
    return {
        name: Known(fault="fake", duration_s=fake.duration_s, recovery_s=1.0, resources=fake.resources)
        for name, fake in host.experiments.items()
    }


def conduct_of(scenario, host):
    plan = plan_scenario(scenario, known(host))
    return Conduct(plan, host, shown={name: shown_of(name) for name in host.experiments})


def carried_out(scenario, host, *, end_at=None, cancel_at=None):
    """The conduct, over, on a virtual clock; ended or cancelled at that time."""
    found = {}

    async def main():
        conduct = found["conduct"] = conduct_of(scenario, host)
        found["began"] = trio.current_time()
        with trio.CancelScope() as whole:
            if cancel_at is not None:
                whole.deadline = trio.current_time() + cancel_at
            async with trio.open_nursery() as nursery:
                if end_at is not None:
                    nursery.start_soon(partial(later, end_at, conduct))
                await conduct.run()
                nursery.cancel_scope.cancel()
        found["now"] = trio.current_time()

    async def later(seconds, conduct):
        await trio.sleep(seconds)
        conduct.end(EndKind.CANCELLED, "Ctrl-C ended it")

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return found["conduct"], found["now"]


def step(name, experiment=None, **more):
    return Step(name=name, experiment=experiment, **({} if experiment or "hold_s" in more else {"hold_s": 0.5}), **more)


def scenario_of(*steps, **more):
    return Scenario(name="day", steps=steps, max_length_s=3600.0, **more)


@st.composite
def worlds(draw):
    size = draw(st.integers(1, 6))
    steps, experiments = [], {}
    for number in range(size):
        experiment = f"e{number}" if draw(st.integers(0, 4)) else None
        if experiment is not None:
            experiments[experiment] = Fake(
                duration_s=draw(st.sampled_from([0.5, 2.0, 7.0])),
                resources=frozenset(draw(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=2))),
                mood=draw(st.sampled_from(["well", "well", *MOODS])),
            )
        needs = draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()
        steps.append(
            Step(
                name=f"s{number}",
                experiment=experiment,
                needs=tuple(f"s{need}" for need in sorted(needs)),
                wait_s=draw(st.sampled_from([0.0, 0.0, 1.5])),
                hold_s=draw(st.sampled_from([0.0, 1.0])) if experiment else 1.0,
                on_failure=draw(st.sampled_from(["stop", "continue"])),
                requires=Requirements(no_other_run=False),
            )
        )
    begins = draw(st.sampled_from([0.0, 1.0, 3.0]))
    down = draw(st.sampled_from([(0.0, 0.0), (0.0, 0.0), (begins, begins + 2), (begins, begins + LOST_S + 9), (begins, 1e9)]))
    return scenario_of(*steps), FakeHost(experiments, down=down)


@settings(max_examples=40)
@given(world=worlds(), end_at=st.none() | st.floats(0, 20), cancel_at=st.none() | st.floats(0, 20))
def test_nothing_is_left_in_force_whatever_happens(world, end_at, cancel_at):
    scenario, host = world
    try:
        conduct, now = carried_out(scenario, host, end_at=end_at, cancel_at=cancel_at)
    except ConfigError:  # steps that touch the same at the same time
        reject()
    lives = conduct.lives.values()
    assert all(life.phase in OVER for life in lives)
    started = [life for life in lives if life.is_started]
    assert all(life.rollback is not None for life in started)
    unconfirmed = {life.seen.id for life in started if life.rollback.how is Undone.UNCONFIRMED}
    assert host.still_in_force(now) <= unconfirmed
    if unconfirmed:
        assert host.down[1] > now, "only of a host that cannot be asked"


@settings(max_examples=40)
@given(world=worlds(), end_at=st.none() | st.floats(0, 20))
def test_steps_keep_to_their_order_and_never_share_a_resource(world, end_at):
    scenario, host = world
    try:
        conduct, _ = carried_out(scenario, host, end_at=end_at)
    except ConfigError:
        reject()
    assert host.violations == []
    for life in conduct.lives.values():
        for need in life.step.needs:
            if life.began_at is not None:
                assert conduct.lives[need].ended_at <= life.began_at
        phases = [move.phase for move in life.moves]
        assert all(after in ALLOWED[before] for before, after in pairwise(phases))
    by_time = {experiment: at for at, experiment in host.activated}
    for life in conduct.lives.values():
        for need in life.step.needs:
            earlier = conduct.lives[need]
            if life.step.experiment in by_time and earlier.step.experiment in by_time:
                [run] = [one for one in host.runs.values() if one["experiment"] == earlier.step.experiment]
                assert run["to"] <= by_time[life.step.experiment]


@settings(max_examples=40)
@given(world=worlds(), end_at=st.floats(0.1, 20))
def test_what_is_undone_at_the_end_is_undone_in_reverse(world, end_at):
    scenario, host = world
    try:
        conduct, _ = carried_out(scenario, host, end_at=end_at)
    except ConfigError:
        reject()
    running = [life for life in conduct.lives.values() if life.is_started and life.phase is StepPhase.STOPPED]
    running.sort(key=lambda life: life.rollback.order)
    begun = [life.at(StepPhase.STARTING) for life in running]
    assert begun == sorted(begun, reverse=True)


@pytest.mark.parametrize("on_failure", ["stop", "continue"])
@pytest.mark.parametrize("mood", MOODS)
def test_each_trouble_is_undone_before_what_comes_next_touches_the_same(mood, on_failure):
    same = frozenset({"the same"})
    beside = Fake(duration_s=20, resources=frozenset({"another"}))
    host = FakeHost({"a": Fake(duration_s=5, resources=same, mood=mood), "b": Fake(duration_s=1, resources=same), "c": beside})
    steps = (step("one", "a", on_failure=on_failure), step("then", "b", needs=("one",)), step("beside", "c"))
    conduct, now = carried_out(scenario_of(*steps), host)
    assert host.still_in_force(now) == set()
    assert host.violations == []
    assert all((life.rollback is not None) == life.is_started for life in conduct.lives.values())
    assert (conduct.ending.kind is EndKind.COMPLETED) == (mood in {"well", "answer lost"})


def test_a_chain_with_branches_passes():
    host = FakeHost({name: Fake(duration_s=2, resources=frozenset({name})) for name in "abc"})
    steps = (step("first", "a"), step("left", "b", needs=("first",)), step("right", "c", needs=("first",)))
    conduct, _ = carried_out(scenario_of(*steps, step("after", needs=("left", "right"))), host)
    assert conduct.ending.kind is EndKind.COMPLETED
    assert {life.phase for life in conduct.lives.values()} == {StepPhase.PASSED}
    (first, _), (left, _), (right, _) = host.activated
    assert left - first > 2
    assert abs(left - right) < 0.5


def test_a_failure_that_stops_ends_the_others_and_one_that_continues_does_not():
    def world(on_failure):
        moods = {"a": "breaks off", "b": "well"}
        host = FakeHost({name: Fake(duration_s=9, resources=frozenset({name}), mood=mood) for name, mood in moods.items()})
        steps = (step("one", "a", on_failure=on_failure), step("other", "b"), step("after", needs=("one",)))
        return carried_out(scenario_of(*steps), host)[0]

    stopped = world("stop").lives
    assert [life.phase for life in stopped.values()] == ["failed", "stopped", "skipped"]
    assert "the steady state is broken" in stopped["one"].why
    went_on = world("continue")
    assert [life.phase for life in went_on.lives.values()] == ["failed", "passed", "passed"]
    assert went_on.ending.kind is EndKind.FAILED


def test_nothing_more_begins_once_a_fault_could_not_be_undone_whatever_its_step_says():
    moods = {"a": "stuck for good", "b": "well"}
    host = FakeHost({name: Fake(duration_s=1, resources=frozenset({name}), mood=mood) for name, mood in moods.items()})
    steps = (step("one", "a", on_failure="continue"), step("after", "b", needs=("one",)))
    conduct, _ = carried_out(scenario_of(*steps), host)
    assert [name for _, name in host.activated] == ["a"]
    assert [life.phase for life in conduct.lives.values()] == ["failed", "skipped"]
    assert conduct.ending.kind is EndKind.FAILED
    assert conduct.ending.why == "one could not be undone: it is still there"


def test_what_nobody_foresaw_in_undoing_one_leaves_nothing_of_the_others_in_force():
    class Garbled(FakeHost):
        async def stop(self, experiment, run, reason):
            if experiment == "b":
                raise KeyError("phase")
            return await super().stop(experiment, run, reason)

    host = Garbled({name: Fake(duration_s=60, resources=frozenset({name})) for name in "ab"})
    conduct, now = carried_out(scenario_of(step("one", "a"), step("other", "b", wait_s=1)), host, end_at=5)
    assert {host.runs[key]["experiment"] for key in host.still_in_force(now)} == {"b"}
    assert conduct.lives["one"].rollback.how is Undone.STOPPED
    assert conduct.lives["other"].rollback.how is Undone.UNCONFIRMED
    assert "KeyError: 'phase'; the host ends it by itself within" in conduct.lives["other"].why


def test_a_telling_that_fails_does_not_keep_a_fault_in_force():
    def tell(life):
        if life.phase is StepPhase.STOPPING:
            raise BrokenPipeError

    async def main():
        conduct = Conduct(
            plan_scenario(scenario_of(step("one", "a")), known(host)), host, shown={"a": shown_of("a")}, tell=tell
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(conduct.run)
            await trio.sleep(5)
            conduct.end(EndKind.CANCELLED, "Ctrl-C ended it")
        return conduct, trio.current_time()

    host = FakeHost({"a": Fake(duration_s=60, resources=frozenset({"a"}))})
    conduct, now = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert host.still_in_force(now) == set()
    assert conduct.lives["one"].rollback.how is Undone.STOPPED


def test_a_halt_ends_all_of_it_whatever_steps_say():
    moods = {"a": "halted", "b": "well"}
    host = FakeHost({name: Fake(duration_s=9, resources=frozenset({name}), mood=mood) for name, mood in moods.items()})
    steps = (step("one", "a", on_failure="continue"), step("other", "b", on_failure="continue"))
    conduct, _ = carried_out(scenario_of(*steps), host)
    assert conduct.ending.kind is EndKind.HALTED
    assert "by user:else" in conduct.ending.why


def test_what_was_shown_is_what_is_done_or_nothing_is():
    host = FakeHost({"a": Fake(duration_s=1, resources=frozenset({"a"}))})
    host.changed = True
    conduct, _ = carried_out(scenario_of(step("one", "a")), host)
    assert conduct.ending.kind is EndKind.REFUSED
    assert "look at the new plan" in conduct.ending.why
    assert host.activated == []


def test_a_second_person_is_waited_for():
    host = FakeHost({"a": Fake(duration_s=1, resources=frozenset({"a"}))}, two_person=True)
    conduct, _ = carried_out(scenario_of(step("one", "a")), host)
    assert conduct.ending.kind is EndKind.COMPLETED
    approving = next(move for move in conduct.lives["one"].moves if move.phase is StepPhase.APPROVING)
    assert "fastprobe chaos approve a --plan" in approving.why
    host = FakeHost({"a": Fake(duration_s=1, resources=frozenset({"a"}))}, two_person=True)
    host.approved = False
    conduct, _ = carried_out(scenario_of(step("one", "a")), host, end_at=30)
    assert conduct.ending.kind is EndKind.CANCELLED
    assert host.activated == []


def test_requirements_are_waited_for_as_long_as_patience_lasts():
    host = FakeHost({"a": Fake(duration_s=1, resources=frozenset({"a"}))}, up=lambda now: 0.5 if now < 4 else 1.0)
    needs = Requirements(steady_state=(SteadyState(namespace="orders", healthy_ratio=0.9),), patience_s=10)
    conduct, _ = carried_out(scenario_of(step("one", "a", requires=needs)), host)
    assert conduct.ending.kind is EndKind.COMPLETED
    assert host.activated[0][0] >= 4
    hasty = Requirements(steady_state=needs.steady_state, patience_s=1)
    host = FakeHost({"a": Fake(duration_s=1, resources=frozenset({"a"}))}, up=0.5)
    conduct, _ = carried_out(scenario_of(step("one", "a", requires=hasty)), host)
    assert conduct.ending.kind is EndKind.REFUSED
    assert "50% of orders are up, 90% are asked for" in conduct.ending.why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda host: host.on.update({"chaos.incident": True}), "an incident is declared"),
        (lambda host: host.on.update({"chaos.enabled": False}), "chaos.enabled is off"),
        (lambda host: host.foreign.update({"theirs": "theirs-1"}), "theirs-1 of somebody else is in force"),
    ],
)
def test_the_whole_asks_before_anything_begins(change, why):
    host = FakeHost({"a": Fake(duration_s=1, resources=frozenset({"a"}))})
    change(host)
    conduct, _ = carried_out(scenario_of(step("one", "a"), requires=Requirements(toggles=("chaos.enabled",))), host)
    assert conduct.ending.kind is EndKind.REFUSED
    assert why in conduct.ending.why
    assert host.activated == []


def test_a_share_that_falls_too_low_ends_all_of_it_at_once():
    host = FakeHost({"a": Fake(duration_s=30, resources=frozenset({"a"}))}, up=lambda now: 1.0 if now < 3 else 0.4)
    objective = Objective(metric=Metric.HEALTHY_RATIO, bound=0.5)
    conduct, now = carried_out(scenario_of(step("one", "a"), objectives=(objective,)), host)
    assert conduct.ending.kind is EndKind.FAILED
    assert now < 6
    [judged] = conduct.judged()
    assert (judged.verdict, judged.observed) == (Verdict.MISSED, 0.4)
    assert conduct.lives["one"].rollback.how is Undone.STOPPED


def test_its_longest_length_ends_it():
    host = FakeHost({"a": Fake(duration_s=30, resources=frozenset({"a"}))})
    late = msgspec.structs.replace(scenario_of(step("one", "a", hold_s=60.0)), max_length_s=125.0)
    conduct = None

    async def main():
        nonlocal conduct
        conduct = conduct_of(late, host)
        conduct.plan = msgspec.structs.replace(conduct.plan, scenario=msgspec.structs.replace(late, max_length_s=10.0))
        await conduct.run()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert conduct.ending.kind is EndKind.TOO_LONG
    assert conduct.lives["one"].rollback.how is Undone.STOPPED


def test_a_host_that_goes_away_for_good_is_given_up_and_what_it_may_still_do_is_told():
    host = FakeHost({"a": Fake(duration_s=100, resources=frozenset({"a"}))}, down=(5.0, 1e9))
    conduct, now = carried_out(scenario_of(step("one", "a")), host)
    assert conduct.ending.kind is EndKind.LOST
    assert now < 5 + LOST_S + 40
    rollback = conduct.lives["one"].rollback
    assert rollback.how is Undone.UNCONFIRMED
    assert "the host ends it by itself within" in rollback.why


def test_detection_and_recovery_come_from_what_the_host_measured():
    host = FakeHost({"a": Fake(duration_s=1, resources=frozenset({"a"}))})
    objectives = tuple(
        Objective(metric=metric, bound=bound) for metric, bound in ((Metric.DETECTION, 1.0), (Metric.RECOVERY, 0.1))
    )
    conduct, _ = carried_out(scenario_of(step("one", "a", objectives=objectives)), host)
    detection, recovery = conduct.lives["one"].judged()
    assert (detection.verdict, detection.observed, detection.error) == (Verdict.MET, 0.1, 0.05)
    assert recovery.verdict is Verdict.MISSED
    assert recovery.is_sure
    assert conduct.ending.kind is EndKind.FAILED
