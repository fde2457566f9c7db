"""A real Prometheus scrapes a real host: every query of our dashboards and rules is asked of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
import yaml

import meshkit_fastprobe as fp
from deploy.grafana.__main__ import written
from tests.ports import free_port

DEPLOY = Path(__file__).parents[3] / "deploy"
PATIENCE_S = 120

pytestmark = [
    pytest.mark.integration,
    pytest.mark.service,
    pytest.mark.once,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here: apt-get install prometheus"),
]

SILENT = re.compile(
    r"meshkit_chaos_|"  # a host without experiments has none of these series
    r"transitions_total.*> 0"  # nothing has changed since the first scrape
)
"""Queries that may have nothing to say about a young host."""


def queries():
    """Dashboard and title of the panel, and the query with Grafana's variables as it fills them in."""
    values = {"$__rate_interval": "5m", "$__range": "1h"}
    values |= dict.fromkeys(("$cluster", "$namespace", "$probe", "$instance"), ".*")
    for path in written():
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                text = target["expr"]
                for variable, value in values.items():
                    text = text.replace(variable, value)
                assert "$" not in text, f"{path.stem}: {panel['title']}: a variable that the test does not know"
                yield f"{path.stem}: {panel['title']}", text


def rules():
    for path in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def diagnostics(state_dir):
    settings = fp.Settings(host="h1", cluster="eu-1", state_dir=str(state_dir), server=fp.ServerSettings(listen="127.0.0.1:0"))
    diag = fp.Diagnostics(settings)
    diag.add(fp.TcpProbe("127.0.0.1:1"), name="down", namespace="orders", interval="200ms", timeout="200ms", fall=2)

    @diag.probe("up", namespace="edge", interval="200ms", timeout="200ms")
    async def up():
        await trio.sleep(0.001)

    return diag


@asynccontextmanager
async def prometheus(directory, target, token):
    """Its API, once it answers. The example's configuration, at a pace for tests."""
    shutil.copytree(DEPLOY / "prometheus" / "rules", directory / "rules")
    for path in (directory / "rules").iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("interval: 30s", "interval: 1s"), encoding="utf-8")
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (directory / "fastprobe-token").write_text(token, encoding="utf-8")
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    command = ["prometheus", f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'data'}"]
    process = start([*command, f"--web.listen-address=127.0.0.1:{port}"], directory)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as api:
            while not await is_ready(api):
                assert process.poll() is None, (directory / "log").read_text()
                await trio.sleep(0.1)
            yield api
    finally:
        process.kill()
        process.wait()


def start(command, directory):
    with (directory / "log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)


async def is_ready(api):
    try:
        return (await api.get("/-/ready")).is_success
    except httpx.TransportError:
        return False


async def ask(api, query):
    response = await api.get("/api/v1/query", params={"query": query})
    answer = response.json()
    assert answer["status"] == "success", f"{query}: {answer.get('error')}"
    return answer["data"]["result"]


async def until(condition):
    with trio.fail_after(PATIENCE_S):
        while not await condition():
            await trio.sleep(0.2)


async def test_every_query_of_dashboards_and_rules_is_understood_and_answered(tmp_path):
    waiting = [*queries(), *((rule["record"], rule["expr"]) for rule in rules() if "record" in rule)]
    async with diagnostics(tmp_path / "state") as diag, prometheus(tmp_path, diag.address, diag.local_token) as api:
        for _, text in [*queries(), *((None, rule["expr"]) for rule in rules())]:
            await ask(api, text)
        with trio.move_on_after(PATIENCE_S):
            while waiting := [(name, text) for name, text in waiting if not (SILENT.search(text) or await ask(api, text))]:
                await trio.sleep(0.5)
    assert waiting == []


async def test_a_probe_that_is_down_becomes_an_alert(tmp_path):
    async with diagnostics(tmp_path / "state") as diag, prometheus(tmp_path, diag.address, diag.local_token) as api:

        async def pending():
            alerts = (await api.get("/api/v1/alerts")).json()["data"]["alerts"]
            return [
                alert["annotations"]["next_command"]
                for alert in alerts
                if alert["labels"]["alertname"] == "FastprobeProbeDown" and alert["labels"]["probe"] == "down"
            ]

        await until(pending)
        assert await pending() == [f"fastprobe probes show 'down' --host {diag.address}"]
        assert await ask(api, "meshkit_probe_state == 3")


async def test_labels_of_what_is_probed_win_over_those_of_the_prober(tmp_path):
    async with diagnostics(tmp_path / "state") as diag, prometheus(tmp_path, diag.address, diag.local_token) as api:
        await until(lambda: ask(api, "meshkit_group_probes"))
        found = await ask(api, "meshkit_group_probes")
        assert {row["metric"]["namespace"] for row in found} == {"orders", "edge"}
        assert not [row for row in found if "exported_namespace" in row["metric"]]
