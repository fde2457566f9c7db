"""/metrics of a running Diagnostics, as a scraper reads it."""

from pathlib import Path

import httpx
import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import meshkit_fastprobe as fp
from meshkit_fastprobe.server.local_token import read_token
from meshkit_fastprobe.telemetry import names

pytestmark = pytest.mark.integration

ACCEPT_OF_PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def diagnostics(state_dir, **server):
    settings = fp.ServerSettings(listen="127.0.0.1:0", **server)
    more = {"first_run_window_s": 0.1, "state_dir": str(state_dir), "server": settings}
    return fp.Diagnostics(fp.Settings(host="h1", cluster="eu-1", **more))


def client_of(diag):
    headers = {"authorization": f"Bearer {read_token(Path(diag.settings.state_dir))}"}
    return httpx.AsyncClient(base_url=f"http://{diag.address}", headers=headers, timeout=30)


def read(parse, response):
    assert response.status_code == 200
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(response.text)
        for sample in family.samples
    }


def total(samples, name, **labels):
    return sum(value for key, value in samples.items() if key[0] == name and labels.items() <= dict(key[1:]).items())


async def test_a_scrape_tells_what_the_probes_found(tmp_path):
    diag = diagnostics(tmp_path)
    diag.add(fp.TcpProbe("127.0.0.1:1"), name="down", namespace="orders", interval="30s", timeout="30s", fall=2)

    @diag.probe("up", namespace="edge", interval="30s", timeout="30s")
    async def up():
        await trio.sleep(0.001)

    async with diag, client_of(diag) as client:
        with trio.fail_after(60):
            while not all(sum(diag.view(name).runs.values()) for name in ("down", "up")):
                await trio.sleep(0.01)  # the first are scheduled, and so have a lag
            for _ in range(5):
                await diag.run_once("down")
                await diag.run_once("up")
        text = read(parse_text, await client.get("/metrics"))
        openmetrics = read(parse_openmetrics, await client.get("/metrics", headers={"accept": ACCEPT_OF_PROMETHEUS}))
        runs = diag.snapshot().totals.runs
    for samples in (text, openmetrics):
        assert total(samples, "meshkit_probe_state", probe="down") == fp.State.UNHEALTHY
        assert total(samples, "meshkit_probe_state", probe="up") == fp.State.HEALTHY
        assert total(samples, "meshkit_probe_success", probe="down") == 0
        assert total(samples, "meshkit_group_success", namespace="edge") == 1
        assert total(samples, "meshkit_group_probes", namespace="orders", state="unhealthy") == 1
        assert 10 <= total(samples, "meshkit_probe_runs_total") <= runs
        assert total(samples, "meshkit_probe_runs_total") == total(samples, "meshkit_probe_duration_seconds_count")
        assert total(samples, "meshkit_probe_runs_total") == total(samples, "meshkit_group_runs_total")
        assert total(samples, "meshkit_scheduler_lag_seconds_count") > 0
        assert total(samples, "meshkit_probe_transitions_total", probe="down") == 1
        assert total(samples, "meshkit_ring_dropped_total") == 0


async def test_a_scrape_of_ten_thousand_probes_is_whole_and_lets_the_others_run(tmp_path):
    diag = diagnostics(tmp_path)
    diag.add_many((fp.TcpProbe(f"10.0.{n // 250}.{n % 250}:9") for n in range(10_000)), enabled=False)
    pauses = []

    async def feel(task_status=trio.TASK_STATUS_IGNORED):
        task_status.started()
        while True:
            began = trio.current_time()
            await trio.sleep(0.001)
            pauses.append(trio.current_time() - began)

    async with diag, client_of(diag) as client, trio.open_nursery() as nursery:
        await client.get("/metrics")  # the first one makes the label texts
        await nursery.start(feel)
        response = await client.get("/metrics")
        nursery.cancel_scope.cancel()
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.text.count("\nmeshkit_probe_state{") == 10_000
    assert response.text.count("\nmeshkit_probe_duration_seconds_bucket{") == 11 * 10_000
    assert response.text.splitlines()[-1].startswith(names.EXPOSITION_CACHE.name)
    assert len(pauses) > 5


async def test_per_probe_series_are_left_out_by_setting_and_come_back_on_request(tmp_path):
    diag = diagnostics(tmp_path, per_probe_metrics=False)
    diag.add(fp.TcpProbe("127.0.0.1:1"), name="down", enabled=False)
    async with diag, client_of(diag) as client:
        assert "probe=" not in (await client.get("/metrics")).text
        assert 'probe="down"' in (await client.get("/metrics?per_probe=true")).text


async def test_head_is_quick_and_empty(tmp_path):
    async with diagnostics(tmp_path) as diag, client_of(diag) as client:
        response = await client.head("/metrics")
        assert (response.status_code, response.content) == (200, b"")
