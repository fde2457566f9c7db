from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from tests.ports import free_port

from .conftest import Host, until

pytestmark = pytest.mark.feature


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def write(host: Host, path: Path, *probes: str) -> Path:
    path.write_text(
        f'[host]\nname = "cp-1"\ncluster = "eu-1"\nstate_dir = "{host.state_dir}"\n\n[server]\nlisten = "{host.listen}"\n\n'
        + "\n".join(probes)
    )
    return path


def probe(name: str, port: int, interval: str = "200ms") -> str:
    return (
        f'[[probe]]\nname = "{name}"\nkind = "tcp"\ntarget = "127.0.0.1:{port}"\ninterval = "{interval}"\ntimeout = "100ms"\n'
    )


def runs(told: dict) -> int:
    return sum(told.get("runs", {}).values())


def test_a_reload_changes_what_changed_and_leaves_the_rest_alone(host, tmp_path, listening):
    config = write(host, tmp_path / "fastprobe.toml", probe("stays", listening), probe("goes", listening))
    process = host.start("run", str(config))
    before = until(lambda: (told := host.probe("stays")) and runs(told) > 3 and told, "probes run")
    write(host, config, probe("stays", listening), probe("comes", free_port()))
    process.send_signal(signal.SIGHUP)
    until(lambda: host.probe("comes").get("state") == "unhealthy", "the new probe runs")
    after = host.probe("stays")
    assert after["since"] == before["since"]
    assert runs(after) >= runs(before)
    assert host.ask("probes", "show", "goes").returncode == 2
    config.write_text("[[probe]]\nname = ")
    process.send_signal(signal.SIGHUP)
    running = runs(host.probe("stays"))
    until(lambda: runs(host.probe("stays")) > running, "a broken file changes nothing")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "not reloaded" in err
    assert "1 added, 1 removed" in err


def test_an_operator_pauses_runs_and_resumes_a_probe(host, tmp_path, listening):
    host.start("run", str(write(host, tmp_path / "fastprobe.toml", probe("db", listening, "60s"))))
    until(lambda: host.probe("db"), "the host answers")
    assert host.ask("probes", "pause", "db", "--dry-run").stdout.startswith("would pause db")
    assert host.probe("db")["state"] != "paused"
    assert host.ask("probes", "pause", "db").returncode == 0
    assert host.probe("db")["state"] == "paused"
    before = runs(host.probe("db"))
    assert host.ask("probes", "run", "db").returncode == 0
    assert runs(host.probe("db")) == before + 1
    assert host.ask("probes", "resume", "db").returncode == 0
    assert host.probe("db")["state"] != "paused"


def test_listings_come_as_table_name_json_and_yaml(host, tmp_path, listening):
    host.start("run", str(write(host, tmp_path / "fastprobe.toml", *(probe(f"p{number}", listening) for number in range(5)))))
    until(lambda: host.probe("p0").get("state") == "healthy", "probes run")
    assert host.ask("probes", "list", "-o", "name").stdout.split() == ["p0", "p1", "p2", "p3", "p4"]
    assert len(json.loads(host.ask("probes", "list", "-o", "json", "--name", "p[12]").stdout)["items"]) == 2
    assert "name: p3" in host.ask("probes", "list", "-o", "yaml").stdout
    assert "eu-1" in host.ask("groups", "--by", "cluster").stdout
    assert host.ask("probes", "list", "--limit", "2", "-o", "name").stdout.split() == ["p0", "p1"]
    assert host.ask("probes", "list", "--state", "nonsense").returncode == 2


def test_once_on_a_file_without_probes_is_a_mistake_and_not_well(host, tmp_path):
    empty = tmp_path / "empty.toml"
    empty.write_text('[host]\nname = "cp-1"\n')
    told = host.run("once", str(empty))
    assert told.returncode == 2
    assert "no probe to run" in told.stderr
    assert "Traceback" not in told.stderr


def test_once_tells_by_its_exit_code_whether_all_is_well(host, tmp_path, listening):
    good = write(host, tmp_path / "good.toml", probe("a", listening), probe("b", listening))
    bad = write(host, tmp_path / "bad.toml", probe("a", listening), probe("b", free_port()))
    broken = tmp_path / "broken.toml"
    broken.write_text('[host]\nname = "x"\n[[probe]]\nname = "a"\nkind = "tcp"\ntarget = "127.0.0.1:1"\ninterval = "1ms"\n')
    assert host.run("once", str(good)).returncode == 0
    told = host.run("once", str(bad))
    assert told.returncode == 1
    assert "connect_refused" in told.stdout
    refused = host.run("once", str(broken))
    assert refused.returncode == 2
    assert "interval" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_host_that_is_not_there_is_a_row_and_exit_code_4(host):
    nobody = f"http://127.0.0.1:{free_port()}"
    told = host.run("status", "--host", nobody)
    assert told.returncode == 4
    assert "connection refused" in told.stdout + told.stderr
