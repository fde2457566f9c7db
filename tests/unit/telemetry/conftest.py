import numpy as np
import pytest

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.table import Table
from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.aggregation.flapping import Flaps
from meshkit_fastprobe.model import BudgetUse, Lane, ProbeOptions, Reason, Result
from meshkit_fastprobe.probes.catalog import MAX_GROUPS, Catalog, Registration
from meshkit_fastprobe.probes.tcp import TcpProbe
from meshkit_fastprobe.telemetry.usage import Asked, AuditUse, Requests, Usage


class Host:
    """A real table and a real catalog, and nothing around them."""

    def __init__(self, capacity=4096, *, compact=False):
        self.table = Table(capacity, MAX_GROUPS, compact=compact)
        self.catalog = Catalog(capacity)
        self.flaps = Flaps(capacity)
        self.dropped = 0
        decisions = {(Permission.PROBES_READ, True): 3, (Permission.PROBES_WRITE, False): 1}
        requests = Requests()
        for seconds in (0.0001, 2.0**-12, 0.3, 64.0, 100.0):
            requests.take(Asked("/probes", "GET", "2", 200), seconds)
        requests.take(Asked("other", "POST", "1.1", 404), 0.001)
        self.usage = Usage(decisions, AuditUse(records=4, late=3, lost=2, failures=1), requests)

    def counted(self, name):
        return len(name)

    def budgets(self):
        return [BudgetUse(group='eu-1 "b"', in_flight=3, waiting=2, waited=9, skipped_saturated=1, skipped_budget=4)]

    def add(self, name, *, cluster="eu-1", namespace=""):
        group = self.catalog.groups.number((cluster, namespace, "tcp", ()))
        slot, generation = self.table.add(group, 10_000, 1000, 0, self.catalog.kind_number("tcp"), Lane.NATIVE, 2, 3, 0)
        options = ProbeOptions(cluster=cluster, namespace=namespace)
        self.catalog.put(Registration(name, TcpProbe("10.0.0.1:80"), options, Lane.NATIVE, slot, generation, group))

    def remove(self, name):
        registration = self.catalog[name]
        self.catalog.drop(registration)
        assert self.table.remove(registration.slot, registration.generation)

    def pause(self, name):
        registration = self.catalog[name]
        assert self.table.pause(registration.slot, registration.generation, 0, True)

    def ingest(self, name, result=Result.OK, *, latency_s=0.001, n=1, lag_s=0.0):
        """n results, as the lanes write them."""
        registration = self.catalog[name]
        records = np.zeros(n, layout.RECORD)
        records["slot"], records["generation"] = registration.slot, registration.generation
        records["started_ns"] = 1 + np.arange(n)
        records["latency_ns"] = round(latency_s * 1e9)
        records["lag_us"] = round(lag_s * 1e6)
        records["result"], records["reason"] = result, Reason.NONE if result is Result.OK else Reason.REPORTED
        self.table.ingest(records, n, np.zeros(n, layout.TRANSITION))


@pytest.fixture(params=[False, True], ids=["fine", "compact"])
def host(request):
    return Host(compact=request.param)


@pytest.fixture
def make_host():
    return Host
