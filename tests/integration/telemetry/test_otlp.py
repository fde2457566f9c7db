"""A real collector's two paths, as far as OTLP goes: what a host exports is decoded there and compared with what it counted."""

from __future__ import annotations

import gzip
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import meshkit_fastprobe as fp
from meshkit_fastprobe._native import histogram
from meshkit_fastprobe._native.layout import HIST_BUCKETS

pytest.importorskip("opentelemetry.proto", reason="pip install 'meshkit-fastprobe[otel]'")

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from meshkit_fastprobe.telemetry.otlp.exporting import MAX_LINES, Lines
from meshkit_fastprobe.telemetry.otlp.messages import exponential, logs_request
from meshkit_fastprobe.telemetry.tracing import TRACE, Trace


class Collector:
    """Takes what comes, or answers with `status`."""

    def __init__(self):
        self.status = 200
        self.metrics, self.logs, self.headers = [], [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["content-length"]))
                assert self.headers["content-encoding"] == "gzip"
                collector.headers.append(dict(self.headers))
                if collector.status == 200:
                    kind, into = {
                        "/v1/metrics": (ExportMetricsServiceRequest, collector.metrics),
                        "/v1/logs": (ExportLogsServiceRequest, collector.logs),
                    }[self.path]
                    into.append(kind.FromString(gzip.decompress(content)))
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def last(self):
        """Metrics of the last export, by name."""
        (scope,) = self.metrics[-1].resource_metrics[0].scope_metrics
        return {metric.name: metric for metric in scope.metrics}

    def lines(self):
        return [
            record for request in self.logs for scope in request.resource_logs[0].scope_logs for record in scope.log_records
        ]


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def host(collector, **settings):
    otlp = fp.OtlpSettings(endpoint=collector.endpoint, interval_s=1.0, **settings)
    diag = fp.Diagnostics(fp.Settings(host="cp-1", cluster="eu-1", otlp=otlp))
    diag.add(fp.TcpProbe("127.0.0.1:1"), name="bad", interval="50ms", timeout="50ms", namespace="edge")
    return diag


def labels(point):
    return {one.key: one.value.string_value for one in point.attributes}


async def until(holds):
    with trio.fail_after(20):
        while not holds():
            await trio.sleep(0.02)


async def test_what_was_counted_arrives_by_group_and_histograms_bucket_by_bucket(collector):
    diag = host(collector)
    async with diag:
        await until(lambda: sum(diag.view("bad").runs.values()) >= 10)
    metrics = collector.last()  # sent when it left, after the last run that it waited for
    resource = {one.key: one.value.string_value for one in collector.metrics[-1].resource_metrics[0].resource.attributes}
    assert (resource["host.name"], resource["meshkit.cluster"]) == ("cp-1", "eu-1")
    runs = {labels(point)["result"]: point.as_double for point in metrics["meshkit_group_runs_total"].sum.data_points}
    (point,) = metrics["meshkit_group_duration_seconds"].exponential_histogram.data_points
    assert labels(point) == {"cluster": "eu-1", "namespace": "edge"}
    assert point.count == runs["fail"] == sum(point.positive.bucket_counts) >= 10
    base = 2 ** (2**-point.scale)
    low, high = base**point.positive.offset, base ** (point.positive.offset + len(point.positive.bucket_counts))
    assert low < point.sum / point.count <= high
    assert "meshkit_probe_state" not in metrics
    assert "meshkit_probe_skipped_total" in metrics


async def test_single_probes_come_when_they_are_asked_for(collector):
    async with host(collector, per_probe=True) as diag:
        await until(lambda: sum(diag.view("bad").runs.values()) >= 3)
    (point,) = collector.last()["meshkit_probe_state"].gauge.data_points
    assert labels(point)["probe"] == "bad"


async def test_lines_of_the_log_come_with_their_fields(collector):
    async with host(collector, metrics=False) as diag:
        await until(lambda: sum(diag.view("bad").runs.values()) >= 3)
    assert collector.metrics == []
    (line,) = [record for record in collector.lines() if "-> unhealthy" in record.body.string_value]
    assert (line.severity_text, line.severity_number) == ("ERROR", 17)
    assert labels(line) | {"probe": "bad", "reason": "connect_refused"} == labels(line)


async def test_a_collector_that_is_away_is_counted_told_once_and_its_lines_are_kept(collector, caplog):
    collector.status = 503
    caplog.set_level(logging.INFO, "meshkit_fastprobe.otlp")
    diag = host(collector)
    async with diag:
        await until(lambda: diag.export.use.failures >= 4)
        assert sum("nothing is exported" in line for line in caplog.messages) == 1
        collector.status = 200
        await until(lambda: any("-> unhealthy" in record.body.string_value for record in collector.lines()))
    assert sum("exported again" in line for line in caplog.messages) == 1


async def test_headers_are_sent_along(collector):
    async with host(collector, headers={"authorization": "Bearer x"}):
        await until(lambda: collector.headers)
    assert {headers["authorization"] for headers in collector.headers} == {"Bearer x"}


def test_a_line_belongs_to_the_trace_of_the_request_that_caused_it():
    lines, token = Lines(), TRACE.set(Trace("ab" * 16, "cd" * 8))
    lines.handle(logging.LogRecord("meshkit_fastprobe", logging.INFO, "", 1, "done", (), None))
    TRACE.reset(token)
    request = ExportLogsServiceRequest.FromString(logs_request(list(lines.waiting), {}))
    (record,) = request.resource_logs[0].scope_logs[0].log_records
    assert (record.trace_id.hex(), record.span_id.hex()) == ("ab" * 16, "cd" * 8)


def test_lines_beyond_the_bound_are_dropped_and_counted():
    lines = Lines()
    for number in range(MAX_LINES + 3):
        lines.handle(logging.LogRecord("meshkit_fastprobe", logging.INFO, "", 1, str(number), (), None))
    assert (len(lines.waiting), lines.dropped) == (MAX_LINES, 3)


def test_a_line_that_cannot_be_said_is_dropped_and_counted_where_it_is_logged():
    class Unsayable:
        def __str__(self):
            raise KeyError("not even this")

    lines = Lines()
    lines.handle(logging.LogRecord("meshkit_fastprobe", logging.INFO, "", 1, "%s", (Unsayable(),), None))
    assert (len(lines.waiting), lines.dropped) == (0, 1)


@given(st.dictionaries(st.integers(0, HIST_BUCKETS - 1), st.integers(1, 2**40), max_size=20), st.booleans())
def test_an_exponential_histogram_is_ours_bucket_by_bucket(cells, compact):
    bounds = histogram.upper_bounds_s()
    row = np.zeros(HIST_BUCKETS, np.uint64)
    for bucket, count in cells.items():
        row[bucket & ~1 if compact and bucket < HIST_BUCKETS - 1 else bucket] += np.uint64(count)
    scale, offset, counts = exponential(row, compact=compact)
    told = {index: count for index, count in enumerate(counts, offset) if count}
    assert sum(told.values()) == int(row.sum())
    base = 2 ** (2**-scale)
    for bucket in np.flatnonzero(row[:-1]).tolist():
        index = round(np.log(bounds[bucket]) / np.log(base)) - 1
        assert told[index] == int(row[bucket])  # its upper bound is ours
        assert base ** (index + 1) == pytest.approx(bounds[bucket])


def test_nothing_of_it_is_imported_where_it_is_off():
    import subprocess
    import sys

    code = (
        "import sys, trio, meshkit_fastprobe as fp\n"
        "async def main():\n"
        "    async with fp.Diagnostics(fp.Settings(host='h')): pass\n"
        "trio.run(main)\n"
        "assert not [name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf'))]\n"
        "assert 'meshkit_fastprobe.telemetry.otlp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
