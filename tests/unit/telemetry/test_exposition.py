"""Our renderer and prometheus-client over the same table: every sample alike, whatever the names and numbers."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from meshkit_fastprobe.aggregation.flapping import BEGINS_AT
from meshkit_fastprobe.model import Result
from meshkit_fastprobe.telemetry import exposition, names
from meshkit_fastprobe.telemetry.collector import Collector
from meshkit_fastprobe.telemetry.exposition import Exposition

OWN = {names.EXPOSITION_CACHE.name}
LINE_ENDS_OF_PYTHON = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # and of prometheus-client's parser, but of no other reader


def samples(parse, text):
    """(name, labels) -> (type, help, value); a sample that comes twice is a broken exposition."""
    found = {}
    for family in parse(text.decode()):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found
            found[key] = (family.type, family.documentation, sample.value)
    return found


def rendered(host, **options):
    return samples(parse_text, Exposition(host).render(**options))


def collected(host, **options):
    registry = CollectorRegistry()
    registry.register(Collector(host, **options))
    return registry


def value(found, name, **labels):
    [(_, _, got)] = [entry for key, entry in found.items() if key[0] == name and labels.items() <= dict(key[1:]).items()]
    return got


def assert_alike(ours, theirs):
    assert {key for key in ours if key[0] not in OWN} == theirs.keys()
    for key, (kind, documentation, got) in theirs.items():
        assert ours[key][:2] == (kind, documentation)
        assert math.isclose(ours[key][2], got, rel_tol=1e-12, abs_tol=1e-9), key


@pytest.fixture
def busy(host):
    """Probes of two namespaces in every state, with every result; one is new, one removed, one has an awkward name."""
    awkward = 'say "hi"\\\n\U0001f600 é'
    for number, name in enumerate(["a", "b", awkward, "new", "gone"]):
        host.add(name, namespace="orders" if number % 2 else 'ed"ge\\')
    for result in Result:
        host.ingest("a", result, latency_s=0.0005 * 7**result, n=3 + result)
        host.ingest("gone", result, latency_s=2.0, n=2)
    host.ingest("b", Result.FAIL, latency_s=0.25, n=5)
    host.ingest(awkward, latency_s=1 / 3, n=2, lag_s=0.003)
    host.pause("b")
    host.remove("gone")
    return host


@pytest.mark.parametrize("per_probe", [True, False])
def test_text_has_every_sample_that_prometheus_client_has(busy, per_probe):
    theirs = samples(parse_text, generate_latest(collected(busy, per_probe=per_probe)))
    assert_alike(rendered(busy, per_probe=per_probe), theirs)


@pytest.mark.parametrize("per_probe", [True, False])
def test_openmetrics_has_every_sample_that_prometheus_client_has(busy, per_probe):
    text = Exposition(busy).render(openmetrics=True, per_probe=per_probe)
    assert text.endswith(b"# EOF\n")
    theirs = samples(parse_openmetrics, generate_openmetrics(collected(busy, per_probe=per_probe)))
    assert_alike(samples(parse_openmetrics, text), theirs)


def test_every_metric_of_the_table_of_names_is_there_and_no_other(busy):
    described = {line.split()[2] for line in Exposition(busy).render().decode().splitlines() if line.startswith("# TYPE")}
    assert described == {metric.name for metric in names.ALL}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters=LINE_ENDS_OF_PYTHON), min_size=1))
def test_any_name_survives_the_way_to_a_parser(make_host, name):
    host = make_host(8)
    host.add(name[:256])
    assert value(rendered(host), "meshkit_probe_state", probe=name[:256]) == 0


def test_no_probes_at_all_is_a_valid_exposition(host):
    assert_alike(rendered(host), samples(parse_text, generate_latest(collected(host))))


def test_success_is_absent_before_the_first_run_and_follows_the_last(host):
    host.add("pg", namespace="orders")
    assert not [key for key in rendered(host) if "success" in key[0]]
    host.ingest("pg", Result.FAIL)
    assert value(rendered(host), "meshkit_probe_success") == 0
    host.ingest("pg", Result.DEGRADED)
    assert value(rendered(host), "meshkit_probe_success") == 1
    assert value(rendered(host), "meshkit_group_success", namespace="orders") == 1


def test_a_latency_on_the_bound_is_below_it_and_a_nanosecond_more_is_not(host):
    host.add("pg")
    host.ingest("pg", latency_s=2.0**-2)
    host.ingest("pg", latency_s=2.0**-2 + 1e-9)
    found = rendered(host)
    assert value(found, "meshkit_probe_duration_seconds_bucket", le="0.25") == 1
    assert value(found, "meshkit_probe_duration_seconds_bucket", le="1.0") == 2


def test_a_timeout_counts_beyond_every_bound_and_in_the_sum(host):
    host.add("pg")
    host.ingest("pg", Result.TIMEOUT, latency_s=0.5)
    found = rendered(host)
    assert value(found, "meshkit_probe_duration_seconds_bucket", le="64.0") == 0
    assert value(found, "meshkit_probe_duration_seconds_bucket", le="+Inf") == 1
    assert value(found, "meshkit_probe_duration_seconds_sum") == 0.5


def test_counters_of_a_group_do_not_fall_when_a_probe_leaves(host):
    for name in ("stays", "leaves"):
        host.add(name, namespace="orders")
        host.ingest(name, latency_s=0.25, n=4)
    counted = ("runs_total", "duration_seconds_sum", "duration_seconds_count", "transitions_total")
    before = {key: entry for key, entry in rendered(host).items() if key[0].endswith(counted) and "group" in key[0]}
    host.remove("leaves")
    after = rendered(host)
    assert before == {key: after[key] for key in before}
    assert not [key for key in after if ("probe", "leaves") in key]


def test_flapping_probes_are_counted_in_their_group_until_they_rest(host):
    for name in ("restless", "calm"):
        host.add(name, namespace="orders")
    slot = host.catalog["restless"].slot
    for at_ns in range(BEGINS_AT):
        host.flaps.changed(slot, at_ns, 10.0)
    assert value(rendered(host), "meshkit_group_flapping", namespace="orders") == 1
    host.flaps.forget(slot)
    assert value(rendered(host), "meshkit_group_flapping", namespace="orders") == 0


def test_the_process_tells_lag_skips_and_drops(host):
    host.add("pg")
    host.ingest("pg", lag_s=0.002, n=3)
    found = rendered(host)
    assert value(found, "meshkit_scheduler_lag_seconds_bucket", le="0.0009765625") == 0
    assert value(found, "meshkit_scheduler_lag_seconds_bucket", le="0.00390625") == 3
    assert value(found, "meshkit_scheduler_lag_seconds_sum") == pytest.approx(0.006)
    assert value(found, "meshkit_probe_skipped_total", reason="overlap") == 0
    assert value(found, "meshkit_ring_dropped_total") == 0


def test_probes_that_come_and_go_between_two_pages_never_mix(host, monkeypatch):
    monkeypatch.setattr(exposition, "PAGE_BYTES", 2048)
    for number in range(50):
        host.add(f"old-{number}")
        host.ingest(f"old-{number}", n=7)
    pages, text = Exposition(host).pages(), b""
    for number, page in enumerate(pages):
        text += page
        if number < 50:
            host.remove(f"old-{number}")
            host.add(f"new-{number}")
    found = samples(parse_text, text)
    assert not [key for key in found if dict(key[1:]).get("probe", "").startswith("new-")]
    ok = [entry[2] for key, entry in found.items() if key[0] == "meshkit_probe_runs_total" and ("result", "ok") in key]
    assert ok == [7] * len(ok)  # a new probe's zero under an old name would show here


def test_two_scrapes_at_a_time_do_not_disturb_each_other(busy, monkeypatch):
    monkeypatch.setattr(exposition, "PAGE_BYTES", 512)
    shared = Exposition(busy)
    alone = shared.render()
    first, second = shared.pages(), shared.pages()
    turns = [(next(first, b""), next(second, b"")) for _ in range(1000)]
    assert b"".join(one for one, _ in turns) == alone
    assert b"".join(two for _, two in turns) == alone


def test_the_cache_is_given_back_as_probes_leave(host):
    shared = Exposition(host)
    empty = shared.cache_bytes
    for number in range(100):
        host.add(f"p{number}")
    shared.render()
    full = shared.cache_bytes
    for number in range(100):
        host.remove(f"p{number}")
    shared.render()
    assert full - empty > 100 * 40
    assert shared.cache_bytes - empty < 100 * 20
    assert value(samples(parse_text, shared.render()), names.EXPOSITION_CACHE.name) == shared.cache_bytes


def test_registering_the_collector_collects_nothing(busy):
    described = Collector(busy).describe()
    assert [family.name for family in described] == [metric.family for metric in names.ALL if metric.name not in OWN]
    assert not any(family.samples for family in described)
