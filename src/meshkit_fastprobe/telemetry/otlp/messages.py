"""Readings and log lines as OTLP requests.

Our buckets are those of OpenTelemetry's exponential histograms at scale 3 (of compact tables: 2): upper bounds are 2 ** (k / 8)
seconds, and belong to their bucket. Bucket b is their index b - 161, so nothing is lost. What is above the largest bound, runs
that timed out among it, is in the one bucket above: from 108 s on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from meshkit_fastprobe.telemetry import names
from meshkit_fastprobe.telemetry.log_fields import encodable, fields_of
from meshkit_fastprobe.telemetry.otlp.collecting import Distribution, Reading
from meshkit_fastprobe.telemetry.process import Sample

SCOPE: Final = "meshkit_fastprobe"
SCALE: Final = 3
INDEX_OF_BUCKET_0: Final = -161
_SEVERITIES: Final = {logging.DEBUG: 5, logging.INFO: 9, logging.WARNING: 13, logging.ERROR: 17, logging.CRITICAL: 21}


def metrics_request(reading: Reading, resource: Mapping[str, str], started_ns: int, now_ns: int) -> bytes:
    """started_ns, now_ns: of the wall clock; counters count from the former."""
    request = ExportMetricsServiceRequest()
    of_host = request.resource_metrics.add(resource=_resource(resource))
    scope = of_host.scope_metrics.add()
    scope.scope.name = SCOPE
    for metric, samples in reading.families:
        if metric.type == "histogram":
            _put_explicit(scope.metrics.add(), metric, samples, started_ns, now_ns)
        elif samples:
            _put_numbers(scope.metrics.add(), metric, samples, started_ns, now_ns)
    for metric, distributions in reading.distributions:
        if distributions:
            _put_distributions(scope.metrics.add(), metric, distributions, reading.compact, started_ns, now_ns)
    content: bytes = request.SerializeToString()
    return content


def logs_request(records: Sequence[logging.LogRecord], resource: Mapping[str, str]) -> bytes:
    request = ExportLogsServiceRequest()
    of_host = request.resource_logs.add(resource=_resource(resource))
    scopes: dict[str, Any] = {}
    for record in records:
        scope = scopes.get(record.name)
        if scope is None:
            scope = scopes[record.name] = of_host.scope_logs.add()
            scope.scope.name = record.name
        _put_line(scope.log_records.add(), record)
    content: bytes = request.SerializeToString()
    return content


def exponential(counts: NDArray[np.uint64], *, compact: bool) -> tuple[int, int, list[int]]:
    """Scale, offset and counts of a row of ours; (scale, 0, []) of an empty one."""
    scale = SCALE - compact
    used = np.flatnonzero(counts)
    if not used.size:
        return scale, 0, []
    index = (used + INDEX_OF_BUCKET_0) >> int(compact)
    told = np.zeros(int(index[-1] - index[0]) + 1, np.uint64)
    np.add.at(told, index - index[0], counts[used])
    return scale, int(index[0]), told.tolist()


def _put_distributions(
    out: Metric, metric: names.Metric, distributions: Sequence[Distribution], compact: bool, started_ns: int, now_ns: int
) -> None:
    out.name, out.description, out.unit = metric.name, metric.help, "s"
    out.exponential_histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    for one in distributions:
        # Lag is counted by the table's totals, which are never compact.
        scale, offset, counts = exponential(one.counts, compact=compact and metric is not names.SCHEDULER_LAG)
        point = out.exponential_histogram.data_points.add(
            start_time_unix_nano=started_ns, time_unix_nano=now_ns, count=int(one.counts.sum()), sum=one.sum_s, scale=scale
        )
        point.attributes.extend(_attributes(one.labels))
        point.positive.offset = offset
        point.positive.bucket_counts.extend(counts)


def _put_numbers(out: Metric, metric: names.Metric, samples: Sequence[Sample], started_ns: int, now_ns: int) -> None:
    out.name, out.description, out.unit = metric.name, metric.help, "1"
    if metric.type == "counter":
        out.sum.aggregation_temporality, out.sum.is_monotonic = AGGREGATION_TEMPORALITY_CUMULATIVE, True
        points = out.sum.data_points
    else:
        points = out.gauge.data_points
    for sample in samples:
        point = points.add(start_time_unix_nano=started_ns, time_unix_nano=now_ns, as_double=sample.value)
        point.attributes.extend(_attributes(sample.labels))


def _put_explicit(out: Metric, metric: names.Metric, samples: Sequence[Sample], started_ns: int, now_ns: int) -> None:
    """Samples as Prometheus has them: cumulative _bucket with le, _sum, _count."""
    out.name, out.description, out.unit = metric.name, metric.help, "s"
    out.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    below: list[tuple[str, int]] = []
    sum_s = 0.0
    for sample in samples:
        if sample.name.endswith("_bucket"):
            below.append((sample.labels["le"], int(sample.value)))
        elif sample.name.endswith("_sum"):
            sum_s = sample.value
        else:
            point = out.histogram.data_points.add(
                start_time_unix_nano=started_ns, time_unix_nano=now_ns, count=int(sample.value), sum=sum_s
            )
            point.attributes.extend(_attributes(sample.labels))
            point.explicit_bounds.extend(float(le) for le, _ in below[:-1])
            totals = [0, *(count for _, count in below)]
            point.bucket_counts.extend(after - before for before, after in pairwise(totals))
            below = []


def _put_line(out: Any, record: logging.LogRecord) -> None:
    fields = fields_of(record)
    trace_id, span_id = fields.pop("trace_id", ""), fields.pop("span_id", "")
    out.time_unix_nano = int(record.created * 1e9)
    out.observed_time_unix_nano = out.time_unix_nano
    out.severity_number = max((number for level, number in _SEVERITIES.items() if level <= record.levelno), default=1)
    out.severity_text = record.levelname
    out.body.string_value = encodable(record.message)  # made where it was logged
    out.attributes.extend(_attributes(fields))
    if trace_id and span_id:
        out.trace_id, out.span_id = bytes.fromhex(trace_id), bytes.fromhex(span_id)


def _resource(fields: Mapping[str, str]) -> Resource:
    return Resource(attributes=_attributes(fields))


def _attributes(fields: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=encodable(key), value=_value(value)) for key, value in fields.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and abs(value) < 1 << 63:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=encodable(str(value)))
