import msgspec
import numpy as np
import pytest

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.aggregation.flapping import Flaps
from meshkit_fastprobe.aggregation.maintenance import Upkeep
from meshkit_fastprobe.aggregation.snapshot import SnapshotBuilder
from meshkit_fastprobe.aggregation.windows import Windows
from meshkit_fastprobe.model import Lane, ProbeOptions, Reason, Result, Settings
from meshkit_fastprobe.probes.catalog import Catalog, Registration

GROUP_CAPACITY = 64
BEGIN_NS = 5_000_000_000_000
BEGIN_WALL_S = 1_700_000_000.0


class Asked(msgspec.Struct, frozen=True):
    """As much of a probe as aggregation looks at."""

    kind: str
    target: str


class World:
    """A real table, catalog and windows on a clock of the test's own; nothing runs but what the test says."""

    def __init__(self, capacity=64, frame_s=5.0):
        self.table = Table(capacity, GROUP_CAPACITY)
        self.catalog = Catalog(capacity)
        self.windows = Windows(self.table, self.catalog.groups, frame_s)
        self.flaps = Flaps(capacity)
        self.now_ns = BEGIN_NS
        self.upkeep = Upkeep(lambda: self.wall_s)
        self.builder = SnapshotBuilder(
            Settings(host="h1", cluster="eu-1"), self.catalog, self.table, self.windows, self.flaps.flapping, self.upkeep
        )

    @property
    def wall_s(self):
        return BEGIN_WALL_S + (self.now_ns - BEGIN_NS) / 1e9

    def wait(self, seconds):
        self.now_ns += round(seconds * 1e9)

    def add(self, name, *, kind="tcp", lane=Lane.NATIVE, group=None, **options):
        """Options as in ProbeOptions. rise and fall are 1: every conclusive result is the state."""
        options = ProbeOptions(**{"interval_s": 1.0, "rise": 1, "fall": 1, **options})
        if group is None:
            group = self.catalog.groups.number((options.cluster, options.namespace, kind, options.labels))
        number = self.catalog.kind_number(kind)
        interval_ms = round(options.interval_s * 1000)
        slot, generation = self.table.add(group, interval_ms, 1000, 0, number, lane, options.rise, options.fall, self.now_ns)
        self.catalog.put(Registration(name, Asked(kind, f"{name}:80"), options, lane, slot, generation, group))
        return self.catalog[name]

    def remove(self, name):
        registration = self.catalog[name]
        self.catalog.drop(registration)
        assert self.table.remove(registration.slot, registration.generation)

    def pause(self, name):
        registration = self.catalog[name]
        assert self.table.pause(registration.slot, registration.generation, self.now_ns, True)

    def ingest(self, name, *results, latency_s=0.001, reason=None, detail=0):
        """Results of runs that begin now."""
        registration = self.catalog[name]
        records = np.zeros(len(results), layout.RECORD)
        records["slot"], records["generation"] = registration.slot, registration.generation
        records["started_ns"], records["latency_ns"] = self.now_ns, round(latency_s * 1e9)
        records["result"], records["detail"] = results, detail
        if reason is None:
            records["reason"] = [Reason.NONE if result == Result.OK else Reason.TIMEOUT for result in results]
        else:
            records["reason"] = reason
        self.table.ingest(records, len(records), np.zeros(len(records), layout.TRANSITION))

    def snapshot(self):
        return self.builder.build(self.now_ns, self.wall_s, 0)

    def glance(self):
        return self.builder.glance(self.now_ns)


@pytest.fixture
def world():
    return World()


@pytest.fixture(scope="session")
def make_world():
    return World
