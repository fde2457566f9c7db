"""Game days as a person runs them: a real host, real sockets, real signals; the scenario is the one of examples/."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from meshkit_fastprobe.chaos.scenarios.report import report_schema
from tests.ports import free_port

from .conftest import FASTPROBE, Host

pytestmark = [pytest.mark.feature, pytest.mark.once, pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 100.0
"""Every look starts an interpreter, which a loaded machine takes seconds for."""
ALIVE = {"armed", "injecting", "active", "reverting"}


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Nothing."""


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Connections are reset on purpose here."""


def until(holds, what):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The host of the example, on ports of its own."""
    folder = tmp_path_factory.mktemp("game-day")
    host = Host(folder)
    service = Quiet(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    upstream = str(service.server_address[1])
    text = (EXAMPLES / "game-day-host.toml").read_text()
    text = text.replace("./state", str(host.state_dir)).replace("127.0.0.1:9464", host.listen).replace('"5s"', '"0s"')
    for port, own in {
        "15432": str(free_port()),
        "18080": str(free_port()),
        ":5432": f":{upstream}",
        ":8080": f":{upstream}",
    }.items():
        text = text.replace(port, own)
    # A loaded machine is slow without being wrong: no experiment is ended by a probe that had to wait.
    text = text.replace("healthy_ratio = 0.9", "healthy_ratio = 0.0")
    # Of the same kinds, for whatever is ended before its time.
    for kind in ("slow-orders", "reset-billing"):
        [table] = re.findall(rf'\[\[chaos.experiment\]\]\nid = "{kind}".*?(?=\n\[\[|\Z)', text, re.DOTALL)
        text += "\n" + re.sub('duration = "[0-9]s"', 'duration = "120s"', table.replace(kind, f"long-{kind}")) + "\n"
    host.config = folder / "host.toml"
    host.config.write_text(text)
    begin(host)
    for toggle in ("chaos.enabled", "chaos.latency.enabled", "chaos.reset.enabled", "chaos.blackhole.enabled"):
        assert host.ask("toggles", "set", toggle, "on").returncode == 0
    yield host
    host.end()
    service.shutdown()
    service.server_close()


@pytest.fixture
def day(tmp_path):
    """The example, with bounds that a loaded machine can keep."""
    text = (EXAMPLES / "game-day.toml").read_text()
    for bound, loose in {'"100ms"': '"450ms"', '= "3s"': '= "20s"', "0.9": "0.1"}.items():
        text = text.replace(bound, loose)
    text = re.sub(r'(detection"\nat_most = )"2s"', r'\1"20s"', text)
    path = tmp_path / "game-day.toml"
    path.write_text(text)
    return path


def begin(host):
    host.process = host.start("run", str(host.config))
    until(lambda: states(host) == {"healthy"}, "all is well")


def states(host):
    answer = host.ask("probes", "list", "-o", "json")
    return {item["state"] for item in json.loads(answer.stdout)["items"]} if answer.returncode == 0 else set()


def phases(host):
    items = json.loads(host.ask("chaos", "list", "-o", "json").stdout)["items"]
    return {item["id"]: item["phase"] for item in items}


def audited(host, action):
    items = json.loads(host.ask("audit", "list", "--action", action, "-o", "json").stdout)["items"]
    return [item["scope"] for item in items]


def long_day(folder):
    """Two branches that last for minutes."""
    text = 'name = "long-day"\nmax_length = "1h"\n'
    for name, experiment in {"slow": "long-slow-orders", "resets": "long-reset-billing"}.items():
        text += f'\n[[step]]\nname = "{name}"\nexperiment = "{experiment}"\n'
    text += '\n[[step]]\nname = "after"\nneeds = ["slow", "resets"]\nhold = "1s"\n'
    path = folder / "long-day.toml"
    path.write_text(text)
    return path


def begun(host, tmp_path, *more):
    """A client that carries out the long day, with both branches in force."""
    until(lambda: states(host) == {"healthy"}, "all is well")
    command = [*FASTPROBE, "chaos", "scenario", "run", str(long_day(tmp_path)), "--yes", *more]
    client = subprocess.Popen(
        [*command, "--host", f"http://{host.listen}"],
        env=host.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    host.processes.append(client)
    until(lambda: both(phases(host)) == {"active"}, "both branches are in force")
    return client


def both(found):
    return {found["long-slow-orders"], found["long-reset-billing"]}


def ended(client, timeout_s=60):
    out, err = client.communicate(timeout=timeout_s)
    return client.returncode, out, err


def test_the_example_holds_by_itself_by_the_configuration_and_at_the_host(running):
    example = str(EXAMPLES / "game-day.toml")
    assert running.run("chaos", "scenario", "lint", example).returncode == 0
    told = running.run("chaos", "scenario", "lint", example, "--config", str(EXAMPLES / "game-day-host.toml"))
    assert (told.returncode, told.stderr) == (0, "")
    told = running.ask("chaos", "scenario", "lint", example, "-o", "json")
    assert json.loads(told.stdout)["items"][0]["against"] == "at cp-1"


def test_a_game_day_with_branches_passes_and_is_reported(running, tmp_path, day):
    until(lambda: states(running) == {"healthy"}, "all is well")
    reports = {"json": tmp_path / "r.json", "junit": tmp_path / "r.xml"}
    asked = [f"--report={form}={path}" for form, path in reports.items()]
    told = running.ask("chaos", "scenario", "run", str(day), "--yes", *asked, "--ticket", "OPS-7")
    assert told.returncode == 0, told.stdout + told.stderr
    report = json.loads(reports["json"].read_text())
    jsonschema.Draft202012Validator(report_schema()).validate(report)
    assert (report["outcome"], report["host"], report["ticket"]) == ("completed", "cp-1", "OPS-7")
    steps = {step["name"]: step for step in report["steps"]}
    assert {step["phase"] for step in steps.values()} == {"passed"}
    assert steps["slow"]["beganAt"] < steps["resets"]["endedAt"]
    assert steps["resets"]["beganAt"] < steps["slow"]["endedAt"]
    assert max(steps["slow"]["endedAt"], steps["resets"]["endedAt"]) < steps["cut"]["beganAt"]
    [measure] = steps["cut"]["run"]["measures"]
    assert measure["hurt"] == 3
    assert 0 <= measure["recoverySeconds"] <= 20
    assert measure["errorSeconds"] == pytest.approx(0.5)
    # Every step went the way of a person: a plan, a confirmation, a record; the receipt that the report names holds.
    assert sorted(audited(running, "chaos.activate"))[-3:] == sorted(
        steps[name]["run"]["id"] for name in ("slow", "resets", "cut")
    )
    receipt = tmp_path / "receipt.json"
    receipt.write_text(running.ask("chaos", "receipt", steps["cut"]["run"]["id"]).stdout)
    holds = running.run("chaos", "receipt", str(receipt), "--verify", steps["cut"]["run"]["receipt"]["publicKey"])
    assert "the receipt holds" in holds.stdout
    suite = ET.parse(reports["junit"]).getroot()
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")


def test_a_missed_objective_fails_it_and_the_rest_is_not_begun(running, day):
    until(lambda: states(running) == {"healthy"}, "all is well")
    text = day.read_text().replace('metric = "healthy_ratio"', 'metric = "p99"')
    day.write_text(text.replace("at_least = 0.1", 'at_most = "60ms"'))
    told = running.ask("chaos", "scenario", "run", str(day), "--yes", "-o", "json")
    assert told.returncode == 1, told.stdout + told.stderr
    steps = {step["name"]: step for step in json.loads(told.stdout)["steps"]}
    assert (steps["slow"]["phase"], steps["cut"]["phase"]) == ("failed", "skipped")
    [p99] = [one for one in steps["slow"]["objectives"] if one["metric"] == "p99"]
    assert p99["verdict"] == "missed"
    assert p99["observed"] == "timeout" or p99["observed"] >= 0.1  # the delay, as the histogram has it, never less
    assert "slow: failed" in told.stderr


def test_a_dry_run_shows_every_plan_and_begins_nothing(running):
    until(lambda: states(running) == {"healthy"}, "all is well")
    actions = ("chaos.prepare", "chaos.stop", "chaos.activate")
    before = [audited(running, action) for action in actions]
    told = running.ask("chaos", "scenario", "run", str(EXAMPLES / "game-day.toml"), "--dry-run")
    assert told.returncode == 0, told.stderr
    for shown in ("slow-orders", "reset-billing", "cut-orders", "orders-db: ", "over within"):
        assert shown in told.stdout
    assert [audited(running, action) for action in actions] == before
    assert not ALIVE & set(phases(running).values())


def test_nobody_there_to_say_yes_means_no(running):
    until(lambda: states(running) == {"healthy"}, "all is well")
    told = running.ask("chaos", "scenario", "run", str(EXAMPLES / "game-day.toml"))
    assert (told.returncode, "nobody is there to confirm" in told.stderr) == (3, True)


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_undoes_everything_and_pressing_it_again_does_not_keep_it_from_that(running, tmp_path, presses):
    report = tmp_path / "r.json"
    client = begun(running, tmp_path, f"--report=json={report}")
    for _ in range(presses):
        client.send_signal(signal.SIGINT)
        time.sleep(0.02)
    code, out, _ = ended(client)
    assert code == 130
    assert not ALIVE & set(phases(running).values())
    told = json.loads(report.read_text())
    assert told["outcome"] == "cancelled"
    assert [(one["step"], one["how"]) for one in told["rollback"]] in (
        [("slow", "stopped"), ("resets", "stopped")],
        [("resets", "stopped"), ("slow", "stopped")],
    )
    assert "Ctrl-C" in out


def test_a_client_that_dies_leaves_experiments_that_end_by_themselves_and_begins_no_other(running, tmp_path):
    client = begun(running, tmp_path)
    client.kill()
    client.wait()
    items = json.loads(running.ask("chaos", "list", "-o", "json").stdout)["items"]
    left = [item for item in items if item["phase"] == "active"]
    assert len(left) == 2
    assert all(item["run"]["endsAt"] for item in left), "each has an end that the host keeps"
    before = audited(running, "chaos.activate")
    time.sleep(1)
    assert audited(running, "chaos.activate") == before
    for item in left:
        assert running.ask("chaos", "stop", item["id"]).returncode == 0


def test_a_halt_by_somebody_else_ends_all_of_it_and_is_reported(running, tmp_path):
    report = tmp_path / "r.xml"
    client = begun(running, tmp_path, f"--report=junit={report}")
    assert running.ask("chaos", "halt", "--reason", "a real incident").returncode == 0
    code, out, _ = ended(client)
    assert running.ask("chaos", "resume", "--reason", "over").returncode == 0
    assert code == 1
    assert "halted" in out
    assert "a real incident" in out
    suite = ET.parse(report).getroot()
    assert int(suite.get("failures")) >= 1


def test_what_the_host_does_not_allow_is_refused_before_anything_begins(running):
    assert running.ask("toggles", "set", "chaos.blackhole.enabled", "off").returncode == 0
    told = running.ask("chaos", "scenario", "run", str(EXAMPLES / "game-day.toml"), "--yes")
    assert running.ask("toggles", "set", "chaos.blackhole.enabled", "on").returncode == 0
    assert told.returncode == 3
    assert "faults of kind blackhole are switched off here" in told.stderr
    assert "nothing was injected" in told.stderr


def test_a_file_that_cannot_be_names_line_key_and_fix(running, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text('name = "wrong"\n\n[[step]]\nname = "a"\nexperiment = "slow-order"\n')
    told = running.ask("chaos", "scenario", "lint", str(path))
    assert told.returncode == 2
    assert f'{path}:5: step[0].experiment: the host has no experiment "slow-order"' in told.stderr
    assert "did you mean slow-orders?" in told.stderr


def test_a_plan_that_nobody_reads_is_not_carried_out(running, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [*FASTPROBE, "chaos", "scenario", "run", str(long_day(tmp_path)), "--yes", "--host", f"http://{running.listen}"]
    told = subprocess.run(command, env=running.environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (told.returncode, "nothing was done" in told.stderr) == (2, True)
    assert not ALIVE & set(phases(running).values())


def test_a_host_that_dies_in_the_middle_is_told_and_one_that_is_not_there_too(running, tmp_path):
    report = tmp_path / "r.json"
    client = begun(running, tmp_path, f"--report=json={report}")
    running.process.kill()
    running.process.wait()
    code, _, _ = ended(client, timeout_s=120)
    assert code == 4
    told = json.loads(report.read_text())
    assert told["outcome"] == "unreachable"
    assert {one["how"] for one in told["rollback"]} == {"unconfirmed"}
    assert "the host ends it by itself within" in told["rollback"][0]["why"]
    gone = running.ask("chaos", "scenario", "run", str(long_day(tmp_path)), "--yes")
    assert (gone.returncode, "connection refused" in gone.stderr) == (4, True)
    begin(running)  # which undoes what the dead process may have left
    assert not ALIVE & set(phases(running).values())
