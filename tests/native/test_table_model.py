"""The table beside plain Python: a hypothesis state machine over probes that come, go, move and pause, and any records."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from meshkit_fastprobe._native import histogram, layout
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.model import Lane, Reason, Result, State

CAPACITY, GROUPS = 6, 3
CONFIG_NAMES = ("group", "interval_ms", "timeout_ms", "degraded_above_us", "kind", "lane", "rise", "fall")

configs = st.tuples(
    st.integers(0, GROUPS - 1),
    st.integers(1, 100_000),
    st.integers(1, 10_000),
    st.sampled_from([0, 0, 1, 1_500]),
    st.integers(0, 3),
    st.sampled_from(list(Lane)),
    st.integers(1, 4),
    st.integers(1, 4),
)
latencies = st.sampled_from([0, 1, 953, 1_000, 1_500_001, 2_000_000, 10**9, 10**11, 2 * 10**11])
records = st.tuples(
    st.integers(0, CAPACITY + 1),  # slots that were never used and that do not exist, too
    st.integers(-2, 1),  # of which generation: the present one, or one that is gone or still to come
    st.sampled_from([*Result, *(result | layout.PASSIVE for result in Result), layout.EVENT_SKIPPED, layout.EVENT_DUE]),
    st.sampled_from([Reason.NONE, Reason.CONNECT_REFUSED, Reason.LATE, Reason.DEFERRED]),
    st.sampled_from([0, 1, 503]),
    latencies,
    st.integers(0, 2_000_000),
)


@dataclass
class Probe:
    generation: int
    config: dict[str, int]
    since_ns: int
    state: State = State.UNKNOWN
    ok: int = 0
    not_bad: int = 0
    not_ok: int = 0
    bad: int = 0
    runs: Counter[int] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)
    recent: deque[tuple[int, int, int, int, int]] = field(default_factory=lambda: deque(maxlen=8))
    transitions: int = 0
    skipped: int = 0
    watched: bool = False
    last: Result | None = None

    def is_pending(self) -> bool:
        """Whether the last result works towards another state."""
        good, is_bad = self.last is Result.OK, self.last not in {Result.OK, Result.DEGRADED}
        return {State.HEALTHY: not good, State.DEGRADED: good or is_bad, State.UNHEALTHY: not is_bad}.get(self.state, False)

    def clear_streaks(self) -> None:
        self.ok = self.not_bad = self.not_ok = self.bad = 0

    def decide(self, result: Result) -> State:
        """The rules of table.h, in its order."""
        good, is_bad = result is Result.OK, result not in {Result.OK, Result.DEGRADED}
        self.ok = self.ok + 1 if good else 0
        self.not_bad = self.not_bad + 1 if not is_bad else 0
        self.not_ok = self.not_ok + 1 if not good else 0
        self.bad = self.bad + 1 if is_bad else 0
        rise, fall = self.config["rise"], self.config["fall"]
        if self.state is State.UNKNOWN and result is not Result.ERROR:
            return {Result.OK: State.HEALTHY, Result.DEGRADED: State.DEGRADED}.get(result, State.UNHEALTHY)
        if self.bad >= fall:
            return State.UNHEALTHY
        if self.ok >= rise:
            return State.HEALTHY
        if self.state is State.HEALTHY and self.not_ok >= fall:
            return State.DEGRADED
        if self.state is State.UNHEALTHY and self.not_bad >= rise:
            return State.DEGRADED
        return self.state


class TableMachine(RuleBasedStateMachine):
    @initialize(compact=st.booleans())
    def begin(self, compact: bool) -> None:
        self.table = Table(CAPACITY, GROUPS, compact=compact)
        self.probes: dict[int, Probe] = {}
        self.generations: Counter[int] = Counter()
        self.group_buckets = np.zeros((GROUPS, layout.HIST_BUCKETS), np.uint64)
        self.group_runs = np.zeros((GROUPS, len(Result)), np.uint64)
        self.group_transitions = [0] * GROUPS
        self.runs, self.skipped = Counter[int](), Counter[int]()
        self.passive = self.stale = 0
        self.now_ns = 1_000_000_000

    @precondition(lambda self: len(self.probes) < CAPACITY)
    @rule(config=configs)
    def add(self, config: tuple[int, ...]) -> None:
        slot, generation = self.table.add(*config, self.now_ns)
        assert slot not in self.probes
        self.generations[slot] += 1
        assert generation == self.generations[slot]
        self.probes[slot] = Probe(generation, dict(zip(CONFIG_NAMES, config, strict=True)), self.now_ns)

    @precondition(lambda self: self.probes)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.probes)))
        assert self.table.remove(slot, self.probes[slot].generation)
        assert not self.table.remove(slot, self.probes.pop(slot).generation)
        self.generations[slot] += 1

    @precondition(lambda self: self.probes)
    @rule(data=st.data(), config=configs)
    def configure(self, data: st.DataObject, config: tuple[int, ...]) -> None:
        slot = data.draw(st.sampled_from(sorted(self.probes)))
        assert self.table.configure(slot, self.probes[slot].generation, *config)
        self.probes[slot].config = dict(zip(CONFIG_NAMES, config, strict=True))

    @precondition(lambda self: self.probes)
    @rule(data=st.data(), watched=st.booleans())
    def watch(self, data: st.DataObject, watched: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.probes)))
        assert self.table.watch(slot, self.probes[slot].generation, watched)
        assert not self.table.watch(slot, self.probes[slot].generation + 1, watched)
        self.probes[slot].watched = watched

    @precondition(lambda self: self.probes)
    @rule(data=st.data(), paused=st.booleans())
    def pause(self, data: st.DataObject, paused: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.probes)))
        probe = self.probes[slot]
        assert self.table.pause(slot, probe.generation, self.now_ns, paused)
        if (probe.state is State.PAUSED) != paused:
            probe.state, probe.since_ns = State.PAUSED if paused else State.UNKNOWN, self.now_ns
            probe.clear_streaks()

    @rule(batch=st.lists(records, max_size=40))
    def ingest(self, batch: list[tuple[int, ...]]) -> None:
        taken = np.zeros(len(batch), layout.RECORD)
        for record, (slot, generations_off, result, reason, detail, latency_ns, lag_us) in zip(taken, batch, strict=True):
            self.now_ns += 1_000_000
            generation = max(self.generations[slot] + generations_off, 0)
            record["slot"], record["generation"], record["started_ns"] = slot, generation, self.now_ns
            record["result"], record["reason"], record["detail"] = result, reason, detail
            record["latency_ns"], record["lag_us"] = latency_ns, lag_us
        self.compare(taken)

    @precondition(lambda self: self.probes)
    @rule(data=st.data(), results=st.lists(st.sampled_from(Result), min_size=1, max_size=12))
    def run(self, data: st.DataObject, results: list[Result]) -> None:
        """Results of one probe in a row: what rise and fall look at."""
        slot = data.draw(st.sampled_from(sorted(self.probes)))
        taken = np.zeros(len(results), layout.RECORD)
        taken["slot"], taken["generation"], taken["result"] = slot, self.probes[slot].generation, results
        taken["started_ns"], taken["latency_ns"] = self.now_ns, 1_000_000
        self.compare(taken)

    def compare(self, taken: np.ndarray) -> None:
        out = np.zeros(len(taken), layout.TRANSITION)
        n = self.table.ingest(taken, len(taken), out)
        moved = [found for record in taken.tolist() if (found := self.take(record))]
        assert out[:n][["slot", "at_ns", "before", "after", "reason", "result"]].tolist() == moved

    def take(self, record: tuple[int, ...]) -> tuple[int, ...] | None:
        slot, generation, started_ns, latency_ns, _lag_us, detail, result, reason = record
        passive, kind = bool(result & layout.PASSIVE), result & ~layout.PASSIVE
        if kind >= len(Result) and result != layout.EVENT_SKIPPED:
            return None
        probe = self.probes.get(slot)
        if probe is None or probe.generation != generation:
            self.stale += 1
            return None
        if result == layout.EVENT_SKIPPED:
            self.skipped[reason] += detail or 1
            probe.skipped += (detail or 1) * (reason != Reason.DEFERRED)
            return None
        above_ns = probe.config["degraded_above_us"] * 1_000
        if kind == Result.OK and above_ns and latency_ns > above_ns:
            kind, reason = Result.DEGRADED, Reason.SLOW
        self.count(probe, Result(kind), latency_ns, passive=passive)
        probe.recent.append((started_ns // 10_000_000, latency_ns, detail, kind, reason))
        was_pending, probe.last = probe.is_pending(), Result(kind)
        if probe.state is State.PAUSED:
            return None
        to = probe.decide(Result(kind))
        if to is probe.state:
            tells = probe.watched and probe.is_pending() is not was_pending
            return (slot, started_ns + latency_ns, to, to, reason, kind) if tells else None
        moved = (slot, started_ns + latency_ns, probe.state, to, reason, kind)
        probe.state, probe.since_ns = to, started_ns + latency_ns
        probe.transitions += 1
        self.group_transitions[probe.config["group"]] += 1
        return moved

    def count(self, probe: Probe, result: Result, latency_ns: int, *, passive: bool) -> None:
        group = probe.config["group"]
        probe.runs[result] += 1
        self.group_runs[group, result] += 1
        if passive:
            self.passive += 1
        else:
            self.runs[result] += 1
        if result is Result.ERROR or (passive and not latency_ns):
            return
        bucket = layout.HIST_OVERFLOW if result is Result.TIMEOUT else histogram.bucket(latency_ns)
        if self.table.compact:  # the upper one of two: 1 and 2, 3 and 4, ... and the overflow by itself
            bucket = min(bucket + bucket % 2, layout.HIST_OVERFLOW)
        probe.buckets[bucket] += 1
        self.group_buckets[group, bucket] += 1

    @invariant()
    def sound(self) -> None:
        assert self.table.check() is None
        assert self.table.count == len(self.probes)

    @invariant()
    def slots_agree(self) -> None:
        for slot, probe in self.probes.items():
            told = {name: self.table.column(name)[slot] for name in ("state", "since_ns", "transitions", "skipped")}
            assert told == {
                "state": probe.state,
                "since_ns": probe.since_ns,
                "transitions": probe.transitions,
                "skipped": probe.skipped,
            }
            assert self.table.column("row")["runs"][slot].tolist() == [probe.runs[result] for result in Result]
            buckets = np.zeros(layout.HIST_BUCKETS, np.uint64)
            for bucket, counted in probe.buckets.items():
                buckets[bucket] = counted
            assert (histogram.fine(self.table.column("histogram")[slot : slot + 1]) == buckets).all()

    @invariant()
    def memories_agree(self) -> None:
        for slot, probe in self.probes.items():
            remembered = [
                (at_cs, float(np.float32(latency_ns * 1e-9)), detail, result, reason)
                for at_cs, latency_ns, detail, result, reason in probe.recent
            ]
            assert self.table.recent(slot).tolist() == remembered

    @invariant()
    def groups_agree(self) -> None:
        buckets, runs = np.zeros_like(self.group_buckets), np.zeros_like(self.group_runs)
        self.table.merge_groups(GROUPS, buckets, runs)
        assert (buckets == self.group_buckets).all()
        assert (runs == self.group_runs).all()
        latency_s, transitions = np.zeros(GROUPS), np.zeros(GROUPS, np.uint64)
        self.table.merge_sums(GROUPS, latency_s, transitions)
        assert transitions.tolist() == self.group_transitions

    @invariant()
    def totals_agree(self) -> None:
        totals = self.table.totals()
        assert totals["runs"].tolist() == [self.runs[result] for result in Result]
        assert (totals["passive"], totals["stale_records"]) == (self.passive, self.stale)
        assert {reason: n for reason, n in enumerate(totals["skipped"].tolist()) if n} == dict(self.skipped)
        assert totals["lag"].sum() == self.runs.total()


TableMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
test_the_table_agrees_with_plain_python = TableMachine.TestCase
